"""A regular JSON lines file into columns of UTF-8 at the speed of memory, a block at a time.

What is in any way unusual is refused, so that the exact reader in `beir` can say what is wrong or
take it as it is.
"""

import gzip
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from qrels.errors import DataError
from qrels.files import BOM, GZIP, unpack_limit

BLOCK = 2 << 20
THREADS = min(8, max(2, os.cpu_count() or 2))
SHORTEST_LINE = 20
"""Fewer bytes cannot hold a document, `{"_id":"a","text":""}`."""

REQUIRED, OPTIONAL, JSON = 0, 1, 2
"""A string that must be there; a string, null or nothing; any value, kept as it is written."""


class Wanted(NamedTuple):
    """A key of the objects and what it may hold."""

    key: str
    kind: int


class Block(NamedTuple):
    """The wanted values of some rows: UTF-8 of each column, and int64 (rows,) each text's length.

    hashes: uint64 (rows,), of the ids; seen: int64 (n columns,), how many rows have the key.
    """

    texts: list[NDArray[np.uint8]]
    lengths: list[NDArray[np.int64]]
    hashes: NDArray[np.uint64]
    seen: NDArray[np.int64]


class Sink(Protocol):
    """Takes the text of a column, one part after another; a file does."""

    def write(self, data: memoryview, /) -> object: ...


class Parsed(NamedTuple):
    """What `parse` leaves: int64 (n + 1,) offsets of each column, and in how many rows it was."""

    offsets: list[NDArray[np.int64]]
    seen: NDArray[np.int64]


class Refused(Exception):  # noqa: N818  it is no error: another reader goes on
    """The file holds something unusual: read it with the exact reader."""


def parse(path: Path, wanted: Sequence[Wanted], sinks: Sequence[Sink]) -> Parsed:
    """Write each wanted column's UTF-8 to its sink. Raises Refused, whatever was written by then.

    wanted: the id first. The ids are not empty and all different.
    """
    lengths: list[list[NDArray[np.int64]]] = [[] for _ in wanted]
    hashes, seen = [], np.zeros(len(wanted), np.int64)
    for block in in_order(path, partial(_room, len(wanted)), partial(_parsed, wanted)):
        for column, sink in enumerate(sinks):
            sink.write(block.texts[column].data)
            lengths[column].append(block.lengths[column])
        hashes.append(block.hashes)
        seen += block.seen
    if not hashes:
        raise Refused
    ids = np.sort(np.concatenate(hashes))
    if (ids[1:] == ids[:-1]).any():  # an id twice, or, far rarer, a hash
        raise Refused
    return Parsed([_starts(parts) for parts in lengths], seen)


def _starts(lengths: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    every = np.concatenate([np.zeros(1, np.int64), *lengths])
    return np.cumsum(every, out=every)


class _Room(NamedTuple):
    """Memory for a block and what is in it, see `scan_json.json_lines`; used again and again."""

    data: bytearray
    out: NDArray[np.uint8]
    ends: NDArray[np.int64]
    hashes: NDArray[np.uint64]


STRIDE = 2 * BLOCK + 64
ROWS = 2 * BLOCK // SHORTEST_LINE


def _room(columns: int) -> _Room:
    return _Room(
        bytearray(2 * BLOCK),
        np.empty((columns + 1) * STRIDE, np.uint8),
        np.empty((columns, ROWS), np.int64),
        np.empty(ROWS, np.uint64),
    )


def _parsed(wanted: Sequence[Wanted], room: _Room, size: int) -> Block:
    from qrels.scan_json import json_lines  # numba takes a while to load

    keys, kinds = _keys([item.key for item in wanted]), [item.kind for item in wanted]
    seen = np.zeros(len(wanted), np.int64)
    found = json_lines(
        np.frombuffer(room.data, np.uint8), size, *keys, np.array(kinds),
        room.out, STRIDE, room.ends, room.hashes, seen,
    )  # fmt: skip
    if found < 0:
        raise Refused
    ends = room.ends[:, :found]
    starts = np.arange(len(wanted)) * STRIDE
    sizes = ends[:, -1] if found else np.zeros_like(starts)
    texts = [room.out[i : i + n] for i, n in zip(starts.tolist(), sizes.tolist(), strict=True)]
    return Block(texts, list(np.diff(ends, prepend=0)), room.hashes[:found].copy(), seen)


class Room(Protocol):
    """What blocks are read into: at least twice BLOCK bytes, and whatever the parser needs."""

    @property
    def data(self) -> bytearray: ...


R = TypeVar("R", bound=Room)
T = TypeVar("T")


def in_order(path: Path, room: Callable[[], R], parse: Callable[[R, int], T]) -> Iterator[T]:
    """The file's blocks of whole lines, parsed ahead by several threads.

    parse(room, size) has size bytes in room.data; what it gives lasts until the next is asked
    for. gzip is unpacked, a BOM left out. Raises Refused where a line is huge or gzip is damaged,
    DataError where the file cannot be opened.
    """
    free = [room() for _ in range(THREADS + 1)]
    waiting: deque[tuple[Future[T], R]] = deque()
    limit = unpack_limit(path.stat().st_size)
    with ThreadPoolExecutor(THREADS) as pool, _opened(path) as file:
        rest, total = file.read(len(BOM)).removeprefix(BOM), 0
        while True:
            if not free:
                done, used = waiting.popleft()
                yield done.result()
                free.append(used)
            chosen = free.pop()
            size, rest = _fill(file, chosen.data, rest)
            total += size
            if total > limit:
                raise Refused
            if not size:
                break
            waiting.append((pool.submit(parse, chosen, size), chosen))
        for done, _ in waiting:
            yield done.result()


def _fill(file: IO[bytes], data: bytearray, rest: bytes) -> tuple[int, bytes]:
    """Fill *data* with *rest* and more: the size of its whole lines, and what comes after them."""
    data[: len(rest)] = rest
    try:
        with memoryview(data)[len(rest) : len(rest) + BLOCK] as room:
            read = file.readinto(room)  # type: ignore[attr-defined]  # all binary files have it
    except (EOFError, OSError, zlib.error) as error:
        raise Refused from error
    size = len(rest) + read
    cut = data.rfind(b"\n", 0, size) + 1 if read == BLOCK else size
    if size and not cut:
        raise Refused
    return cut, bytes(data[cut:size])


def _keys(names: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    raw = [name.encode() for name in names]
    table = np.zeros((len(raw), max(map(len, raw))), np.uint8)
    for row, name in zip(table, raw, strict=True):
        row[: len(name)] = np.frombuffer(name, np.uint8)
    return table, np.array([len(name) for name in raw], np.int64)


def _opened(path: Path) -> IO[bytes]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if file.read(2) != GZIP:
        if path.suffix == ".gz":  # and is not
            file.close()
            raise Refused
        file.seek(0)
        return file
    file.close()
    return gzip.open(path, "rb")  # type: ignore[return-value]  # it reads as any other
