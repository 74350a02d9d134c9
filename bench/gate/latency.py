"""Baseline and candidate timed side by side, in one job, on the noise of this machine.

for each start
    three fresh processes build: the baseline, the baseline again, the candidate
    for each round, in an order that favours none
        each answers the same sample of queries, one at a time
decide, from how much the two baselines and the starts differ
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bench
from bench.config import System
from bench.gate.latency_sides import Worker, started
from bench.gate.latency_stats import Speed, decide_speed, level
from bench.gate.latency_worker import Task
from qrels.errors import DataError
from qrels.suites import IRDS
from reports.speed import SpeedCell, Stage

Samples = dict[str, NDArray[np.int64]]
"""By stage, nanoseconds, (starts, 3, rounds, queries): baseline, baseline again, candidate."""

ORDERS = ((0, 1, 2), (2, 1, 0), (1, 2, 0), (0, 2, 1), (2, 0, 1), (1, 0, 2))
"""Each side is as often first, second and third, and follows each other as often."""

MOST_ROUNDS, LEAST_ROUNDS = 24, 6
FULL_NS = 2_000_000_000
"""Rounds end when one process has answered for this long, but see the two above."""


@dataclass(frozen=True)
class Design:
    """How to time and how to decide; rounds None: as many as fit, the same for all starts."""

    starts: int = 4
    rounds: int | None = None
    queries: int = 40
    threads: int = 1
    device: str = "cpu"
    alpha: float = 0.02
    power: float = 0.8
    max_slowdown: float = 0.2


@dataclass(frozen=True)
class Tree:
    """Where code comes from: the working directory, and for a revision its root and the user's."""

    here: Path
    root: Path | None = None
    present: Path | None = None


@dataclass(frozen=True)
class Side:
    """A system as the code of one tree builds it."""

    name: str
    system: System
    tree: Tree


@dataclass(frozen=True)
class Pair:
    """Two sides to time on one suite; source is what `load_suite` takes, from anywhere."""

    suite: str
    split: str
    source: str
    depth: int
    baseline: Side
    candidate: Side


def gate_speed(
    pairs: Sequence[Pair], design: Design, say: Callable[[str], None] = lambda _: None
) -> list[SpeedCell]:
    """Each pair timed and decided; several share alpha."""
    cells = []
    for number, pair in enumerate(pairs, 1):
        say(f"[{number}/{len(pairs)}] {pair.candidate.system.name} on {pair.suite} ...")
        samples = measure(pair, design, say)
        cells.append(cell_of(pair, samples, decide(samples, design, len(pairs))))
    return cells


def measure(pair: Pair, design: Design, say: Callable[[str], None] = lambda _: None) -> Samples:
    """The raw timings of one pair; PluginError where a side fails, DataError where they differ."""
    sides = [("the baseline", pair.baseline), ("the baseline", pair.baseline),
             ("the candidate", pair.candidate)]  # fmt: skip
    tasks = [(name, task(pair, side, design)) for name, side in sides]
    rounds, found = design.rounds, []
    for start in range(design.starts):
        order = ORDERS[start % len(ORDERS)]
        # the first start may encode the documents, which the others read from the cache
        with started([tasks[side] for side in order], together=start > 0) as ready:
            workers = [ready[order.index(side)][0] for side in range(3)]
            if start == 0:
                check([ready[order.index(side)][1] for side in range(3)], pair)
                rounds = rounds or fitting(workers[0])
            found.append(interleaved(workers, rounds or LEAST_ROUNDS, start))
        say(f"      start {start + 1} of {design.starts}, {rounds} rounds")
    return {stage: np.array([start[stage] for start in found], np.int64) for stage in found[0]}


def task(pair: Pair, side: Side, design: Design) -> Task:
    tree = side.tree
    return Task(
        suite=pair.source,
        split="" if pair.source.startswith(IRDS) else pair.split,  # which names it itself
        depth=pair.depth,
        system=asdict(side.system),
        queries=design.queries,
        threads=design.threads,
        device=design.device,
        here=str(tree.here),
        root=str(tree.root) if tree.root else None,
        present=str(tree.present) if tree.present else None,
        package=str(Path(bench.__file__).parents[1]),
    )


def fitting(worker: Worker) -> int:
    """How many rounds fit, a multiple of the orders; asks for one round to find out."""
    took = sum(worker.round()["total"])
    whole = -(-FULL_NS // max(took, 1) // len(ORDERS)) * len(ORDERS)
    return min(MOST_ROUNDS, max(LEAST_ROUNDS, whole))


def interleaved(workers: Sequence[Worker], rounds: int, start: int) -> dict[str, list[Any]]:
    """Nanoseconds by stage of one start, (3, rounds, queries); its number says who begins."""
    answers: list[list[dict[str, list[int]]]] = [[] for _ in workers]
    for order in islice(cycle(ORDERS), start, start + rounds):
        for side in order:
            answers[side].append(workers[side].round())
    alike = len({tuple(own[0]) for own in answers}) == 1  # other stages mean other things
    stages = list(answers[0][0]) if alike else ["total"]
    return {stage: [[one[stage] for one in own] for own in answers] for stage in stages}


def check(first: Sequence[dict[str, Any]], pair: Pair) -> None:
    """DataError where the sides do not time what was asked: other texts, or the same code."""
    old, _, new = first
    if old["texts"] != new["texts"]:
        raise DataError(
            f"the code of {pair.baseline.name} reads other documents or queries from suite "
            f"{pair.suite!r} than the code of now; latency on them cannot be compared"
        )
    if pair.baseline.tree.root is None:
        return
    if old["foreign"]:
        raise DataError(
            f"{pair.baseline.name} would run code of the present tree: {old['foreign'][0]}; "
            "install the project without -e, or run from the folder that its packages are in"
        )
    if not old["inside"]:
        raise DataError(
            f"nothing that {pair.baseline.system.name!r} runs comes from this repository, so both "
            "sides would be the same; run from the folder that its packages are in"
        )


def decide(samples: Samples, design: Design, family: int = 1) -> Speed:
    """The verdict on the total latency."""
    levels = levels_of(samples["total"])
    return decide_speed(levels, design.max_slowdown, design.alpha, design.power, family)


def levels_of(latency_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 (starts, 3): the level of each process of (starts, 3, rounds, queries)."""
    return np.array([[level(process) for process in start] for start in latency_ns])


def cell_of(pair: Pair, samples: Samples, found: Speed) -> SpeedCell:
    """What the report shows of a pair; a stage's figures are of the same kind as the total's."""
    stages = []
    for name, latency_ns in samples.items():
        old, again, new = np.exp(levels_of(latency_ns).mean(axis=0))
        before = float(np.sqrt(old * again))
        stages.append(Stage(name, before, float(new), float(new / before - 1)))
    return SpeedCell(
        suite=pair.suite,
        split=pair.split,
        system=pair.candidate.system.name,
        baseline=pair.baseline.system.name,
        rounds=samples["total"].shape[2],
        queries=samples["total"].shape[3],
        stages=tuple(stages),
        **asdict(found),
    )
