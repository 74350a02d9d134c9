"""How often the latency gate is wrong: trials with nothing changed and with planted slow-downs.

    python -m tools.latency_trials [--blocks 40] [--burden 1] [--page]    (from the checkout's root)

A block is five trials of the same code against itself (A/A) and one of each planted slow-down,
which is real work (`tools.slowed`). Each trial is one whole latency gate with its defaults, and
beside it what people do instead: the baseline timed, then the candidate, and an alarm where the
ratio of the medians is above 1.2. A line a trial is appended to --trials, so that it can be
stopped and resumed. --burden processes of our own come and go meanwhile, so that the machine is
noisy. --page writes the table into docs/latency-gate.md from the trials there are.
"""

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.config import parse_system
from bench.environment import environment
from bench.gate.latency import (
    MOST_ROUNDS,
    Design,
    Pair,
    Side,
    Tree,
    decide,
    levels_of,
    measure,
    task,
)
from bench.gate.latency_sides import started
from reports.table import markdown
from tools.judgements import with_figures
from tools.simulate import Rate

START, END = "<!-- trials -->", "<!-- end of trials -->"
PLANTED = (0.0, 0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.5)
"""One block, in its order; 0 is A/A."""

FIXED = 1.2
BURST = 0.5
"""Mean seconds for which a burden works, and for which it rests."""


def side(extra: float) -> Side:
    return Side(
        f"+{extra:.0%}", parse_system(f"tools.slowed:Slowed?extra={extra}"), Tree(Path.cwd())
    )


def trial(planted: float, suite: str, design: Design) -> dict[str, Any]:  # JSON
    """One gate, and the fixed threshold beside it."""
    began = time.monotonic()
    pair = Pair(suite, "", suite, 100, side(0.0), side(planted))
    samples = measure(pair, design)
    speed = decide(samples, design)
    gated = time.monotonic() - began
    medians = [median_alone(pair, own, design) for own in (pair.baseline, pair.candidate)]
    return {
        "planted": planted,
        "speed": asdict(speed),
        "levels": levels_of(samples["total"]).round(5).tolist(),
        "medians_ns": medians,
        "seconds": [round(gated, 2), round(time.monotonic() - began - gated, 2)],
        "load": round(os.getloadavg()[0], 2),
    }


def median_alone(pair: Pair, own: Side, design: Design) -> float:
    """Median nanoseconds of a query, timed in one process by itself, as often as in a gate."""
    with started([(own.name, task(pair, own, design))]) as [(worker, _)]:
        rounds = design.starts * (design.rounds or MOST_ROUNDS)
        return float(np.median([worker.round()["total"] for _ in range(rounds)]))


@contextmanager
def burdened(number: int) -> Iterator[None]:
    """So many processes that sort for a while and rest for a while, until the end."""
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=burden, args=(seed,), daemon=True) for seed in range(number)]
    for other in others:
        other.start()
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.join()


def burden(seed: int) -> None:
    """Work and rest by turns; ends with the process that started it."""
    rng = np.random.default_rng(seed)
    numbers, parent = rng.random(200_000), os.getppid()
    while os.getppid() == parent:
        until = time.monotonic() + rng.exponential(BURST)
        while time.monotonic() < until:
            np.sort(numbers)
        time.sleep(rng.exponential(BURST))


def run(blocks: int, path: Path, suite: str, design: Design) -> None:
    """Trials until there are so many blocks in *path*."""
    done = len(read(path))
    for number in range(done, blocks * len(PLANTED)):
        found = trial(PLANTED[number % len(PLANTED)], suite, design)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"number": number, **found}) + "\n")
        print(number, found["planted"], found["speed"]["verdict"], found["seconds"], flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    return (
        [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    )


def page(trials: Sequence[dict[str, Any]], design: Design) -> str:
    """The table and what is needed to read it."""
    rows = []
    for planted in sorted(set(PLANTED)):
        own = [one for one in trials if one["planted"] == planted]
        if not own:
            continue
        speeds = [one["speed"] for one in own]
        ratios = [one["medians_ns"][1] / one["medians_ns"][0] for one in own]
        rows.append([
            f"+{planted:.0%}" if planted else "nothing (A/A)",
            str(len(own)),
            caught([speed["verdict"] == "slower" for speed in speeds]),
            caught([speed["slowdown"] > speed["noise"] for speed in speeds]),
            str(sum(speed["verdict"] == "cannot tell" for speed in speeds)),
            spread([speed["slowdown"] for speed in speeds]),
            caught([ratio > FIXED for ratio in ratios]),
            spread([ratio - 1 for ratio in ratios]),
        ])  # fmt: skip
    header = ["planted", "trials", "**the gate: slower**", "noise alone", "cannot tell", "measured",
              "**fixed 20 %: alarm**", "measured"]  # fmt: skip
    speeds = [one["speed"] for one in trials]
    machine, loads = environment(), [one["load"] for one in trials]
    seconds = np.array([one["seconds"] for one in trials])
    memory = math.ceil(machine["memory_bytes"] / 2**30)
    return "\n\n".join((
        markdown(header, rows, "lrrrrrrr"),
        f"The gate called slower from {spread([s['floor'] for s in speeds])} on; the noise of the "
        f"job alone would have allowed {spread([s['noise'] for s in speeds])}. A gate took "
        f"{spread_of(seconds[:, 0], '.1f')} s, the two runs one after the other "
        f"{spread_of(seconds[:, 1], '.1f')} s.",
        f"Machine: {machine['cores']} virtual cores ({machine['processor']}), {memory} GiB, shared "
        f"with other jobs; load average {spread_of(loads, '.1f')}. {machine['platform']}, Python "
        f"{machine['python']}, NumPy {machine['packages']['numpy']}. {design.starts} starts, "
        f"{design.queries} queries, {design.threads} thread. Figures with a range are the median "
        "and the 5th to 95th percentile of the trials; those in brackets are exact 95 % intervals.",
    ))  # fmt: skip


def caught(hits: Sequence[bool]) -> str:
    """The share with its exact 95 % interval."""
    return str(Rate(sum(hits), len(hits)))


def spread(shares: Sequence[float]) -> str:
    low, middle, high = np.quantile(shares, [0.05, 0.5, 0.95])
    return f"{middle:+.1%} ({low:+.1%} to {high:+.1%})"


def spread_of(values: Sequence[float] | NDArray[np.float64], form: str) -> str:
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--blocks", type=int, default=40)
    parser.add_argument("--burden", type=int, default=1)
    parser.add_argument("--suite", default="models")
    parser.add_argument("--trials", type=Path, default=Path("latency-trials.jsonl"))
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("docs/latency-gate.md"))
    options = parser.parse_args(arguments)
    design = Design()
    with burdened(options.burden):
        run(options.blocks, options.trials, options.suite, design)
    if options.page:
        table = page(read(options.trials), design)
        old = options.out.read_text("utf-8")
        options.out.write_text(with_figures(old, table, START, END), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
