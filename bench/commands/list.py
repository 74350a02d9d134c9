"""`bench list`."""

import argparse

from bench.commands.common import FINE

HELP = "names of suites, systems, retrievers, ..."

SECTIONS = ("suites", "systems", "retrievers", "rerankers", "generators", "measures")


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("section", nargs="?", choices=SECTIONS)


def main(options: argparse.Namespace) -> int:
    """`bench list`."""
    from bench.listing import listing

    print(listing(options.section))
    return FINE
