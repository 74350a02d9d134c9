"""What a gate says: its first line, and forms that any reader of them can parse."""

import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from reports.verdict import (
    ChangedQuery,
    GatedCell,
    GateReport,
    Requirement,
    annotations,
    sentence,
    to_json,
    to_junit,
    to_markdown,
)

HOSTILE = "a|b]]>\x00\x1b[31m\ufffe\ud800<script>\n::error::x, 100% `&`"


def cell(verdict="no worse", **changes):
    found = GatedCell(
        suite="models", split="test", system="bm25", measure="nDCG@10", verdict=verdict,
        baseline=0.5, candidate=0.4, difference=-0.1, lower=-0.15, upper=-0.05, p=0.001,
        margin=0.02, queries=103, changed=40, reranked=60, needed=None, note="",
    )  # fmt: skip
    return replace(found, **changes)


def report(*cells, verdict=None, **changes):
    found = GateReport(
        verdict=verdict or cells[0].verdict, exact=False, alpha=0.05, power=0.8, baseline="b.json",
        cells=cells, requirements=(), queries=(), notes=(),
    )  # fmt: skip
    return replace(found, **changes)


UNMET = Requirement("bm25 on models has d1 in the first 3 for q1", holds=False, found="rank 7")
UNCLEAR = cell("cannot tell", needed=400)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            report(cell(changed=0, reranked=0)),
            "No worse: nothing changed in nDCG@10 of bm25 on models (103 queries).",
        ),
        (
            report(cell(changed=0, reranked=3)),
            "No worse: some rankings changed, but no value in nDCG@10 of bm25 on models "
            "(103 queries).",
        ),
        (
            report(cell(), cell(system="dense")),
            "No worse: a loss beyond the margin is ruled out in 2 cells (suite, system, measure).",
        ),
        (
            report(cell("worse"), cell()),
            "Worse: nDCG@10 of bm25 on models lost 0.100 (margin 0.020).",
        ),
        (
            report(cell(), verdict="worse", requirements=(UNMET,)),
            "Worse: not met: bm25 on models has d1 in the first 3 for q1.",
        ),
        (
            report(cell("worse"), cell("worse", measure="RR@10"), exact=True),
            "Worse: bm25 on models ranks 60 of 103 queries otherwise.",
        ),
        (
            report(UNCLEAR, cell()),
            "Cannot tell: nDCG@10 of bm25 on models (103 queries) changed, and 103 queries are too "
            "few to rule out a loss beyond the margin or to show one; it would take about 400.",
        ),
        (
            report(replace(UNCLEAR, needed=90)),
            "Cannot tell: nDCG@10 of bm25 on models (103 queries) changed, and 103 queries neither "
            "rule out a loss beyond the margin nor show one: it is too close.",
        ),
    ],
    ids=["same", "reranked", "ruled-out", "worse", "unmet", "exact", "few", "close"],
)
def test_the_verdict_is_one_sentence(found, words):
    """In words, with what it is of; it is the first line of the page."""
    assert sentence(found) == words
    assert to_markdown(found).startswith(f"**{words}**\n")


def test_cells_that_are_not_fine_come_first():
    """The table begins with what is worse."""
    page = to_markdown(
        report(cell(system="x"), cell("cannot tell"), cell("worse"), verdict="worse")
    )
    assert re.findall(r"\*\*(no worse|worse|cannot tell)\*\*", page) == [
        "worse", "cannot tell", "no worse",
    ]  # fmt: skip


@pytest.fixture
def hostile():
    """A report all of whose data would break out where it can."""
    return report(
        cell("worse", suite=HOSTILE, system=HOSTILE, measure=HOSTILE, note=HOSTILE),
        replace(UNCLEAR, system=HOSTILE),
        requirements=(Requirement(HOSTILE, holds=False, found=HOSTILE),),
        queries=(
            ChangedQuery(HOSTILE, "test", HOSTILE, HOSTILE, HOSTILE, HOSTILE, 0.1, 0.2),
            ChangedQuery("models", "test", "bm25", "nDCG@10", "q2", None, 0.1, 0.2),
        ),
        notes=(HOSTILE,),
        baseline=HOSTILE,
    )


def test_no_data_breaks_the_page(hostile):
    """No HTML, no control character, no cell too many, no line that a workflow would take."""
    page = to_markdown(hostile)
    assert "<script>" not in page
    assert not re.search("[\x00-\x09\x0b-\x1f\ud800]", page)
    assert not re.search("^::", page, re.MULTILINE)
    for block in page.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1


def test_junit_is_xml_whatever_the_names(hostile):
    """A test case a cell and a requirement; worse fails, cannot tell is skipped."""
    text = to_junit(hostile)
    tests = ElementTree.fromstring(text.encode())
    assert (tests.get("tests"), tests.get("failures"), tests.get("skipped")) == ("3", "2", "1")
    assert [[part.tag for part in case] for case in tests] == [
        ["failure"], ["skipped"], ["failure"],
    ]  # fmt: skip
    assert "<script>" in tests[0].get("name")


def test_junit_fails_what_cannot_be_told_where_that_fails_the_job(hostile):
    """With --inconclusive fail the file says what the exit code says."""
    tests = ElementTree.fromstring(to_junit(hostile, "failure").encode())
    assert (tests.get("failures"), tests.get("skipped")) == ("3", "0")


def test_json_holds_everything(hostile):
    """The sentence too; figures with all their digits."""
    found = json.loads(to_json(hostile))
    assert found["sentence"] == sentence(hostile)
    assert found["cells"][1]["needed"] == 400
    assert found["cells"][0]["system"] == HOSTILE


def test_annotations_are_one_line_each(hostile):
    """`::LEVEL title=TITLE::TEXT`, with what ends a property or a line written as %XX."""
    lines = list(annotations(hostile))
    assert len(lines) == 4
    for line in lines:
        level, title, _ = re.fullmatch(r"::(\w+) title=([^:,\n]*)::([^\n\r]*)", line).groups()
        assert level in ("error", "warning")
        assert not re.search("%(?!25|0D|0A|3A|2C)", title)
    assert "100%25" in lines[1]


@pytest.mark.parametrize(
    ("verdict", "level"), [("no worse", "notice"), ("worse", "error"), ("cannot tell", "warning")]
)
def test_the_level_of_an_annotation_is_that_of_the_verdict(verdict, level):
    """A pass is one notice and nothing more."""
    lines = list(annotations(report(cell(verdict))))
    assert {line.partition(" ")[0] for line in lines} == {f"::{level}"}
    assert len(lines) == (1 if verdict == "no worse" else 2)
