"""The page of the latency gate says first what to do, and shows data as data."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from reports.speed import (
    SpeedCell,
    SpeedReport,
    Stage,
    annotations,
    percent,
    sentence,
    to_json,
    to_junit,
    to_markdown,
    worst,
)

CELL = SpeedCell(
    suite="models", split="test", system="bm25", baseline="bm25", rounds=24, queries=40,
    stages=(Stage("search", 9e4, 1.2e5, 1 / 3), Stage("total", 1e5, 1.3e5, 0.3)),
    verdict="slower", slowdown=0.3, lower=0.28, upper=0.32, p=0.0001, copies=-0.004, noise=0.02,
    floor=0.05, visible=0.06,
)  # fmt: skip
FINE = replace(CELL, system="dense", verdict="no slower", slowdown=0.0, lower=-0.02, upper=0.02)
UNSURE = replace(CELL, system="lsa", verdict="cannot tell", slowdown=0.1, lower=-0.2, upper=0.4)


def report(*cells):
    return SpeedReport(worst(cells), "revision v1 (0123456)", 0.02, 0.8, 0.2, 4, 1, cells)


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ([FINE], "No slower: a slow-down of more than 2.0% is ruled out for dense on models; 20% "
                 "was asked for."),
        ([replace(FINE, upper=-0.1)], "No slower: any slow-down is ruled out for dense on models; "
                                      "20% was asked for."),
        ([FINE, CELL, UNSURE], "Slower: bm25 on models takes 30.0% longer, at least 28.0% "
                               "(100 µs → 130 µs)."),
        ([FINE, UNSURE], "Cannot tell: lsa on models may be slower by more than 20%, or not; the "
                         "timings of this job are too noisy, or the change too near to that."),
    ],
    ids=["fine", "faster", "slower", "unsure"],
)  # fmt: skip
def test_the_first_line_is_the_verdict_in_words(cells, words):
    found = report(*cells)
    assert sentence(found) == words
    assert to_markdown(found).splitlines()[0].replace("\\", "") == f"**{words}**"


def test_the_page_has_the_interval_before_p_and_the_worst_first():
    page = to_markdown(report(FINE, CELL))
    header = next(line for line in page.splitlines() if line.startswith("| suite"))
    assert header.index("slow-down") < header.index("bounds") < header.index(" p ")
    assert page.index("**slower**") < page.index("**no slower**")
    assert "| search |" in page


def test_hostile_names_stay_data():
    """A system's name cannot break the table, a command of GitHub's, or XML."""
    hostile = replace(CELL, system="a|b\n::error::x\x1b[31m<b>\x00", suite="s`|")
    found = report(hostile)
    table = [line for line in to_markdown(found).splitlines() if line.startswith("| ")]
    assert all(line.replace("\\|", "").count("|") in (11, 5) for line in table)
    assert "<b>" not in to_markdown(found)
    assert all(line.startswith("::error ") and "\n" not in line for line in annotations(found))
    case = ElementTree.fromstring(to_junit(found)).find("testcase")
    assert case is not None
    assert "a|b" in case.get("name", "")


def test_junit_and_json_agree_with_the_verdicts():
    found = report(FINE, CELL, UNSURE)
    tests = ElementTree.fromstring(to_junit(found))
    assert [tests.get(key) for key in ("tests", "failures", "skipped")] == ["3", "1", "1"]
    failing = ElementTree.fromstring(to_junit(found, "failure"))
    assert [failing.get(key) for key in ("tests", "failures", "skipped")] == ["3", "2", "0"]
    data = json.loads(to_json(found))
    assert data["sentence"] == sentence(found)
    assert [cell["verdict"] for cell in data["cells"]] == ["no slower", "slower", "cannot tell"]
    assert len(list(annotations(found))) == 3


@pytest.mark.parametrize(
    ("share", "text"), [(0.123, "+12.3%"), (-0.05, "-5.0%"), (-0.0004, "0.0%"), (0.0, "0.0%")]
)
def test_percent(share, text):
    """No change has no sign."""
    assert percent(share) == text
