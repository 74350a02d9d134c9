"""`bench gate`: no worse (0), worse (1) or cannot tell (3) than a baseline.

With --against it is about latency: `bench.commands.gate_latency`.
"""

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, UNKNOWN, WORSE, check_device, say
from bench.commands.gate_latency import gate_latency, latency_arguments
from bench.commands.gate_output import deliver
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.gate.baseline import Baseline
    from bench.gate.rules import Rules
    from reports.record import Record

HELP = "did it get worse than the baseline? the check for CI"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "record", type=Path, nargs="?", metavar="DIR",
        help="a result folder; without one the baseline's systems are run, quality only",
    )  # fmt: skip
    add("--baseline", type=Path, metavar="FILE.json", help="as `bench baseline save` wrote it")
    add("--suite", action="append", default=[], metavar="FOLDER",
        help="where a suite of the baseline is that does not come with us; with --against, what "
        "to time; repeatable")  # fmt: skip
    add("--experiment", type=Path, metavar="FILE.toml",
        help="where the systems to run are described, with rules in its [gate] table")  # fmt: skip
    add("--rules", type=Path, metavar="FILE.toml", help="the [gate] table of another file")
    add("--system", action="append", default=[], metavar="NAME", help="gate only this; repeatable")
    add("--measure", action="append", default=[], metavar="nDCG@10",
        help="gate this instead of the suite's first; repeatable")  # fmt: skip
    add("--margin", action="append", default=[], metavar="[MEASURE=]0.01",
        help="the mean loss to put up with; by default what the queries can resolve")  # fmt: skip
    add("--floor", action="append", default=[], metavar="MEASURE=0.4", help="a mean to be reached")
    add("--alpha", type=float, metavar="0.05",
        help="risk of a wrong `no worse` and of a wrong `worse`")  # fmt: skip
    add("--power", type=float, metavar="0.8", help="for the number of queries needed")
    add("--exact", action="store_true", help="any changed ranking is worse")
    add("--inconclusive", choices=("pass", "fail"), help="exit 0 or 1 instead of 3")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models run")
    add("--markdown", type=Path, metavar="FILE", help="write the page as well")
    add("--junit", type=Path, metavar="FILE.xml", help="write JUnit XML")
    add("--json", type=Path, metavar="FILE.json", help="write everything as JSON")
    add("--annotations", action="store_true",
        help="print GitHub annotations, as is done where GITHUB_ACTIONS is true")  # fmt: skip
    latency_arguments(command)


def main(options: argparse.Namespace) -> int:
    """`bench gate`."""
    from bench.gate.baseline import load
    from bench.gate.report import gate
    from reports.verdict import annotations, sentence, to_json, to_junit, to_markdown

    if options.against is not None:
        return gate_latency(options)
    if options.baseline is None:
        raise UsageError(
            "what to compare with? give --baseline FILE (see `bench baseline save`), or "
            "--against REV for latency"
        )
    check_device(options.device)
    rules = rules_of(options)
    baseline = load(options.baseline)
    name = options.baseline.name
    with tempfile.TemporaryDirectory(prefix="bench-gate-") as scratch:
        folder = options.record or Path(scratch)
        record = _load(folder) if options.record else _run(options, baseline, rules, folder)
        folder = folder.parent if folder.is_file() else folder
        report = gate(record, folder, baseline, rules, name, options.exact, options.system)
    junit = to_junit(report, "failure" if rules.inconclusive == "fail" else "skipped")
    deliver(options, to_markdown(report), junit, to_json(report), annotations(report))
    say(f"bench gate: {sentence(report)}")
    unknown = {None: UNKNOWN, "pass": FINE, "fail": WORSE}[rules.inconclusive]
    return {"no worse": FINE, "worse": WORSE, "cannot tell": unknown}[report.verdict]


def rules_of(options: argparse.Namespace) -> "Rules":
    """The rules of the file, and over them those of the command line."""
    from dataclasses import replace

    from bench.config import read_experiment
    from bench.gate import rules as of

    if options.rules:
        rules = of.read_rules(options.rules)
    elif options.experiment:
        table = read_experiment(options.experiment).gate
        rules = of.parse_rules(table, f"{options.experiment}: gate")
    else:
        rules = of.Rules()
    alpha = rules.alpha if options.alpha is None else options.alpha
    power = rules.power if options.power is None else options.power
    margins = dict(map(of.parse_margin, options.margin))
    return replace(
        rules,
        alpha=of.rate("alpha", alpha, "--alpha"),
        power=of.rate("power", power, "--power"),
        measures=of.gateable(options.measure, "--measure") or rules.measures,
        margins=margins if of.ANY in margins else {**rules.margins, **margins},
        floors=(*rules.floors, *map(of.parse_floor, options.floor)),
        inconclusive=options.inconclusive or rules.inconclusive,
    )


def _load(folder: Path) -> "Record":
    from reports.record import RecordError, load

    try:
        return load(folder)
    except RecordError as error:
        raise UsageError(str(error)) from error


def _run(
    options: argparse.Namespace, baseline: "Baseline", rules: "Rules", folder: Path
) -> "Record":
    """The baseline's cells, run with the code and the experiment of now, without latency."""
    from dataclasses import replace

    from bench.config import Experiment, read_experiment
    from bench.gate.run import run_cells

    given = read_experiment(options.experiment) if options.experiment else Experiment(suites=[])
    given = replace(given, suites=[*options.suite, *given.suites])
    return run_cells(given, baseline, rules, folder, options.system, options.device, say)
