"""The pages of `bench tune`: what was found, and what it is worth on other queries."""

from dataclasses import dataclass

from reports.sections import joined
from reports.standing import shown
from reports.table import escape, fenced, markdown
from reports.units import NONE, bounds, count, digits, figure, signed

SHOWN = 10
"""How many trials a table lists."""

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

    gains: each depth's mean less that of depth 0; short: less that of the best depth. passes: how
    often the reranker scored.
    """

    suite: str
    split: str
    measure: str
    system: str
    depths: tuple[int, ...]
    means: tuple[float, ...]
    gains: tuple[Gain, ...]
    short: tuple[Gain, ...]
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
    """Parameters searched on *split*; the best trial's mean there (dev) and on test_split (test).

    points: how many the grid has. failed: the systems that did, by name. start: the first system
    of the grid; gain: the best less the start on test_split, None where it is the start or failed.
    """

    suite: str
    split: str
    measure: str
    points: int
    failed: tuple[str, ...]
    trials: tuple[Trial, ...]
    best: str
    dev: float
    test_split: str | None
    test: float | None
    start: str = ""
    gain: Gain | None = None


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
        f"before and after. Tried on {escape(found.splits[0])}: "
        f"{count(found.trials, 'weighting')} in {digits(found.seconds)} s ({rate} a second).",
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
            f"The weights gain {signed(dev)} on the queries they were searched on. They were tried "
            "on no others, so nothing says that the gain is real."
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
    passes = "one scoring pass" if found.passes == 1 else f"{found.passes} scoring passes"
    header = ["depth", shown(found.measure), "over depth 0", "95 % interval", "ceiling"]
    return joined(
        _depth_verdict(found),
        markdown(header, rows, "rrrrr"),
        f"{shown(found.measure)} of {escape(found.system)} on {escape(found.suite)} "
        f"({escape(found.split)}), from {passes}. Ceiling: the best order of the first stage's "
        "documents to that depth. The depth is chosen on these very queries: confirm it on others.",
    ) + "\n"  # fmt: skip


def _depth_verdict(found: DepthCurve) -> str:
    """The smallest depth that is not shown to be worse than the best, and what the best has."""
    places = range(len(found.depths))
    best = max(places, key=lambda i: found.means[i])
    enough = next(i for i in places if found.short[i][2] >= 0)
    at, most = found.depths[enough], found.depths[best]
    mean, low, high = found.gains[best]
    gain = f"{signed(mean)} {bounds(low, high)}"
    if most == 0:
        return "Do not rerank: at no depth does it do better than the first stage alone."
    if at == 0:
        return f"No gain from reranking is shown: the best depth, {most}, has {gain} over none."
    if at == most:
        return f"Rerank {count(at, 'document')}, {gain} over none: fewer are shown to do worse."
    mean, low, high = found.short[enough]
    more = f"{signed(-mean)} {bounds(-high, -low)}"
    return (
        f"Rerank {count(at, 'document')}: the best depth, {most}, has {more} more, and is not "
        "shown to do better."
    )


def parameters_page(found: ParameterSearch, toml: str) -> str:
    """The best trial, what it has on test, and the front of all trials, or the ten best."""
    timed = any(one.p50_ns is not None for one in found.trials)
    ordered = sorted(found.trials, key=lambda one: -one.mean)
    listed = [one for one in ordered if one.front] if timed else ordered[:SHOWN]
    rows = [
        [escape(one.system), figure(one.mean),
         *([NONE if one.p50_ns is None else f"{digits(one.p50_ns / 1e6)} ms"] if timed else [])]
        for one in listed
    ]  # fmt: skip
    held = (
        "It was confirmed on no other queries."
        if found.test is None or found.test_split is None
        else f"On {escape(found.test_split)} it has {figure(found.test)}: optimism "
        f"{signed(found.dev - found.test)}.{_over_start(found)}"
    )
    tried = f"{count(len(found.trials), 'trial')}, of {count(found.points, 'point')} of the grid"
    lost = ", ".join(f"**{escape(name)}**" for name in found.failed)
    return joined(
        f"The best of {tried}, on {escape(found.suite)} ({escape(found.split)}) is "
        f"**{escape(found.best)}**: {shown(found.measure)} {figure(found.dev)}. {held}",
        f"{count(len(found.failed), 'system')} failed: {lost}." if found.failed else "",
        "**Front of quality and latency**" if timed else "**Best**",
        markdown(
            ["system", shown(found.measure), *(["p50 latency"] if timed else [])],
            rows,
            "lrr" if timed else "lr",
        ),
        "In an experiment file:",
        fenced(toml),
    ) + "\n"  # fmt: skip


def _over_start(found: ParameterSearch) -> str:
    """What the best gains over the first system of the grid, on queries it was not chosen on."""
    if found.gain is None:
        return ""
    mean, low, high = found.gain
    said = "a gain is shown" if low > 0 else "it is worse" if high < 0 else "no gain is shown"
    return (
        f" Over {escape(found.start)}, the first of the grid, that is {signed(mean)} "
        f"{bounds(low, high)}: {said}."
    )
