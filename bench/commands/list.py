"""`bench list`."""

import argparse

from bench.commands.common import FINE

HELP = "names of suites, systems, retrievers, ..."


def arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "section", nargs="?", choices=("suites", "systems", "retrievers", "rerankers", "measures")
    )


def main(options: argparse.Namespace) -> int:
    """`bench list`."""
    from bench.listing import listing

    print(listing(options.section))
    return FINE
