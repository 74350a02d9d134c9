"""Term-at-a-time search over precomputed impacts: the sparse index behind BM25 and BM25F.

The impact of a term in a document is all that the term adds to the score, so that scoring a
query is a sum over the postings of its terms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, Run
from qrels.ranking import top_k
from retrievers.tokenise import Tokens


class Counts(NamedTuple):
    """How often each term is in each document, the documents of a term together, ascending.

    indptr: int64 (n_terms + 1,); docs: int32 (n_postings,); frequencies: float64 (n_postings,).
    """

    indptr: NDArray[np.int64]
    docs: NDArray[np.int32]
    frequencies: NDArray[np.float64]

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
        order of terms does not tell, and compared as float32. tie_order, allowed: as in `top_k`.
        """
        shape = (len(queries.indptr) - 1, k)
        run = Run(np.full(shape, ABSENT, np.int32), np.full(shape, -np.inf, np.float32))
        for row in np.flatnonzero(np.diff(queries.indptr)):
            terms = queries.terms[queries.indptr[row] : queries.indptr[row + 1]]
            scores = self._scores(terms, len(tie_order))
            best = top_k(scores[None], k, tie_order, allowed)
            run.docs[row], run.scores[row] = best.docs[0], best.scores[0]
        return run

    def _scores(self, terms: NDArray[np.int32], n_docs: int) -> NDArray[np.float32]:
        """float32 (n_docs,): the score of each document, -inf where no term adds anything."""
        parts = [slice(self.indptr[term], self.indptr[term + 1]) for term in terms]
        docs = np.concatenate([self.docs[part] for part in parts])
        impacts = np.concatenate([self.impacts[part] for part in parts])
        sums = np.bincount(docs, impacts, minlength=n_docs)
        offset = self.offsets[terms].sum(dtype=np.float64)
        scores: NDArray[np.float32] = (sums + offset).astype(np.float32)
        np.putmask(scores, sums == 0, -np.inf)  # twice as fast as np.where in float64
        return scores


def postings(
    known: Mapping[str, int],
    counts: Counts,
    impacts: NDArray[np.float64],
    offsets: NDArray[np.float64],
) -> Postings:
    """The postings of *counts* with these impacts (n_postings,) and offsets (n_terms,)."""
    single = impacts.astype(np.float32), offsets.astype(np.float32)
    return Postings(known, counts.indptr, counts.docs, *single)
