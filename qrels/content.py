"""What a file holds, by its SHA-256, found once while the file stays as it is.

A digest is kept with the file's size, times, inode and device. It is believed only where all
five are the same and were at least SETTLED old when the hashing began: so a file that changes
within the clock's resolution is hashed again. The time of change cannot be set back by anyone.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qrels.saved import with_file

SETTLED = 2_000_000_000
"""Nanoseconds; two seconds is the coarsest clock of a file system in use."""

Facts = list[int]


def cache_folder() -> Path:
    """BENCH_CACHE, else retrieval-bench in the user's cache folder."""
    if named := os.environ.get("BENCH_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "retrieval-bench"


def facts(path: Path) -> Facts:
    """Size, time of writing, time of change, inode and device."""
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev]


def used(path: Path) -> None:
    """Note in its own time of writing that an entry of the cache, file or folder, is in use."""
    with contextlib.suppress(OSError):
        os.utime(path)


def is_settled(found: Facts, now_ns: int) -> bool:
    """Whether a later write would show in the times."""
    return now_ns - max(found[1], found[2]) > SETTLED


def sha256(path: Path) -> str:
    """The digest of the file as it is now, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(path: Path, stamps: Path) -> str:
    """The SHA-256 of a file, in hex, from the folder *stamps* where it is known there.

    Raises OSError where the file cannot be read; a stamp that cannot be written is left out.
    """
    place = str(path.resolve())
    stamp = stamps / f"{hashlib.sha256(place.encode(errors='surrogateescape')).hexdigest()}.json"
    before, start = facts(path), time.time_ns()
    known = kept(stamp)
    if known.get("facts") == before:
        return str(known["sha256"])
    found = sha256(path)
    if is_settled(before, start) and facts(path) == before:
        keep(stamp, {"facts": before, "sha256": found})
    return found


def keep(path: Path, content: Mapping[str, object]) -> None:
    """Write a small table with its own digest, or go on without."""
    own = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    text = json.dumps({"content": content, "sha256": own})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with_file(path, lambda file: file.write(text.encode()))
    except OSError:
        pass


def kept(path: Path) -> dict[str, Any]:  # JSON values
    """What `keep` wrote, nothing where that is damaged or is not there."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        content = dict(found["content"])
        own = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return content if found["sha256"] == own else {}
