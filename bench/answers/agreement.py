"""How far raters agree beyond chance: Cohen's kappa, plain and weighted; Krippendorff's alpha."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def _nominal(values: Floats, _: Floats) -> Floats:
    return np.asarray(values[:, None] != values, np.float64)


def _interval(values: Floats, _: Floats) -> Floats:
    return np.square(np.subtract.outer(values, values))


def _ordinal(_: Floats, counts: Floats) -> Floats:
    ranks = counts.cumsum() - counts / 2  # how many ratings lie between two values
    return np.square(np.subtract.outer(ranks, ranks))


DISTANCES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "nominal": _nominal,
    "ordinal": _ordinal,
    "interval": _interval,
}
"""How far apart two ratings are, (n, n), from the values (n,) and how often each occurs (n,)."""


class Agreement(NamedTuple):
    """Two raters on the items that both rated: same is the share of equal ratings.

    None where a figure is not defined: kappa needs two different ratings at least.
    """

    items: int
    same: float | None
    kappa: float | None
    weighted: float | None


def agreement(a: Floats, b: Floats) -> Agreement:
    """The agreement of two raters, (n_items,) each, NaN where an item is not rated.

    Source of kappa: Cohen 1960, doi 10.1177/001316446002000104; weighted by squared differences:
    1968, doi 10.1037/h0026256.
    """
    both = ~np.isnan(a) & ~np.isnan(b)
    values, codes = np.unique(np.stack([a[both], b[both]]), return_inverse=True)
    table = np.zeros((len(values), len(values)))
    np.add.at(table, tuple(codes.reshape(2, -1)), 1.0)
    n = int(both.sum())
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / max(n, 1)
    same = float(np.trace(table) / n) if n else None
    kappas = (_beyond(table, chance, of(values, values)) for of in (_nominal, _interval))
    return Agreement(n, same, *kappas)


def alpha(ratings: Floats, distance: str = "ordinal") -> float | None:
    """Krippendorff's alpha of ratings (n_raters, n_items), NaN where an item is not rated.

    distance: a name of DISTANCES. Items with one rating do not count; None where no two ratings
    differ. Source: Krippendorff 2011, https://repository.upenn.edu/handle/20.500.14332/2089.
    """
    ratings = ratings[:, (~np.isnan(ratings)).sum(axis=0) > 1]
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = (ratings[:, :, None] == values).sum(axis=0).astype(np.float64)  # by item and value
    weights = 1 / (counts.sum(axis=1) - 1)
    observed = (counts * weights[:, None]).T @ counts - np.diag(weights @ counts)
    totals = observed.sum(axis=0)
    chance = (np.outer(totals, totals) - np.diag(totals)) / max(totals.sum() - 1, 1)
    return _beyond(observed, chance, DISTANCES[distance](values, totals))


def _beyond(observed: Floats, chance: Floats, distances: Floats) -> float | None:
    """One less observed over expected disagreement; None where none is expected."""
    expected = float((chance * distances).sum())
    return 1 - float((observed * distances).sum()) / expected if expected > 0 else None
