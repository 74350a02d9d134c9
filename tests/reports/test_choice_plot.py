"""The picture of a choice."""

from dataclasses import replace

import numpy as np
import pytest

from bench.choose.report import report_of
from reports.choice_plot import draw, quality_cost
from reports.plots import style


@pytest.fixture
def report(record):
    return report_of(record, record.suites[0])


def crowd(report, number):
    """The report with so many systems, all close to each other but the last."""
    first = report.considered[0]
    p50 = first.amounts["p50"]
    rng = np.random.default_rng(1)
    values = [*(p50.value * rng.uniform(0.99, 1.01, number - 1)), p50.value * 9]
    return replace(
        report,
        considered=tuple(
            replace(first, name=f"system {i:02}", amounts={
                "p50": replace(p50, value=value, low=value * 0.99, high=value * 1.01)})
            for i, value in enumerate(values)
        ),
        chosen="system 07", best="system 07", cheapest="system 07",
    )  # fmt: skip


def texts(picture):
    (axes,) = picture.axes
    picture.draw_without_rendering()
    return {label.get_text(): label.get_window_extent() for label in axes.texts}


def test_few_systems_are_all_named(report):
    """Each has its name beside its point."""
    with style():
        assert set(texts(quality_cost(report))) == {"hybrid", "dense", "bm25"}


@pytest.mark.parametrize(("number", "named"), [(12, 12), (40, 6)])
def test_in_a_crowd_names_do_not_lie_on_each_other(report, number, named):
    """The chosen and whoever stands apart are named; the rest where there is room."""
    with style():
        boxes = texts(quality_cost(crowd(report, number)))
    assert {"system 07", f"system {number - 1}"} <= set(boxes)
    assert 2 <= len(boxes) < named
    found = list(boxes.values())
    assert not any(a.overlaps(b) for i, a in enumerate(found) for b in found[:i])


def test_fewer_than_two_costs_are_no_picture(make_record, tmp_path):
    """Without costs there is nothing to draw."""
    record = make_record(cost=False)
    assert draw([report_of(record, record.suites[0])], tmp_path) == {}


def test_drawing_repeats(report, tmp_path):
    """The same report gives the same file, byte for byte."""
    (first,), (second,) = (draw([report], tmp_path / name).values() for name in "ab")
    assert (tmp_path / "a" / first).read_bytes() == (tmp_path / "b" / second).read_bytes()
