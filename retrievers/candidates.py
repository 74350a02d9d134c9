"""The first pass of exact dense search: which documents may be among the k best, by blocks.

Rough scores come from float32 products, whose last bits depend on the batch, the block and the
number of threads. A document is passed over only where its rough score is further below the k-th
best than all rounding together can account for, so what is found holds the k best, exactly.

The way follows the batch. For a few queries reading the vectors is what takes time: one dot
product a document, a range of documents a thread. For many the matrix product is, by BLAS with
its own threads; then a score must cost one comparison with its query's cut, and no more.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from retrievers.stored import Floats, Stored

T = TypeVar("T")
Rows = slice | NDArray[np.int64]

SCORES = 2**20
"""Rough scores at once (4 MiB, which stay in the cache)."""

COPIED = 2**18
"""Numbers at once of vectors that must be copied first: out of float16, int8, or a filter."""

FEW = 6 if hasattr(np, "vecdot") else 0  # NumPy 2
"""Queries up to which BLAS's dot product, document by document, beats its matrix product."""

SPLIT = 2**22
"""Numbers above which the matrix is worth starting threads for."""

HELD = 2**21
"""Candidates above which they are scored exactly before the search goes on: memory is bounded,
however many documents are equal."""

SMALL = 2**14
"""Candidates, or scores, that are fewer than it is worth working with."""

SAMPLED = 8
"""Documents that the first cuts are taken from, times k."""

GROWTH = 1
"""New candidates a query at which the cuts are raised, times k."""

MOST = 0.5
"""Share of allowed documents above which all are scored: copying the allowed ones costs more."""

LOWEST = np.finfo(np.float32).min
"""The first cut: above it is every score but that of a document which is not allowed."""


class Pool(NamedTuple):
    """Candidates: the query's row, the document's position, and the rough score."""

    queries: NDArray[np.int16]
    docs: NDArray[np.int32]
    rough: Floats

    def where(self, chosen: NDArray[Any]) -> "Pool":  # a mask, or places
        return Pool(self.queries[chosen], self.docs[chosen], self.rough[chosen])


class Rough(NamedTuple):
    """How rough scores are made of dot products: times scale, plus shift, by document or for all.

    slack: float64 (n_queries,), how far two rough scores may be apart in the wrong order.
    """

    queries: Floats
    scale: Floats | None
    shift: Floats | None
    slack: NDArray[np.float64]


def candidates(
    stored: Stored,
    allowed: NDArray[np.bool_] | None,
    rough: Rough,
    k: int,
    block: int,
    settle: Callable[[Pool], Pool],
) -> Pool:
    """All that may be among each query's *k* best, k or more a query where there are so many.

    allowed: bool (n_docs,), the documents to look at, or None for all. block: documents at once,
    at most. settle: keeps the k best of each query, exactly.
    """
    rows = None if allowed is None else np.flatnonzero(allowed)
    if rows is not None and len(rows) > MOST * len(stored):
        rows = None
    count = len(stored) if rows is None else len(rows)
    few = len(rough.queries) <= FEW
    parts = min(blas_threads(), count) if few and count * stored.codes.shape[1] > SPLIT else 1

    def scan(start: int, stop: int) -> Pool:
        best = _Best(rough.slack, k, settle)
        size = _size(stored, rows, len(rough.queries), min(block, stop - start))
        memory = np.empty((size, len(rough.queries)), np.float32)
        for here, vectors in _blocks(stored, rows, range(start, stop, size), stop):
            scores = _scores(vectors, here, rough, memory)
            if rows is None and allowed is not None:
                scores[~allowed[here]] = -np.inf
            best.add(here, scores)
        return best.pool()

    return _Best(rough.slack, k, settle).pool(spread(scan, count, parts))


def blas_threads() -> int:
    """How many threads NumPy's BLAS may use now; ours are as many."""
    return min((int(library["num_threads"]) for library in _blas().info()), default=1)


@functools.cache
def _blas() -> Any:  # threadpoolctl has no types; finding the libraries takes 3 ms
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def spread(work: Callable[[int, int], T], count: int, threads: int) -> list[T]:
    """What *work* gives for each of *threads* even ranges that make up 0 to *count*."""
    if threads == 1:
        return [work(0, count)]
    bounds = [count * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, bounds[:-1], bounds[1:]))


def _size(stored: Stored, rows: NDArray[np.int64] | None, n_queries: int, most: int) -> int:
    """How many documents to score at once."""
    size = SCORES // n_queries
    if rows is not None or stored.codes.dtype != np.float32:
        size = min(size, COPIED // stored.codes.shape[1])
    return max(1, min(size, most))


def _blocks(
    stored: Stored, rows: NDArray[np.int64] | None, starts: range, stop: int
) -> Iterator[tuple[Rows, Floats]]:
    """The documents of each block and their vectors, float32, good until the next block."""
    fill = stored.filler(starts.step)
    for start in starts:
        here = slice(start, min(start + starts.step, stop))
        chosen = here if rows is None else rows[here]
        yield chosen, fill(chosen)


def _scores(vectors: Floats, here: Rows, rough: Rough, out: Floats) -> Floats:
    """Rough scores, float32 (n_docs, n_queries), in the memory of *out*."""
    found = out[: len(vectors)]
    if len(rough.queries) <= FEW:
        np.vecdot(vectors[:, None], rough.queries, out=found)
    else:
        np.matmul(vectors, rough.queries.T, out=found)
    if rough.scale is not None:
        found *= rough.scale[here, None]
    if rough.shift is not None:
        found += rough.shift[here, None]
    return found


class _Best:
    """The candidates so far, and for each query the score below which there is no hope."""

    def __init__(self, slack: NDArray[np.float64], k: int, settle: Callable[[Pool], Pool]) -> None:
        self.slack, self.k, self.settle = slack, k, settle
        self.cuts = np.full(len(slack), LOWEST)
        self.parts: list[Pool] = []
        self.added = 0
        self.above = np.empty((0, len(slack)), np.bool_)

    def add(self, here: Rows, rough: Floats) -> None:
        """Take what is not below the cuts; the cuts rise when the candidates have doubled."""
        if not self.parts:
            self.above = np.empty(rough.shape, np.bool_)
            self._first_cuts(rough)
        above = np.greater_equal(rough, self.cuts, out=self.above[: len(rough)])
        found = np.flatnonzero(above).astype(np.int32)
        places, queries = np.divmod(found, np.int32(len(self.cuts)))
        docs = places + np.int32(here.start) if isinstance(here, slice) else here[places]
        self.parts.append(
            Pool(queries.astype(np.int16), docs.astype(np.int32), rough.ravel()[found])
        )
        self.added += len(found)
        if self.added > GROWTH * len(self.cuts) * self.k + SMALL:
            self.parts, self.added = [self.pool()], 0

    def pool(self, more: Sequence[Pool] = ()) -> Pool:
        """The candidates that are not below the cuts, which are raised first, query by query."""
        pool = Pool(*map(np.concatenate, zip(*self.parts, *more, strict=True)))
        pool = pool.where(np.argsort(pool.queries, kind="stable"))  # int16: a radix sort
        self._raise_cuts(pool)
        pool = pool.where(np.flatnonzero(pool.rough >= self.cuts[pool.queries]))
        return self.settle(pool) if len(pool.docs) > HELD else pool

    def _first_cuts(self, rough: Floats) -> None:
        """Cuts by the first documents of the first block, lest all of it be taken."""
        size = max(SAMPLED * self.k, SMALL // len(self.cuts))
        self._raise(slice(None), np.ascontiguousarray(rough[:size].T))

    def _raise_cuts(self, pool: Pool) -> None:
        """Cuts by the candidates; queries with far more than others, for equal scores, by one."""
        ends = np.searchsorted(pool.queries, np.arange(len(self.cuts)), side="right")
        counts = np.diff(ends, prepend=0)
        width = min(int(counts.max()), 4 * len(pool.docs) // len(counts) + self.k)
        for row in np.flatnonzero(counts > width):
            self._raise(slice(row, row + 1), pool.rough[None, ends[row] - counts[row] : ends[row]])
        places = np.arange(len(pool.docs)) - np.repeat(ends - counts, counts)
        table = np.full((len(counts), width), -np.inf, np.float32)
        inside = slice(None) if width == counts.max() else np.flatnonzero(places < width)
        table[pool.queries[inside], places[inside]] = pool.rough[inside]
        self._raise(slice(None), table)

    def _raise(self, rows: slice, seen: Floats) -> None:
        """Raise the cuts of the queries *rows* by scores, float32 (n_queries, n)."""
        if (behind := seen.shape[1] - self.k) >= 0:
            kth = np.partition(seen, behind, axis=1)[:, behind]
            cuts = (kth - self.slack[rows]).astype(np.float32)
            self.cuts[rows] = np.maximum(self.cuts[rows], cuts)
