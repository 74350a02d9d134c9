"""Exact search over vectors, in blocks of documents, and the retrievers' shared half of it.

Candidates are found by float32 products, and only those that may be among the k best are scored
again, each by itself, in float64. So a score depends on its query and its document alone, not on
the batch, the block or the number of threads, equal documents have equal scores, and ties across
the cut are resolved by the one rule.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import encoders
from qrels.data import ABSENT, Column, Corpus, Filter, Run
from qrels.errors import unknown
from qrels.saved import load_index, save_index
from retrievers.candidates import SPLIT, Pool, Rough, blas_threads, candidates, spread
from retrievers.filters import matching
from retrievers.stored import Doubles, Stored

Floats = NDArray[np.float32]
Vectors = NDArray[Any]  # float32, float16 or int8, (n, dimension)

BLOCK = 16384
"""Documents scored at once, at most."""

QUERIES = 1024
"""Queries at once, at most; fewer where k is large, so that there are HITS results at once."""

HITS = 2**18

RESCORED = 256
"""Documents scored exactly at once: 1.5 MiB of 384 dimensions, which stay in the cache."""

Scratch = Doubles | None


def _dot(rows: Doubles, query: Doubles, scratch: Scratch = None) -> Doubles:
    return np.asarray(np.multiply(rows, query, out=scratch).sum(axis=-1))


def _cosine(rows: Doubles, query: Doubles, scratch: Scratch = None) -> Doubles:
    lengths = np.sqrt(_dot(rows, rows, scratch) * float(_dot(query, query)))
    dots = _dot(rows, query, scratch)
    return np.divide(dots, lengths, out=np.zeros(len(rows)), where=lengths > 0)


def _l2(rows: Doubles, query: Doubles, scratch: Scratch = None) -> Doubles:
    apart = np.subtract(rows, query, out=scratch)
    return np.asarray(-np.square(apart, out=scratch).sum(axis=-1))


SIMILARITIES: Mapping[str, Callable[..., Doubles]] = {
    "cosine": _cosine,  # 0 where either vector is zero
    "dot": _dot,
    "l2": _l2,  # minus the squared distance, so that higher is better
}
"""Of each row (n, dimension) to a query (dimension,); scratch: like rows, to work in."""


class Linear(NamedTuple):
    """What makes each document's dot product rank as the similarity does; None: nothing."""

    times: float = 1.0
    scale: Floats | None = None
    shift: Floats | None = None


def _inverse(norms: Floats) -> Floats:
    return np.asarray(1 / np.where(norms > 0, norms, 1), np.float32)


LINEAR: Mapping[str, Callable[[Floats], Linear]] = {
    "cosine": lambda norms: Linear(scale=_inverse(norms)),
    "dot": lambda norms: Linear(),  # noqa: ARG005 - needs none
    "l2": lambda norms: Linear(times=2.0, shift=-(norms**2)),
}


def check_similarity(name: str) -> None:
    """UsageError where *name* is not one of SIMILARITIES."""
    if name not in SIMILARITIES:
        raise unknown("similarity", name, SIMILARITIES)


def search_vectors(
    matrix: Vectors,
    queries: Floats,
    k: int,
    similarity: str,
    tie_order: NDArray[np.int32],
    allowed: NDArray[np.bool_] | None = None,
    block: int = BLOCK,
    norms: Floats | None = None,
    factors: Floats | None = None,
) -> Run:
    """The k most similar documents of each query, exactly, ties by the one rule.

    matrix: float32, float16 or int8 (n_docs, dimension), may be mapped from a file; queries:
    float32 (n_queries, dimension); tie_order: int32 (n_docs,); allowed: bool (n_docs,) or None
    for all; norms: `row_norms(matrix, factors)` where the caller keeps them; factors: float32
    (n_docs,), of which each row of the matrix is to be multiplied by its own, None: by 1. Scores
    are float32, minus the squared distance for l2. Returns (n_queries, k), padded by -1 and -inf.
    """
    check_similarity(similarity)
    found = Run(
        np.full((len(queries), k), ABSENT, np.int32),
        np.full((len(queries), k), -np.inf, np.float32),
    )
    if not (k and len(matrix) and len(queries)) or not (allowed is None or allowed.any()):
        return found
    stored = Stored(matrix, factors)
    norms = stored.norms() if norms is None else norms
    chunks = -(-len(queries) // max(1, min(QUERIES, HITS // k)))
    for chunk in np.array_split(np.arange(len(queries)), chunks):
        here = queries[chunk[0] : chunk[-1] + 1]
        rank = functools.partial(_ranked, stored, here, k, similarity, tie_order)
        rough = _rough(stored, norms, here, similarity)
        best = rank(candidates(stored, allowed, rough, k, block, settle=_pool_of(rank)))
        found.docs[chunk[0] + best.pool.queries, best.ranks] = best.pool.docs
        found.scores[chunk[0] + best.pool.queries, best.ranks] = best.scores
    return found


def row_norms(matrix: Vectors, factors: Floats | None = None) -> Floats:
    """float32 (n_docs,): the length of each vector, taken block by block."""
    return Stored(matrix, factors).norms()


def _rough(stored: Stored, norms: Floats, queries: Floats, similarity: str) -> Rough:
    """How to score roughly, and by how much rounding can then put two documents out of order.

    Where what each document's dot product is multiplied by, or is added to it, differs by less
    than rounding (vectors of one length), it is left out, and the difference is slack.
    """
    times, scale, shift = LINEAR[similarity](norms)
    rounding = np.finfo(np.float32).eps * (queries.shape[1] + 8)  # of a float32 dot product
    lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
    longest = float(norms.max())
    reach = times * (longest if scale is None else float((norms * scale).max()))
    slack = rounding * reach * lengths
    if shift is not None:
        slack += rounding * (float(-shift.min()) + lengths**2)
        if (apart := float(np.ptp(shift))) <= rounding * longest**2:
            slack, shift = slack + apart, None
    if stored.factors is not None:
        scale = stored.factors if scale is None else stored.factors * scale
    elif scale is not None and (apart := float(np.ptp(scale)) * longest) <= rounding * reach:
        slack, times, scale = slack + apart * lengths, times * float(scale.max()), None
    return Rough(queries * np.float32(times), scale, shift, slack)


class Ranked(NamedTuple):
    """The best candidates, query by query, best first: float32 scores, and ranks from 0."""

    pool: Pool
    scores: Floats
    ranks: NDArray[np.int64]


def _ranked(
    stored: Stored,
    queries: Floats,
    k: int,
    similarity: str,
    tie_order: NDArray[np.int32],
    pool: Pool,
) -> Ranked:
    """The *k* best of each query's candidates by their exact scores, ties by the one rule.

    pool: query by query.
    """
    scores = _exact(stored, pool, queries, similarity)
    keys = _sort_keys(pool.queries, -scores)
    order = np.argsort(keys)
    keys = keys[order]
    same = np.append(keys[1:] == keys[:-1], False)
    if len(tied := np.flatnonzero(same | np.roll(same, 1))):
        order[tied] = order[tied][np.lexsort((tie_order[pool.docs[order[tied]]], keys[tied]))]
    ranks = np.arange(len(order)) - np.searchsorted(pool.queries, pool.queries)
    order, ranks = order[ranks < k], ranks[ranks < k]
    return Ranked(pool.where(order), scores[order], ranks)


def _sort_keys(queries: NDArray[Any], scores: Floats) -> NDArray[np.int64]:
    """int64 that sort by query, then by score: one sort instead of two."""
    bits = (scores + np.float32(0)).view(np.int32)  # 0 and -0 are equal
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)  # negative floats grow towards zero
    return (queries.astype(np.int64) << 32) + ordered


def _pool_of(rank: Callable[[Pool], Ranked]) -> Callable[[Pool], Pool]:
    return lambda pool: rank(pool).pool


def _exact(stored: Stored, pool: Pool, queries: Floats, similarity: str) -> Floats:
    """float32 (n_candidates,), in float64, each by itself; *pool* is in the queries' order."""
    ends = np.searchsorted(pool.queries, np.arange(len(queries)), side="right")
    scores, places = np.empty(len(pool.docs), np.float32), pool.docs.astype(np.int64)

    def score(first: int, last: int) -> None:
        fill = stored.filler(RESCORED)
        wide, scratch = np.empty((2, RESCORED, stored.codes.shape[1]))
        for row in range(first, last):
            query, start = queries[row].astype(np.float64), int(ends[row - 1]) if row else 0
            for at in range(start, int(ends[row]), RESCORED):
                docs = places[at : min(at + RESCORED, ends[row])]
                vectors = wide[: len(docs)]
                np.copyto(vectors, fill(docs))
                if stored.factors is not None:
                    vectors *= stored.factors[docs, None]
                found = SIMILARITIES[similarity](vectors, query, scratch[: len(docs)])
                scores[at : at + len(docs)] = found

    large = len(scores) * stored.codes.shape[1] > SPLIT
    spread(score, len(queries), blas_threads() if large else 1)
    return scores


class VectorRetriever:
    """A retriever whose subclass says only, in `_vectors`, which vector each document has."""

    encoder: str
    similarity: str
    block: int = BLOCK
    _arrays: Mapping[str, NDArray[Any]]  # vectors, norms, factors of int8, and a subclass's own
    _tie_order: NDArray[np.int32]
    _metadata: Mapping[str, Column]

    def index(self, corpus: Corpus) -> None:
        check_similarity(self.similarity)
        self._keep(self._built(corpus), corpus)

    def encode(self, queries: Sequence[str]) -> Floats:
        """float32 (n_queries, dimension), as the encoder gives them."""
        return encoders.load(self.encoder).encode(queries, "query")

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(self, encoded: Floats, k: int, where: Sequence[Filter] = ()) -> Run:
        allowed = matching(self._metadata, where, len(self._tie_order))
        return search_vectors(
            self._arrays["vectors"], encoded, k, self.similarity, self._tie_order, allowed,
            self.block, self._arrays["norms"], self._arrays.get("factors"),
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        facts = {"n_docs": len(self._tie_order), "encoder": encoders.load(self.encoder).digest}
        save_index(self, folder, self._arrays, facts)

    def load(self, folder: Path, corpus: Corpus) -> None:
        arrays, facts = load_index(self, folder, len(corpus))
        encoders.check_encoder(folder, facts["encoder"], self.encoder)
        self._keep(arrays, corpus)

    def _vectors(self, corpus: Corpus) -> Vectors:
        raise NotImplementedError

    def _built(self, corpus: Corpus) -> dict[str, NDArray[Any]]:
        """The arrays of the index, by name."""
        return named(Stored(self._vectors(corpus)))

    def _keep(self, arrays: Mapping[str, NDArray[Any]], corpus: Corpus) -> None:
        self._arrays = arrays
        self._tie_order, self._metadata = corpus.tie_order, corpus.metadata


def named(stored: Stored) -> dict[str, NDArray[Any]]:
    """The arrays by the names under which an index keeps them."""
    factors = {} if stored.factors is None else {"factors": stored.factors}
    return {"vectors": stored.codes, "norms": stored.norms(), **factors}


def unit(vectors: Vectors) -> Floats:
    """The vectors scaled to length 1; a zero vector stays zero."""
    single = vectors.astype(np.float32, copy=False)
    lengths = np.linalg.norm(single, axis=1, keepdims=True)
    return np.asarray(single / np.where(lengths > 0, lengths, 1), np.float32)
