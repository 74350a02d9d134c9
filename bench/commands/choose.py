"""`bench choose`: which configuration to ship."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, WORSE, check_device, positive, say
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.choose.report import Rule
    from reports.choice import ChoiceReport
    from reports.record import Cell, Record, SuiteInfo

HELP = "the configuration to ship, within a budget"
QUANTITIES = "p50 p95 p99 mean (us, ms, s), index_mb, memory_mb, build_s, encode_s, qps"
"""`bench.choose.budget.QUANTITIES`, not imported as --help is quick; a test holds them equal."""


def arguments(command: argparse.ArgumentParser) -> None:
    command.description = (
        "The cheapest system within the budget that is not shown to be worse than the best. "
        "Exit code 1 where nothing keeps to the budget."
    )
    add = command.add_argument
    add("what", type=Path, metavar="DIR|FILE.toml",
        help="a result folder; or an experiment: run on dev to choose, on test to confirm"
        )  # fmt: skip
    add("--budget", action="append", default=[], metavar="'p95<=50ms'",
        help=f"a limit on {QUANTITIES}; repeatable, all must hold; the first says what is cheap "
        "(p50 without any)")  # fmt: skip
    add("--measure", metavar="nDCG@10", help="instead of the suite's first")
    add("--suite", metavar="NAME", help="one of several")
    add("--confirm", type=Path, metavar="DIR",
        help="a result folder of the same systems on the test split")  # fmt: skip
    add("--device", choices=("cpu", "cuda"), default="cpu", help="where models of FILE.toml run")
    add("--threads", type=positive, help="threads while timing; all cores by default")
    add("--seed", type=int, default=13, help="of resampling (13)")
    add("--out", type=Path, metavar="DIR",
        help="write choice.md, its plots and choice.json; of FILE.toml the record too")  # fmt: skip


def main(options: argparse.Namespace) -> int:
    """`bench choose`: 1 where nothing keeps to the budget."""
    from bench.choose.budget import parse_budget
    from bench.choose.report import Rule, pairs, report_of
    from bench.metrics import named
    from reports.choice_page import render

    check_device(options.device)
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed}; expected 0 or more")
    if options.measure:
        named(options.measure)
    rule = Rule([parse_budget(text) for text in options.budget], options.measure, options.seed)
    names: Mapping[str, str] = {}
    if options.what.suffix == ".toml":
        record, names = run(options, rule)
    else:
        record = load(options.what)
    other = load(options.confirm) if options.confirm else record
    found = [pair for pair in pairs(record, options.suite) if pair[0].task == rule.task]
    if not found:
        raise UsageError(f"{options.what} has no {rule.task}; --measure F1 chooses by answers")
    reports = [
        report_of(record, suite, rule, held(other, suite, confirm, bool(options.confirm)),
                  names.get(suite.name))
        for suite, confirm in found
    ]  # fmt: skip
    print(render(reports), end="")
    if options.out:
        write_all(reports, options.out)
    return WORSE if any(report.chosen is None for report in reports) else FINE


def run(options: argparse.Namespace, rule: "Rule") -> "tuple[Record, Mapping[str, str]]":
    """The record of an experiment run to choose from, and by suite what the file calls it."""
    from dataclasses import replace

    from bench.choose.experiment import run_to_choose
    from bench.commands.report import write_result
    from bench.config import read_experiment
    from bench.latency import Protocol
    from bench.output import whole_folder
    from bench.runner import Options

    if options.confirm:
        raise UsageError("--confirm goes with a result folder; an experiment is run on both splits")
    experiment = read_experiment(options.what)
    named = {Path(str(name)).name: str(name) for name in experiment.suites}
    if options.suite is not None:
        if options.suite not in named:
            raise UsageError(f"{options.what} has no suite {options.suite!r}")
        experiment = replace(experiment, suites=[named[options.suite]])
    protocol = Protocol(threads=options.threads, device=options.device)
    how = Options(protocol, options.device, command=options.line, isolate=True)
    if options.out is None:
        return run_to_choose(experiment, rule, how, say), named
    with whole_folder(options.out / "record") as folder:
        record = run_to_choose(experiment, rule, how, say)
        write_result(record, folder)
    return record, named


def held(
    record: "Record", suite: "SuiteInfo", confirm: "SuiteInfo | None", given: bool
) -> "Sequence[Cell]":
    """The cells to confirm on: of the split *confirm*, or of the other one in a *given* record."""
    if given:
        others = [s for s in record.suites if s.name == suite.name and s.split != suite.split]
        splits = [s for s in others if s.task == suite.task]
        if len(splits) != 1:
            raise UsageError(
                f"--confirm: expected one split of {suite.name} other than {suite.split}, "
                f"got {len(splits)}"
            )
        confirm = splits[0]
    if confirm is None:
        return ()
    here = (confirm.name, confirm.split)
    return [cell for cell in record.cells if (cell.suite, cell.split) == here]


def write_all(reports: "Sequence[ChoiceReport]", folder: Path) -> None:
    """The page with its plots and the same as JSON."""
    from reports.choice_page import render
    from reports.choice_plot import draw
    from reports.files import write
    from reports.serial import dumps

    page = render(reports, draw(reports, folder))
    write(folder / "choice.md", page.encode("utf-8", "backslashreplace"))
    write(folder / "choice.json", (dumps(reports) + "\n").encode("utf-8", "backslashreplace"))
    say(f"choice: {folder / 'choice.md'}")


def load(path: Path) -> "Record":
    from reports.record import RecordError
    from reports.record import load as read

    try:
        return read(path)
    except RecordError as error:
        raise UsageError(str(error)) from error
