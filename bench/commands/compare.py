"""`bench compare`: which of these systems is better, and is that shown?"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from bench.commands.common import FINE, positive, whole
from qrels.errors import UsageError

if TYPE_CHECKING:
    from reports.comparison import QueryComparison
    from reports.record import Record, SuiteInfo

HELP = "compare systems of result folders, or run files"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "what",
        nargs="+",
        metavar="DIR[:SYSTEM]|RUN",
        help="a result folder, one system of it, or a TREC run file with --qrels or --suite",
    )
    add("--qrels", type=Path, metavar="FILE", help="what run files are measured on")
    add("--suite", metavar="NAME|FOLDER", help="what run files are measured on; or one of a record")
    add("--split", help="of the suite")
    add("--measure", action="append", default=[], metavar="nDCG@10",
        help="the first orders the systems; by default all that they share")  # fmt: skip
    add("--queries", type=positive, nargs="?", const=10, metavar="N",
        help="list the N (10) queries behind the difference of the first two systems")  # fmt: skip
    add("--alpha", type=float, default=0.05, help="for the letters (0.05)")
    add("--seed", type=whole, default=13, help="of resampling (13)")
    add("--format", choices=("markdown", "json"), default="markdown")
    add("--out", type=Path, metavar="FILE", help="write the page as well")


def main(options: argparse.Namespace) -> int:
    """`bench compare`."""
    from bench.compare import combined, queries_of
    from bench.metrics import named
    from bench.sources import sources
    from reports.comparison import render
    from reports.files import write

    if not 0 < options.alpha < 1:
        raise UsageError(f"--alpha {options.alpha}; expected a number between 0 and 1")
    for name in options.measure:
        named(name)  # said before anything is read
    found = sources(
        options.what, options.qrels, options.suite, options.split, options.measure, options.seed
    )
    record, origins = combined(found, options.measure, options.seed, options.alpha)
    queries = [
        (suite, list(queries_of(record, suite, origins, options.queries, options.suite)))
        for suite in (record.suites if options.queries else ())
    ]
    page = (
        as_json(record, queries)
        if options.format == "json"
        else render(record, queries, options.alpha)
    )
    print(page, end="")
    if options.out:
        write(options.out, page.encode("utf-8", "backslashreplace"))
    return FINE


def as_json(record: "Record", queries: "list[tuple[SuiteInfo, list[QueryComparison]]]") -> str:
    """Means, comparisons and queries as one JSON object, with all digits."""
    from reports.serial import dumps

    content = {
        "cells": [
            {"suite": c.suite, "split": c.split, "system": c.system, "means": c.means}
            for c in record.cells
        ],
        "comparisons": record.comparisons,
        "queries": [found for _, chosen in queries for found in chosen],
    }
    return dumps(content) + "\n"
