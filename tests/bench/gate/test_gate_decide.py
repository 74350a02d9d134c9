"""The decision on differences per query, against cases worked by hand."""

import numpy as np
import pytest

from bench.gate.decide import decide, decide_all, overall, queries_needed, resolvable
from qrels.errors import DataError, UsageError

FEW = [-0.02, 0.0, 0.02, 0.04]


def values(*parts):
    """values((times, value), ...) as float64."""
    return np.concatenate([np.full(times, value) for times, value in parts])


def test_bounds_are_students_with_one_imagined_query_more():
    """With -0.02 again: mean .004, sd .026077; t(.95, 4) is 2.131847, so .024862 on either side."""
    found = decide(np.array(FEW), 0.05)
    assert found.mean == pytest.approx(0.01)
    assert found.lower == pytest.approx(0.004 - 0.024862, abs=1e-6)
    assert found.upper == pytest.approx(0.016 + 0.024862, abs=1e-6)
    assert (found.queries, found.changed) == (4, 3)


@pytest.mark.parametrize(
    ("d", "margin", "verdict"),
    [
        (values((30, 0.0)), 0.01, "no worse"),
        (values((30, 1e-15)), 0.01, "no worse"),
        (values((99, 0.0), (1, -0.1)), 0.01, "no worse"),
        (values((50, 0.01), (50, 0.02)), 0.01, "no worse"),
        (np.array(FEW), 0.0209, "no worse"),
        (np.array(FEW), 0.0208, "cannot tell"),
        (values((5, 0.5), (5, -0.3)), 0.05, "cannot tell"),
        (values((97, 0.0), (3, -0.5)), 0.02, "cannot tell"),
        (values((6, -0.05)), 0.05, "worse"),
        (values((20, -0.04)), 0.05, "no worse"),
        (values((50, -0.1), (50, -0.2)), 0.1, "worse"),
        (values((50, -0.1), (50, -0.2)), 0.16, "no worse"),
        (values((50, -0.1), (50, -0.2)), 0.1505, "cannot tell"),
        (values((15, -1.0), (14, 0.8)), 0.05, "cannot tell"),
    ],
    ids=[
        "nothing-changed", "rounding", "one-small-loss", "gains", "bound-just-above-the-margin",
        "bound-just-below", "gain-on-ten-queries", "loss-on-three", "loss-of-the-margin",
        "even-loss-below-the-margin", "loss-beyond", "loss-within", "loss-near-the-margin",
        "loss-in-noise",
    ],
)  # fmt: skip
def test_a_verdict_follows_from_mean_and_bounds(d, margin, verdict):
    """Worse needs a loss of the margin that is shown, no worse a loss that is ruled out."""
    found = decide(d, margin)
    assert found.verdict == verdict
    assert found.lower <= found.mean <= found.upper
    assert (found.needed is None) == (verdict != "cannot tell")


def test_the_verdict_depends_on_neither_order_nor_scale():
    """The same differences in another order, or all ten times smaller with their margin."""
    d = np.random.default_rng(1).normal(-0.02, 0.1, 60)
    for margin in (0.001, 0.02, 0.1):
        verdict = decide(d, margin).verdict
        assert decide(d[::-1], margin).verdict == verdict
        assert decide(d / 10, margin / 10).verdict == verdict


@pytest.mark.parametrize("bad", [[np.nan, 0.1], [0.0, np.inf], [0.1], []], ids=str)
def test_what_has_no_mean_or_spread_is_an_error(bad):
    """NaN, infinity, one query, none: never a pass."""
    with pytest.raises(DataError):
        decide(np.array(bad), 0.01)


@pytest.mark.parametrize("margin", [0.0, -0.1, np.nan])
def test_a_margin_is_above_zero(margin):
    """Nothing could be shown to be no worse by nothing at all."""
    with pytest.raises(UsageError, match="above 0"):
        decide(np.array(FEW), margin)


def test_queries_needed_is_the_formula():
    """((1.644854 + 0.841621) * 0.1 / 0.02)^2 = 154.6."""
    assert queries_needed(0.1, 0.02, 0.05, 0.8) == 155


def test_as_many_queries_as_needed_would_settle_it():
    """A change without effect, on as many queries as asked for, is no worse about as often as
    power says."""
    rng = np.random.default_rng(3)
    n = queries_needed(0.1, 0.02, 0.05, 0.8)
    passed = sum(decide(rng.normal(0, 0.1, n), 0.02).verdict == "no worse" for _ in range(400))
    assert 0.70 < passed / 400 < 0.87


def test_a_loss_of_the_margin_seldom_passes():
    """One time in twenty at most, up to the 1e-6 quantile of a binomial of 600."""
    rng = np.random.default_rng(4)
    for n in (30, 100):
        d = rng.choice([0.0, 0.0, -0.1, 0.1, -0.3], (600, n))
        verdicts = [decide(row, 0.06).verdict for row in d]
        assert verdicts.count("no worse") <= 60


def test_worse_is_corrected_by_holm():
    """Two cells that are worse by themselves at p .03 each are not together: 2 * .03 > .05."""
    rng = np.random.default_rng(0)
    found = [decide(rng.normal(-0.04, 0.13, 40), 0.005) for _ in range(60)]
    weak = [one for one in found if one.verdict == "worse" and 0.026 < one.p < 0.05][:2]
    strong = next(one for one in found if one.verdict == "worse" and one.p < 0.01)
    assert len(weak) == 2
    together = decide_all([*weak, strong])
    assert [one.verdict for one in together] == ["cannot tell", "cannot tell", "worse"]
    assert together[2].p == pytest.approx(3 * strong.p)
    assert all(one.needed for one in together[:2])
    assert decide_all(weak[:1])[0].verdict == "worse"


@pytest.mark.parametrize(
    ("verdicts", "whole"),
    [
        (["no worse", "no worse"], "no worse"),
        (["no worse", "cannot tell"], "cannot tell"),
        (["cannot tell", "worse", "no worse"], "worse"),
    ],
)
def test_all_must_be_no_worse(verdicts, whole):
    """One worse cell makes the whole worse, one unclear cell makes a pass unclear."""
    assert overall(verdicts) == whole


def test_the_default_margin_is_what_the_queries_can_resolve():
    """Half 0, half 1, n = 100: .502519 * sqrt(.1) * 2.486475 / 10 = .03951, rounded up."""
    assert resolvable(values((50, 0.0), (50, 1.0))) == 0.04
    assert resolvable(values((50, 0.5))) == 0.001
    with pytest.raises(DataError, match="2 queries"):
        resolvable(np.array([0.5]))
