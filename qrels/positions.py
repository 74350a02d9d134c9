"""From ids to positions: rows of a file, in any order, into Qrels and Run."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import count
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qrels.coded import Coded
from qrels.data import ABSENT, Corpus, Qrels, Run

T = TypeVar("T", bound=Hashable)


def positions(ids: Sequence[T], first: Sequence[T] = ()) -> tuple[list[T], NDArray[np.int64]]:
    """The different *ids* in order of first appearance, and int64 (n,): which one each is.

    first: names, all different, that go before.
    """
    table = defaultdict(count(len(first)).__next__, zip(first, count(), strict=False))
    names = ids.names if isinstance(ids, Coded) else ids
    which = _numbers(names, table)
    return list(table), which[ids.codes] if isinstance(ids, Coded) else which


def _numbers(ids: Sequence[Hashable], table: Mapping[Any, int]) -> NDArray[np.int64]:
    """int64 (n,): what *table*, which counts what is new, has for each."""
    return np.fromiter(map(table.__getitem__, ids), np.int64, len(ids))


def make_qrels(
    queries: NDArray[np.int64],
    docs: NDArray[np.int64],
    grades: NDArray[np.int16],
    n_queries: int,
    extra_doc_ids: Sequence[str] = (),
) -> Qrels:
    """Judgements in CSR form. queries, docs, grades: (n,), positions and grades of each row."""
    order = np.lexsort((docs, queries))
    indptr = np.zeros(n_queries + 1, np.int64)
    np.cumsum(np.bincount(queries, minlength=n_queries), out=indptr[1:])
    return Qrels(indptr, docs[order].astype(np.int32), grades[order], extra_doc_ids)


def make_run(
    queries: NDArray[np.int64],
    docs: NDArray[np.int64],
    scores: NDArray[np.float32],
    n_queries: int,
    doc_ids: Sequence[str],
) -> Run:
    """Rankings in the one order from rows in any order, at least one place deep.

    queries, docs, scores: (n,), positions and score of each row.
    """
    ties = Corpus(doc_ids, {}).tie_order[docs]
    order = _best_first(queries, scores, ties)
    lengths = np.bincount(queries, minlength=n_queries)
    starts = np.cumsum(lengths) - lengths
    shape = (n_queries, max(1, int(lengths.max(initial=0))))
    run = Run(np.full(shape, ABSENT, np.int32), np.full(shape, -np.inf, np.float32))
    places = queries[order], np.arange(len(order)) - np.repeat(starts, lengths)
    run.docs[places], run.scores[places] = docs[order], scores[order]
    return run


def _best_first(
    queries: NDArray[np.int64], scores: NDArray[np.float32], ties: NDArray[np.int32]
) -> NDArray[np.int64]:
    """int64 (n,): the rows by query, score down, tie order; at no cost where they already are."""
    same = queries[1:] == queries[:-1]
    level = same & (scores[1:] == scores[:-1])
    wrong = queries[1:] < queries[:-1]
    wrong |= same & (scores[1:] > scores[:-1])
    wrong |= level & (ties[1:] < ties[:-1])
    return np.lexsort((ties, -scores, queries)) if wrong.any() else np.arange(len(queries))
