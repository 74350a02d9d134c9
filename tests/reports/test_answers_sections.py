"""What a report says of answers: floor and ceiling, abstention, speed."""

from dataclasses import replace

import pytest

from reports import answers, sections
from reports.markdown import render
from reports.plots import draw
from reports.record import SystemInfo
from reports.standing import standings


@pytest.fixture
def answering(record):
    """A record whose first system answers, with its floor and its ceiling."""
    info = replace(record.suites[0], task="answers")
    first = next(cell for cell in record.cells if cell.suite == info.name)
    headline = info.measures[0]

    def cell(name, value, bound=None):
        n = info.queries
        values = dict.fromkeys(info.measures, (value,) * n) | {
            "Abstained": (1.0,) + (0.0,) * (n - 1),
            "AbstainedRightly": (1.0,) * (n - 1) + (0.0,),
        }  # fmt: skip
        means = {name: {"mean": sum(v) / n, "low": 0.0, "high": 1.0} for name, v in values.items()}
        return replace(first, system=name, values=values, means=means, bound=bound)

    systems = [
        SystemInfo(name, "bm25", {}, None, {}, None, {}, "extractive", {"threshold": 0.4}, {})
        for name in ("mine", "none+mine", "gold+mine")
    ]
    cells = (
        cell("mine", 0.5),
        cell("none+mine", 0.25, "floor"),
        cell("gold+mine", 0.75, "ceiling"),
    )
    assert headline in cells[0].values
    return replace(
        record, suites=(info,), systems=tuple(systems), cells=cells, comparisons=(), examples=()
    )


def test_losses_are_told_apart(answering):
    """What lacks of the ceiling is retrieval's, what the ceiling lacks of 1 the generator's."""
    (standing,) = standings(answering)
    assert [cell.system for cell in standing.cells] == ["mine"]
    row = answers.bounds(standing).splitlines()[-1]
    assert [part.strip() for part in row.strip("|").split("|")] == [
        "mine", "0.250", "0.500", "0.750", "0.250", "0.250",
    ]  # fmt: skip


def test_bounds_are_those_of_the_same_generator(answering):
    """A system with other parameters has none of them."""
    systems = [replace(answering.systems[0], context={"passages": 1}), *answering.systems[1:]]
    (standing,) = standings(replace(answering, systems=tuple(systems)))
    row = answers.bounds(standing).splitlines()[-1]
    assert row.count("–") == 4


def test_bounds_stand_in_the_leaderboard_as_what_they_are(answering):
    """Beneath the candidates, and never as the best."""
    (standing,) = standings(answering)
    rows = sections.board(standing).splitlines()[2:5]
    assert [row.split("|")[1].strip() for row in rows] == ["mine", "gold+mine", "none+mine"]
    assert "ceiling" in rows[1]
    assert "floor" in rows[2]
    assert render(answering, {}).splitlines()[2].startswith("**mine**")


def test_abstention_has_precision_and_recall(answering):
    """Which questions are unanswerable follows from the two measures."""
    (standing,) = standings(answering)
    n = answering.suites[0].queries
    row = answers.abstention(standing).splitlines()[2]
    assert f"1 of {n}" in row
    assert "1.000 (1 of 1)" in row  # silent once, and rightly
    assert "0.500 (1 of 2)" in row  # the last query is unanswerable too, and was answered


def test_speed_is_told_where_tokens_are_counted(answering):
    """First token and tokens a second; nothing for a generator that counts none."""
    (standing,) = standings(answering)
    assert answers.speed(standing) == ""
    cost = replace(
        standing.cells[0].cost,
        latency_ns={"generate": ((10**9, 10**9),), "first_token": ((5 * 10**7, 5 * 10**7),),
                    "total": ((10**9, 10**9),)},
        tokens=((10, 30),),
    )  # fmt: skip
    cells = (replace(answering.cells[0], cost=cost), *answering.cells[1:])
    (standing,) = standings(replace(answering, cells=cells))
    row = [p.strip() for p in answers.speed(standing).splitlines()[-1].strip("|").split("|")]
    assert row == ["mine", "50.0 ms", "20.0", "20.0"]


def test_the_picture_is_drawn(answering, tmp_path):
    """One for the suite of answers, none where rankings are measured."""
    assert any(name.startswith("bounds.") for name in draw(answering, tmp_path))
    ranked = replace(answering, suites=(replace(answering.suites[0], task="retrieval"),))
    assert not any(name.startswith("bounds.") for name in draw(ranked, tmp_path))
