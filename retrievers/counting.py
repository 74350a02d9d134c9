"""From tokens to postings: how often each term is in each document."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from retrievers.postings import Counts
from retrievers.tokenise import Tokens

MANY = 2**18
"""Tokens from which on loading compiled code is worth it."""

AT_ONCE = 2**18
"""Postings in one of `blocks`, so that what is made of them stays in the processor's cache."""


def counted(tokens: Tokens, n_terms: int) -> Counts:
    """The postings of *tokens*, a text a document; frequencies are int32.

    Needs 8 bytes a posting beside the tokens, and 20 a term.
    """
    return _many(tokens, n_terms) if len(tokens.terms) >= MANY else _few(tokens, n_terms)


def blocks(indptr: NDArray[np.int64]) -> Iterator[tuple[slice, slice]]:
    """Terms and their postings, piece by piece: AT_ONCE postings at most, or a single term."""
    start = 0
    while start < len(indptr) - 1:
        within = int(np.searchsorted(indptr, indptr[start] + AT_ONCE, "right")) - 1
        stop = max(start + 1, within)
        yield slice(start, stop), slice(int(indptr[start]), int(indptr[stop]))
        start = stop


def _few(tokens: Tokens, n_terms: int) -> Counts:
    """By sorting: term and document as one number."""
    n_docs = len(tokens.indptr) - 1
    docs = np.repeat(np.arange(n_docs), np.diff(tokens.indptr))
    keys, frequencies = np.unique(tokens.terms * np.int64(n_docs) + docs, return_counts=True)
    found = np.bincount(keys // max(n_docs, 1), minlength=n_terms)
    docs = (keys % max(n_docs, 1)).astype(np.int32)
    return Counts(_bounds(found), docs, frequencies.astype(np.int32))


def _many(tokens: Tokens, n_terms: int) -> Counts:
    """By counting: first how long each term's postings are, then each document into its place."""
    from retrievers.words import count_documents, fill

    indptr = _bounds(count_documents(*tokens, n_terms))
    docs, frequencies = np.empty((2, indptr[-1]), np.int32)
    fill(*tokens, indptr[:-1].copy(), docs, frequencies)
    return Counts(indptr, docs, frequencies)


def _bounds(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate((np.zeros(1, np.int64), sizes.cumsum()))
