"""The protocol of a reranker: a class whose constructor only stores its arguments."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from qrels.data import Corpus, Run


@runtime_checkable
class Reranker(Protocol):
    """Reorders a first stage's rankings."""

    def rerank(self, queries: Sequence[str], run: Run, corpus: Corpus, k: int) -> Run:
        """The rankings with their first k documents reordered by the reranker's own scores.

        run: docs int32 and scores float32, (n_queries, depth). Returns the documents of
        run[:, :k] alone, (n_queries, min(k, depth)), best first, padded by -1 and -inf; the
        harness puts what lies below k back beneath them in first-stage order. Changes nothing.
        """


@runtime_checkable
class Prepares(Protocol):
    """Does work once per corpus, before any query: the reranker's share of the index."""

    def prepare(self, corpus: Corpus) -> None: ...


@runtime_checkable
class Pointwise(Protocol):
    """Scores each document by itself: the score does not depend on the other candidates.

    So the ranking at any depth follows from the scores of one pass at a larger depth.
    """

    pointwise: bool
