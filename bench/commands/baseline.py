"""`bench baseline`: the values that a gate compares with, saved, accepted, shown."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE
from qrels.errors import UsageError

if TYPE_CHECKING:
    from bench.gate.baseline import Baseline

HELP = "save, accept or show the values that a gate compares with"


def arguments(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    save = actions.add_parser("save", help="a new file from a result folder")
    accept = actions.add_parser("accept", help="put a result folder's cells into the file")
    show = actions.add_parser("show", help="what the file holds")
    for action, option in ((save, "--out"), (accept, "--baseline")):
        action.add_argument("folder", type=Path, metavar="DIR", help="a result folder")
        action.add_argument(option, dest="file", type=Path, metavar="FILE.json", required=True)
        action.add_argument("--system", action="append", default=[], help="only this; repeatable")
        action.add_argument("--measure", action="append", default=[], help="only this; repeatable")
    show.add_argument("file", type=Path, metavar="FILE.json")


def main(options: argparse.Namespace) -> int:
    """`bench baseline`."""
    return {"save": save, "accept": accept, "show": show}[options.action](options)


def save(options: argparse.Namespace) -> int:
    """`bench baseline save`."""
    from bench.gate.baseline import save as write

    if options.file.exists():
        raise UsageError(f"{options.file} is there already; `bench baseline accept` changes it")
    new = _of(options)
    write(new, options.file)
    print(_table(new))
    print(f"\nbaseline: {options.file} ({options.file.stat().st_size / 1e3:.0f} kB)")
    return FINE


def accept(options: argparse.Namespace) -> int:
    """`bench baseline accept`."""
    from bench.gate.baseline import load, merged, narrowed
    from bench.gate.baseline import save as write

    old, new = load(options.file), _of(options)
    new = new if options.measure else narrowed(new, old)
    write(merged(old, new), options.file)
    print(_table(new, old))
    print(f"\nbaseline: {options.file}; look at its diff before you commit it")
    return FINE


def show(options: argparse.Namespace) -> int:
    """`bench baseline show`."""
    from bench.gate.baseline import load

    print(_table(load(options.file)))
    return FINE


def _of(options: argparse.Namespace) -> "Baseline":
    """The baseline that the result folder makes."""
    from bench.gate.baseline import baseline_of
    from reports.record import RecordError, load

    try:
        record = load(options.folder)
    except RecordError as error:
        raise UsageError(str(error)) from error
    folder = options.folder.parent if options.folder.is_file() else options.folder
    return baseline_of(record, folder, options.system, options.measure)


def _table(new: "Baseline", old: "Baseline | None" = None) -> str:
    """A line a cell and measure; with what it was before, where that is asked for."""
    from reports.table import plain
    from reports.units import NONE, figure

    before = {
        (cell.key, measure): figure(cell.column(measure).mean())
        for cell in (old.cells if old else ())
        for measure in cell.measures
    }
    rows = [
        [
            f"{cell.suite} ({cell.split})",
            cell.system.name,
            measure,
            str(len(cell.queries)),
            *([before.get((cell.key, measure), NONE)] if old else []),
            figure(cell.column(measure).mean()),
        ]
        for cell in new.cells
        for measure in cell.measures
    ]
    header = ["suite", "system", "measure", "queries", *(["before"] if old else []), "mean"]
    return plain(header, rows, "lllr" + "r" * (len(header) - 4))
