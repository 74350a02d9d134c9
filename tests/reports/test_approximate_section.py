"""The report's section on approximate search."""

import math
from dataclasses import replace

import pytest

from reports import record as r
from reports.approximate import approximate, pays_back
from reports.markdown import render
from reports.standing import standings

SEARCH = ((100_000, 200_000, 300_000),) * 3


def with_exact(record, exact_ns, build_ns, exact_build_ns=0, system=0):
    """The record, one system of which is approximate."""
    exact = r.ExactInfo(
        about={"factory": "HNSW|32", "efSearch": 64, "recall when built": 0.95432},
        recall={"10": (1.0, 0.9, 0.8), "100": (0.5, 0.5, 0.5)},
        build_ns=exact_build_ns,
        search_ns=exact_ns,
    )
    cells = list(record.cells)
    latency = {"search": SEARCH, "total": SEARCH}
    cost = replace(cells[system].cost, build_ns=build_ns, latency_ns=latency, exact=exact)
    cells[system] = replace(cells[system], cost=cost)
    return replace(record, cells=tuple(cells))


def section(record):
    return approximate(standings(record)[0])


def test_nothing_is_said_of_exact_systems(record):
    """Without an approximate retriever there is no section."""
    assert section(record) == ""
    assert "Approximate search" not in render(record, {})


def test_recall_settings_and_times_are_in_the_row(record):
    """Recall with its interval, what was set, and both latencies; data is escaped."""
    exact_ns = ((1_100_000, 1_200_000, 1_300_000),) * 3
    row = section(with_exact(record, exact_ns, 5_000_000_000)).splitlines()[2]
    for part in (
        "factory HNSW\\|32, efSearch 64, recall when built 0.954", "0.900 [0.800, 1.000]",
        "0.500 [0.500, 0.500]", "200 µs", "1.20 ms", "5.00 s", "5,000 queries",
    ):  # fmt: skip
        assert part in row
    assert "[" not in row.rpartition("5,000 queries")[2], "every query saves the same"


@pytest.mark.parametrize(
    ("exact_ns", "build_ns", "exact_build_ns", "expected"),
    [
        (SEARCH, 5_000_000, 0, "never"),
        (((50_000, 50_000, 50_000),), 5_000_000, 0, "never"),
        (((300_000, 400_000, 500_000),), 5_000_000, 6_000_000, "at once"),
        (((150_000, 190_000, 350_000),), 5_000_000, 0, "[100, never]"),
    ],
    ids=["as-slow", "slower", "built-sooner", "doubtful"],
)
def test_when_a_build_pays_back(record, exact_ns, build_ns, exact_build_ns, expected):
    """Never where nothing is saved, at once where nothing is spent; else with an interval."""
    assert expected in section(with_exact(record, exact_ns, build_ns, exact_build_ns))


@pytest.mark.parametrize(
    ("longer", "saved", "expected"),
    [
        (100, 10, 10),
        (101, 10, 11),
        (0, 10, 0),
        (-5, 10, 0),
        (100, 0, math.inf),
        (100, -1, math.inf),
    ],
)
def test_queries_until_it_pays(longer, saved, expected):
    """By hand: whole queries, rounded up."""
    assert pays_back(longer, saved) == expected


def test_it_is_saved_and_loaded(record, tmp_path):
    """The record keeps all of it, and one that an older version wrote loads without."""
    changed = with_exact(record, SEARCH, 5)
    r.save(changed, tmp_path)
    assert r.load(tmp_path) == changed
    path = tmp_path / "record.json"
    older = r.to_json(record).replace(', "exact": null', "")
    assert older != r.to_json(record)
    path.write_text(older)
    assert r.load(tmp_path) == record
