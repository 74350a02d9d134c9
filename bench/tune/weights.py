"""The weights of `fielded` or `hybrid` that are best on dev, and what they are worth on test."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

import retrievers
from bench.config import System
from bench.runner import measure_run
from bench.stats import Interval, paired_bootstrap
from bench.system import search_suite
from bench.tune.parts import Parts, measured, parts_of
from qrels.data import Suite
from reports.tuning import Tried, WeightSearch
from reports.units import count
from retrievers.fielded import Fielded, field_weights
from retrievers.fusion import Hybrid

SHOWN = 10
DRAWS = 4
"""How often to draw for each weighting wanted: two parts have but a thousand and one of them."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Searched:
    """The system with the best weights, and the page about it."""

    system: System
    page: WeightSearch


def search_weights(
    dev: Suite,
    test: Suite | None,
    system: System,
    trials: int,
    measure: str,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> Searched:
    """Try *trials* weightings on *dev*; the best is run for real there and on *test*.

    Nothing is encoded or searched more than once: every weighting is a sum over scores that are
    at hand. The start, equal weights and each part alone are among the weightings.
    """
    began = time.perf_counter()
    parts = parts_of(dev, system)
    before = real(dev, system, measure)  # which also says what is wrong with its parameters
    start = given_weights(parts, dev, system)
    weights = weightings(start, trials, np.random.default_rng(seed))
    say(
        f"{count(len(weights), 'weighting')} of {count(len(parts.names), 'part')} on "
        f"{count(len(dev.queries), 'query')}"
    )
    values = measured(parts, dev, measure, weights)
    seconds = time.perf_counter() - began
    order = np.argsort(-values.mean(axis=1), kind="stable")
    best = with_weights(system, parts, weights[order[0]])
    on = {dev.split: (real(dev, best, measure), before)}
    if test is not None:
        on[test.split] = real(test, best, measure), real(test, system, measure)
    return Searched(
        best,
        WeightSearch(
            suite=dev.name,
            measure=measure,
            system=system.name,
            parts=tuple(parts.names),
            trials=len(weights),
            seconds=seconds,
            best=tuple(
                Tried(tuple(map(float, weights[row])), float(values[row].mean()))
                for row in order[:SHOWN]
            ),
            start=tuple(map(float, start)),
            splits=tuple(on),
            chosen=tuple(float(mine.mean()) for mine, _ in on.values()),
            default=tuple(float(theirs.mean()) for _, theirs in on.values()),
            gains=tuple(gain(mine, theirs, seed) for mine, theirs in on.values()),
        ),
    )


def weightings(start: Values, trials: int, rng: np.random.Generator) -> Values:
    """float64 (trials, n_parts), summing to 1, none twice: the start, equal, each alone, random.

    A random one gives weight to a random number of parts, by a flat Dirichlet distribution; to
    three decimals, so that what is reported is what was tried. Fewer where there are no more.
    """
    n = len(start)
    found = dict.fromkeys(map(tuple, [start / start.sum(), np.full(n, 1 / n), *np.eye(n)]))
    for _ in range(DRAWS * trials):
        if len(found) >= trials:
            break
        chosen = rng.permutation(n)[: rng.integers(min(2, n), n + 1)]
        row = np.zeros(n)
        row[chosen] = rng.dirichlet(np.ones(len(chosen)))
        found[tuple(np.round(row, 3))] = None
    return np.array(list(found)[:trials])


def given_weights(parts: Parts, suite: Suite, system: System) -> Values:
    """float64 (n_parts,): the weights that the system has now."""
    made = retrievers.create(system.retriever, system.params)
    if isinstance(made, Fielded):
        known = field_weights(suite.corpus, made.weights, made.fields)
        return np.array([known.get(name, 0.0) for name in parts.names])
    assert isinstance(made, Hybrid)  # `parts_of` takes no other
    return np.array(made.weights or [1.0] * len(parts.names), np.float64)


def with_weights(system: System, parts: Parts, weights: Values) -> System:
    """The system with these weights: by name for fields, in order for fused retrievers."""
    values = [float(weight) for weight in weights]
    fields = isinstance(retrievers.create(system.retriever, system.params), Fielded)
    named = {name: value for name, value in zip(parts.names, values, strict=True) if value}
    params = {**system.params, "weights": named if fields else values}
    return replace(system, name=f"{system.name}, weights searched", params=params)


def real(suite: Suite, system: System, measure: str) -> Values:
    """The measure of the system as it is run, float64 (n_queries,)."""
    suite = replace(suite, measures=[measure])
    return measure_run(suite, search_suite(suite, system))[measure]


def gain(mine: Values, theirs: Values, seed: int) -> Interval:
    return paired_bootstrap(mine, theirs, np.random.default_rng(seed))
