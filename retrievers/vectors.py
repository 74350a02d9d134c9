"""Exact search over vectors, in blocks of documents, and the retrievers' shared half of it.

Candidates are found by one matrix product a block, in float32, and only those that may be among
the k best are scored again, each by itself, in float64. So a score depends on its query and its
document alone, not on the batch, the block or the number of threads, equal documents have equal
scores, and ties across the cut are resolved by the one rule.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoders
from qrels.data import ABSENT, Column, Corpus, Filter, Run
from qrels.errors import unknown
from qrels.saved import load_index, save_index
from retrievers.filters import matching

Vectors = NDArray[Any]  # float32 or float16, (n, dimension)
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

BLOCK = 16384
"""Documents scored at once; with QUERIES at once, 16 MiB of scores and 25 of 384 dimensions."""

QUERIES = 256
RESCORED = 8192


def _dot(rows: Doubles, query: Doubles) -> Doubles:
    return np.asarray((rows * query).sum(axis=1))


def _cosine(rows: Doubles, query: Doubles) -> Doubles:
    lengths = np.sqrt(_dot(rows, rows) * float(_dot(query[None], query)[0]))
    return np.divide(_dot(rows, query), lengths, out=np.zeros(len(rows)), where=lengths > 0)


def _l2(rows: Doubles, query: Doubles) -> Doubles:
    return np.asarray(-((rows - query) ** 2).sum(axis=1))


SIMILARITIES: Mapping[str, Callable[[Doubles, Doubles], Doubles]] = {
    "cosine": _cosine,  # 0 where either vector is zero
    "dot": _dot,
    "l2": _l2,  # minus the squared distance, so that higher is better
}


LINEAR: Mapping[str, Callable[[Floats], tuple[Floats, Floats]]] = {
    "cosine": lambda norms: (np.where(norms > 0, norms, 1).astype(np.float32) ** -1, 0 * norms),
    "dot": lambda norms: (np.ones_like(norms), 0 * norms),
    "l2": lambda norms: (np.full_like(norms, 2), -(norms**2)),
}
"""Scale and shift of each document's dot product that rank as the similarity does."""


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
) -> Run:
    """The k most similar documents of each query, exactly, ties by the one rule.

    matrix: float32 or float16 (n_docs, dimension), may be mapped from a file; queries: float32
    (n_queries, dimension); tie_order: int32 (n_docs,); allowed: bool (n_docs,) or None for all;
    norms: `row_norms(matrix)` where the caller keeps them. Scores are float32, minus the squared
    distance for l2. Returns (n_queries, k), padded by -1 and -inf.
    """
    check_similarity(similarity)
    found = Run(
        np.full((len(queries), k), ABSENT, np.int32),
        np.full((len(queries), k), -np.inf, np.float32),
    )
    if k == 0 or len(matrix) == 0:
        return found
    norms = row_norms(matrix) if norms is None else norms
    for start in range(0, len(queries), QUERIES):
        chunk = queries[start : start + QUERIES]
        pools = _candidates(matrix, norms, chunk, k, similarity, allowed, block)
        for row, pool in enumerate(pools, start):
            scores = _rescored(matrix, pool, queries[row], similarity)
            order = np.lexsort((tie_order[pool], -scores))[:k]
            found.docs[row, : len(order)] = pool[order]
            found.scores[row, : len(order)] = scores[order]
    return found


def row_norms(matrix: Vectors) -> Floats:
    """float32 (n_docs,): the length of each vector, taken block by block."""
    blocks = (matrix[at : at + BLOCK].astype(np.float32) for at in range(0, len(matrix), BLOCK))
    return np.concatenate([np.zeros(0, np.float32), *(np.linalg.norm(b, axis=1) for b in blocks)])


def _candidates(
    matrix: Vectors,
    norms: Floats,
    queries: Floats,
    k: int,
    similarity: str,
    allowed: NDArray[np.bool_] | None,
    block: int,
) -> list[NDArray[np.int64]]:
    """For each query, positions that hold the k best and all that rounding may hide behind them."""
    scale, shift = LINEAR[similarity](norms)
    reach = np.linalg.norm(queries, axis=1) * float((norms * scale).max())
    rounding = np.finfo(np.float32).eps * (matrix.shape[1] + 4)  # of a float32 dot product
    slack = rounding * (reach + float(np.abs(shift).max()))
    docs = [np.empty(0, np.int64)] * len(queries)
    values = [np.empty(0, np.float32)] * len(queries)
    cuts = np.full(len(queries), -np.inf)
    for start in range(0, len(matrix), block):
        here = slice(start, start + block)
        rough = queries @ matrix[here].astype(np.float32, copy=False).T * scale[here] + shift[here]
        if allowed is not None:
            rough[:, ~allowed[here]] = -np.inf
        for row, scores in enumerate(rough):
            near = np.flatnonzero((scores >= cuts[row]) & (scores > -np.inf))
            docs[row] = np.concatenate([docs[row], near + start])
            values[row] = np.concatenate([values[row], scores[near]])
            if (behind := len(docs[row]) - k) > 0:
                cuts[row] = np.partition(values[row], behind)[behind] - slack[row]
                kept = values[row] >= cuts[row]
                docs[row], values[row] = docs[row][kept], values[row][kept]
    return docs


def _rescored(matrix: Vectors, pool: NDArray[np.int64], query: Floats, similarity: str) -> Floats:
    """float32 (len(pool),): the similarity of each document in *pool*, computed row by row."""
    exact, wide = SIMILARITIES[similarity], query.astype(np.float64)
    parts = [pool[at : at + RESCORED] for at in range(0, len(pool), RESCORED)]
    scores = [exact(matrix[part].astype(np.float64), wide) for part in parts]
    return np.concatenate([np.zeros(0), *scores]).astype(np.float32)


class VectorRetriever:
    """A retriever whose subclass says only, in `_vectors`, which vector each document has."""

    encoder: str
    similarity: str
    block: int = BLOCK
    _matrix: Vectors
    _norms: Floats
    _tie_order: NDArray[np.int32]
    _metadata: Mapping[str, Column]

    def index(self, corpus: Corpus) -> None:
        check_similarity(self.similarity)
        matrix = self._vectors(corpus)
        self._keep(matrix, row_norms(matrix), corpus)

    def encode(self, queries: Sequence[str]) -> Floats:
        """float32 (n_queries, dimension), as the encoder gives them."""
        return encoders.load(self.encoder).encode(queries, "query")

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(self, encoded: Floats, k: int, where: Sequence[Filter] = ()) -> Run:
        allowed = matching(self._metadata, where, len(self._tie_order))
        return search_vectors(
            self._matrix, encoded, k, self.similarity, self._tie_order, allowed,
            self.block, self._norms,
        )  # fmt: skip

    def save(self, folder: Path) -> None:
        facts = {"n_docs": len(self._matrix), "encoder": encoders.load(self.encoder).digest}
        save_index(self, folder, {"vectors": self._matrix, "norms": self._norms}, facts)

    def load(self, folder: Path, corpus: Corpus) -> None:
        arrays, facts = load_index(self, folder, len(corpus))
        encoders.check_encoder(folder, facts["encoder"], self.encoder)
        self._keep(arrays["vectors"], arrays["norms"], corpus)

    def _vectors(self, corpus: Corpus) -> Vectors:
        raise NotImplementedError

    def _keep(self, matrix: Vectors, norms: Floats, corpus: Corpus) -> None:
        self._matrix, self._norms = matrix, norms
        self._tie_order, self._metadata = corpus.tie_order, corpus.metadata


def unit(vectors: Vectors) -> Floats:
    """The vectors scaled to length 1; a zero vector stays zero."""
    single = vectors.astype(np.float32, copy=False)
    lengths = np.linalg.norm(single, axis=1, keepdims=True)
    return np.asarray(single / np.where(lengths > 0, lengths, 1), np.float32)
