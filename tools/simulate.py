"""Simulations of what the statistics promise, and what they keep.

    python -m tools.simulate [--out docs/statistics.md] [--trials 2000]

Differences between systems are drawn from those of real pairs: nDCG@10 per query of the
published run of `models`, many of them exactly zero. Writes the tables between the two marker
lines of the page, and the plot beside it. Seeded: the same command gives the same page.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.gate.decide import decide, decide_all, overall, queries_needed
from bench.stats import bootstrap_mean, detectable, holm, randomisation_p
from tools.judgements import with_figures

RECORD = Path("reports/published/models/record.json")
START, END = "<!-- simulated -->", "<!-- end of simulated -->"
PERMUTATIONS = 2_000
"""A p-value of the form (count + 1) / (permutations + 1) is valid for any number of them."""

Values = NDArray[np.float64]


class Rate(NamedTuple):
    """How often something happened, with its exact 95 % interval.

    Source: Clopper & Pearson 1934, doi 10.1093/biomet/26.4.404.
    """

    hits: int
    trials: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The share that would still give as many hits, and as few, with (1 - level) / 2."""
        from scipy.stats import beta

        tail, misses = (1 - level) / 2, self.trials - self.hits
        low = beta.ppf(tail, self.hits, misses + 1) if self.hits else 0.0
        high = beta.ppf(1 - tail, self.hits + 1, misses) if misses else 1.0
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.hits / self.trials:.1%} [{low:.1%}, {high:.1%}]"


def real_values(path: Path = RECORD, measure: str = "nDCG@10") -> Values:
    """float64 (n_queries, n_systems): what each system of the record scored on each query."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return np.array([cell["values"][measure] for cell in cells if cell["status"] == "ok"]).T


def real_differences(values: Values) -> list[Values]:
    """The differences (n_queries,) of every pair of systems."""
    return [values[:, a] - values[:, b] for a, b in combinations(range(values.shape[1]), 2)]


def no_difference(
    population: Values, n: int, zeros: float | None, rng: np.random.Generator
) -> Values:
    """n differences of two systems that do not differ: drawn, with the sign a coin toss.

    zeros: None leaves the share of zeros as drawn, else each is zero with that probability.
    """
    pool = population if zeros is None else population[population != 0]
    drawn = rng.choice(pool, n) * rng.choice([-1.0, 1.0], n)
    return drawn if zeros is None else np.where(rng.random(n) < zeros, 0.0, drawn)


def count(trials: int, happens: Callable[[], bool]) -> Rate:
    return Rate(sum(happens() for _ in range(trials)), trials)


def p_of(differences: Values, rng: np.random.Generator) -> float:
    return randomisation_p(differences, rng, PERMUTATIONS)


def false_alarms(
    population: Values, n: int, zeros: float | None, trials: int, rng: np.random.Generator
) -> tuple[Rate, Rate]:
    """How often p is at most 5 % and at most 1 % where there is no difference."""
    p = np.array([p_of(no_difference(population, n, zeros, rng), rng) for _ in range(trials)])
    return Rate(int((p <= 0.05).sum()), trials), Rate(int((p <= 0.01).sum()), trials)


def family_alarms(values: Values, n: int, trials: int, rng: np.random.Generator) -> Rate:
    """How often any of all pairs is called different where all systems are one.

    Each query's values are dealt to the systems at random, so that no system is better.
    """

    def alarm() -> bool:
        dealt = rng.permuted(values[rng.integers(len(values), size=n)], axis=1)
        p = np.array([p_of(d, rng) for d in real_differences(dealt)])
        return bool((holm(p) <= 0.05).any())

    return count(trials, alarm)


def coverage(population: Values, n: int, trials: int, rng: np.random.Generator) -> Rate:
    """How often the 95 % interval of n queries' mean holds the mean of the population."""
    truth = population.mean()

    def holds() -> bool:
        found = bootstrap_mean(rng.choice(population, n), rng, resamples=2_000)
        return bool(found.low - 1e-12 <= truth <= found.high + 1e-12)

    return count(trials, holds)


def power_of_shift(population: Values, n: int, trials: int, rng: np.random.Generator) -> Rate:
    """How often a difference as large as `detectable` says is found, on real differences.

    The population is moved so that its mean is that difference.
    """
    moved = population - population.mean() + detectable(float(population.std()), n)
    return count(trials, lambda: p_of(rng.choice(moved, n), rng) <= 0.05)


def power_of_few(share: float, trials: int, rng: np.random.Generator) -> tuple[int, Rate]:
    """The same where a *share* of the queries gains .5 and no other changes, n as predicted."""
    gain, sd = 0.5 * share, 0.5 * (share * (1 - share)) ** 0.5
    n = next(n for n in range(2, 10_000) if (detectable(sd, n) or np.inf) <= gain)
    found = count(trials, lambda: p_of(0.5 * (rng.random(n) < share), rng) <= 0.05)
    return n, found


def gate_answers(
    population: Values, n: int, margin: float, trials: int, rng: np.random.Generator
) -> dict[str, Rate]:
    """How often the gate gives each answer on n differences drawn from the population."""
    answers = [decide(rng.choice(population, n), margin).verdict for _ in range(trials)]
    return {answer: Rate(answers.count(answer), trials) for answer in ANSWERS}


def family_answers(
    population: Values, n: int, cells: int, margin: float, trials: int, rng: np.random.Generator
) -> Rate:
    """How often the gate says worse of several cells in which nothing differs."""

    def worse() -> bool:
        drawn = [decide(no_difference(population, n, None, rng), margin) for _ in range(cells)]
        return overall([found.verdict for found in decide_all(drawn)]) == "worse"

    return count(trials, worse)


ANSWERS = ("no worse", "cannot tell", "worse")


def small_change(values: Values, rng: np.random.Generator, share: float = 0.3) -> Values:
    """Differences as a small change makes them: those of a real pair on a *share* of the queries.

    Their mean is 0: each is there with both signs.
    """
    pair = real_differences(values)[-1]
    half = np.where(rng.random(len(pair)) < share, pair, 0.0) / 2
    return np.concatenate([half, -half])


def tables(values: Values, trials: int, seed: int = 13) -> Iterator[str]:
    """The tables of the page, each with its caption above it."""
    rng = np.random.default_rng(seed)
    pairs = real_differences(values)
    everything = np.concatenate(pairs)
    yield (
        f"Shares with their exact 95 % interval, of {trials:,} trials a row; five times as many in "
        "the first table, half as many for several pairs or cells."
    )
    rows = []
    for zeros in (None, 0.0, 0.5, 0.9):
        for n in (10, 30, 100, 300):
            five, one = false_alarms(everything, n, zeros, 5 * trials, rng)
            drawn = "as in real pairs" if zeros is None else f"{zeros:.0%}"
            rows.append([drawn, str(n), str(five), str(one)])
    yield "**No difference: how often is one claimed?** At most the nominal share is right."
    yield table(["differences that are zero", "queries", "p ≤ .05", "p ≤ .01"], rows)
    rows = [[str(n), str(family_alarms(values, n, trials // 2, rng))] for n in (10, 30, 100)]
    yield (
        f"**No difference among {values.shape[1]} systems: how often is any of the {len(pairs)} "
        "pairs called different at 5 %, after Holm's correction?**"
    )
    yield table(["queries", "any pair"], rows)
    rows = [
        [str(n), *(str(coverage(pair, n, trials, rng)) for pair in (pairs[0], pairs[-1]))]
        for n in (10, 30, 100, 300)
    ]
    yield "**How often does the 95 % interval of a difference hold the true one?** Two real pairs."
    yield table(["queries", "first pair", "last pair"], rows)
    rows = [
        [f"real pair {number}", str(n), f"{detectable(float(pair.std()), n):.3f}",
         str(power_of_shift(pair, n, trials, rng))]
        for number, pair in ((1, pairs[0]), (len(pairs), pairs[-1]))
        for n in (30, 100, 300)
    ]  # fmt: skip
    for share in (0.1, 0.2, 0.4):
        n, rate = power_of_few(share, trials, rng)
        rows.append(
            [f"{share:.0%} of the queries gain .5", str(n), f"{0.5 * share:.3f}", str(rate)]
        )
    yield (
        "**A difference as large as the tool says it could show: how often is it shown?** 80 % "
        "is right."
    )
    yield table(["differences", "queries", "true difference", "shown (p ≤ .05)"], rows)
    yield from gate_tables(values, trials, rng)


def gate_tables(values: Values, trials: int, rng: np.random.Generator) -> Iterator[str]:
    """What the gate answers where nothing differs, where the loss is the margin, and beyond."""
    calm, skewed = small_change(values, rng), np.append(np.full(5, -0.5), np.zeros(95))
    losing = real_differences(values)[-1]
    losing = losing - losing.mean() - 0.03
    shapes = {
        "no difference, 30 % of the queries change": (calm, 0.02),
        "a loss of the margin: real differences": (losing, 0.03),
        "a loss of the margin: 5 % of the queries lose .5": (skewed, 0.025),
        "a loss of twice the margin: real differences": (losing - 0.03, 0.03),
    }
    rows = []
    for name, (population, margin) in shapes.items():
        for n in (30, 100, 300):
            answers = gate_answers(population, n, margin, trials, rng)
            rows.append([name, f"{margin:g}", str(n), *map(str, answers.values())])
    yield (
        "**What the gate answers, one cell.** With no difference *worse*, and with a loss of the "
        "margin *no worse*, should come in at most 5 %."
    )
    yield table(["true difference", "margin", "queries", *ANSWERS], rows)
    rows = [
        [str(cells), str(family_answers(calm, 100, cells, 0.01, trials // 2, rng))]
        for cells in (1, 5, 20)
    ]
    yield "**Nothing differs in any of several cells, 100 queries: how often is one called worse?**"
    yield table(["cells", "worse"], rows)
    margin, sample = 0.02, rng.choice(calm, 100)
    sd = decide(sample, margin).sd
    n = queries_needed(sd, margin, 0.05, 0.8)
    passed = gate_answers(calm, n, margin, trials, rng)["no worse"]
    yield (
        f"**The number of queries that it would take**: a sample of 100 has sd {sd:.3f}, for which "
        f"and a margin of {margin:g} the gate asks for {n} queries to say *no worse*, with a "
        "probability of 80 %, of a change that changes nothing in the mean; with as many it says "
        f"so in {passed}."
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/statistics.md"))
    parser.add_argument("--trials", type=int, default=2_000)
    options = parser.parse_args(arguments)
    text = "\n\n".join(tables(real_values(), options.trials))
    page = options.out.read_text("utf-8")
    options.out.write_text(with_figures(page, text, START, END), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
