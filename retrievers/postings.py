"""Term-at-a-time search over precomputed impacts: the sparse index behind BM25 and BM25F.

The impact of a term in a document is all that the term adds to the score, so that scoring a
query is a sum over the postings of its terms.
"""

import os
import sys
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, Run
from qrels.ranking import top_k
from retrievers.tokenise import Tokens

AT_ONCE = 64
"""Queries that one call of compiled code answers."""

PLAIN = 1_000_000
"""Up to so many postings are added up by NumPy where the compiler, half a second, is not loaded."""


class Counts(NamedTuple):
    """How often each term is in each document, the documents of a term together, ascending.

    indptr: int64 (n_terms + 1,); docs: int32 (n_postings,); frequencies: (n_postings,), int32,
    or float64 where tokens have weights.
    """

    indptr: NDArray[np.int64]
    docs: NDArray[np.int32]
    frequencies: NDArray[np.int32] | NDArray[np.float64]

    @property
    def document_frequencies(self) -> NDArray[np.float64]:
        """float64 (n_terms,): in how many documents each term is."""
        return np.diff(self.indptr).astype(np.float64)

    @property
    def terms(self) -> NDArray[np.int64]:
        """int64 (n_postings,): the term of each posting."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


def count(
    docs: NDArray[np.int32],
    terms: NDArray[np.int32],
    weights: NDArray[np.float64],
    shape: tuple[int, int],
) -> Counts:
    """The postings of tokens given one by one; weights are what each adds to its frequency.

    docs, terms, weights: (n_tokens,); shape: documents and terms.
    """
    from scipy.sparse import coo_array

    matrix = coo_array((weights, (docs, terms)), shape=shape).tocsc()  # adds up repetitions
    matrix.sort_indices()
    indptr, rows = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int32)
    return Counts(indptr, rows, matrix.data)


@dataclass(frozen=True)
class Postings:
    """The postings of each term with their impacts.

    known: the number of each term, in order; indptr: int64 (n_terms + 1,); docs: int32 and
    impacts: float32 (n_postings,); offsets: float32 (n_terms,), what a query term adds to
    every document, whether it holds the term or not.
    """

    known: Mapping[str, int]
    indptr: NDArray[np.int64]
    docs: NDArray[np.int32]
    impacts: NDArray[np.float32]
    offsets: NDArray[np.float32]

    def search(
        self,
        queries: Tokens,
        k: int,
        tie_order: NDArray[np.int32],
        allowed: NDArray[np.bool_] | None,
    ) -> Run:
        """The k best documents of each query, those alone to which its terms add something.

        A term that is twice in a query counts twice. Impacts are summed in float64, where the
        order of terms does not tell, and compared as float32. tie_order, allowed: as in
        `qrels.ranking.top_k`.
        """
        shape = (len(queries.indptr) - 1, k)
        run = Run(np.full(shape, ABSENT, np.int32), np.full(shape, -np.inf, np.float32))
        if shape[0] == 1 and "numba" not in sys.modules and self._postings_of(queries) <= PLAIN:
            return self._plain(queries, k, tie_order, allowed)
        if run.docs.size and len(tie_order):
            everything = np.empty(0, np.bool_) if allowed is None else allowed
            self._fill(run, queries, tie_order, everything)
        return run

    def _postings_of(self, queries: Tokens) -> int:
        """How many postings the terms of all queries have together."""
        return int(np.diff(self.indptr)[queries.terms].sum())

    def _plain(
        self,
        queries: Tokens,
        k: int,
        tie_order: NDArray[np.int32],
        allowed: NDArray[np.bool_] | None,
    ) -> Run:
        """The same by NumPy: for one query it is quicker than importing the compiler."""
        scores = np.full((len(queries.indptr) - 1, len(tie_order)), -np.inf, np.float32)
        for row, bounds in enumerate(pairwise(queries.indptr.tolist())):
            terms = queries.terms[slice(*bounds)]
            sums = np.zeros(len(tie_order))
            for start, end in zip(self.indptr[terms], self.indptr[terms + 1], strict=True):
                sums[self.docs[start:end]] += self.impacts[start:end]
            found = np.flatnonzero(sums)
            scores[row, found] = sums[found] + self.offsets[terms].sum(dtype=np.float64)
        return top_k(scores, k, tie_order, allowed)

    def _fill(
        self, run: Run, queries: Tokens, tie_order: NDArray[np.int32], allowed: NDArray[np.bool_]
    ) -> None:
        """Write what is found over the padding, some queries at a time, so that Ctrl-C comes in."""
        from retrievers.kernels import fill

        workers = min(threads(), len(run.docs))
        step = min(AT_ONCE, -(-len(run.docs) // workers))

        def some(first: int) -> None:
            starts = queries.indptr[first : first + step + 1]
            found, scores = run.docs[first : first + step], run.scores[first : first + step]
            index = self.indptr, self.docs, self.impacts, self.offsets
            fill(*index, starts, queries.terms, tie_order, allowed, found, scores)

        parts = range(0, len(run.docs), step)
        if workers == 1:
            deque(map(some, parts), maxlen=0)
        else:
            with ThreadPoolExecutor(workers) as pool:
                deque(pool.map(some, parts), maxlen=0)


def threads() -> int:
    """How many threads OpenMP would be allowed by OMP_NUM_THREADS; 1 where it says nothing."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return max(1, int(first)) if first.isdecimal() else 1


def postings(
    known: Mapping[str, int],
    counts: Counts,
    impacts: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> Postings:
    """The postings of *counts* with these impacts (n_postings,) and offsets (n_terms,)."""
    single = impacts.astype(np.float32), offsets.astype(np.float32)
    return Postings(known, counts.indptr, counts.docs, *single)
