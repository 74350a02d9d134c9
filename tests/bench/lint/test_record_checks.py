"""Every check of a record finds what it is there for, and a record just made is clean."""

import json
from dataclasses import replace

import numpy as np
import pytest

from bench.config import Experiment, System
from bench.lint.findings import found
from bench.lint.record import RECORD, Recorded
from bench.lint.results import lint_record
from bench.lint.suite import lint
from bench.runner import Options, run_experiment
from qrels.data import Qrels
from reports.record import load, save

SYSTEMS = [System("bm25", "bm25"), System("lsa", "lsa", {"dimensions": 2})]


class Keeps:
    """A reranker that leaves everything as it is."""

    def rerank(self, queries, run, corpus, k):
        return run.docs[:, :k], run.scores[:, :k]


@pytest.fixture
def suite(toy_suite):
    """The toy suite with q3 judged: every query has a relevant document."""
    qrels = Qrels(
        np.array([0, 3, 6, 7], np.int64),
        np.array([0, 4, 5, 1, 2, 3, 1], np.int32),
        np.array([2, 1, 0, 0, 1, 1, 1], np.int16),
    )
    return replace(toy_suite, qrels=qrels, depth=4, measures=["nDCG@4", "RR@4"])


@pytest.fixture
def folder(suite, tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    record = run_experiment(Experiment([suite], SYSTEMS), tmp_path, Options(protocol=None))
    save(record, tmp_path)
    return tmp_path


def codes(record, **more):
    levels = ("error", "warning")
    findings = found(RECORD, Recorded(record, more.pop("rankings", {}), {}, **more))
    return [finding.code for finding in findings if finding.level in levels]


def with_cell(record, **changes):
    return replace(record, cells=(replace(record.cells[0], **changes), *record.cells[1:]))


def test_a_record_just_made_has_no_error(folder, suite):
    """Read back from its folder, with its suite, nothing in it contradicts itself."""
    findings = lint_record(folder, {("toy", "test"): suite})
    assert not [one for one in findings if one.level == "error" and one.code != "S4"]
    assert {"V12", "V13", "F5", "V9"}.isdisjoint(one.code for one in findings)


def test_findings_are_in_the_record_of_a_run_and_come_back(folder, suite):
    """What `run` found at its end is saved; it is what the same checks find later."""
    record = load(folder)
    assert {"V7", "R7"} <= {one.code for one in record.findings}
    later = lint_record(folder, {("toy", "test"): suite})
    for one in record.findings:
        assert one in later


def test_a_record_without_findings_still_loads(folder):
    """As older versions wrote it."""
    path = folder / "record.json"
    content = json.loads(path.read_text())
    del content["findings"]
    path.write_text(json.dumps(content))
    assert load(path).findings == ()


def changed_values(record):
    cell = record.cells[0]
    return with_cell(record, values={**cell.values, "RR@4": (1.5, *cell.values["RR@4"][1:])})


def changed_mean(record):
    cell = record.cells[0]
    return with_cell(record, means={**cell.means, "RR@4": {**cell.means["RR@4"], "mean": 0.123}})


def outside_interval(record):
    cell = record.cells[0]
    return with_cell(record, means={**cell.means, "RR@4": {**cell.means["RR@4"], "high": 0.0}})


def zeroed(record):
    nothing = dict.fromkeys(record.cells[0].values, (0.0, 0.0, 0.0))
    means = {name: {"mean": 0.0, "low": 0.0, "high": 0.0} for name in nothing}
    return with_cell(record, values=nothing, means=means)


def without_relevant(record):
    return replace(record, suites=(replace(record.suites[0], without_relevant=1),))


def coarse(record, detectable):
    return replace(
        record, comparisons=tuple(replace(c, detectable=detectable) for c in record.comparisons)
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (changed_values, "V3"),
        (changed_mean, "V4"),
        (outside_interval, "V4"),
        (lambda record: with_cell(record, status="failed", error="no disk"), "V5"),
        (lambda record: replace(record, status="partial"), "V5"),
        (without_relevant, "V6"),
        (lambda record: coarse(record, 0.2), "V7"),
        (zeroed, "V8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_fault_of_a_record_is_found(folder, change, code):
    """What is in order before the change is not found, and after it is."""
    record = coarse(load(folder), 0.05)
    assert code not in codes(record)
    assert code in codes(change(record))


def test_nan_in_a_record_is_found_before_it_is_saved(folder):
    """A value that is no number is outside [0, 1]."""
    cell = load(folder).cells[0]
    bad = {**cell.values, "RR@4": (float("nan"), *cell.values["RR@4"][1:])}
    assert "V3" in codes(with_cell(load(folder), values=bad))


def test_too_few_queries_for_any_difference(folder):
    """With three queries no pair can be shown to differ."""
    assert load(folder).comparisons[0].detectable is None
    assert "V7" in codes(load(folder))


def test_a_query_that_no_system_answers_is_a_note_and_many_a_warning(folder):
    """One of three is more than a fifth."""
    record = load(folder)
    cells = tuple(
        replace(cell, values={**cell.values, "nDCG@4": (0.0, *cell.values["nDCG@4"][1:])})
        for cell in record.cells
    )
    findings = found(RECORD, Recorded(replace(record, cells=cells), {}, {}))
    (one,) = [one for one in findings if one.code == "V8"]
    assert one.level == "warning"
    assert "'q1'" in one.message


@pytest.mark.parametrize(
    ("content", "code"),
    [("{", "V1"), ('{"schema": 9}', "V1"), ('{"schema": 1, "seed": NaN}', "V2"), (None, "V1")],
)
def test_a_record_that_cannot_be_read_is_a_finding(tmp_path, content, code):
    """Whatever is wrong with the file, lint says it in a line."""
    if content is not None:
        (tmp_path / "record.json").write_text(content)
    (one,) = lint_record(tmp_path / "record.json", {})
    assert (one.code, one.level) == (code, "error")


def run_path(folder):
    return folder / load(folder).cells[0].run_file


def test_a_run_file_that_is_not_there_is_found(folder):
    """A warning: the values stand on their own."""
    run_path(folder).unlink()
    found_ = [(one.code, one.level) for one in lint_record(folder, {})]
    assert ("V11", "warning") in found_


def test_another_run_file_is_found_twice(folder, suite):
    """By its digest, and by the values that it gives."""
    other = folder / load(folder).cells[1].run_file
    run_path(folder).write_bytes(other.read_bytes())
    codes_ = [one.code for one in lint_record(folder, {("toy", "test"): suite})]
    assert {"V11", "V12"} <= set(codes_)


def test_a_suite_that_changed_is_found_and_not_measured_on(folder, suite):
    """Its values are no longer those of the run file, which is nobody's fault."""
    grades = suite.qrels.grades.copy()
    grades[0] = 0
    newer = replace(suite, qrels=replace(suite.qrels, grades=grades), digest="1" * 64)
    codes_ = [one.code for one in lint_record(folder, {("toy", "test"): newer})]
    assert "V13" in codes_
    assert "V12" not in codes_


@pytest.mark.parametrize("with_suite", [True, False])
def test_systems_that_return_the_same_are_found(suite, tmp_path, monkeypatch, with_suite):
    """Two names for one system; and a reranker that moves nothing, by its own check."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    systems = [
        System("bm25", "bm25"),
        System("again", "bm25", {"method": "lucene"}),
        System("kept", "bm25", {}, f"{__name__}:Keeps"),
    ]
    record = run_experiment(Experiment([suite], systems), tmp_path, Options(protocol=None))
    save(record, tmp_path)
    findings = lint_record(tmp_path, {("toy", "test"): suite} if with_suite else {})
    messages = {code: [o.message for o in findings if o.code == code] for code in ("V9", "V10")}
    assert messages["V9"] == ["bm25 and again return the same documents in the same order"]
    assert "kept returns what bm25 returns: its reranker moves nothing" in messages["V10"]


@pytest.mark.parametrize("moved", [False, True])
def test_a_reranker_alone_is_judged_by_its_first_stage(folder, moved):
    """Without the retriever as a system of its own, its values per query tell."""
    record = load(folder)
    cell = record.cells[0]
    first = {**cell.values, "RR@4": (0.25, 0.25, 0.25)} if moved else dict(cell.values)
    changed = with_cell(record, first_stage=first)
    assert ("V10" in codes(changed)) is not moved


def test_systems_that_differ_are_not_twins(folder):
    """Not even by a single query."""
    assert {"V9", "V10"}.isdisjoint(one.code for one in lint_record(folder, {}))


def test_without_the_suite_the_share_of_judged_documents_tells(folder, suite):
    """By the record's own Judged@k; with the suite at hand the bounds are given instead."""
    assert [one.code for one in lint_record(folder, {}) if one.code in ("V14", "R7")] == ["V14"] * 2
    with_suite = lint_record(folder, {("toy", "test"): suite})
    assert {one.code for one in with_suite if one.code in ("V14", "R7")} == {"R7"}


def test_the_suite_behind_a_record_is_checked_too(folder, suite):
    """The twins among its documents are an error of the suite's own."""
    assert "S4" in [one.code for one in lint_record(folder, {("toy", "test"): suite})]
    assert "S4" in [one.code for one in lint(suite, ["bm25"])]
