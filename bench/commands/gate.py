"""`bench gate`: no worse (0), worse (1) or cannot tell (3) than a baseline."""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, UNKNOWN, WORSE, check_device, say
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.gate.baseline import Baseline
    from bench.gate.rules import Rules
    from reports.record import Record
    from reports.verdict import GateReport

HELP = "did it get worse than the baseline? the check for CI"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "record", type=Path, nargs="?", metavar="DIR",
        help="a result folder; without one the baseline's systems are run, quality only",
    )  # fmt: skip
    add("--baseline", type=Path, metavar="FILE.json", help="as `bench baseline save` wrote it")
    add("--experiment", type=Path, metavar="FILE.toml",
        help="where the systems to run are described, with rules in its [gate] table")  # fmt: skip
    add("--rules", type=Path, metavar="FILE.toml", help="the [gate] table of another file")
    add("--system", action="append", default=[], metavar="NAME", help="gate only this; repeatable")
    add("--measure", action="append", default=[], metavar="nDCG@10",
        help="gate this instead of the suite's first; repeatable")  # fmt: skip
    add("--margin", action="append", default=[], metavar="[MEASURE=]0.01",
        help="the mean loss to put up with; by default what the queries can resolve")  # fmt: skip
    add("--floor", action="append", default=[], metavar="MEASURE=0.4", help="a mean to be reached")
    add(
        "--alpha",
        type=_share,
        metavar="0.05",
        help="risk of a wrong `no worse` and of a wrong `worse`",
    )
    add("--power", type=_share, metavar="0.8", help="for the number of queries needed")
    add("--exact", action="store_true", help="any changed ranking is worse")
    add("--inconclusive", choices=("pass", "fail"), help="exit 0 or 1 instead of 3")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models run")
    add("--markdown", type=Path, metavar="FILE", help="write the page as well")
    add("--junit", type=Path, metavar="FILE.xml", help="write JUnit XML")
    add("--json", type=Path, metavar="FILE.json", help="write everything as JSON")
    add("--annotations", action="store_true",
        help="print GitHub annotations, as is done where GITHUB_ACTIONS is true")  # fmt: skip


def main(options: argparse.Namespace) -> int:
    """`bench gate`."""
    from bench.gate.baseline import load
    from bench.gate.join import gate
    from reports.verdict import sentence

    if options.baseline is None:
        raise UsageError("what to compare with? give --baseline FILE (see `bench baseline save`)")
    check_device(options.device)
    rules = rules_of(options)
    baseline = load(options.baseline)
    name = options.baseline.name
    with tempfile.TemporaryDirectory(prefix="bench-gate-") as scratch:
        folder = options.record or Path(scratch)
        record = _load(folder) if options.record else _run(options, baseline, folder)
        folder = folder.parent if folder.is_file() else folder
        report = gate(record, folder, baseline, rules, name, options.exact, options.system)
    deliver(report, options)
    say(f"bench gate: {sentence(report)}")
    unknown = {None: UNKNOWN, "pass": FINE, "fail": WORSE}[rules.inconclusive]
    return {"no worse": FINE, "worse": WORSE, "cannot tell": unknown}[report.verdict]


def rules_of(options: argparse.Namespace) -> "Rules":
    """The rules of the file, and over them those of the command line."""
    from dataclasses import replace

    from bench.config import read_experiment
    from bench.gate.rules import Rules, parse_floor, parse_margin, parse_rules, read_rules
    from bench.metrics import parse_measure

    if options.rules:
        rules = read_rules(options.rules)
    elif options.experiment:
        table = read_experiment(options.experiment).gate
        rules = parse_rules(table, f"{options.experiment}: gate")
    else:
        rules = Rules()
    return replace(
        rules,
        alpha=options.alpha or rules.alpha,
        power=options.power or rules.power,
        measures=tuple(str(parse_measure(name)) for name in options.measure) or rules.measures,
        margins={**rules.margins, **dict(map(parse_margin, options.margin))},
        floors=(*rules.floors, *map(parse_floor, options.floor)),
        inconclusive=options.inconclusive or rules.inconclusive,
    )


def _load(folder: Path) -> "Record":
    from reports.record import RecordError, load

    try:
        return load(folder)
    except RecordError as error:
        raise UsageError(str(error)) from error


def _run(options: argparse.Namespace, baseline: "Baseline", folder: Path) -> "Record":
    """The baseline's cells, run with the code and the experiment of now, without latency."""
    from dataclasses import replace

    from bench.config import Experiment, choose_systems, read_experiment
    from bench.gate.run import run_cells

    given = read_experiment(options.experiment) if options.experiment else Experiment(suites=[])
    names = options.system or [cell.system.name for cell in baseline.cells]
    systems = choose_systems(list(dict.fromkeys(names)), given.systems or ())
    return run_cells(replace(given, systems=systems), baseline, folder, options.device, say)


def deliver(report: "GateReport", options: argparse.Namespace) -> None:
    """Print and write the report in every form that was asked for."""
    from reports.files import write
    from reports.verdict import annotations, to_json, to_junit, to_markdown

    page = to_markdown(report)
    print(page, end="")
    for path, text in (
        (options.markdown, page),
        (options.junit, to_junit(report)),
        (options.json, to_json(report)),
    ):
        if path is not None:
            write(path, text.encode("utf-8", "backslashreplace"))
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(page)
    if options.annotations or os.environ.get("GITHUB_ACTIONS") == "true":
        sys.stdout.write("".join(f"{line}\n" for line in annotations(report)))


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return value
