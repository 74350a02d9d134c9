"""Texts as their UTF-8 bytes and where each starts, in memory or mapped from a file."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

BLOCK = 4096
"""How many texts are strings at a time while a column is gone through."""

LONGEST = 64
"""Up to this many bytes ids are compared as numbers, eight bytes each."""


class TextColumn(Sequence[str]):
    """n texts that become strings only where they are asked for.

    data: uint8, valid UTF-8; offsets: int64 (n + 1,), where each starts in it, and the end.
    folder, name: where both are files, `NAME.utf8` and `NAME.offsets.npy`; such a column is
    pickled as its place, so that another process maps the same files.
    """

    def __init__(
        self,
        data: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        folder: Path | None = None,
        name: str = "",
    ) -> None:
        self._data = data
        self._offsets = offsets
        self.folder = folder
        self.name = name

    @classmethod
    def of(cls, texts: Iterable[str]) -> "TextColumn":
        """A column in memory."""
        parts = [text.encode() for text in texts]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        return cls(np.frombuffer(b"".join(parts), np.uint8), offsets)

    @classmethod
    def mapped(cls, folder: Path, name: str) -> "TextColumn":
        """The column in two files of *folder*, read-only. OSError or ValueError where broken."""
        offsets = np.load(folder / f"{name}.offsets.npy", mmap_mode="r", allow_pickle=False)
        path = folder / f"{name}.utf8"
        size = path.stat().st_size
        if offsets.dtype != np.int64 or offsets.ndim != 1 or offsets[-1] != size:
            raise ValueError(f"{path}: its length does not fit its offsets")
        data = np.memmap(path, np.uint8, mode="r") if size else np.empty(0, np.uint8)
        return cls(np.asarray(data), np.asarray(offsets), folder, name)

    def utf8(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The bytes of all texts, uint8, and int64 (n + 1,): where each starts; no copy."""
        return self._data, self._offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            start, stop, step = at.indices(len(self))
            if step != 1:
                return [self[i] for i in range(start, stop, step)]
            return self._strings(start, max(start, stop))
        place = range(len(self))[at]  # IndexError, and places from the end
        first, last = self._offsets[place : place + 2].tolist()
        return self._data[first:last].tobytes().decode()

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self._strings(start, min(start + BLOCK, len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TextColumn):
            (mine, bounds), (theirs, others) = self.utf8(), other.utf8()
            return np.array_equal(bounds, others) and np.array_equal(mine, theirs)
        if isinstance(other, list | tuple):
            return len(self) == len(other) and all(map(str.__eq__, self, other))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __repr__(self) -> str:
        return f"TextColumn({len(self)} texts, {self._offsets[-1]} bytes)"

    def __reduce__(self) -> tuple[Any, ...]:  # what pickle takes
        if self.folder is not None:
            return TextColumn.mapped, (self.folder, self.name)
        return TextColumn, self.utf8()

    def _strings(self, start: int, stop: int) -> list[str]:
        places = self._offsets[start : stop + 1]
        raw = self._data[places[0] : places[-1]].tobytes()
        bounds = (places - places[0]).tolist()
        pairs = pairwise(bounds)
        if not raw.isascii():
            return [raw[i:j].decode() for i, j in pairs]
        text = raw.decode("ascii")
        return [text[i:j] for i, j in pairs]

    @cached_property
    def descending(self) -> NDArray[np.int64]:
        """int64 (n,): the places of the texts, the greatest code points first."""
        lengths = np.diff(self._offsets)
        longest = int(lengths.max(initial=0))
        if longest > LONGEST:
            return np.array(sorted(range(len(self)), key=self.__getitem__, reverse=True), np.int64)
        words = self._words(lengths, -(-longest // 8))
        return np.lexsort((lengths, *words))[::-1]  # the bytes 0 that pad are less than any

    def find(self, text: str) -> int | None:
        """The place of a text that is there once at most, None where it is not."""
        order = self.descending
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if self[int(order[middle])] > text:
                low = middle + 1
            else:
                high = middle
        place = int(order[low]) if low < len(order) else None
        return place if place is not None and self[place] == text else None

    def _words(self, lengths: NDArray[np.int64], count: int) -> list[NDArray[np.uint64]]:
        """Each text's bytes as *count* numbers, padded with 0, the last first."""
        words = []
        for number in reversed(range(count)):
            found = np.zeros(len(self), np.uint64)
            for byte in range(8 * number, 8 * number + 8):
                has = lengths > byte
                places = np.where(has, self._offsets[:-1] + byte, 0)
                found = (found << np.uint64(8)) | np.where(has, self._data[places], 0)
            words.append(found)
        return words


def joined(columns: Sequence[TextColumn]) -> TextColumn:
    """One text a row: what is not empty in it, in order, joined by a space; a copy in memory."""
    from qrels.scan_text import join  # numba takes a while to load

    first, *others = columns
    found = first.utf8()
    for other in others:
        (left, starts), (right, more) = found, other.utf8()
        lengths, added = np.diff(starts), np.diff(more)
        lengths = lengths + added + ((lengths > 0) & (added > 0))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        data = np.empty(int(offsets[-1]), np.uint8)
        join(left, starts, right, more, data, offsets)
        found = data, offsets
    return TextColumn(*found) if others else first
