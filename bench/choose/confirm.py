"""The choice looked at on queries that had no part in it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from bench.choose.budget import Budget
from bench.choose.decide import Candidate, Values, choose
from bench.stats import (
    ROUNDING,
    Interval,
    bootstrap_mean,
    holm,
    paired_bootstrap,
    randomisation_p,
)
from reports.choice import Confirmation, Contender

FOLDS, REPEATS = 5, 10
RESAMPLES = 10_000


def confirmed(
    chosen: str, found: Sequence[Candidate], held: Mapping[str, Values], where: str, seed: int
) -> Confirmation:
    """The chosen system and the others of *held* on other queries; held: their values there.

    Optimism is the mean where the choice was made less the mean there. Each set of queries is
    resampled by itself; the p-values are of two-sided tests against the chosen, paired by query,
    Holm-corrected.
    """
    seen = {one.name: one.values for one in found}
    names = [chosen, *(name for name in held if name != chosen and name in seen)]
    rng = np.random.default_rng(seed)
    p = holm(np.array([randomisation_p(held[n] - held[chosen], rng) for n in names[1:]]))

    def against(name: str) -> Interval | None:
        if name == chosen:
            return None
        return paired_bootstrap(held[name], held[chosen], np.random.default_rng(seed))

    def lead(values: Mapping[str, Values]) -> Values:
        others = np.mean([values[name] for name in names[1:]], axis=0)
        return np.asarray(values[chosen] - others)

    return Confirmation(
        where=where,
        queries=len(held[chosen]),
        contenders=tuple(
            Contender(
                name=name,
                seen=float(seen[name].mean()),
                held=bootstrap_mean(held[name], np.random.default_rng(seed)),
                optimism=between(seen[name], held[name], np.random.default_rng(seed)),
                against=against(name),
                p=float(p[i - 1]) if i else None,
            )
            for i, name in enumerate(names)
        ),
        optimism=between(seen[chosen], held[chosen], np.random.default_rng(seed)),
        lead=between(lead(seen), lead(held), np.random.default_rng(seed)) if names[1:] else None,
        picks={},
    )


def between(a: Values, b: Values, rng: np.random.Generator) -> Interval:
    """The mean of *a* less that of *b*, over different queries, with its bootstrap interval."""
    gaps = _means(a, rng) - _means(b, rng)
    mean = float(a.mean() - b.mean())
    low, high = np.quantile(gaps, [0.025, 0.975])
    return Interval(mean, min(float(low), mean), max(float(high), mean))


def _means(values: Values, rng: np.random.Generator) -> Values:
    counts = rng.multinomial(len(values), np.full(len(values), 1 / len(values)), RESAMPLES)
    return np.asarray(counts @ values / len(values))


def cross_validated(
    found: Sequence[Candidate], budgets: Sequence[Budget], cost: str, seed: int
) -> Confirmation | None:
    """The choice made anew on four fifths of the queries and looked at on the fifth, ten times.

    By query: the mean value of what was chosen with it, less that of what was chosen without it;
    optimism is the mean of that, with a bootstrap interval over queries that holds the choices
    fixed. None with fewer than ten queries.
    """
    n = len(found[0].values)
    if n < 2 * FOLDS:
        return None
    rng = np.random.default_rng(seed)
    seen, held = np.zeros(n), np.zeros(n)
    values = {one.name: one.values for one in found}
    picks: dict[str, int] = {}
    for _ in range(REPEATS):
        for fold in np.array_split(rng.permutation(n), FOLDS):
            kept = np.setdiff1d(np.arange(n), fold)
            part = sorted((_on(one, kept) for one in found), key=lambda one: -one.mean)
            name = choose(part, budgets, cost, rng, permutations=2_000).chosen
            assert name is not None  # whether a budget is met does not depend on these queries
            picks[name] = picks.get(name, 0) + 1
            seen[kept] += values[name][kept] / (REPEATS * (FOLDS - 1))
            held[fold] += values[name][fold] / REPEATS
    gap = np.where(np.abs(seen - held) > ROUNDING, seen - held, 0.0)
    order = sorted(picks, key=lambda name: -picks[name])
    return Confirmation(
        where=None,
        queries=n,
        contenders=(),
        optimism=bootstrap_mean(gap, rng),
        lead=None,
        picks={name: picks[name] / (FOLDS * REPEATS) for name in order},
        seen=float(seen.mean()),
        held=float(held.mean()),
    )


def _on(candidate: Candidate, rows: NDArray[np.int64]) -> Candidate:
    """The candidate on some of the queries."""
    return Candidate(candidate.name, candidate.values[rows], candidate.amounts)
