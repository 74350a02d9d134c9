"""The acquisition, top to bottom: list, fetch several READMEs at a time, write the folder."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.acquire.files import write_folder
from bench.acquire.hub import Hub, Unreachable
from bench.acquire.items import KINDS, Kind, item_id
from bench.acquire.journal import Journal, journal
from bench.acquire.waiting import Stopped
from qrels.errors import DataError, unknown

EVERY_S = 2.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True)
class Wanted:
    """What to acquire: models or datasets, the *limit* most downloaded that meet the rest."""

    kind: str
    limit: int
    search: str = ""
    author: str = ""


@dataclass(frozen=True)
class Result:
    """items: how many the folder holds; failed: ids with the reason, not in it."""

    items: int
    failed: dict[str, str]


def acquire(
    wanted: Wanted, out: Path, hub: Hub, workers: int, say: Callable[[str], None]
) -> Result:
    """Fetch what is *wanted* into *out*, going on with what an earlier call there has.

    Raises DataError where the hub lists nothing or cannot be reached, UsageError where *out*
    holds another acquisition or one that is going on.
    """
    if wanted.kind not in KINDS:
        raise unknown("kind of item", wanted.kind, KINDS)
    kind = KINDS[wanted.kind]
    asked = {**vars(wanted), "endpoint": hub.endpoint}
    with journal(out, asked) as kept:
        listing = kept.listing()
        if listing is None:
            chosen = {"search": wanted.search, "author": wanted.author}
            chosen = {key: value for key, value in chosen.items() if value}
            say(f"listing {wanted.limit:,} {kind.name} of {hub.endpoint}")
            listing = list(hub.listed(kind, wanted.limit, **chosen))
            if not listing:
                raise DataError(f"{hub.endpoint} lists no {kind.name} such as these")
            kept.keep_listing(listing)
        readmes = kept.finished()
        names = [item_id(item) for item in listing]
        failed = _fetch_all(kept, readmes, names, kind, hub, workers, say)
        count = write_folder(out, kind, listing, readmes)
    return Result(count, failed)


def _fetch_all(
    kept: Journal,
    readmes: dict[str, str],
    names: Sequence[str],
    kind: Kind,
    hub: Hub,
    workers: int,
    say: Callable[[str], None],
) -> dict[str, str]:
    """Fetch what *readmes* lacks of *names*, into it and the journal; what failed, and why."""
    todo = [name for name in names if name not in readmes]
    done = len(names) - len(todo)
    if done:
        say(f"{done:,} of {len(names):,} are here already")
    failed: dict[str, str] = {}
    told = time.monotonic()
    with kept.appending() as keep:
        for name, found in fetched(todo, lambda name: hub.readme(kind, name), workers, hub.stop):
            if isinstance(found, Unreachable):
                failed[name] = str(found)
            else:
                keep(name, found)
                readmes[name] = found
            done += 1
            if time.monotonic() - told > EVERY_S or done == len(names):
                told = time.monotonic()
                say(f"{done:,} of {len(names):,}" + (f", {len(failed)} failed" if failed else ""))
    return failed


def fetched(
    names: Sequence[str], fetch: Callable[[str], str], workers: int, stop: threading.Event
) -> Iterator[tuple[str, str | Unreachable]]:
    """Each name with its text or what was raised, as they come, *workers* at a time.

    Anything but Unreachable is raised here. Leaving early sets *stop*; the threads are daemons,
    so that nothing waits for an answer that is on its way.
    """
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    results: queue.SimpleQueue[tuple[str, str | BaseException]] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)

    def work() -> None:
        while not stop.is_set():
            try:
                name = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results.put((name, fetch(name)))
            except Stopped:
                return
            except BaseException as error:  # it is raised where the results are read
                results.put((name, error))

    try:
        for _ in range(min(workers, len(names))):
            threading.Thread(target=work, daemon=True).start()
        for _ in names:
            name, found = results.get()
            if isinstance(found, BaseException) and not isinstance(found, Unreachable):
                raise found
            yield name, found
    finally:
        stop.set()
