"""The pages of `bench tune`: what they advise, and data that cannot break them."""

from dataclasses import replace

import pytest

from reports.tuning import (
    DepthCurve,
    ParameterSearch,
    Trial,
    Tried,
    WeightSearch,
    depth_page,
    parameters_page,
    weights_page,
)

NONE = (0.0, 0.0, 0.0)
WEIGHTS = WeightSearch(
    suite="s", measure="nDCG@10", system="fielded", parts=("title", "text"), trials=1234,
    seconds=2.0, best=(Tried((0.25, 0.75), 0.6), Tried((1.0, 0.0), 0.5)), start=(1.0, 1.0),
    splits=("dev", "test"), chosen=(0.6, 0.55), default=(0.5, 0.54),
    gains=((0.1, 0.02, 0.2), (0.01, -0.03, 0.05)),
)  # fmt: skip
CURVE = DepthCurve(
    suite="s", split="dev", measure="nDCG@10", system="a+b", depths=(0, 10, 50),
    means=(0.5, 0.56, 0.57), gains=(NONE, (0.06, 0.01, 0.1), (0.07, 0.02, 0.11)),
    short=((-0.07, -0.11, -0.02), (-0.01, -0.03, 0.01), NONE), ceilings=(0.5, 0.7, 0.9), passes=1,
)  # fmt: skip
SEARCH = ParameterSearch(
    suite="s", split="dev", measure="nDCG@10", points=20, failed=(), best="x 0", dev=0.6,
    trials=tuple(Trial(f"x {n}", 0.6 - n / 100, None, n == 0) for n in range(14)),
    test_split="test", test=0.58, start="x 7", gain=(0.02, 0.01, 0.03),
)  # fmt: skip


def first_line(page):
    return page.partition("\n")[0]


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        ((0.01, -0.03, 0.05), "no gain is shown; keep the weights that you have"),
        ((0.03, 0.01, 0.05), "the gain is real"),
        ((-0.03, -0.05, -0.01), "the weights are worse on queries they were not searched on"),
    ],
    ids=["unclear", "gain", "loss"],
)
def test_the_weights_are_judged_on_the_held_out_queries(gain, says):
    """Whatever they gain where they were searched; optimism is the difference of the two gains."""
    line = first_line(weights_page(replace(WEIGHTS, gains=(WEIGHTS.gains[0], gain)), ""))
    assert says in line
    assert f"optimism {0.1 - gain[0]:+.3f}" in line


def test_weights_without_a_second_split_promise_nothing():
    """The page says that the gain was confirmed on no other queries."""
    one = replace(WEIGHTS, splits=("test",), chosen=(0.6,), default=(0.5,), gains=((0.1, 0, 0.2),))
    assert "nothing says that the gain is real" in first_line(weights_page(one, ""))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Rerank 10 documents: the best depth, 50, has +0.010 [-0.010, 0.030] more, and"),
        ({"short": ((-0.07, -0.11, -0.02), (-0.01, -0.02, -0.005), NONE)},
         "Rerank 50 documents, +0.070 [0.020, 0.110] over none: fewer are shown to do worse."),
        ({"short": ((-0.07, -0.2, 0.1), (-0.01, -0.02, -0.005), NONE)},
         "No gain from reranking is shown: the best depth, 50, has +0.070 [0.020, 0.110] over"),
        ({"means": (0.6, 0.56, 0.57), "short": (NONE, (-0.04, -0.1, 0), (-0.03, -0.1, 0))},
         "Do not rerank: at no depth"),
    ],
    ids=["a smaller depth", "the best depth", "not shown", "harmful"],
)  # fmt: skip
def test_the_depth_advised_is_the_smallest_not_shown_to_be_worse(changes, says):
    """The first sentence says what to do, with the interval of what it costs or gains."""
    assert first_line(depth_page(replace(CURVE, **changes))).startswith(says)


def test_a_parameter_search_lists_ten_or_the_front():
    """Without latency the ten best trials; with it those that nothing beats on both."""
    page = parameters_page(SEARCH, "")
    assert sum(line.startswith("| x ") for line in page.splitlines()) == 10
    assert "p50 latency" not in page
    timed = replace(SEARCH, trials=tuple(replace(t, p50_ns=2e6) for t in SEARCH.trials))
    page = parameters_page(timed, "")
    assert [line for line in page.splitlines() if line.startswith("| x ")] == [
        "| x 0    |   0.600 |     2.00 ms |"
    ]


@pytest.mark.parametrize(
    ("gain", "says"),
    [
        ((0.02, 0.01, 0.03), "that is +0.020 [0.010, 0.030]: a gain is shown."),
        ((0.02, -0.01, 0.03), "no gain is shown."),
        ((-0.02, -0.03, -0.01), "it is worse."),
    ],
)
def test_a_parameter_search_says_what_it_gains_over_the_first(gain, says):
    """On the other split, with its interval; nothing where the first is the best."""
    line = first_line(parameters_page(replace(SEARCH, gain=gain), ""))
    assert line.endswith(says)
    assert "Over x 7, the first of the grid" in line
    assert "Over" not in first_line(parameters_page(replace(SEARCH, gain=None), ""))


EVIL = "a|b<script>\n# `x` [l](http://e)"


def test_no_name_breaks_out_of_a_page():
    """Names of systems, suites, splits, parts and files are shown as they are, on one line."""
    pages = [
        weights_page(
            replace(WEIGHTS, suite=EVIL, system=EVIL, parts=(EVIL, "b"), splits=(EVIL, EVIL)), EVIL
        ),
        depth_page(replace(CURVE, suite=EVIL, system=EVIL, split=EVIL)),
        parameters_page(
            replace(
                SEARCH, suite=EVIL, split=EVIL, best=EVIL, start=EVIL, test_split=EVIL,
                failed=(EVIL,), trials=(Trial(EVIL, 0.5, None, True),),
            ),
            "",
        ),
    ]  # fmt: skip
    for page in pages:
        outside = "".join(page.split("```")[::2])
        assert "<script>" not in outside
        assert "http://" not in outside
        assert "\n# " not in outside
        rows = [line for line in outside.splitlines() if line.startswith("|")]
        bars = {line.replace("\\|", "").count("|") for line in rows}
        assert rows
        assert bars <= {3, 4, 6}  # of tables with two, three and five columns
