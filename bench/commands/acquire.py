"""`bench acquire`."""

import argparse
from pathlib import Path

from bench.commands.common import FINE, INTERRUPTED, SYSTEM_FAILED, positive, say

HELP = "fetch metadata and READMEs of a hub's models or datasets, as a folder to search"
SHOWN = 3


def arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("kind", choices=("models", "datasets"))
    add("--limit", type=positive, required=True, metavar="N", help="the N most downloaded")
    add("--out", type=Path, required=True, metavar="FOLDER", help="goes on where it was killed")
    add("--search", default="", metavar="TEXT", help="only those whose id holds it")
    add("--author", default="", metavar="NAME", help="only those of a user or an organisation")
    add("--workers", type=positive, default=8, metavar="N", help="how many at a time (8)")
    add(
        "--endpoint", metavar="URL", help="another hub; by default HF_ENDPOINT, else the public one"
    )


def main(options: argparse.Namespace) -> int:
    """`bench acquire`. A token is read from HF_TOKEN and nowhere else."""
    import os

    from bench.acquire.hub import ENDPOINT, Hub, check_endpoint
    from bench.acquire.work import Wanted, acquire

    endpoint = check_endpoint(options.endpoint or os.environ.get("HF_ENDPOINT") or ENDPOINT)
    wanted = Wanted(options.kind, options.limit, options.search, options.author)
    try:
        found = acquire(wanted, options.out, Hub(endpoint, say=say), options.workers, say)
    except KeyboardInterrupt:
        say(f"interrupted; what came is kept. To go on: {options.line}")
        return INTERRUPTED
    print(f"{found.items:,} {options.kind} in {options.out}")
    for name in list(found.failed)[:SHOWN]:
        say(f"failed: {name}: {found.failed[name]}")
    if found.failed:
        say(f"{len(found.failed):,} are missing. To try them again: {options.line}")
    return SYSTEM_FAILED if found.failed else FINE
