"""What the benchmarks share: timing by turns, what they measured, and what was promised."""

import importlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike


class Missing(Exception):  # noqa: N818 - not an error: a row is left out
    """A peer that is not installed; its rows are left out and named."""


@dataclass(frozen=True)
class Timing:
    """How long one side took for one piece of work, a value a round.

    seconds: of one call, by round; the same rounds for every side of the same work. units: how
    many queries, documents or lines a call handles. x: the size, for the plot.
    """

    work: str
    side: str
    seconds: tuple[float, ...]
    units: int = 1
    x: float | None = None


@dataclass(frozen=True)
class Mark:
    """What was promised: in *work*, the peer's time is at least *promised* times ours."""

    work: str
    ours: str
    peer: str
    promised: float


@dataclass(frozen=True)
class Fact:
    """Another number that the benchmark found, such as bytes a posting."""

    name: str
    value: float
    unit: str
    note: str = ""


@dataclass(frozen=True)
class Plot:
    """A plot of the timings that have an x, a line a side, log-log by default.

    y: "seconds" of a call, or "rate", units a second. only: the works drawn, all by default;
    with several works a line is a work and a side.
    """

    x_label: str
    y_label: str
    y: str = "rate"
    only: tuple[str, ...] = ()
    x_scale: str = "log"


@dataclass(frozen=True)
class Result:
    """What one benchmark found."""

    timings: tuple[Timing, ...] = ()
    marks: tuple[Mark, ...] = ()
    facts: tuple[Fact, ...] = ()
    notes: tuple[str, ...] = ()
    plot: Plot | None = None


def by_turns(
    sides: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], int] | None = None
) -> dict[str, list[float]]:
    """Seconds of each call, *rounds* a side; the sides take turns, in another order each round.

    One untimed call of each comes first. So what the machine does beside this falls on all.
    """
    clock = clock or time.perf_counter_ns
    for call in sides.values():
        call()
    names = list(sides)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            start = clock()
            sides[name]()
            seconds[name].append((clock() - start) / 1e9)
    return seconds


def timings(
    work: str, seconds: Mapping[str, list[float]], units: int = 1, x: float | None = None
) -> tuple[Timing, ...]:
    """What `by_turns` gave, as the timings of one piece of work."""
    return tuple(
        Timing(work, side, tuple(found), units=units, x=x) for side, found in seconds.items()
    )


def check_equal(
    name: str, ours: ArrayLike, theirs: ArrayLike, rtol: float = 0.0, atol: float = 0.0
) -> None:
    """SystemExit, with the first difference, unless both are equal within the tolerances."""
    mine, other = np.asarray(ours), np.asarray(theirs)
    if mine.shape != other.shape:
        raise SystemExit(f"{name}: shapes {mine.shape} and {other.shape}")
    same = mine == other
    if rtol or atol:
        same |= np.isclose(mine, other, rtol=rtol, atol=atol, equal_nan=True)
    if not same.all():
        place = tuple(int(i) for i in np.argwhere(~same)[0])
        raise SystemExit(f"{name}: at {place} ours is {mine[place]}, theirs {other[place]}")


def need(module: str) -> Any:  # whatever the module is
    """The module of a peer; Missing where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Missing(f"{module} is not installed") from error


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Inside, BLAS, OpenMP, torch and FAISS use *number* threads."""
    import faiss
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    with threadpool_limits(number):
        torch.set_num_threads(number)
        faiss.omp_set_num_threads(number)
        try:
            yield
        finally:
            torch.set_num_threads(before[0])
            faiss.omp_set_num_threads(before[1])


@contextmanager
def one_thread() -> Iterator[None]:
    """As `threads(1)`."""
    with threads(1):
        yield
