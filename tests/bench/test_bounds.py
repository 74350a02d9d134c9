"""Bounds over what nobody judged are exactly what some grading gives, and no grading gives more."""

import itertools

import numpy as np
import pytest

from bench.bounds import (
    Bounds,
    bounds_of,
    difference_bounds,
    graded,
    ndcg_bounds,
    question_of,
    rbp_bounds,
)
from bench.judge import judge
from bench.metrics import parse_measure
from qrels.data import ABSENT, Qrels, Run
from qrels.errors import UsageError

NAMES = ("nDCG@2", "nDCG@4", "nDCG", "nDCG(dcg='exp-log2')@3", "nDCG(dcg='exp-log2')")


def qrels_of(*rows):
    """Each row maps documents to grades."""
    docs = [doc for row in rows for doc in sorted(row)]
    grades = [row[doc] for row in rows for doc in sorted(row)]
    indptr = np.cumsum([0, *map(len, rows)])
    return Qrels(indptr.astype(np.int64), np.array(docs, np.int32), np.array(grades, np.int16))


def run_of(*rows, depth=None):
    depth = depth or max(map(len, rows))
    docs = np.array([[*row, *[ABSENT] * (depth - len(row))] for row in rows], np.int32)
    return Run(docs, np.where(docs == ABSENT, -np.inf, 0).astype(np.float32))


def row_of(run, query):
    return Run(run.docs[query : query + 1], run.scores[query : query + 1])


def every_value(a, b, known, measure, max_grade):
    """The value of one query under each grading of its holes."""
    tops = [run.docs[0, : measure.cutoff].tolist() for run in (a, b) if run is not None]
    holes = [d for d in dict.fromkeys(itertools.chain(*tops)) if d != ABSENT and d not in known]
    for grades in itertools.product(range(max_grade + 1), repeat=len(holes)):
        qrels = qrels_of({**known, **dict(zip(holes, grades, strict=True))})
        value = measure.values(judge(a, qrels))[0]
        yield value - (measure.values(judge(b, qrels))[0] if b is not None else 0.0)


def some_case(rng, n_docs=7, n_queries=3, depth=4):
    """Qrels and two runs drawn at random: short rankings, negative grades, queries unjudged."""
    max_grade, share = int(rng.integers(1, 4)), rng.uniform(0, 0.8)
    known = [
        {d: int(rng.integers(-1, max_grade + 1)) for d in range(n_docs) if rng.random() < share}
        for _ in range(n_queries)
    ]
    runs = [
        run_of(*(rng.permutation(n_docs)[: rng.integers(0, depth + 1)] for _ in known), depth=depth)
        for _ in range(2)
    ]
    return known, *runs, max_grade


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("paired", [False, True], ids=["one", "difference"])
def test_bounds_are_the_extremes_over_all_gradings(seed, name, paired):
    """Every grading of every hole is tried; the bounds are the smallest and largest value."""
    known, a, b, max_grade = some_case(np.random.default_rng(seed))
    measure = parse_measure(name)
    question = question_of(a, b if paired else None, qrels_of(*known), measure, max_grade)
    found = bounds_of(question)
    for query, own in enumerate(known):
        other = row_of(b, query) if paired else None
        values = list(every_value(row_of(a, query), other, own, measure, max_grade))
        assert found.low[query] == pytest.approx(min(values), abs=1e-12)
        assert found.high[query] == pytest.approx(max(values), abs=1e-12)
        assert (max_grade + 1) ** found.holes[query] == len(values)


@pytest.mark.parametrize(
    ("known", "ranking", "low", "high"),
    [
        ({0: 1}, [0, 9], 1.0, 1.0),
        ({0: 1}, [9, 0], 1 / np.log2(3), 1.0),
        ({0: 1}, [9], 0.0, 1 / (1 + 1 / np.log2(3))),
        ({}, [9], 0.0, 1.0),
        ({0: 0}, [0, 9], 0.0, 1 / np.log2(3)),
        ({0: 1}, [], 0.0, 0.0),
    ],
    ids=["below", "above", "alone", "nothing judged", "second", "nothing returned"],
)
def test_hand_worked_bounds(known, ranking, low, high):
    """With grades 0 and 1; the last is a query that returned nothing."""
    found = ndcg_bounds(run_of(ranking, depth=2), qrels_of(known), parse_measure("nDCG@2"))
    assert (found.low[0], found.high[0]) == pytest.approx((low, high))


def test_a_middle_grade_may_be_the_best():
    """A 1 stands above the hole and a 2 was not found: 2 lifts the hole, 3 the ideal even more."""
    known, run, measure = {0: 1, 1: 2}, run_of([0, 9]), parse_measure("nDCG@2")
    values = list(every_value(run, None, known, measure, 3))
    assert np.argmax(values) == 2
    assert ndcg_bounds(run, qrels_of(known), measure, 3).high[0] == pytest.approx(values[2])


def test_what_is_fully_judged_has_no_width():
    """Both bounds are the value itself, and no hole is counted."""
    run, qrels = run_of([0, 1], [1]), qrels_of({0: 1, 1: 2}, {1: 0})
    measure = parse_measure("nDCG@2")
    found = ndcg_bounds(run, qrels, measure)
    assert found.low.tolist() == found.high.tolist()
    assert found.low == pytest.approx(measure.values(judge(run, qrels)))
    assert found.holes.tolist() == [0, 0]


def test_documents_beyond_the_cutoff_are_no_holes():
    """Only what counts can change the value."""
    found = ndcg_bounds(run_of([0, 9, 8]), qrels_of({0: 1}), parse_measure("nDCG@1"))
    assert found == Bounds(np.array([1.0]), np.array([1.0]), np.array([0]))


def test_the_difference_turns_round_with_its_systems():
    """The smallest a - b is minus the largest b - a."""
    known, a, b, _ = some_case(np.random.default_rng(5))
    measure, qrels = parse_measure("nDCG@3"), qrels_of(*known)
    one, other = difference_bounds(a, b, qrels, measure), difference_bounds(b, a, qrels, measure)
    assert one.low == pytest.approx(-other.high, abs=1e-12)
    assert one.mean == pytest.approx((one.low.mean(), one.high.mean()))


def test_joint_bounds_are_tighter_than_each_apart():
    """A hole that both return at one place cannot be relevant in one and not in the other."""
    a, b = run_of([9, 0]), run_of([9, 1])
    qrels, measure = qrels_of({0: 1, 1: 0}), parse_measure("nDCG@2")
    joint = difference_bounds(a, b, qrels, measure, 3)
    apart = [ndcg_bounds(run, qrels, measure, 3) for run in (a, b)]
    assert joint.low[0] > 0  # a is ahead whatever 9 is
    assert apart[0].low[0] < apart[1].high[0]


def test_large_grades_do_not_overflow():
    """2^grade is never formed; the bounds stay within [0, 1]."""
    found = ndcg_bounds(
        run_of([9, 0, 8]), qrels_of({0: 30_000, 1: 2}), parse_measure("nDCG(dcg='exp-log2')@3")
    )
    assert 0 <= found.low[0] < found.high[0] <= 1


def test_blocks_change_nothing(monkeypatch):
    """A table of one row at a time gives what one table gives."""
    known, a, b, _ = some_case(np.random.default_rng(3), n_queries=9)
    whole = difference_bounds(a, b, qrels_of(*known), parse_measure("nDCG@4"))
    monkeypatch.setattr("bench.bounds.BLOCK", 1)
    parts = difference_bounds(a, b, qrels_of(*known), parse_measure("nDCG@4"))
    assert whole.low.tolist() == parts.low.tolist()
    assert whole.high.tolist() == parts.high.tolist()


def test_a_hole_once_graded_is_as_if_it_had_been_judged():
    """What `graded` asks is what the qrels with that grade ask."""
    measure = parse_measure("nDCG@3")
    question = question_of(run_of([9, 0, 8]), run_of([8, 7, 0]), qrels_of({0: 2}), measure)
    column = int(np.flatnonzero((question.docs[0] == 9) & question.open[0])[0])
    after = bounds_of(graded(question, np.array([0]), np.array([column]), 2))
    found = difference_bounds(run_of([9, 0, 8]), run_of([8, 7, 0]), qrels_of({0: 2, 9: 2}), measure)
    assert (after.low[0], after.high[0]) == pytest.approx((found.low[0], found.high[0]))


@pytest.mark.parametrize(
    ("name", "max_grade", "message"),
    [("RR@10", None, "expected an nDCG"), ("nDCG@10", 1, "the qrels hold 2")],
)
def test_what_has_no_bounds_is_refused(name, max_grade, message):
    """One line says what is allowed."""
    with pytest.raises(UsageError, match=message):
        ndcg_bounds(run_of([0]), qrels_of({0: 2}), parse_measure(name), max_grade)


@pytest.mark.parametrize(
    ("ranking", "name", "low", "width"),
    [
        ([0, 9, 1], "RBP(p=0.5)", 0.5, 0.25 + 0.125),
        ([0, 1], "RBP(p=0.5)", 0.5, 0.0),
        ([0, 9, 1], "RBP(p=0.5)@1", 0.5, 0.5),
        ([9, 1], "RBP(p=0.5)", 0.0, 0.5),
    ],
    ids=["full", "short", "cutoff", "short with a hole"],
)
def test_rbp_residual(ranking, name, low, width):
    """Holes at their weights, and p^depth for what a full ranking would return beneath."""
    found = rbp_bounds(run_of(ranking, depth=3), qrels_of({0: 1, 1: 0}), parse_measure(name))
    assert (found.low[0], found.high[0] - found.low[0]) == pytest.approx((low, width))


def test_only_rbp_has_a_residual():
    """nDCG has bounds of its own."""
    with pytest.raises(UsageError, match="RBP"):
        rbp_bounds(run_of([0]), qrels_of({0: 1}), parse_measure("nDCG@10"))
