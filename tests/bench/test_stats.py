from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from bench import stats
from qrels.errors import UsageError


def rng(seed=7):
    return np.random.default_rng(seed)


def test_bootstrap_mean_agrees_with_the_normal_interval_on_many_values():
    """With 400 normal values the percentile interval is the normal one to 5 % of its width."""
    values = rng().normal(0.5, 0.2, 400)
    found = stats.bootstrap_mean(values, rng())
    half = 1.96 * values.std(ddof=1) / 20
    assert found.mean == values.mean()
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_bootstrap_mean_agrees_with_scipy():
    """The bounds are those of scipy's percentile bootstrap up to Monte Carlo error."""
    values = rng(3).beta(0.5, 0.5, 60)
    judge = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=rng(4)
    ).confidence_interval
    found = stats.bootstrap_mean(values, rng(), resamples=20_000)
    assert found.low == pytest.approx(judge.low, abs=0.004)
    assert found.high == pytest.approx(judge.high, abs=0.004)


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.7, 0.7], [0.0, 0.0]])
def test_bootstrap_of_equal_values_has_no_width(values):
    """Values that are all equal give an interval that is the mean, up to rounding."""
    found = stats.bootstrap_mean(np.array(values), rng())
    assert found.low <= found.mean <= found.high
    assert found.high - found.low < 1e-15


def test_bootstrap_does_not_depend_on_the_block_size(monkeypatch):
    """Drawing a few resamples at a time gives the same interval as drawing all at once."""
    values = rng().random(50)
    whole = stats.bootstrap_mean(values, rng(), resamples=500)
    monkeypatch.setattr(stats, "BLOCK", 120)
    assert stats.bootstrap_mean(values, rng(), resamples=500) == pytest.approx(whole, abs=1e-14)


def test_level_widens_the_interval():
    """A 99 % interval contains the 80 % interval of the same resamples."""
    values = rng().random(30)
    wide = stats.bootstrap_mean(values, rng(), level=0.99)
    narrow = stats.bootstrap_mean(values, rng(), level=0.80)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        pytest.param([], 1.0, id="no queries"),
        pytest.param([0.0, 0.0], 1.0, id="only ties"),
        pytest.param([1.0], 1.0, id="one difference: both signs are as extreme"),
        pytest.param([1.0, 1.0], 0.5, id="++ and -- of four"),
        pytest.param([1.0, 0.0, 1.0], 0.5, id="ties change nothing"),
        pytest.param([1.0, 2.0, 3.0], 0.25, id="two of eight"),
        pytest.param([3.0, 2.0, -1.0], 0.5, id="|4|: sums 6 6 4 4 of 6 4 2 0"),
        pytest.param([1.0, -1.0], 1.0, id="sum of zero"),
        pytest.param([0.1, 0.2, -0.3], 1.0, id="zero but for rounding"),
        pytest.param([1e-15, 1.0, 1.0], 0.5, id="rounding is a tie"),
    ],
)
def test_randomisation_p_by_hand(differences, p):
    """The exact p-value is the share of sign patterns at least as extreme as the observed one."""
    assert stats.randomisation_p(np.array(differences), rng()) == p


@pytest.mark.parametrize("n", [5, 11, 16])
def test_exact_p_agrees_with_scipy(n):
    """Up to 16 differences p is scipy's exact permutation test, ties among sums included."""
    differences = np.round(rng(n).normal(0.2, 0.5, n), 1)
    assert stats.randomisation_p(differences, rng()) == pytest.approx(
        scipy_p(differences, np.inf), abs=1e-12
    )


@pytest.mark.parametrize("n", [17, 60, 203])
def test_monte_carlo_p_agrees_with_scipy(n):
    """Beyond 16 differences p is scipy's up to four standard errors of both."""
    differences = rng(n).normal(0.1, 0.5, n)
    ours = stats.randomisation_p(differences, rng())
    theirs = scipy_p(differences, 19_999)
    assert ours == pytest.approx(theirs, abs=4 * np.sqrt(theirs * (1 - theirs) / 19_999))


def test_monte_carlo_agrees_with_enumeration(monkeypatch):
    """Where both are possible the Monte Carlo p is the exact one up to four standard errors."""
    differences = np.round(rng(1).normal(0.15, 0.5, 14), 1)
    exact = stats.randomisation_p(differences, rng())
    monkeypatch.setattr(stats, "EXACT", 0)
    assert stats.randomisation_p(differences, rng()) == pytest.approx(
        exact, abs=4 * np.sqrt(exact * (1 - exact) / 100_000)
    )


def test_p_is_never_zero():
    """However large the difference, the observed pattern itself counts."""
    assert stats.randomisation_p(np.ones(500), rng(), permutations=999) == 1 / 1000


def test_p_does_not_depend_on_sign_or_scale():
    """The test is two-sided, and measures on another scale give the same answer."""
    differences = rng(2).normal(0.1, 0.5, 40)
    p = stats.randomisation_p(differences, rng())
    assert stats.randomisation_p(-differences, rng()) == p
    assert stats.randomisation_p(100 * differences, rng()) == p


def test_exact_p_is_valid_under_the_null():
    """With random signs P(p <= alpha) is at most alpha, for every alpha: all patterns counted."""
    sizes = np.array([0.1, 0.1, 0.2, 0.25, 0.4, 0.4, 0.7, 1.0])
    p = np.array(
        [
            stats.randomisation_p(sizes * signs, rng())
            for signs in product([1.0, -1.0], repeat=len(sizes))
        ]
    )
    assert all(np.mean(p <= alpha) <= alpha + 1e-12 for alpha in p)


def test_monte_carlo_p_is_valid_under_the_null():
    """In 400 trials without a difference p <= 0.05 no oftener than chance allows."""
    source = rng(11)
    trials = source.choice([0.0, 0.5, 1.0], (400, 40)) - source.choice([0.0, 0.5, 1.0], (400, 40))
    p = np.array([stats.randomisation_p(trial, source, permutations=499) for trial in trials])
    for alpha in (0.05, 0.2):
        assert np.mean(p <= alpha) <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 400)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.5, 0.9], [1.0, 1.0]),
        ([0.02, 0.02, 0.02], [0.06, 0.06, 0.06]),
    ],
)
def test_holm_by_hand(p, adjusted):
    """The smallest p is multiplied by m, the next by m - 1, never falling and never above 1."""
    assert stats.holm(np.array(p)) == pytest.approx(adjusted)


@pytest.mark.parametrize(
    ("order", "different", "display"),
    [
        pytest.param("A", "", "a", id="one system"),
        pytest.param("ABC", "", "a a a", id="nothing differs"),
        pytest.param("ABC", "AB AC BC", "a b c", id="all differ"),
        pytest.param("ABC", "AC", "a ab b", id="not transitive"),
        pytest.param("ABCD", "AC AD BD", "a ab bc c", id="a chain"),
        pytest.param("ABC", "AB", "a b ab", id="the middle one differs"),
        pytest.param("ABCD", "DA", "a ab ab b", id="a pair in the other order"),
    ],
)
def test_letters_by_hand(order, different, display):
    """The first letter goes to the best, and overlapping groups give several letters."""
    found = stats.letters(list(order), [(a, b) for a, b in different.split()])
    assert " ".join(found.values()) == display
    assert list(found) == list(order)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(1, 9), st.data())
def test_systems_share_a_letter_unless_they_differ(n, data):
    """Two systems share a letter exactly where they are not shown to differ, whatever the pairs."""
    systems = [f"s{i}" for i in range(n)]
    pairs = list(combinations(systems, 2))
    different = {pair for pair in pairs if data.draw(st.booleans())}
    display = stats.letters(systems, different)
    assert all(display.values())
    for a, b in pairs:
        assert bool(set(display[a]) & set(display[b])) == ((a, b) not in different)


def test_letters_do_not_run_out():
    """Eighty systems that all differ get eighty single, distinct labels."""
    systems = [f"s{i}" for i in range(80)]
    display = stats.letters(systems, list(combinations(systems, 2)))
    assert len(set(display.values())) == 80
    assert {len(label) for label in display.values()} == {1}


def test_detectable_by_hand():
    """It solves d sqrt(n) = 1.95996 sqrt(sd^2 + d^2) + 0.84162 sd; a larger sd scales it."""
    found = stats.detectable(0.5, 100)
    assert 10 * found == pytest.approx(
        1.959964 * (0.25 + found**2) ** 0.5 + 0.841621 * 0.5, abs=1e-6
    )
    assert found == pytest.approx(0.144066, abs=1e-6)
    assert stats.detectable(1.0, 100) == pytest.approx(2 * found)


def test_five_queries_can_show_no_difference():
    """Five differences of one sign have p = 2 / 32: no difference is large enough at 5 %."""
    assert stats.detectable(0.5, 5) is None
    assert stats.detectable(0.5, 6) > 0.5


def test_compare_systems_tells_the_clear_from_the_unclear():
    """A system worse on every query differs; one that differs by noise shares the letter."""
    base = rng().random(40) * 0.5 + 0.4
    noise = np.tile([0.01, -0.01], 20)
    found = stats.compare_systems({"worse": base - 0.3, "x": base, "y": base + noise}, rng())
    assert found.letters == {"x": "a", "y": "a", "worse": "b"}
    pair = next(pair for pair in found.pairs if {pair.a, pair.b} == {"x", "worse"})
    assert (pair.a, pair.wins, pair.ties, pair.losses) == ("x", 40, 0, 0)
    assert pair.difference == pytest.approx(0.3)
    assert pair.p_holm == pytest.approx(3 * pair.p)


def test_compare_systems_agrees_with_its_parts():
    """Each pair holds the mean, the randomisation p and the interval that the parts give."""
    a, b = rng(1).random(30), rng(2).random(30)
    (pair,) = stats.compare_systems({"a": a, "b": b}, rng()).pairs
    sign = 1 if pair.a == "a" else -1
    alone = stats.paired_bootstrap(sign * a, sign * b, rng())
    assert pair.difference == pytest.approx(sign * (a - b).mean())
    assert pair.difference >= 0
    assert (pair.low, pair.high) == pytest.approx((alone.low, alone.high), abs=1e-12)
    assert pair.p == pair.p_holm == pytest.approx(scipy_p(a - b, 9_999), abs=0.02)


def test_compare_systems_on_equal_systems():
    """Systems with the same values tie on every query, p is 1, and nothing is shown."""
    values = rng().random(20)
    found = stats.compare_systems({"first": values, "second": values + 1e-16}, rng())
    (pair,) = found.pairs
    assert (pair.a, pair.ties, pair.p, pair.p_holm) == ("first", 20, 1.0, 1.0)
    assert (pair.difference, found.detectable) == (0.0, 0.0)


def test_compare_systems_on_one_query():
    """One query shows nothing and has no detectable difference."""
    found = stats.compare_systems({"a": np.array([1.0]), "b": np.array([0.0])}, rng())
    assert found.letters == {"a": "a", "b": "a"}
    assert found.detectable is None


def test_one_system_cannot_be_compared():
    """A single system is a usage error that says how many are needed."""
    with pytest.raises(UsageError, match="at least 2"):
        stats.compare_systems({"a": np.zeros(3)}, rng())


def test_inputs_are_left_alone():
    """No function changes the values it was given."""
    values = {"a": np.array([0.1, 0.1 + 1e-16, 0.5]), "b": np.array([0.1, 0.2, 0.4])}
    before = {name: array.copy() for name, array in values.items()}
    stats.compare_systems(values, rng())
    assert all((values[name] == before[name]).all() for name in values)


def scipy_p(differences, resamples):
    return scipy_stats.permutation_test(
        (differences,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        rng=np.random.default_rng(5),
    ).pvalue
