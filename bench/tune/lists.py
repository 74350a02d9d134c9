"""The scaled lists of `hybrid`, from which its rankings under any weights follow, bit for bit."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.system import own_documents
from qrels.data import ABSENT, Run, Suite
from qrels.ranking import order_ties
from retrievers.fusion import Hybrid, Scaled


@dataclass(frozen=True)
class ListValues:
    """What each list gives to each document that some list holds.

    docs: int32 (n_queries, n_candidates), padded by -1, also where a document is never returned;
    values: float64 (n_lists, n_queries, n_candidates), a missing document's where a list lacks it.
    """

    names: Sequence[str]
    docs: NDArray[np.int32]
    values: NDArray[np.float64]
    tie_order: NDArray[np.int32]

    @property
    def cells(self) -> int:
        return int(self.docs.size) * 4  # in float64, beside what sorting takes

    def ranked(self, weights: NDArray[np.float64], depth: int) -> Run:
        """As `Parts.ranked`; sums are made in `fused`'s order, so that equal ones stay equal."""
        total = np.zeros((len(weights), *self.docs.shape))
        for number, values in enumerate(self.values):
            total += weights[:, number, None, None] * values
        docs = np.tile(self.docs, (len(weights), 1))
        run = order_ties(Run(docs, total.reshape(docs.shape).astype(np.float32)), self.tie_order)
        short = ((0, 0), (0, max(0, depth - docs.shape[1])))
        return Run(
            np.pad(run.docs[:, :depth], short, constant_values=ABSENT),
            np.pad(run.scores[:, :depth], short, constant_values=-np.inf),
        )


def list_values(suite: Suite, retriever: Hybrid) -> ListValues:
    """Each fused retriever indexed and asked once."""
    retriever.index(suite.corpus)
    try:
        encoded = retriever.encode(suite.queries.texts)
        lists = retriever.scaled(encoded, suite.depth + suite.rules.exclude_self)
    finally:
        retriever.close()
    docs = candidates([part.docs for part in lists])
    values = np.stack([spread(part, docs) for part in lists])
    if suite.rules.exclude_self:
        docs = np.where(docs == own_documents(suite)[:, None], ABSENT, docs)
    return ListValues(list(retriever.retrievers), docs, values, suite.corpus.tie_order)


def candidates(lists: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """int32 (n_queries, n_candidates): each query's documents of any list, ascending."""
    rows = [np.unique(row[row != ABSENT]) for row in np.concatenate(lists, axis=1)]
    docs = np.full((len(rows), max(map(len, rows), default=0)), ABSENT, np.int32)
    for number, row in enumerate(rows):
        docs[number, : len(row)] = row
    return docs


def spread(part: Scaled, docs: NDArray[np.int32]) -> NDArray[np.float64]:
    """float64, docs' shape: the list's value of each document, the missing one's elsewhere."""
    values = np.repeat(part.missing[:, None].astype(np.float64), docs.shape[1], axis=1)
    for row, found in enumerate(part.docs):
        present = found != ABSENT
        at = np.searchsorted(docs[row][docs[row] != ABSENT], found[present])
        values[row, at] = part.values[row, present]
    return values
