"""Some questions of a suite: those of a part, or fewer, where all would take too long."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qrels.answers import picked
from qrels.data import ABSENT, Qrels, Suite
from qrels.positions import make_qrels


def some_questions(suite: Suite, number: int) -> Suite:
    """The suite with so many of its questions, evenly spaced in their order; 0: all of them."""
    count = len(suite.queries)
    if not 0 < number < count:
        return suite
    keep = np.zeros(count, np.bool_)
    keep[np.arange(number) * count // number] = True
    every = np.ones(len(suite.corpus), np.bool_)
    return replace(
        suite,
        queries=picked(suite.queries, keep.tolist()),
        qrels=qrels_part(suite.qrels, keep, every),
    )


def qrels_part(qrels: Qrels, asked: NDArray[np.bool_], keep: NDArray[np.bool_]) -> Qrels:
    """The judgements of the queries where *asked*, of documents where *keep*, is true."""
    rows = np.repeat(np.arange(len(qrels)), np.diff(qrels.indptr))
    there = qrels.docs < len(keep)
    held = asked[rows] & there & keep[np.where(there, qrels.docs, 0)]
    new_rows, new_docs = (np.where(mask, np.cumsum(mask) - 1, ABSENT) for mask in (asked, keep))
    return make_qrels(
        new_rows[rows[held]], new_docs[qrels.docs[held]], qrels.grades[held], int(asked.sum())
    )
