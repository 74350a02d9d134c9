"""Agreement of raters: worked cases, published ones, and scikit-learn's."""

import numpy as np
import pytest

from bench.answers.agreement import agreement, alpha

NAN = np.nan
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
"""Four observers, twelve units: Krippendorff 2011, example D."""


@pytest.mark.parametrize(
    ("distance", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_is_the_published_one(distance, expected):
    """Krippendorff's own example, with missing ratings, to three digits."""
    assert alpha(PUBLISHED, distance) == pytest.approx(expected, abs=5e-4)


def test_alpha_of_a_case_worked_by_hand():
    """Two raters, four items, one differs: Do = 2/8, De = (5 * 3 * 2) / (8 * 7); 1 - Do/De."""
    ratings = np.array([[1.0, 1, 2, 2], [1, 1, 2, 1]])
    assert alpha(ratings, "nominal") == pytest.approx(1 - (2 / 8) / (30 / 56))


@pytest.mark.parametrize(
    "ratings",
    [[[1.0, 1], [1, 1]], [[1.0, 2]], [[1.0, NAN], [NAN, 2]], [[NAN, NAN], [NAN, NAN]]],
    ids=["all-the-same", "one-rater", "no-shared-item", "no-rating"],
)
def test_alpha_is_none_where_it_is_not_defined(ratings):
    """Where no two ratings of shared items differ, agreement cannot be told from habit."""
    assert alpha(np.array(ratings)) is None


def test_kappa_of_a_case_worked_by_hand():
    """Of 50: 20 yes both, 15 no both, 5 and 10 apart: (.7 - .5) / (1 - .5) = .4 (Cohen)."""
    a = np.repeat([1.0, 1, 0, 0], [20, 5, 10, 15])
    b = np.repeat([1.0, 0, 1, 0], [20, 5, 10, 15])
    found = agreement(a, b)
    assert (found.items, found.same) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)
    assert found.weighted == pytest.approx(0.4)  # two values have one distance


def test_kappa_is_that_of_scikit_learn():
    """Plain and by squares, on random ratings of five values."""
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(5)
    for size in (2, 7, 60):
        a = rng.integers(-1, 4, size).astype(float)
        b = np.where(rng.random(size) < 0.6, a, rng.integers(-1, 4, size))
        b[0] = a[0] + 1
        found = agreement(a, b)
        labels = [-1, 0, 1, 2, 3, 4]
        theirs = [
            metrics.cohen_kappa_score(a.astype(int), b.astype(int), labels=labels, weights=weights)
            for weights in (None, "quadratic")
        ]
        assert [found.kappa, found.weighted] == pytest.approx(theirs)


def test_only_items_that_both_rated_count():
    """An item with one rating takes no part."""
    a, b = np.array([1.0, 2, NAN, 2]), np.array([1.0, NAN, 5, 1])
    assert agreement(a, b)[:2] == (2, 0.5)


@pytest.mark.parametrize(("a", "b"), [([1.0, 1], [1.0, 1]), ([1.0, NAN], [NAN, 1.0]), ([], [])])
def test_kappa_is_none_where_it_is_not_defined(a, b):
    """One and the same rating throughout, or nothing in common."""
    found = agreement(np.array(a), np.array(b))
    assert (found.kappa, found.weighted) == (None, None)
    assert (found.same is None) == (found.items == 0)
