"""`bench gate --against`: is it slower than another revision or configuration?"""

import argparse
from typing import TYPE_CHECKING

from bench.commands.common import FINE, UNKNOWN, WORSE, check_device, positive, say
from bench.commands.gate_output import deliver
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.config import Experiment
    from bench.gate.latency import Design

QUALITY_ONLY = ("record", "baseline", "measure", "margin", "floor", "exact", "rules")
"""What has no meaning beside --against."""


def latency_arguments(command: argparse.ArgumentParser) -> None:
    """The options of the latency gate, in a group of their own."""
    add = command.add_argument_group(
        "latency gate",
        "is the tree of now slower? Both sides are run here, by turns, and judged by the noise of "
        "this machine; --alpha is 0.02 here",
    ).add_argument
    add("--against", metavar="REV|FILE.toml|SYSTEM",
        help="a git revision of the project you are in, an experiment, or a system")  # fmt: skip
    add("--max-slowdown", type=_percent, default=0.2, metavar="20%",
        help="must be ruled out to pass; where noise hides more, it cannot be told")  # fmt: skip
    add("--starts", type=positive, default=4, metavar="4",
        help="fresh processes of each side; more see smaller slow-downs")  # fmt: skip
    add("--rounds", type=positive, metavar="N",
        help="over the queries in each process; by default 6 to 24, what 2 s hold")  # fmt: skip
    add("--threads", type=positive, default=1, metavar="1", help="while timing")


def gate_latency(options: argparse.Namespace) -> int:
    """The whole of `bench gate --against`; the exit code."""
    from bench.gate.latency import gate_speed
    from bench.gate.latency_against import pairs_against
    from reports.speed import (
        SpeedReport,
        annotations,
        sentence,
        to_json,
        to_junit,
        to_markdown,
        worst,
    )

    for name in QUALITY_ONLY:
        if getattr(options, name, None):
            raise UsageError(
                f"{'DIR' if name == 'record' else f'--{name}'} belongs to the quality gate; "
                "gate latency (--against) by itself"
            )
    check_device(options.device)
    design = design_of(options)
    with pairs_against(options.against, experiment_of(options)) as pairs:
        against = pairs[0].baseline.name
        cells = tuple(gate_speed(pairs, design, say))
    report = SpeedReport(
        verdict=worst(cells),
        against=against,
        alpha=design.alpha,
        power=design.power,
        max_slowdown=design.max_slowdown,
        starts=design.starts,
        threads=design.threads,
        cells=cells,
    )
    junit = to_junit(report, "failure" if options.inconclusive == "fail" else "skipped")
    deliver(options, to_markdown(report), junit, to_json(report), annotations(report))
    say(f"bench gate: {sentence(report)}")
    unknown = {None: UNKNOWN, "pass": FINE, "fail": WORSE}[options.inconclusive]
    return {"no slower": FINE, "slower": WORSE, "cannot tell": unknown}[report.verdict]


def design_of(options: argparse.Namespace) -> "Design":
    """How to time and decide; UsageError for a number that makes no sense."""
    from bench.gate.latency import Design
    from bench.gate.rules import rate

    if options.starts < 2:
        raise UsageError("--starts 1; at least 2 are needed to see how much starts differ")
    alpha, power = options.alpha, options.power
    return Design(
        starts=options.starts,
        rounds=options.rounds,
        threads=options.threads,
        device=options.device,
        alpha=rate("alpha", Design.alpha if alpha is None else alpha, "--alpha"),
        power=rate("power", Design.power if power is None else power, "--power"),
        max_slowdown=options.max_slowdown,
    )


def experiment_of(options: argparse.Namespace) -> "Experiment":
    """The candidate: the suites and systems of file and options; options win."""
    from dataclasses import replace

    from bench.config import Experiment, choose_systems, read_experiment

    found = Experiment(suites=[])
    if options.experiment:
        found = read_experiment(options.experiment)
    found = replace(found, suites=options.suite or found.suites)
    if options.system:
        found = replace(found, systems=choose_systems(options.system, found.systems or ()))
    return found


def _percent(text: str) -> float:
    """20%, 20 or 0.2 as a share."""
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = 0.0
    if text.endswith("%") or value >= 1:
        value /= 100
    if not 0 < value <= 10:
        raise argparse.ArgumentTypeError(f"{text!r} is not a slow-down such as 20%")
    return value
