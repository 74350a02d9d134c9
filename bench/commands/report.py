"""`bench report`: a result folder rendered again."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE
from qrels.errors import UsageError

if TYPE_CHECKING:
    from reports.record import Record

HELP = "render the report of a result folder again"


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, metavar="DIR", help="a result folder")


def main(options: argparse.Namespace) -> int:
    """`bench report`."""
    from reports.record import RecordError, load

    folder = options.folder.parent if options.folder.is_file() else options.folder
    try:
        record = load(folder)
    except RecordError as error:
        raise UsageError(str(error)) from error
    render_files(record, folder)
    print(closing_lines(record, folder))
    return FINE


def write_result(record: "Record", folder: Path) -> None:
    """The record, its values per query, the plots and the report, into *folder*."""
    from reports.record import save

    save(record, folder)
    render_files(record, folder)


def render_files(record: "Record", folder: Path) -> None:
    """The plots and the report, each file whole or not at all."""
    from reports.files import write
    from reports.markdown import render
    from reports.plots import draw

    write(folder / "report.md", render(record, draw(record, folder)).encode())


def closing_lines(record: "Record", folder: Path) -> str:
    """What `run` and `report` print last."""
    from reports.table import leaderboard

    return f"{leaderboard(record)}\n\nreport: {folder / 'report.md'}"
