"""The scores of each field of `fielded`, from which those under any weights follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import encoders
from bench.system import own_documents
from qrels.data import ABSENT, Run, Suite
from qrels.errors import UsageError
from qrels.ranking import top_k
from retrievers.fielded import Fielded
from retrievers.vectors import unit

MOST = 1 << 31
"""How many scores are kept at most: 8 GB."""


@dataclass(frozen=True)
class FieldScores:
    """Dot products of queries and the unit vectors of each field.

    scores: float32 (n_fields, n_queries, n_docs), 0 where a field is empty; present: bool
    (n_fields, n_docs), the fields among which a document's weights are shared out; gram: float64
    (n_docs, n_fields, n_fields), dot products of a document's field vectors, where their mean is
    scaled to unit length, else None; own: int32 (n_queries,), never returned, -1 for none.
    """

    names: Sequence[str]
    scores: NDArray[np.float32]
    present: NDArray[np.bool_]
    gram: NDArray[np.float64] | None
    own: NDArray[np.int32]
    tie_order: NDArray[np.int32]

    @property
    def cells(self) -> int:
        return int(self.scores[0].size)

    def ranked(self, weights: NDArray[np.float64], depth: int) -> Run:
        """As `Parts.ranked`."""
        n_fields, n_queries, n_docs = self.scores.shape
        scores = weights.astype(np.float32) @ self.scores.reshape(n_fields, -1)
        scores = scores.reshape(len(weights), n_queries, n_docs)
        scores *= self._shares(weights)[:, None].astype(np.float32)
        rows = np.flatnonzero(self.own != ABSENT)
        scores[:, rows, self.own[rows]] = -np.inf
        return top_k(scores.reshape(-1, n_docs), depth, self.tie_order)

    def _shares(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_weightings, n_docs): what a weighted sum is multiplied by; 0 without any text.

        One by the weights present makes it a mean; scaled to unit length that drops out, and one
        by the length of the sum is left.
        """
        if self.gram is None:
            total = weights @ self.present
        else:
            squares = np.einsum("wf,dfg,wg->wd", weights, self.gram, weights, optimize=True)
            total = np.sqrt(np.maximum(squares, 0))
        return np.divide(1, total, out=np.zeros_like(total), where=total > 0)


def field_scores(suite: Suite, retriever: Fielded) -> FieldScores:
    """Every field with every query; the encoder's vectors come from the cache where it has them.

    UsageError where fields are joined, which have no weights, and for more scores than MOST.
    """
    if retriever.mode != "fields":
        raise UsageError(f"mode is {retriever.mode!r}: only fields that are apart have weights")
    corpus = suite.corpus
    names = [n for n in corpus.fields if retriever.fields is None or n in retriever.fields]
    if (cells := len(names) * len(suite.queries) * len(corpus)) > MOST:
        raise UsageError(
            f"{len(names)} fields of {len(corpus):,} documents for {len(suite.queries):,} queries "
            f"are {cells:,} scores; at most {MOST:,}: search on a split with fewer queries"
        )
    encoder = encoders.load(retriever.encoder)
    queries = unit(encoder.encode(suite.queries.texts, "query"))
    vectors = np.zeros((len(names), len(corpus), queries.shape[1]), np.float32)
    present = np.array([[bool(text) for text in corpus.fields[name]] for name in names])
    for number, name in enumerate(names):
        rows = np.flatnonzero(present[number]).tolist()
        if rows:
            texts = [corpus.fields[name][row] for row in rows]
            vectors[number, rows] = unit(encoder.encode(texts, "passage"))
    return FieldScores(
        names,
        np.matmul(queries, vectors.transpose(0, 2, 1)),
        present,
        np.einsum("fdv,gdv->dfg", vectors, vectors, dtype=np.float64)
        if retriever.normalize
        else None,
        own_documents(suite) if suite.rules.exclude_self else np.full(len(queries), ABSENT),
        corpus.tie_order,
    )
