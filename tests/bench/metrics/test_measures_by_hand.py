"""Each measure on rankings small enough to check on paper."""

from math import log2

import pytest

from bench.metrics import MEASURES, parse_measure
from qrels.errors import UsageError

U = None  # unjudged

# measure, grade at each rank, grades of judged documents that were not retrieved, value
CASES = [
    pytest.param("nDCG", [3], [], 1, id="ndcg-one"),
    pytest.param("nDCG", [U, 0, 3], [], 1 / 2, id="ndcg-rank-3"),
    pytest.param("nDCG@2", [U, 0, 3], [], 0, id="ndcg-beyond-cutoff"),
    pytest.param("nDCG", [2, U, 1], [3], 2.5 / (3 + 2 / log2(3) + 0.5), id="ndcg-ideal-has-all"),
    pytest.param("nDCG@1", [2, U, 1], [3], 2 / 3, id="ndcg-ideal-is-cut-too"),
    pytest.param("nDCG", [-2, U, 1], [], 1 / 2, id="ndcg-negative-gains-0"),
    pytest.param("nDCG", [-1, 0, U], [], 0, id="ndcg-none-relevant"),
    pytest.param("nDCG(dcg='exp-log2')", [1, U, 3], [], 4.5 / (7 + 1 / log2(3)), id="exp"),
    pytest.param("nDCG(dcg='exp-log2')@1", [1, U, 3], [], 1 / 7, id="exp-cutoff"),
    pytest.param("nDCG(dcg='exp-log2')@1", [1999], [2000], 1 / 2, id="exp-no-overflow"),
    pytest.param("RR", [0, U, 1, 2], [], 1 / 3, id="rr"),
    pytest.param("RR@3", [0, U, 1, 2], [], 1 / 3, id="rr-at-cutoff"),
    pytest.param("RR@2", [0, U, 1, 2], [], 0, id="rr-beyond-cutoff"),
    pytest.param("RR(rel=2)", [0, U, 1, 2], [], 1 / 4, id="rr-level"),
    pytest.param("RR", [-1, -1], [1], 0, id="rr-not-found"),
    pytest.param("AP", [1, 0, 1], [], (1 + 2 / 3) / 2, id="ap"),
    pytest.param("AP@1", [1, 0, 1], [], 1 / 2, id="ap-divides-by-all-relevant"),
    pytest.param("AP", [1, U, 2], [1, 3], (1 + 2 / 3) / 4, id="ap-missing"),
    pytest.param("AP(rel=2)", [1, U, 2], [1, 3], (1 / 3) / 2, id="ap-level"),
    pytest.param("P@5", [1, 0, 2], [], 2 / 5, id="p-divides-by-cutoff"),
    pytest.param("P@2", [1, 0, 2], [], 1 / 2, id="p-cutoff"),
    pytest.param("P", [1, 0, 2, U], [], 2 / 4, id="p-of-retrieved"),
    pytest.param("P(rel=2)@3", [1, 0, 2], [], 1 / 3, id="p-level"),
    pytest.param("R@2", [1, 0, 2], [1], 1 / 3, id="r-cutoff"),
    pytest.param("R", [1, 0, 2], [1], 2 / 3, id="r"),
    pytest.param("R(rel=2)", [1, 0, 2], [1], 1, id="r-level"),
    pytest.param("R", [0, U, -1], [0], 0, id="r-none-relevant"),
    pytest.param("Success@2", [0, U, 1], [], 0, id="success-beyond"),
    pytest.param("Success@3", [0, U, 1], [], 1, id="success"),
    pytest.param("Success(rel=2)@3", [0, U, 1], [2], 0, id="success-level"),
    pytest.param("Rprec", [1, 0, 1], [], 1 / 2, id="rprec"),
    pytest.param("Rprec", [1], [1, 1], 1 / 3, id="rprec-short-ranking"),
    pytest.param("Rprec@1", [1, 1, 0], [], 1 / 2, id="rprec-cutoff-keeps-divisor"),
    pytest.param("Rprec(rel=2)", [1, 2], [], 0, id="rprec-level"),
    pytest.param("Bpref", [1, 0, 1], [], (1 + 0) / 2, id="bpref-one-nonrelevant"),
    pytest.param("Bpref", [0, 1, 0, 1], [0], (1 / 2 + 0) / 2, id="bpref"),
    pytest.param("Bpref", [0, 0, 0, 1], [1], 0, id="bpref-bounded"),
    pytest.param("Bpref", [0, 1], [0, 0, 1], (1 - 1 / 2) / 2, id="bpref-missing"),
    pytest.param("Bpref", [U, -1, 1], [0], 1, id="bpref-unjudged-and-negative-take-no-part"),
    pytest.param("Bpref", [1], [], 1, id="bpref-no-nonrelevant"),
    pytest.param("Bpref(rel=2)", [1, 2], [], 0, id="bpref-level"),
    pytest.param("Bpref@1", [1, 0, 1], [], 1 / 2, id="bpref-cutoff"),
    pytest.param("RBP", [1, U, 2], [], 0.2 * (1 + 0.64), id="rbp"),
    pytest.param("RBP(p=0.5)", [1, U, 2], [], 0.5 * 1.25, id="rbp-p"),
    pytest.param("RBP(p=0.5,rel=2)@3", [1, U, 2], [], 0.5 * 0.25, id="rbp-level"),
    pytest.param("ERR", [4], [], 15 / 16, id="err-best"),
    pytest.param("ERR", [1, 2], [], 1 / 16 + (15 / 16) * (3 / 16) / 2, id="err-cascade"),
    pytest.param("ERR@2", [U, -1, 4], [], 0, id="err-cutoff"),
    pytest.param("ERR(max_rel=1)", [0, 1], [], 1 / 4, id="err-max"),
    pytest.param("Judged@2", [U, 0, 1], [], 1 / 2, id="judged"),
    pytest.param("Judged@10", [U, 0, -1], [], 2 / 3, id="judged-of-retrieved"),
    pytest.param("Judged", [U, 0, 1, U], [3], 2 / 4, id="judged-no-cutoff"),
    pytest.param("Judged@10", [U, U], [], 0, id="judged-none"),
]


@pytest.mark.parametrize(("name", "ranked", "missing", "value"), CASES)
def test_value_by_hand(by_grades, name, ranked, missing, value):
    """The measure has the value worked out on paper."""
    assert parse_measure(name).values(by_grades(ranked, missing)).tolist() == pytest.approx([value])


def test_every_measure_has_a_case_by_hand():
    """No measure is in the table without a hand-worked case."""
    assert {parse_measure(case.values[0]).name for case in CASES} == set(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
@pytest.mark.parametrize("cutoff", ["", "@1", "@1000"])
def test_nothing_retrieved_gives_zero(by_grades, name, cutoff):
    """A query with nothing retrieved gives 0, with and without judgements."""
    measure = parse_measure(name + cutoff)
    assert measure.values(by_grades([], [1, 0])).tolist() == [0.0]
    assert measure.values(by_grades([], [])).tolist() == [0.0]


def test_err_refuses_grades_above_its_largest(by_grades):
    """A grade above ERR's largest is an error that says what to write instead."""
    with pytest.raises(UsageError, match=r"grades up to 4, the qrels hold 6; write ERR\(max_rel=6"):
        parse_measure("ERR@20").values(by_grades([1], [6]))
