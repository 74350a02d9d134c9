"""Fusion of several retrievers' rankings: reciprocal ranks, or a weighted sum of scaled scores."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import retrievers
from qrels.data import ABSENT, Corpus, Filter, Run
from qrels.errors import UsageError, unknown
from qrels.ranking import check_run, order_ties, top_k
from retrievers.base import Closes, Retriever, SavesIndex, Stages, can_filter
from retrievers.filters import matching

Values = NDArray[np.float64]

DEPTH = 100
"""How many documents each list has at least, where the hybrid does not say."""


class Encoded(NamedTuple):
    """Queries, in each retriever's own form."""

    n_queries: int
    forms: Sequence[Any]  # what each retriever's `encode` gives


class Scaled(NamedTuple):
    """One retriever's list, its scores made comparable with other lists'.

    docs: int32 (n_queries, depth), -1 where short; values: the same shape; missing:
    (n_queries,), what a document counts that the list lacks.
    """

    weight: float
    docs: NDArray[np.int32]
    values: Values
    missing: Values


class Hybrid:
    """Fuses what other retrievers find: RRF, or min-max or z-score weighted sums.

    retrievers: specs such as "bm25?k1=1.2". Each gives its *depth* best, by default 100, or as
    many as are asked of the whole where that is more: up to there fewer results are the beginning
    of more. Beyond what the lists hold there is nothing. Filters hold before the lists are made:
    ranks are among the documents that meet them.
    weights: one a retriever, 1 by default. method:
    rrf     adds weight / (rrf_k + rank), nothing for a list that lacks the document; equal
            scores share the best of their ranks, so that copies of a document stay equal
    minmax  scales a list's scores to 0..1 (all 1 where they are equal); a missing document has 0
    zscore  scales to mean 0 and deviation 1 (all 0 where equal); a missing one has the lowest
    Source of RRF: Cormack et al. 2009, doi 10.1145/1571941.1572114.
    """

    _parts: Sequence[Retriever]
    _corpus: Corpus

    def __init__(
        self,
        retrievers: Sequence[str] = ("bm25", "dense"),
        method: str = "rrf",
        weights: Sequence[float] | None = None,
        rrf_k: float = 60,
        depth: int | None = None,
    ) -> None:
        self.retrievers = retrievers
        self.method = method
        self.weights = weights
        self.rrf_k = rrf_k
        self.depth = depth

    def index(self, corpus: Corpus) -> None:
        self._keep(self._made(), corpus)
        for part in self._parts:
            part.index(corpus)

    def encode(self, queries: Sequence[str]) -> Encoded:
        forms = [
            part.encode(queries) if isinstance(part, Stages) else queries for part in self._parts
        ]
        return Encoded(len(queries), forms)

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(self, encoded: Encoded, k: int, where: Sequence[Filter] = ()) -> Run:
        return fused(self.scaled(encoded, k, where), k, self._corpus.tie_order)

    def scaled(self, encoded: Encoded, k: int, where: Sequence[Filter] = ()) -> list[Scaled]:
        """Each retriever's list with its weight, as long as k documents of the whole take."""
        weights = self.weights or [1.0] * len(self._parts)
        lists = []
        for number, weight in enumerate(weights):
            run = self._ranked(number, encoded, self.depth or max(DEPTH, k), where)
            lists.append(Scaled(weight, run.docs, *METHODS[self.method](run, self.rrf_k)))
        return lists

    def save(self, folder: Path) -> None:
        """Each retriever's index in a folder by its number; one that saves none is built again."""
        for number, part in enumerate(self._parts):
            if isinstance(part, SavesIndex):
                (folder / str(number)).mkdir()
                part.save(folder / str(number))

    def load(self, folder: Path, corpus: Corpus) -> None:
        self._keep(self._made(), corpus)
        for number, part in enumerate(self._parts):
            if isinstance(part, SavesIndex):
                part.load(folder / str(number), corpus)
            else:
                part.index(corpus)

    def close(self) -> None:
        for part in getattr(self, "_parts", ()):  # none where the parameters were refused
            if isinstance(part, Closes):
                part.close()

    def _made(self) -> list[Retriever]:
        """The retrievers, not yet indexed; wrong parameters are UsageErrors."""
        if self.method not in METHODS:
            raise unknown("fusion method", self.method, METHODS)
        if isinstance(self.retrievers, str) or not self.retrievers:
            raise UsageError(f"retrievers is {self.retrievers!r}; expected a list of names")
        weights = [1.0] * len(self.retrievers) if self.weights is None else self.weights
        if len(weights) != len(self.retrievers) or min(weights) < 0 or max(weights) <= 0:
            raise UsageError(
                f"weights is {self.weights!r}; expected {len(self.retrievers)} numbers of 0 or "
                "more, not all 0"
            )
        if (self.depth is not None and self.depth < 1) or self.rrf_k < 0:
            raise UsageError(
                f"depth is {self.depth!r} and rrf_k {self.rrf_k!r}; allowed: depth of 1 or more, "
                "rrf_k of 0 or more"
            )
        return [retrievers.create(spec) for spec in self.retrievers]

    def _keep(self, parts: Sequence[Retriever], corpus: Corpus) -> None:
        self._parts, self._corpus = parts, corpus

    def _ranked(self, number: int, encoded: Encoded, size: int, where: Sequence[Filter]) -> Run:
        """One retriever's checked best, at most *size* a query, exact under *where*."""
        part = self._parts[number]
        ask: Callable[..., Run] = part.search_encoded if isinstance(part, Stages) else part.search
        filters = can_filter(part)
        depth = size if filters or not where else len(self._corpus)
        found = ask(encoded.forms[number], depth, *([where] if where and filters else []))
        shape, tie_order = (encoded.n_queries, depth), self._corpus.tie_order
        run = check_run(*found, shape, tie_order, f"{self.retrievers[number]}.search")
        if filters or not where:
            return run
        kept = matching(self._corpus.metadata, where, len(self._corpus))
        assert kept is not None, "there is a filter"
        run = order_ties(Run(np.where(kept[run.docs], run.docs, ABSENT), run.scores), tie_order)
        return Run(run.docs[:, :size], run.scores[:, :size])


def fused(lists: Sequence[Scaled], k: int, tie_order: NDArray[np.int32]) -> Run:
    """The k documents with the largest weighted sums, (n_queries, k), ties by the one rule."""
    n_queries = len(lists[0].docs)
    fusion = Run(
        np.full((n_queries, k), ABSENT, np.int32), np.full((n_queries, k), -np.inf, np.float32)
    )
    for row in range(n_queries):
        present = [part.docs[row] >= 0 for part in lists]
        docs, place = np.unique(
            np.concatenate([part.docs[row, p] for part, p in zip(lists, present, strict=True)]),
            return_inverse=True,
        )
        places = np.split(place, np.cumsum([p.sum() for p in present])[:-1])
        total = np.zeros(len(docs))
        for part, here, at in zip(lists, present, places, strict=True):
            column = np.full(len(docs), part.missing[row])
            column[at] = part.values[row, here]
            total += part.weight * column
        best = top_k(total.astype(np.float32)[None], k, tie_order[docs])
        found = best.docs[0] >= 0
        fusion.docs[row, found] = docs[best.docs[0, found]]
        fusion.scores[row] = best.scores[0]
    return fusion


def _reciprocal(run: Run, rrf_k: float) -> tuple[Values, Values]:
    places = np.broadcast_to(np.arange(run.docs.shape[1]), run.docs.shape)
    tied = run.scores[:, 1:] == run.scores[:, :-1]
    tied = np.pad(tied, ((0, 0), (1, 0)), constant_values=False)
    ranks = 1 + np.maximum.accumulate(np.where(tied, 0, places), axis=1)
    return 1 / (rrf_k + ranks), np.zeros(len(run.docs))


def _minmax(run: Run, rrf_k: float) -> tuple[Values, Values]:  # noqa: ARG001 - one signature
    scores, low, spread = _bounds(run)
    scaled = np.where(spread > 0, (scores - low) / np.where(spread > 0, spread, 1), 1)
    return scaled, np.zeros(len(run.docs))


def _zscore(run: Run, rrf_k: float) -> tuple[Values, Values]:  # noqa: ARG001 - one signature
    scores, _, spread = _bounds(run)
    present = run.docs != ABSENT
    count = np.maximum(present.sum(axis=1, keepdims=True), 1)
    centred = np.where(present, scores - scores.sum(axis=1, keepdims=True) / count, 0)
    deviation = np.sqrt((centred**2).sum(axis=1, keepdims=True) / count)
    scaled = np.where(spread > 0, centred / np.where(spread > 0, deviation, 1), 0)
    return scaled, scaled.min(axis=1)  # never above 0, which padding has


def _bounds(run: Run) -> tuple[Values, Values, Values]:
    """Scores with 0 for padding, (n_queries, depth); the lowest and the spread, (n_queries, 1)."""
    present = run.docs != ABSENT
    scores = np.where(present, run.scores, 0).astype(np.float64)
    low = np.where(present, scores, np.inf).min(axis=1, keepdims=True)
    high = np.where(present, scores, -np.inf).max(axis=1, keepdims=True)
    return scores, low, np.maximum(high - low, 0)


METHODS: Mapping[str, Callable[[Run, float], tuple[Values, Values]]] = {
    "rrf": _reciprocal,
    "minmax": _minmax,
    "zscore": _zscore,
}
"""From a list to each document's value, (n_queries, depth), and a missing one's, (n_queries,)."""
