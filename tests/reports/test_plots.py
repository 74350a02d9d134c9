from dataclasses import replace
from xml.etree import ElementTree

import pytest

from reports.plots import draw, pareto

KINDS = ["leaderboard", "quality-latency", "stages", "kinds"]


def test_every_plot_is_drawn_in_both_forms(record, tmp_path):
    """Each path leads to well-formed SVG, with a PNG beside it, and nothing else is left."""
    paths = draw(record, tmp_path)
    assert paths == {f"{k}.models.test": f"plots/{k}.models.test.svg" for k in KINDS}
    for path in paths.values():
        svg = tmp_path / path
        assert ElementTree.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert svg.with_suffix(".png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert len(list((tmp_path / "plots").iterdir())) == 2 * len(KINDS)


def test_drawing_repeats(record, tmp_path):
    """The same record gives the same files, byte for byte, and no date."""
    first, second = draw(record, tmp_path / "a"), draw(record, tmp_path / "b")
    for path in first.values():
        content = (tmp_path / "a" / path).read_bytes()
        assert content == (tmp_path / "b" / path).read_bytes()
        assert b"<dc:date>" not in content
    assert first == second


def test_strange_names_are_drawn_as_they_are(record, tmp_path):
    """Dollar signs, control characters, other scripts and long names draw without a warning."""
    names = ["$x^2$ \\frac", "\x1b[31m日本語\x00 <b>", "n" * 80]
    cells = tuple(replace(c, system=n) for c, n in zip(record.cells, names, strict=False))
    suite = replace(record.suites[0], name="../a b")
    made = replace(
        record,
        suites=(suite,),
        cells=tuple(replace(c, suite="../a b") for c in cells),
        comparisons=(),
    )
    paths = draw(made, tmp_path)
    assert set(paths.values()) == {f"plots/{kind}._a_b.test.svg" for kind in KINDS}


@pytest.mark.parametrize(
    ("options", "kinds"),
    [
        ({"cost": False}, ["leaderboard", "kinds"]),
        ({"systems": ("bm25",), "different": ()}, ["leaderboard", "stages", "kinds"]),
        ({"systems": (), "different": ()}, []),
    ],
)
def test_only_what_there_is_data_for_is_drawn(make_record, tmp_path, options, kinds):
    """Without cost, with one system or with none, the other plots are left out."""
    assert list(draw(make_record(**options), tmp_path)) == [f"{k}.models.test" for k in kinds]


def test_kinds_need_at_least_two(record, tmp_path):
    """Where all queries are of one kind there is no plot by kind."""
    made = replace(record, suites=(replace(record.suites[0], kinds=("",) * 20),))
    assert "kinds.models.test" not in draw(made, tmp_path)


def test_drawing_leaves_the_settings_alone(record, tmp_path):
    """A caller's own matplotlib settings are as they were afterwards."""
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 23.0}):
        draw(record, tmp_path)
        assert mpl.rcParams["font.size"] == 23.0


@pytest.mark.parametrize(
    ("points", "front"),
    [
        pytest.param([(1, 1)], {0}, id="alone"),
        pytest.param([(1, 1), (2, 2)], {0, 1}, id="dearer and better"),
        pytest.param([(1, 2), (2, 1)], {0}, id="dearer and worse"),
        pytest.param([(1, 1), (1, 2), (2, 2)], {1}, id="ties on one side"),
        pytest.param([(1, 1), (1, 1)], {0, 1}, id="equal"),
    ],
)
def test_pareto_by_hand(points, front):
    """A point is on the front unless another is no worse on both and better on one."""
    assert pareto(points) == front
