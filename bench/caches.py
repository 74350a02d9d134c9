"""What the cache folder holds, kind by kind: its size, its limit, and what can be removed.

An entry's time of writing says when it was last used. Runs that use the cache hold a lease, a
locked file; an entry used since the oldest lease was taken is in use and is never evicted. A
process that is killed loses its lock, and so its lease.
"""

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from bench.locks import locked
from bench.memory import parse_size, show_size
from encoders.cache import cache_folder
from generators.kept import read_entry as read_answer
from qrels.content import sha256
from qrels.errors import UsageError

LIMIT = "50GB"
"""The size limit where BENCH_CACHE_LIMIT names none."""

LEASES = "leases"
NAME = re.compile(r"[0-9a-f]{32}")
DAY = 86_400


class Kind(NamedTuple):
    """One kind of entry: where they are, below the cache folder, and whether one checks out."""

    pattern: str
    whole: Callable[[Path], bool]
    named: bool = True  # its entries have names of 32 hexadecimal digits


@dataclass(frozen=True)
class Entry:
    """What is kept or removed as one: a file or a folder; used in seconds since 1970."""

    kind: str
    path: Path
    size: int
    used: float


def whole_embeddings(path: Path) -> bool:
    from encoders.segments import checks_out

    return checks_out(path)


def whole_stage(path: Path) -> bool:
    from bench.stages import read_entry

    return read_entry(path) is not None


def whole_files(path: Path) -> bool:
    """Whether the files that about.json lists have the SHA-256 that it gives them."""
    try:
        files = json.loads((path / "about.json").read_text(encoding="utf-8"))["files"]
        return all(sha256(path / name) == digest for name, digest in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def whole_index(path: Path) -> bool:
    from qrels.errors import DataError
    from qrels.saved import INDEX, check_saved

    parts = list(path.rglob(INDEX))
    try:
        for part in parts:
            check_saved(part.parent)
    except DataError:
        return False
    return bool(parts)


def whole_answer(path: Path) -> bool:
    return read_answer(path) is not None


def whole_journal(path: Path) -> bool:
    from bench.journal import SUFFIX, read_entry
    from reports.serial import RecordError

    try:
        for cell in path.glob(f"*{SUFFIX}"):
            read_entry(cell)
    except (OSError, RecordError, ValueError, KeyError, TypeError):
        return False
    return True


def whole_model(path: Path) -> bool:
    """Whether the files of an exported model are named by their SHA-256."""
    files = [file for file in path.iterdir() if file.suffix == ".onnx"]
    return bool(files) and all(sha256(file) == file.stem for file in files)


def readable(path: Path) -> bool:
    return path.exists()


KINDS: Mapping[str, Kind] = {
    "embeddings": Kind("embeddings-*/*/*/*.emb", whole_embeddings),
    "rankings": Kind("stages-*/*", whole_stage),
    "indexes": Kind("indexes/*", whole_index),
    "corpora": Kind("corpora-*/*", whole_files),
    "answers": Kind("answers-*/*", whole_answer),
    "models": Kind("models-*/*", whole_model),
    "journals": Kind("journal-*/*", whole_journal),
    "benchmarks": Kind("benchmarks/*", readable, named=False),
}


def entries(kinds: Sequence[str] = tuple(KINDS)) -> list[Entry]:
    """The entries of the cache, those used longest ago first."""
    folder = cache_folder()
    found = (_entry(kind, path, folder) for kind in kinds for path in _paths(kind, folder))
    return sorted((entry for entry in found if entry), key=lambda entry: (entry.used, entry.path))


def _paths(kind: str, folder: Path) -> Iterator[Path]:
    pattern, _, named = KINDS[kind]
    for path in folder.glob(pattern):
        if not path.name.startswith(".") and (NAME.fullmatch(path.stem) or not named):
            yield path


def _entry(kind: str, path: Path, folder: Path) -> Entry | None:
    """The entry, None where it is gone by now or lies elsewhere, behind a link."""
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return None
        parts = [path, *path.rglob("*")] if path.is_dir() else [path]
        size = sum(part.stat().st_size for part in parts if part.is_file())
        return Entry(kind, path, size, path.stat().st_mtime)
    except OSError:
        return None


def broken(entry: Entry) -> bool:
    """Whether the entry fails its checks, and is still there."""
    return not KINDS[entry.kind].whole(entry.path) and entry.path.exists()


def remove(entry: Entry) -> None:
    """Remove an entry so that nobody sees half of it. Raises OSError."""
    if entry.kind == "journals":
        with locked(entry.path / "lock") as mine:
            if mine:  # else a run is writing it
                shutil.rmtree(entry.path)
        return
    gone = entry.path.with_name(f".{entry.path.name}.{uuid4().hex}")
    with suppress(FileNotFoundError):  # someone else removed it
        entry.path.rename(gone)
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()


def drafts() -> list[Path]:
    """What killed processes left behind, a day ago or more."""
    folder = cache_folder()
    patterns = (*(str(Path(kind.pattern).parent / ".*") for kind in KINDS.values()), "*/*/*/*.tmp")
    old = time.time() - DAY
    return [
        path
        for pattern in dict.fromkeys(patterns)
        for path in folder.glob(pattern)
        if path.lstat().st_mtime < old
    ]


def limit_bytes() -> int:
    """The size limit: BENCH_CACHE_LIMIT, else LIMIT."""
    text = os.environ.get("BENCH_CACHE_LIMIT") or LIMIT
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"BENCH_CACHE_LIMIT: {error}") from error


@contextmanager
def keep_to_limit(say: Callable[[str], None]) -> Iterator[None]:
    """Use the cache inside, and then remove from it what is over the limit and not in use."""
    limit = limit_bytes()
    lease = cache_folder() / LEASES / uuid4().hex
    try:
        lease.parent.mkdir(parents=True, exist_ok=True)
    except OSError:  # a cache that cannot be written needs no limit
        yield
        return
    with locked(lease):
        try:
            yield
            if freed := evict(limit):
                say(f"note: {show_size(freed)} of the cache was removed to keep to its limit")
        finally:
            lease.unlink(missing_ok=True)


def evict(limit: int) -> int:
    """Remove entries used longest ago until *limit* bytes are left; the bytes removed."""
    found = entries()
    over = sum(entry.size for entry in found) - limit
    since = oldest_lease()
    freed = 0
    for entry in found:
        if freed >= over or entry.used >= since:
            break
        with suppress(OSError):
            remove(entry)
            freed += entry.size
    return freed


def oldest_lease() -> float:
    """When the first of the runs that go on now began; infinity where there is none."""
    oldest = float("inf")
    for lease in (cache_folder() / LEASES).glob("*"):
        with suppress(OSError):
            began = lease.stat().st_mtime
            with locked(lease) as abandoned:
                if abandoned:
                    lease.unlink(missing_ok=True)
                else:
                    oldest = min(oldest, began)
    return oldest


@contextmanager
def empty_cache() -> Iterator[None]:
    """A cache folder of its own for this process and those that it starts, gone afterwards."""
    before = os.environ.get("BENCH_CACHE")
    with tempfile.TemporaryDirectory(prefix="bench-cache-") as folder:
        os.environ["BENCH_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["BENCH_CACHE"]
            else:
                os.environ["BENCH_CACHE"] = before
