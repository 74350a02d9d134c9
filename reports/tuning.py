"""The pages of `bench tune`: what was found, and what it is worth on other queries."""

from dataclasses import dataclass

from reports.sections import joined
from reports.standing import shown
from reports.table import escape, fenced, markdown
from reports.units import NONE, bounds, count, digits, figure, signed

Gain = tuple[float, float, float]
"""A difference of means with the bounds of its 95 % interval."""


@dataclass(frozen=True)
class Tried:
    """A weighting and the mean that it has on the queries searched on."""

    weights: tuple[float, ...]
    mean: float


@dataclass(frozen=True)
class WeightSearch:
    """Weights searched on the first of *splits*; chosen and default are means by split.

    gains: chosen less default, by split. best: the best weightings, best first.
    """

    suite: str
    measure: str
    system: str
    parts: tuple[str, ...]
    trials: int
    seconds: float
    best: tuple[Tried, ...]
    start: tuple[float, ...]
    splits: tuple[str, ...]
    chosen: tuple[float, ...]
    default: tuple[float, ...]
    gains: tuple[Gain, ...]


@dataclass(frozen=True)
class DepthCurve:
    """A measure by rerank depth; ceiling: of the best order of the documents to that depth.

    gains: each depth's mean less that of depth 0. passes: how often the reranker scored.
    """

    suite: str
    split: str
    measure: str
    system: str
    depths: tuple[int, ...]
    means: tuple[float, ...]
    gains: tuple[Gain, ...]
    ceilings: tuple[float, ...]
    passes: int


@dataclass(frozen=True)
class Trial:
    """A point of a parameter search: its system, mean, median latency in ns if measured."""

    system: str
    mean: float
    p50_ns: float | None
    front: bool


@dataclass(frozen=True)
class ParameterSearch:
    """Parameters searched on dev; the best trial's mean on test, if there is such a split."""

    suite: str
    measure: str
    trials: tuple[Trial, ...]
    best: str
    dev: float
    test: float | None


def weights_page(found: WeightSearch, toml: str) -> str:
    """The gain on held-out queries first, then the weightings."""
    name = shown(found.measure)
    rate = digits(found.trials / found.seconds)
    rows = [
        [
            escape(split),
            figure(found.default[i]),
            figure(found.chosen[i]),
            signed(found.gains[i][0]),
            bounds(*found.gains[i][1:]),
        ]
        for i, split in enumerate(found.splits)
    ]
    tried = [
        [figure(one.mean), *(f"{weight:.3f}" if weight else "" for weight in one.weights)]
        for one in found.best
    ]
    start = ["start", *(f"{weight:g}" for weight in found.start)]
    return joined(
        _verdict(found),
        markdown(["split", "before", "after", "gain", "95 % interval"], rows, "lrrrr"),
        f"{name} of {escape(found.system)} on {escape(found.suite)}, run for real with the weights "
        f"before and after. {count(found.trials, 'weighting')} were tried on "
        f"{escape(found.splits[0])} in {digits(found.seconds)} s ({rate} a second).",
        f"**The best weightings on {escape(found.splits[0])}**",
        markdown([name, *map(escape, found.parts)], [*tried, start], "r" * (len(found.parts) + 1)),
        "Where many weightings are within a hair of the best, which one is first is luck.",
        "In an experiment file:",
        fenced(toml),
    ) + "\n"  # fmt: skip


def _verdict(found: WeightSearch) -> str:
    dev, low, _ = found.gains[0]
    if len(found.splits) == 1:
        return (
            f"The weights gain {signed(dev)} on the queries they were searched on. There is no "
            "other split, so nothing says that the gain is real."
        )
    test, low, high = found.gains[1]
    held = f"{signed(test)} {bounds(low, high)} on {escape(found.splits[1])}"
    head = f"Of {signed(dev)} on {escape(found.splits[0])} there remains {held}"
    optimism = f"optimism {signed(dev - test)}"
    if low > 0:
        return f"{head}: the gain is real ({optimism})."
    if high < 0:
        return f"{head}: the weights are worse on queries they were not searched on ({optimism})."
    return f"{head}: no gain is shown; keep the weights that you have ({optimism})."


def depth_page(found: DepthCurve) -> str:
    """How far down it pays to rerank."""
    rows = [
        [str(depth), figure(mean), signed(gain[0]) if depth else NONE,
         bounds(*gain[1:]) if depth else NONE, figure(ceiling)]
        for depth, mean, gain, ceiling in zip(
            found.depths, found.means, found.gains, found.ceilings, strict=True
        )
    ]  # fmt: skip
    best = max(range(len(found.depths)), key=lambda i: found.means[i])
    passes = "one scoring pass" if found.passes == 1 else f"{found.passes} scoring passes"
    header = ["depth", shown(found.measure), "over depth 0", "95 % interval", "ceiling"]
    return joined(
        f"{shown(found.measure)} of {escape(found.system)} is highest at a rerank depth of "
        f"{found.depths[best]}: {figure(found.means[best])}, on {escape(found.suite)} "
        f"({escape(found.split)}).",
        markdown(header, rows, "rrrrr"),
        f"From {passes}. Ceiling: the best order of the first stage's documents to that depth.",
    ) + "\n"  # fmt: skip


def parameters_page(found: ParameterSearch, toml: str) -> str:
    """The best trial, what it has on test, and the front of all trials."""
    front = [one for one in found.trials if one.front]
    rows = [
        [escape(one.system), figure(one.mean),
         NONE if one.p50_ns is None else f"{digits(one.p50_ns / 1e6)} ms"]
        for one in sorted(front, key=lambda one: -one.mean)
    ]  # fmt: skip
    held = (
        "There is no other split to confirm on."
        if found.test is None
        else f"On test it has {figure(found.test)}: optimism {signed(found.dev - found.test)}."
    )
    return joined(
        f"The best of {count(len(found.trials), 'trial')} on {escape(found.suite)} is "
        f"**{escape(found.best)}**: {shown(found.measure)} {figure(found.dev)} on dev. {held}",
        "**Front of quality and latency**" if any(one.p50_ns for one in front) else "**Best**",
        markdown(["system", shown(found.measure), "p50 latency"], rows, "lrr"),
        "In an experiment file:",
        fenced(toml),
    ) + "\n"  # fmt: skip
