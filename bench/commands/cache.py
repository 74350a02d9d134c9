"""`bench cache`."""

import argparse
import re
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.commands.common import FINE, WORSE

if TYPE_CHECKING:
    from pathlib import Path

    from bench.caches import Entry

HELP = "what is kept on disk: its size, whether it is whole, and how to be rid of it"

NAMES = (
    "embeddings", "rankings", "indexes", "corpora", "answers", "models", "journals", "benchmarks",
)  # fmt: skip
"""The keys of `bench.caches.KINDS`, which is not imported for --help."""

SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400}
AGE = re.compile(r"(\d+)([hdw])")


def arguments(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("info", help="what there is, by kind, and the limit")
    clear = actions.add_parser("clear", help="remove entries")
    verify = actions.add_parser("verify", help="check every entry; exit 1 where one is broken")
    for one in (clear, verify):
        one.add_argument("--kind", choices=NAMES, help="only of this kind")
    clear.add_argument(
        "--older-than", type=age, metavar="30d", default=0, help="only those unused for so long"
    )
    clear.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    verify.add_argument("--fix", action="store_true", help="remove what is broken")


def age(text: str) -> int:
    """Seconds of 12h, 30d or 2w."""
    found = AGE.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age; expected 12h, 30d or 2w, say")
    return int(found[1]) * SECONDS[found[2]]


def main(options: argparse.Namespace) -> int:
    """`bench cache`."""
    return ACTIONS[options.action](options)


def info(options: argparse.Namespace) -> int:  # noqa: ARG001 - one signature for all
    from bench.caches import KINDS, entries, limit_bytes
    from bench.memory import show_size
    from encoders.cache import cache_folder

    found = entries()
    rows = [("", "entries", "size", "last used")]
    for kind in KINDS:
        mine = [entry for entry in found if entry.kind == kind]
        rows.append(row(kind, mine))
        if kind == "embeddings":
            rows += [row(f"  {name}", part) for name, part in by_encoder(mine).items()]
    rows.append(row("all", found))
    print(cache_folder())
    width = max(len(cells[0]) for cells in rows)
    for name, *cells in rows:
        print(f"{name:{width}}" + "".join(f"{cell:>12}" for cell in cells))
    print(f"limit {show_size(limit_bytes())}; BENCH_CACHE_LIMIT sets another")
    return FINE


def row(name: str, found: "Sequence[Entry]") -> tuple[str, str, str, str]:
    from bench.memory import show_size

    size = show_size(sum(entry.size for entry in found))
    last = max((entry.used for entry in found), default=None)
    used = "" if last is None else time.strftime("%Y-%m-%d", time.localtime(last))
    return name, f"{len(found):,}", size, used


def by_encoder(found: "Sequence[Entry]") -> "dict[str, list[Entry]]":
    """The files of embeddings by the name of what made them."""
    from encoders.segments import made_by
    from reports.table import clean

    groups: dict[str, list[Entry]] = {}
    for entry in found:
        groups.setdefault(clean(made_by(entry.path))[:60], []).append(entry)
    return groups


def clear(options: argparse.Namespace) -> int:
    from bench.caches import KINDS, drafts, entries, remove
    from bench.memory import show_size

    kinds = [options.kind] if options.kind else list(KINDS)
    before = time.time() - options.older_than
    found = [entry for entry in entries(kinds) if entry.used <= before]
    for entry in found:
        if options.dry_run:
            print(f"{entry.kind:12}{show_size(entry.size):>10}  {entry.path}")
        else:
            remove(entry)
    if not options.dry_run:
        clear_drafts(drafts())
    done = "would be removed" if options.dry_run else "removed"
    print(f"{len(found):,} entries, {show_size(sum(entry.size for entry in found))} {done}")
    return FINE


def clear_drafts(paths: "Sequence[Path]") -> None:
    import shutil

    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def verify(options: argparse.Namespace) -> int:
    from bench.caches import KINDS, broken, entries, remove

    found = entries([options.kind] if options.kind else list(KINDS))
    wrong = [entry for entry in found if broken(entry)]
    for entry in wrong:
        print(f"broken: {entry.path}" + (", removed" if options.fix else ""))
        if options.fix:
            remove(entry)
    print(f"{len(found):,} entries checked, {len(wrong)} broken")
    return WORSE if wrong else FINE


ACTIONS = {"info": info, "clear": clear, "verify": verify}
