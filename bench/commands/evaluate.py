"""`bench evaluate`."""

import argparse
from pathlib import Path

from bench.commands.common import FINE

HELP = "measure a TREC run file against qrels"


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("qrels", type=Path, metavar="QRELS", help="TREC or BEIR qrels, plain or .gz")
    add("run", type=Path, metavar="RUN", help="TREC run, plain or .gz")
    add("measures", nargs="*", metavar="MEASURE", help="such as nDCG@10 'AP(rel=2)@100' recall_100")
    add("--per-query", action="store_true", help="a line a query as well")
    add("--format", choices=("table", "json"), default="table")


def main(options: argparse.Namespace) -> int:
    """`bench evaluate`."""
    from bench.evaluate import evaluate_files, format_json, format_table

    result = evaluate_files(options.qrels, options.run, options.measures)
    form = {"table": format_table, "json": format_json}[options.format]
    print(form(result, options.per_query))
    return FINE
