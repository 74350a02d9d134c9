"""Late interaction: every query token looks for its best match among a document's tokens.

Source: Khattab & Zaharia 2020 (MaxSim), doi 10.1145/3397271.3401075.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

import encoders
from encoders.base import TokenEncoder
from encoders.cache import BLOCK
from qrels.data import ABSENT, Corpus, Run
from qrels.errors import UsageError, unknown
from rerankers.candidates import check_prepared, ordered, positions, texts_at
from rerankers.saved import load_prepared, save_prepared

Floats = NDArray[np.float32]

DTYPES: Mapping[str, DTypeLike] = {"float16": np.float16, "float32": np.float32}
COMBINE: Mapping[str, Callable[[Floats], NDArray[np.float64]]] = {
    "sum": lambda best: best.sum(axis=0, dtype=np.float64),
    "mean": lambda best: best.sum(axis=0, dtype=np.float64) / max(1, len(best)),
}
DOCUMENTS = 8
"""Documents matched at once, so that their vectors stay in the processor's cache."""


class Tokens(NamedTuple):
    """The token vectors of some documents, one after the other.

    vectors: float16 or float32 (n_tokens, dimension); offsets: int64 (n_docs + 1,): document i
    has the rows from offsets[i] to offsets[i + 1].
    """

    vectors: NDArray[Any]  # one of the two
    offsets: NDArray[np.int64]


class LateInteraction:
    """Token-level MaxSim: the sum, over the query's tokens, of the largest cosine in a document.

    encoder: a spec of `encoders.load` that gives token vectors. fields: those joined into the
    text, all by default. batch_size: queries whose candidates are encoded together where nothing
    is prepared. dtype: how token vectors are kept, float16, or float32 for three times the speed
    at twice the size. combine: sum, or mean, which ranks the same. A document without tokens
    matches with -1, the lowest cosine; a query without tokens scores every document 0.
    """

    _tokens: Tokens | None = None

    pointwise = True

    def __init__(
        self,
        encoder: str = "minilm",
        fields: Sequence[str] | None = None,
        batch_size: int = 32,
        dtype: str = "float16",
        combine: str = "sum",
    ) -> None:
        self.encoder = encoder
        self.fields = fields
        self.batch_size = batch_size
        self.dtype = dtype
        self.combine = combine

    def prepare(self, corpus: Corpus) -> None:
        """Encode every document's tokens once; without it each call encodes its candidates."""
        self._tokens = self._encoded(corpus.joined(self.fields))

    def rerank(self, queries: Sequence[str], run: Run, corpus: Corpus, k: int) -> Run:
        if self.combine not in COMBINE:
            raise unknown("combine", self.combine, COMBINE)
        if self.batch_size < 1:
            raise UsageError(f"batch_size is {self.batch_size!r}; expected at least 1")
        wanted = self._encoder().encode_tokens(queries, "query")
        docs = run.docs[:, :k]
        scores = np.full(docs.shape, -np.inf, np.float32)
        for start in range(0, len(queries), self.batch_size):
            block = slice(start, start + self.batch_size)
            chosen = positions(docs[block])
            if not len(chosen):
                continue
            tokens, places = self._candidates(corpus, chosen)
            for row, query in enumerate(wanted[block], start):
                present = docs[row] != ABSENT
                at = places[np.searchsorted(chosen, docs[row, present])]
                scores[row, present] = COMBINE[self.combine](max_sim(query, tokens, at))
        return ordered(docs, scores, corpus)

    def save(self, folder: Path) -> None:
        """Write the prepared token vectors and where each document's begin."""
        if self._tokens is None:
            raise UsageError("late-interaction has nothing to save before prepare")
        save_prepared(self, folder, self._tokens._asdict(), len(self._tokens.offsets) - 1)

    def load(self, folder: Path, corpus: Corpus) -> None:
        self._tokens = Tokens(**load_prepared(self, folder, corpus))

    def _candidates(
        self, corpus: Corpus, chosen: NDArray[np.int32]
    ) -> tuple[Tokens, NDArray[np.intp]]:
        """Token vectors, and the place in them of each chosen position."""
        if self._tokens is None:
            return self._encoded(texts_at(corpus, chosen, self.fields)), np.arange(len(chosen))
        check_prepared(len(self._tokens.offsets) - 1, corpus)
        return self._tokens, chosen.astype(np.intp)

    def _encoded(self, texts: Sequence[str]) -> Tokens:
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        encoder = self._encoder()
        blocks = (
            encoder.encode_tokens(texts[at : at + BLOCK], "passage")
            for at in range(0, len(texts), BLOCK)
        )
        return packed(blocks, DTYPES[self.dtype])

    def _encoder(self) -> TokenEncoder:
        encoder = encoders.load(self.encoder)
        if not hasattr(encoder.inner, "encode_tokens"):
            raise UsageError(f"encoder {self.encoder!r} gives no token vectors")
        return encoder


def packed(blocks: Iterable[Sequence[Floats]], dtype: DTypeLike) -> Tokens:
    """Documents' token vectors as one array of *dtype*, made with one block of memory beside it."""
    parts: list[NDArray[Any]] = []  # of dtype
    counts = [0]
    for block in blocks:
        counts += map(len, block)
        parts.append(np.concatenate(block, dtype=dtype, casting="same_kind"))
    offsets = np.cumsum(counts, dtype=np.int64)
    vectors = np.empty((offsets[-1], parts[0].shape[1]), dtype)
    end = len(vectors)
    while parts:  # each block is freed once its vectors are copied
        part = parts.pop()
        vectors[end - len(part) : end] = part
        end -= len(part)
    return Tokens(vectors, offsets)


def max_sim(query: Floats, tokens: Tokens, places: NDArray[np.intp]) -> Floats:
    """The largest dot product of each query token with each document's tokens, -1 without any.

    query: float32 (n_query_tokens, dimension), unit vectors as those of *tokens*; places:
    (n_docs,), which of the documents of *tokens*. Returns float32 (n_query_tokens, n_docs).
    """
    starts, ends = tokens.offsets[places], tokens.offsets[places + 1]
    best = np.full((len(query), len(places)), -1, np.float32)
    filled = np.flatnonzero(ends > starts)
    for at in range(0, len(filled), DOCUMENTS):
        block = filled[at : at + DOCUMENTS]
        spans = zip(starts[block].tolist(), ends[block].tolist(), strict=True)
        rows = np.concatenate([tokens.vectors[start:end] for start, end in spans], dtype=np.float32)
        counts = ends[block] - starts[block]
        firsts = np.cumsum(counts) - counts
        best[:, block] = np.maximum.reduceat(rows @ query.T, firsts, axis=0).T
    return best
