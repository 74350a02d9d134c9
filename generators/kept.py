"""Answers of a server on disk, by all of the request, so that none is asked for twice.

An entry that does not check out is asked for again. Where the folder cannot be written, work goes
on without. While queries are timed, answers are neither read nor written.
"""

import hashlib
import json
import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from encoders.cache import cache_folder, keeps_queries
from qrels.files import write_whole

FORMAT = 1


class Reply(NamedTuple):
    """What a server said, with the tokens it counted, 0 where it did not."""

    text: str
    prompt_tokens: int = 0
    tokens: int = 0


class Kept(NamedTuple):
    """The folder of answers, None where they are not kept."""

    folder: Path | None

    def read(self, request: str) -> Reply | None:
        """The reply to the request of this SHA-256, None where there is none that checks out."""
        if self.folder is None:
            return None
        path = self._path(request)
        found = read_entry(path)
        if found is None or found[0] != request:
            return None
        with suppress(OSError):
            os.utime(path)  # used now, for the limit of the cache
        return found[1]

    def write(self, request: str, reply: Reply) -> None:
        """Keep a reply, whole or not at all."""
        if self.folder is None:
            return
        entry = {"request": request, "reply": reply._asdict(), "check": _check(request, reply)}
        try:
            write_whole(self._path(request), json.dumps(entry))
        except OSError as error:
            warnings.warn(
                f"answers are not cached: {self.folder} cannot be written ({error.strerror})",
                RuntimeWarning,
                stacklevel=3,
            )

    def _path(self, request: str) -> Path:
        assert self.folder is not None  # asked before
        return self.folder / f"{request[:32]}.json"


def kept_answers() -> Kept:
    """Where the scope's cache keeps answers, nowhere where it keeps nothing of queries."""
    return Kept(cache_folder() / f"answers-{FORMAT}" if keeps_queries() else None)


def read_entry(path: Path) -> tuple[str, Reply] | None:
    """Request and reply of a file, None where it is not there or not as it was written."""
    try:
        entry = json.loads(path.read_bytes())
        request, reply = entry["request"], Reply(**entry["reply"])
        whole = entry["check"] == _check(request, reply)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return (request, reply) if whole else None


def _check(request: str, reply: Reply) -> str:
    return hashlib.sha256(json.dumps([request, *reply]).encode()).hexdigest()
