"""What an acquisition has so far, on disk, so that a killed one goes on where it was.

    OUT/.acquire/lock           held by the process that writes here
                 listing.json   what was asked and every item to get, once the list is whole
                 items.jsonl    a line a finished item: checksum, blank, {"id": ..., "readme": ...}

A line that was cut off, or whose checksum is wrong, is as good as missing.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.locks import locked
from qrels.errors import UsageError
from qrels.files import write_whole

FOLDER, LISTING, ITEMS, LOCK = ".acquire", "listing.json", "items.jsonl", "lock"
DIGITS = 16

Item = dict[str, Any]  # the hub's JSON


@dataclass(frozen=True)
class Journal:
    """The journal in *folder*, this process's alone; asked: the options that decide what is got."""

    folder: Path
    asked: Mapping[str, Any]  # JSON-ready

    def listing(self) -> list[Item] | None:
        """The items to get; None where they are not yet known.

        UsageError where the folder holds another acquisition.
        """
        path = self.folder / LISTING
        if not path.exists():
            return None
        found = _object(path.read_bytes())
        if found is None:
            return None
        if found["asked"] != self.asked:
            was = ", ".join(f"{key} {value}" for key, value in found["asked"].items() if value)
            raise UsageError(
                f"{self.folder.parent} holds another acquisition ({was}); "
                f"give another --out, or remove {self.folder}"
            )
        items: list[Item] = found["items"]
        return items

    def keep_listing(self, items: Sequence[Item]) -> None:
        text = json.dumps({"asked": self.asked, "items": items})
        write_whole(self.folder / LISTING, _line(text))

    def finished(self) -> dict[str, str]:
        """The README of every finished item, by its id."""
        path = self.folder / ITEMS
        path.touch()
        with path.open("rb") as lines:
            found = (_object(line) for line in lines)
            return {item["id"]: item["readme"] for item in found if item is not None}

    @contextmanager
    def appending(self) -> Iterator[Callable[[str, str], None]]:
        """What keeps a finished item, by id and README; it raises OSError where it cannot.

        Its line is one of its own, whatever a kill left of the last one.
        """
        with (self.folder / ITEMS).open("ab+") as file:
            if file.tell() and file.seek(-1, os.SEEK_END) and file.read() != b"\n":
                file.write(b"\n")

            def keep(name: str, readme: str) -> None:
                file.write(_line(json.dumps({"id": name, "readme": readme})).encode())
                file.flush()

            yield keep


@contextmanager
def journal(out: Path, asked: Mapping[str, Any]) -> Iterator[Journal]:
    """The journal of the acquisition into *out*; UsageError where another process writes there."""
    folder = out / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write to {out}: {error.strerror}") from error
    with locked(folder / LOCK) as mine:
        if not mine:
            raise UsageError(f"{out}: another process is writing there, or it cannot be locked")
        yield Journal(folder, asked)


def _line(text: str) -> str:
    return f"{_checksum(text.encode())} {text}\n"


def _checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:DIGITS]


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line, None where it is not whole."""
    line = line.rstrip(b"\n")
    text = line[DIGITS + 1 :]
    if line[: DIGITS + 1] != f"{_checksum(text)} ".encode():
        return None
    found: dict[str, Any] = json.loads(text)
    return found
