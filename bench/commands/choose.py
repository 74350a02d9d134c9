"""`bench choose`: which configuration to ship."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, WORSE, check_device, positive, say
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.choose.budget import Budget
    from reports.choice import ChoiceReport
    from reports.record import Record, SuiteInfo

HELP = "the configuration to ship, within a budget"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("what", type=Path, metavar="DIR|FILE.toml",
        help="a result folder, or an experiment to run on dev and confirm on test")  # fmt: skip
    add("--budget", action="append", default=[], metavar="'p95<=50ms'",
        help="p50 p95 p99 mean index_mb memory_mb build_s encode_s qps; repeatable, all must hold; "
        "the first says what is cheap (p50 without one)")  # fmt: skip
    add("--measure", metavar="nDCG@10", help="instead of the suite's first")
    add("--suite", metavar="NAME", help="one of several")
    add("--confirm", type=Path, metavar="DIR", help="a result folder of the other split")
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models run")
    add("--threads", type=positive, help="threads while timing; all cores by default")
    add("--out", type=Path, metavar="DIR", help="write choice.md, its plot and choice.json")


def main(options: argparse.Namespace) -> int:
    """`bench choose`: 1 where nothing keeps to the budget."""
    from bench.choose.budget import parse_budget
    from bench.choose.report import report_of
    from bench.metrics import parse_measure
    from reports.choice import render

    check_device(options.device)
    budgets = [parse_budget(text) for text in options.budget]
    measure = str(parse_measure(options.measure)) if options.measure else None
    if options.what.suffix == ".toml":
        reports = from_experiment(options, budgets, measure)
    else:
        record = _load(options.what)
        held = _load(options.confirm) if options.confirm else None
        reports = [
            report_of(record, suite, budgets, measure, held and part(held, suite))
            for suite in wanted(record, options.suite)
        ]
    print("\n".join(map(render, reports)), end="")
    if options.out:
        write_all(reports, options.out)
    return WORSE if any(report.chosen is None for report in reports) else FINE


def from_experiment(
    options: argparse.Namespace, budgets: "list[Budget]", measure: str | None
) -> "list[ChoiceReport]":
    """Run each suite on its dev split, choose, and run what was chosen and its rivals on test."""
    from dataclasses import replace

    from bench.choose.report import report_of
    from bench.config import choose_systems, read_experiment
    from bench.latency import Protocol
    from bench.runner import Options, run_experiment
    from qrels.suites import SETS, load_suite, shipped, splits

    experiment = read_experiment(options.what)
    protocol = Protocol(threads=options.threads, device=options.device)
    reports = []
    for name in map(str, experiment.suites):  # read from a file, so none of them is a Suite
        folder = SETS / name if name in shipped() else Path(name)
        if options.suite not in (None, folder.name):
            continue
        both = {"dev", "test"} <= set(splits(folder))
        on_dev = replace(experiment, suites=[name], split="dev" if both else experiment.split)
        record = run_experiment(on_dev, None, Options(protocol, options.device), say)
        (suite,) = record.suites
        report = report_of(record, suite, budgets, measure)
        if both and report.chosen is not None:
            rivals = [one.name for one in report.considered if one.rival]
            known = experiment.systems or choose_systems(load_suite(name).systems, ())
            systems = [system for system in known if system.name in rivals]
            on_test = replace(experiment, suites=[name], split="test", systems=systems)
            held = run_experiment(on_test, None, Options(None, options.device), say)
            report = report_of(record, suite, budgets, measure, held)
        reports.append(report)
    if not reports:
        raise UsageError(f"{options.what} has no suite {options.suite!r}")
    return reports


def wanted(record: "Record", name: str | None) -> "list[SuiteInfo]":
    """The suites of the record, or the one that was asked for."""
    found = [suite for suite in record.suites if name in (None, suite.name)]
    if not found:
        raise UsageError(f"no suite {name!r}; the record has {[s.name for s in record.suites]}")
    return found


def part(record: "Record", suite: "SuiteInfo") -> "Record":
    """The part of a record that is of *suite*, on another split."""
    from dataclasses import replace

    found = [one for one in record.suites if one.name == suite.name and one.split != suite.split]
    if len(found) != 1:
        raise UsageError(f"--confirm: expected one other split of {suite.name}, got {len(found)}")
    here = (found[0].name, found[0].split)
    cells = tuple(cell for cell in record.cells if (cell.suite, cell.split) == here)
    return replace(record, suites=tuple(found), cells=cells)


def write_all(reports: "list[ChoiceReport]", folder: Path) -> None:
    """The page with its plots and the same as JSON."""
    from reports.choice import render
    from reports.files import write
    from reports.plots import draw_choice
    from reports.serial import dumps

    pages = [render(report, draw_choice(report, folder)) for report in reports]
    write(folder / "choice.md", "\n".join(pages).encode("utf-8", "backslashreplace"))
    write(folder / "choice.json", (dumps(reports) + "\n").encode("utf-8", "backslashreplace"))
    say(f"choice: {folder / 'choice.md'}")


def _load(path: Path) -> "Record":
    from reports.record import RecordError, load

    try:
        return load(path)
    except RecordError as error:
        raise UsageError(str(error)) from error
