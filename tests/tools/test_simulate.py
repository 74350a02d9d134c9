"""What docs/statistics.md shows, in small: rates that must hold within what luck allows.

Bounds are quantiles of the binomial distribution at one in a million, so that a failure means that
the statistics are wrong.
"""

import numpy as np
import pytest
from scipy.stats import binom

TRIALS = 1_000
LUCK = 1e-6


@pytest.fixture(scope="module")
def simulate(tool):
    return tool("simulate")


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def at_most(rate, nominal):
    return rate.hits <= binom.isf(LUCK, rate.trials, nominal)


def at_least(rate, nominal):
    return rate.hits >= binom.ppf(LUCK, rate.trials, nominal)


@pytest.fixture
def values():
    """Values per query of four systems with many ties between them, (200, 4)."""
    rng = np.random.default_rng(3)
    base = rng.integers(0, 5, 200) / 4
    other = np.where(rng.random((200, 3)) < 0.4, rng.integers(0, 9, (200, 3)) / 8, base[:, None])
    return np.column_stack([base, other])


@pytest.mark.parametrize("zeros", [None, 0.0, 0.5, 0.9])
@pytest.mark.parametrize("n", [10, 50])
def test_false_alarms_are_at_most_nominal(simulate, values, rng, n, zeros):
    """Where nothing differs, p is at most 5 % in 5 % of the trials or fewer, and so for 1 %."""
    population = np.concatenate(simulate.real_differences(values))
    five, one = simulate.false_alarms(population, n, zeros, TRIALS, rng)
    assert at_most(five, 0.05)
    assert at_most(one, 0.01)


def test_some_false_alarms_there_are(simulate, rng):
    """On continuous differences the test uses its 5 %: it is not merely never wrong."""
    five, _ = simulate.false_alarms(rng.standard_normal(500), 50, None, TRIALS, rng)
    assert at_least(five, 0.05)


def test_any_wrong_claim_in_a_family_is_at_most_nominal(simulate, values, rng):
    """Holm's correction keeps any false claim among all pairs at 5 %."""
    assert at_most(simulate.family_alarms(values, 40, TRIALS // 2, rng), 0.05)


@pytest.mark.parametrize("n", [40, 150])
def test_power_is_what_was_predicted(simulate, values, rng, n):
    """A difference as large as `detectable` says is shown in about 80 % of the trials."""
    population = simulate.real_differences(values)[0]
    rate = simulate.power_of_shift(population, n, TRIALS, rng)
    assert at_least(rate, 0.77)
    assert at_most(rate, 0.87)


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_power_is_what_was_predicted_where_few_queries_change(simulate, rng, share):
    """Also where a few queries gain and all others stay."""
    _, rate = simulate.power_of_few(share, TRIALS, rng)
    assert at_least(rate, 0.77)
    assert at_most(rate, 0.87)


def test_the_gate_seldom_passes_a_loss_of_the_margin(simulate, values, rng):
    """With a true loss of the margin, *no worse* comes in at most 5 % of the trials."""
    losing = simulate.real_differences(values)[0]
    losing = losing - losing.mean() - 0.05
    for population, margin in ((losing, 0.05), (np.append(np.full(5, -0.5), np.zeros(95)), 0.025)):
        answers = simulate.gate_answers(population, 100, margin, TRIALS, rng)
        assert at_most(answers["no worse"], 0.05)


def test_the_gate_seldom_blocks_where_nothing_differs(simulate, values, rng):
    """With no difference, *worse* comes in at most 5 %, of one cell and of any of five."""
    calm = simulate.small_change(values, rng)
    answers = simulate.gate_answers(calm, 50, 0.01, TRIALS, rng)
    assert at_most(answers["worse"], 0.05)
    assert at_most(simulate.family_answers(calm, 50, 5, 0.01, TRIALS // 4, rng), 0.05)


def test_the_gate_catches_twice_the_margin(simulate, values, rng):
    """A loss of twice the margin is called worse in most trials, and never passes."""
    losing = simulate.real_differences(values)[0]
    losing = losing - losing.mean() - 0.2
    answers = simulate.gate_answers(losing, 100, 0.1, TRIALS, rng)
    assert at_least(answers["worse"], 0.8)
    assert at_most(answers["no worse"], 0.001)


def test_rates_come_with_their_exact_interval(simulate):
    """Clopper and Pearson's interval, by their own closed form where nothing was hit."""
    low, high = simulate.Rate(0, 10).interval()
    assert (low, high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 10)))
    low, high = simulate.Rate(10, 10).interval()
    assert (low, high) == (pytest.approx(0.025 ** (1 / 10)), 1.0)
    assert str(simulate.Rate(1, 2)) == "50.0% [1.3%, 98.7%]"


def test_a_page_gets_its_tables(simulate, values, tmp_path, monkeypatch):
    """The command writes between the marker lines and nowhere else."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{simulate.START}\nold\n{simulate.END}\nafter\n")
    monkeypatch.setattr(simulate, "real_values", lambda: values)
    monkeypatch.setattr(simulate, "tables", lambda *_: iter(["one", "two"]))
    assert simulate.main(["--out", str(page)]) == 0
    assert page.read_text() == (f"before\n{simulate.START}\none\n\ntwo\n{simulate.END}\nafter\n")
