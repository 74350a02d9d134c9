"""The join of a run with its judgements."""

import numpy as np
import pytest

import bench.judge
from bench.judge import judge
from qrels.data import UNJUDGED, Qrels, Run
from qrels.errors import UsageError

RUN = Run(
    np.array([[3, 0, -1], [1, 3, 2], [-1, -1, -1], [2, -1, -1]], np.int32),
    np.array([[2, 1, -np.inf], [3, 2, 1], [-np.inf] * 3, [1, -np.inf, -np.inf]], np.float32),
)
# the second query's document 9 is not in the corpus, the fourth has no judgements
QRELS = Qrels(
    np.array([0, 3, 6, 7, 7], np.int64),
    np.array([0, 2, 3, 1, 2, 9, 3], np.int32),
    np.array([-1, 1, 2, 0, 3, 3, 1], np.int16),
)
U = UNJUDGED


@pytest.mark.parametrize("cells", [1, 25, 1 << 22])
def test_grades_by_hand(monkeypatch, cells):
    """A retrieved document has its own query's grade; the unjudged and the padding have none.

    cells: one query a block, two, or all in one.
    """
    monkeypatch.setattr(bench.judge, "_CELLS", cells)
    judged = judge(RUN, QRELS)
    assert judged.grades.tolist() == [[2, -1, U], [0, U, 3], [U, U, U], [U, U, U]]
    assert judged.grades.dtype == np.int16
    assert judged.present.tolist() == [
        [True, True, False],
        [True] * 3,
        [False] * 3,
        [True, False, False],
    ]


def test_ideal_and_hits_by_hand():
    """The ideal ranking has all judgements best first; hits are the retrieved ones by rank."""
    judged = judge(RUN, QRELS)
    assert [part.tolist() for part in judged.ideal] == [
        [0, 0, 0, 1, 1, 1, 2],
        [0, 1, 2, 0, 1, 2, 0],
        [2, 1, -1, 3, 3, 0, 1],
    ]
    assert [part.tolist() for part in judged.hits] == [[0, 0, 1, 1], [0, 1, 0, 2], [2, -1, 0, 3]]
    assert judged.relevant(1).tolist() == [2, 2, 1, 0]
    assert judged.relevant(3).tolist() == [0, 2, 0, 0]
    assert judged.nonrelevant(1).tolist() == [0, 1, 0, 0]
    assert judged.nonrelevant(2).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0), (3, 5)])
def test_nothing_to_join(shape):
    """No queries, no depth or no judgements at all: everything is unjudged."""
    run = Run(np.full(shape, -1, np.int32), np.full(shape, -np.inf, np.float32))
    empty = Qrels(np.zeros(shape[0] + 1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int16))
    judged = judge(run, empty)
    assert judged.grades.shape == shape
    assert (judged.grades == U).all()
    assert len(judged.hits.queries) == len(judged.ideal.queries) == 0
    assert judged.relevant(1).tolist() == [0] * shape[0]


def test_inputs_are_not_changed():
    """The arrays of run and qrels are only read."""
    arrays = (*RUN, QRELS.indptr, QRELS.docs, QRELS.grades)
    before = [array.copy() for array in arrays]
    judge(RUN, QRELS)
    assert all(np.array_equal(old, new) for old, new in zip(before, arrays, strict=True))


def test_equals_a_dictionary_join():
    """On random rankings the join equals looking every document up in a dictionary."""
    rng = np.random.default_rng(5)
    docs = np.argsort(rng.random((40, 90)), axis=1)[:, :25].astype(np.int32)
    docs[rng.random(docs.shape) < 0.1] = -1
    table = rng.random((40, 95)) < 0.3
    queries, judged_docs = np.nonzero(table)
    grades = rng.integers(-2, 5, len(queries)).astype(np.int16)
    indptr = np.searchsorted(queries, np.arange(41)).astype(np.int64)
    found = judge(Run(docs, np.zeros(docs.shape, np.float32)), Qrels(indptr, judged_docs, grades))
    known = {
        (row, doc): grade
        for row, doc, grade in zip(
            queries.tolist(), judged_docs.tolist(), grades.tolist(), strict=True
        )
    }
    expected = [
        [known.get((row, doc), U) for doc in line] for row, line in enumerate(docs.tolist())
    ]
    assert found.grades.tolist() == expected


def test_other_queries_are_refused():
    """A run of another number of queries than the qrels is an error with both numbers."""
    with pytest.raises(UsageError, match="the run has 3 queries, the qrels have 4"):
        judge(Run(RUN.docs[:3], RUN.scores[:3]), QRELS)


def test_positions_may_be_as_large_as_int32_holds():
    """With two thousand million documents no table is made, and the grades are the same."""
    rng = np.random.default_rng(5)
    top = np.iinfo(np.int32).max - 1
    pool = np.concatenate([rng.integers(0, top, 500), [top, top - 1, 1 << 15, 1 << 16]])
    pool = np.unique(pool).astype(np.int32)
    docs = np.stack([rng.permutation(pool)[:100] for _ in range(5)])
    docs[0, 90:] = -1
    judged = [np.sort(rng.permutation(pool)[:n]) for n in (200, 0, 50, 300, 1)]
    indptr = np.cumsum([0, *map(len, judged)])
    grades = rng.integers(-2, 4, indptr[-1]).astype(np.int16)
    qrels = Qrels(indptr, np.concatenate(judged), grades)
    found = judge(Run(docs, np.zeros(docs.shape, np.float32)), qrels)
    for row in range(5):
        own = slice(indptr[row], indptr[row + 1])
        table = dict(zip(qrels.docs[own].tolist(), grades[own].tolist(), strict=True))
        assert found.grades[row].tolist() == [table.get(d, UNJUDGED) for d in docs[row].tolist()]
