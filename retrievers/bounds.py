"""What a system is held against: no documents at all, documents at random, the right ones."""

import hashlib
from collections.abc import Sequence

import numpy as np

from qrels.data import ABSENT, Corpus, Qrels, Run
from qrels.errors import UsageError


class Nothing:
    """Finds nothing: what a generator answers by itself."""

    bound = "floor"

    def index(self, corpus: Corpus) -> None:
        """Nothing to be done."""

    def search(self, queries: Sequence[str], k: int) -> Run:
        """An empty ranking for each query."""
        return empty(len(queries), k)


class Random:
    """Documents at random, the same for the same query and *seed*, whatever else is asked."""

    bound = "floor"

    def __init__(self, seed: int = 13) -> None:
        self.seed = seed

    def index(self, corpus: Corpus) -> None:
        self._size = len(corpus)

    def search(self, queries: Sequence[str], k: int) -> Run:
        """min(k, n_docs) different documents a query, uniformly, in random order."""
        run, found = empty(len(queries), k), min(k, self._size)
        for row, query in enumerate(queries):
            digest = hashlib.sha256(query.encode("utf-8", "surrogatepass")).digest()
            rng = np.random.default_rng([self.seed, *digest])
            run.docs[row, :found] = rng.choice(self._size, found, replace=False)
        run.scores[:, :found] = np.arange(found, 0, -1)
        return run


class Gold:
    """The relevant documents, by grade: it is told the judgements, and so is only a ceiling."""

    bound = "ceiling"

    def index(self, corpus: Corpus) -> None:
        self._size = len(corpus)

    def tell(self, queries: Sequence[str], qrels: Qrels, relevance_level: int) -> None:
        """Take the judgements of *queries*, in order; queries of one text share theirs."""
        self._relevant: dict[str, dict[int, int]] = {}
        for row, query in enumerate(queries):
            here = slice(*qrels.indptr[row : row + 2])
            grades = self._relevant.setdefault(query, {})
            for doc, grade in zip(
                qrels.docs[here].tolist(), qrels.grades[here].tolist(), strict=True
            ):
                if grade >= relevance_level:
                    grades[doc] = max(grade, grades.get(doc, grade))

    def search(self, queries: Sequence[str], k: int) -> Run:
        """The relevant documents that the corpus has, best grade first; UsageError untold."""
        if not hasattr(self, "_relevant"):
            raise UsageError("'gold' ranks by judgements, which only `bench run` tells it")
        run = empty(len(queries), k)
        for row, query in enumerate(queries):
            grades = self._relevant.get(query, {})
            best = sorted((d for d in grades if d < self._size), key=lambda d: (-grades[d], d))[:k]
            run.docs[row, : len(best)] = best
            run.scores[row, : len(best)] = np.arange(len(best), 0, -1)
        return run


def empty(n_queries: int, k: int) -> Run:
    """Rankings without a document."""
    return Run(
        np.full((n_queries, k), ABSENT, np.int32), np.full((n_queries, k), -np.inf, np.float32)
    )
