"""The decision of the latency gate, on timings whose noise is known."""

import math

import numpy as np
import pytest

from bench.gate.latency_stats import LEAST, decide_speed, level
from qrels.errors import DataError

QUIET = [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]


def levels(slow: float) -> np.ndarray:
    """Three starts without any noise, the candidate slower by the factor 1 + slow."""
    return np.array([[*own, math.log1p(slow)] for own in QUIET])


def planted(rng: np.random.Generator, sd: float, shape: tuple[int, ...], slow: float) -> np.ndarray:
    """Normal noise of *sd* on every process, and a candidate slower by *slow*, as a log."""
    return rng.normal(0, sd, shape) + np.array([0, 0, slow])


@pytest.mark.parametrize(
    ("slow", "max_slowdown", "verdict"),
    [
        (0.0, 0.2, "no slower"),
        (0.04, 0.2, "no slower"),
        (0.06, 0.2, "slower"),
        (0.5, 0.2, "slower"),
        (-0.5, 0.2, "no slower"),
        (0.04, 0.03, "slower"),
        (0.02, 0.03, "no slower"),
    ],
)
def test_without_noise_only_the_floor_counts(slow, max_slowdown, verdict):
    """Below 5 %, or what the user asks to see where that is less, nothing fails."""
    found = decide_speed(levels(slow), max_slowdown)
    assert found.verdict == verdict
    assert found.slowdown == pytest.approx(slow)
    assert found.floor == pytest.approx(min(LEAST, max_slowdown))


def test_hand_worked():
    """Two starts: B above its baselines by .10 and .11, A' above A by 0 and .02.

    The squares are 2 * .005**2 / 1.5 + .02**2 / 2 with 3 degrees of freedom; t(.98; 3) = 3.4819.
    """
    found = decide_speed(np.array([[0.0, 0.0, 0.10], [0.0, 0.02, 0.12]]))
    error = math.sqrt(1.5 * (2 * 0.005**2 / 1.5 + 0.02**2 / 2) / 3 / 2)
    assert found.slowdown == pytest.approx(math.expm1(0.105))
    assert found.copies == pytest.approx(math.expm1(0.01))
    assert found.noise == pytest.approx(math.expm1(3.4819 * error), rel=1e-4)
    assert found.lower == pytest.approx(math.expm1(0.105 - 3.4819 * error), rel=1e-4)
    assert found.upper == pytest.approx(math.expm1(0.105 + 3.4819 * error), rel=1e-4)
    assert found.visible == pytest.approx(math.expm1(math.log1p(LEAST) + 0.97847 * error), rel=1e-4)
    assert found.verdict == "slower"


def test_noise_beyond_the_margin_cannot_be_told():
    """Where the baseline's copies differ as much as the candidate, neither answer is given."""
    found = decide_speed(np.array([[0.0, 0.4, 0.3], [0.0, -0.3, 0.2], [0.0, 0.3, 0.1]]))
    assert found.verdict == "cannot tell"
    assert found.floor == found.noise > 0.2


def test_several_systems_share_the_false_alarms():
    """With ten systems a slow-down has to stand out further, and p is ten times as large."""
    rng = np.random.default_rng(1)
    noisy = planted(rng, 0.03, (4, 3), 0.1)
    one, ten = decide_speed(noisy), decide_speed(noisy, family=10)
    assert ten.noise > one.noise
    assert ten.p == pytest.approx(10 * one.p)
    assert ten.upper == one.upper


def test_one_start_is_not_enough():
    with pytest.raises(DataError, match="at least 2 starts"):
        decide_speed(np.zeros((1, 3)))


NOISES = {
    "normal": lambda rng, shape: rng.normal(0, 0.05, shape),
    "heavy-tailed": lambda rng, shape: 0.03 * rng.standard_t(3, shape),
    "bursts": lambda rng, shape: (
        rng.normal(0, 0.02, shape) + rng.exponential(0.3, shape) * (rng.random(shape) < 0.05)
    ),
}


@pytest.mark.parametrize("starts", [2, 4, 8])
@pytest.mark.parametrize("noise", NOISES)
def test_false_alarms_are_at_most_nominal(noise, starts):
    """With no slow-down at most 2 % of gates say slower, whatever a start does to all three."""
    rng = np.random.default_rng(7)
    trials = 2000
    shared = rng.normal(0, 0.5, (trials, starts, 1))
    drawn = shared + NOISES[noise](rng, (trials, starts, 3))
    alarms = sum(decide_speed(one).verdict == "slower" for one in drawn)
    assert alarms <= trials * 0.02 + 3 * math.sqrt(trials * 0.02 * 0.98)


def test_power_is_as_stated():
    """A slow-down of the size said to be visible is called slower about four times in five."""
    rng = np.random.default_rng(3)
    trials, sd, starts = 2000, 0.05, 6
    visible = np.mean([
        math.log1p(decide_speed(rng.normal(0, sd, (starts, 3))).visible) for _ in range(trials)
    ])  # fmt: skip
    slow = planted(rng, sd, (trials, starts, 3), visible)
    caught = np.mean([decide_speed(one).verdict == "slower" for one in slow])
    assert 0.75 < caught < 0.87


def test_nothing_below_the_floor_fails():
    """Slower always means a measured slow-down above the floor that is stated beside it."""
    rng = np.random.default_rng(5)
    found = [decide_speed(planted(rng, 0.02, (4, 3), 0.05)) for _ in range(500)]
    called = [speed for speed in found if speed.verdict == "slower"]
    assert 0 < len(called) < len(found)
    assert all(speed.slowdown > speed.floor >= LEAST - 1e-12 for speed in called)
    assert all(speed.lower > 0 for speed in called)


def test_level_is_typical_over_rounds_and_a_mean_over_queries():
    """A burst in half the rounds changes nothing; a tenth of the queries made 3 x slower shows."""
    plain = np.full((8, 10), 1000, np.int64)
    burst = plain.copy()
    burst[4:] *= 50
    few = plain.copy()
    few[:, 0] *= 3
    assert level(plain) == pytest.approx(math.log(1000))
    assert level(burst) == pytest.approx(level(plain))
    assert level(few) == pytest.approx(level(plain) + math.log(3) / 10)
