"""`bench lint`."""

import argparse
from pathlib import Path

from bench.commands.common import FINE, WRONG

HELP = "check that a suite is fit to be quoted"


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("suite", metavar="SUITE", help="a shipped suite, a BEIR folder, irds:ID")
    command.add_argument("--split", help="one split; all of them by default")
    command.add_argument(
        "--system", action="append", metavar="NAME", help="instead of the suite's; repeatable"
    )


def main(options: argparse.Namespace) -> int:
    """`bench lint`."""
    from bench.lint import format_findings, lint
    from qrels.suites import SETS, load_suite, shipped, splits

    folder = SETS / options.suite if options.suite in shipped() else Path(options.suite)
    found: list[str | None] = [*splits(folder)]
    wanted = [options.split] if options.split else found or [None]
    code = FINE
    for split in wanted:
        suite = load_suite(options.suite, split)
        findings = lint(suite, options.system)
        print(format_findings(suite, findings))
        if any(found.level == "error" for found in findings):
            code = WRONG
    return code
