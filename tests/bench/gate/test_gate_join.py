"""Candidate against baseline: what is compared, what is refused, what is said beside it."""

from dataclasses import replace

import numpy as np
import pytest

from bench.gate.baseline import baseline_of
from bench.gate.report import gate
from bench.gate.rules import ANY, Floor, MustPass, Rules
from qrels.errors import BenchError, DataError
from reports.record import load

DEFAULTS = Rules()


@pytest.fixture
def gated(make_result, accepted):
    """gated(values, ...) is the report on a result against one of bm25 and dense."""

    def make(values=None, rules=DEFAULTS, exact=False, systems=(), **what):
        old = make_result("old", {"bm25": accepted, "dense": accepted})
        new = make_result("new", values or {"bm25": accepted, "dense": accepted}, **what)
        baseline = baseline_of(load(old), old)
        return gate(load(new), new, baseline, rules, "b.json", exact, systems)

    return make


def test_nothing_changed_is_no_worse(gated):
    """Both systems on the first accepted measure, each d zero."""
    report = gated()
    assert report.verdict == "no worse"
    assert [(c.system, c.measure, c.changed, c.reranked) for c in report.cells] == [
        ("bm25", "nDCG@10", 0, 0), ("dense", "nDCG@10", 0, 0),
    ]  # fmt: skip
    assert report.queries == ()


def test_one_worse_cell_is_worse(gated, accepted):
    """The other cell keeps its own verdict, and the queries that lost most come first."""
    loss = np.linspace(0.1, 0.3, 40)
    report = gated({"bm25": accepted, "dense": accepted - loss})
    assert report.verdict == "worse"
    assert [cell.verdict for cell in report.cells] == ["no worse", "worse"]
    assert [found.query_id for found in report.queries[:2]] == ["q39", "q38"]
    assert report.queries[0].text == "what is q39?"
    assert report.cells[1].difference == pytest.approx(-0.2)


def test_noise_cannot_be_told(gated, accepted):
    """A small mean loss in large differences; the queries that it would take are given."""
    noise = np.tile([0.2, -0.21], 20)
    report = gated({"bm25": accepted, "dense": accepted + noise})
    assert report.verdict == "cannot tell"
    assert report.cells[1].needed > 40


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ({"suite": {"digest": "cd" * 32}}, "other labels or corpus (digest)"),
        ({"suite": {"depth": 50}}, "other depth: 100 in the baseline, 50 now"),
        ({"suite": {"relevance_level": 1}}, "other relevance level: 2 in the baseline, 1 now"),
        ({"suite": {"exclude_self": True}}, "other exclude_self"),
        ({"suite": {"query_ids": tuple(f"q{i}" for i in range(39, -1, -1))}}, "other queries"),
        ({"suite": {"split": "dev"}}, "lacks bm25 on toy (test)"),
        ({"suite": {"name": "toys"}}, "lacks bm25 on toy (test)"),
        ({"suite": {"measures": ("RR(rel=2)@10",)}}, "the candidate lacks nDCG@10 of bm25"),
        ({"values": {"bm25": np.zeros(40)}}, "lacks dense on toy (test)"),
        ({"values": {"bm25": np.zeros(40), "dense": None}}, "dense on toy (test) failed: OSError"),
        ({"status": "partial"}, "partial"),
        ({"rules": Rules(measures=("P@5",))}, "the baseline lacks P(rel=2)@5"),
        ({"systems": ["bm52"]}, "no system 'bm52'"),
    ],
    ids=lambda value: "" if isinstance(value, str) else "-".join(map(str, value)),
)
def test_what_was_measured_otherwise_is_never_compared(gated, what, message):
    """Refused by name: other labels, depth or rules, and whatever is missing or failed."""
    with pytest.raises(BenchError) as raised:
        gated(**what)
    assert message in str(raised.value)


def test_what_the_baseline_lacks_is_said_not_gated(gated, accepted):
    """A new system has nothing to be compared with."""
    report = gated({"bm25": accepted, "dense": accepted, "new": accepted * 0})
    assert report.verdict == "no worse"
    assert any("not gated" in note and "new on toy" in note for note in report.notes)


def test_a_chosen_system_alone_is_gated(gated, accepted):
    """The others may be as bad as they like."""
    report = gated({"bm25": accepted, "dense": accepted * 0}, systems=["bm25"])
    assert [cell.system for cell in report.cells] == ["bm25"]


def test_changed_parameters_are_gated_and_said(gated):
    """The same name with other parameters is what one wants to gate."""
    report = gated(params={"k1": 1.2, "b": "x"})
    assert report.cells[0].note == "changed: params.b None → 'x'; params.k1 0.9 → 1.2"


def test_a_changed_environment_is_said_once(gated):
    """Packages by name; what says nothing of a ranking is left out."""
    found = gated(environment={"packages": {"numpy": "2.5.0"}, "cores": 64}).notes
    assert [note for note in found if "packages" in note] == [
        "other packages than the baseline's: numpy '2.4.0' → '2.5.0'"
    ]
    assert not any("cores" in note for note in found)


@pytest.mark.parametrize(
    ("margins", "margin"),
    [({"RR@10": 0.3, ANY: 0.2}, 0.3), ({"nDCG@10": 0.3, ANY: 0.2}, 0.2), ({ANY: 0.2}, 0.2)],
)
def test_a_margin_is_the_measures_own_or_that_for_all(gated, margins, margin):
    """A measure without a relevance level has that of the suite."""
    report = gated(rules=Rules(measures=("RR@10",), margins=margins))
    assert {(cell.measure, cell.margin) for cell in report.cells} == {("RR(rel=2)@10", margin)}
    assert any("nDCG@10, which is not gated" in note for note in report.notes) == (
        "nDCG@10" in margins
    )


def test_the_default_margin_is_the_baselines_and_is_said(gated, accepted):
    """A candidate that changes a lot does not widen it."""
    noise = np.tile([0.3, -0.3], 20)
    reports = [gated({"bm25": accepted + by, "dense": accepted}) for by in (0, noise)]
    assert reports[0].cells[0].margin == reports[1].cells[0].margin == 0.015
    assert any("no margin was given for nDCG@10" in note for note in reports[0].notes)


def test_exact_calls_any_changed_ranking_worse(gated, accepted):
    """Even where no value changed; the queries are named."""
    rankings = {"dense": ["b", "a", "c"]}
    assert gated(rankings=rankings).verdict == "no worse"
    report = gated(rankings=rankings, exact=True)
    assert [(cell.verdict, cell.reranked) for cell in report.cells] == [
        ("no worse", 0), ("worse", 40),
    ]  # fmt: skip
    assert report.queries[0].before == report.queries[0].after
    assert gated(exact=True).verdict == "no worse"


@pytest.mark.parametrize(
    ("floor", "verdict"),
    [
        (Floor("nDCG@10", 0.5), "no worse"),
        (Floor("nDCG@10", 0.51), "worse"),
        (Floor("RR@10", 0.51, system="dense"), "worse"),
        (Floor("Judged@10", float("nan")), "worse"),
    ],
)
def test_a_floor_must_be_reached(gated, floor, verdict):
    """Whatever the baseline was; the means are .5."""
    assert gated(rules=Rules(floors=(floor,))).verdict == verdict


@pytest.mark.parametrize(
    ("document", "within", "found"), [("a", 1, "rank 1"), ("c", 2, "rank 3"), ("z", 9, "not found")]
)
def test_a_must_pass_query_has_its_document_high_enough(gated, document, within, found):
    """Rankings are a, b, c."""
    rule = MustPass("q1", document, within, system="bm25")
    report = gated(rules=Rules(must_pass=(rule,)))
    assert [req.found for req in report.requirements] == [found]
    assert report.verdict == ("no worse" if document == "a" else "worse")


@pytest.mark.parametrize(
    "rules",
    [
        Rules(floors=(Floor("P@5", 0.1),)),
        Rules(floors=(Floor("nDCG@10", 0.1, system="bm52"),)),
        Rules(must_pass=(MustPass("q99", "a", 1),)),
        Rules(must_pass=(MustPass("q1", "a", 1, suite="toys"),)),
    ],
    ids=["measure", "system", "query", "suite"],
)
def test_a_requirement_on_nothing_is_an_error(gated, rules):
    """A mistyped one would hold for ever."""
    with pytest.raises(BenchError):
        gated(rules=rules)


def test_without_rankings_nothing_that_needs_them_passes(make_result, accepted):
    """A record whose ids no run file can carry."""
    folder = make_result("bare", {"bm25": accepted})
    found = load(folder)
    bare = tuple(replace(cell, run_file=None, run_digest=None) for cell in found.cells)
    record = replace(found, cells=bare)
    baseline = baseline_of(record, folder)
    assert gate(record, folder, baseline, Rules()).cells[0].reranked is None
    with pytest.raises(DataError, match="--exact"):
        gate(record, folder, baseline, Rules(), exact=True)
    with pytest.raises(DataError, match="must_pass"):
        gate(record, folder, baseline, Rules(must_pass=(MustPass("q1", "a", 1),)))
