"""A regular TREC run into numbers at the speed of memory, a block at a time.

What is in any way unusual is refused, as in `fast_corpus`: the exact reader in `trec` takes it.
"""

from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from qrels.coded import Coded
from qrels.fast_corpus import BLOCK, Refused, in_order
from qrels.text_column import TextColumn

SHORTEST_LINE = 12
"""`q 0 d 1 1 t` and the line's end."""

D = TypeVar("D", bound=np.generic)

ROWS = 2 * BLOCK // SHORTEST_LINE


class FastRun(NamedTuple):
    """Query and document of each row, float32 (n,) scores, and the last column of the first."""

    query_ids: Coded
    doc_ids: Coded
    scores: NDArray[np.float32]
    tag: str


class _Room(NamedTuple):
    """Memory for a block and what is in it, see `scan_run.run_lines`; used again and again."""

    data: bytearray
    places: NDArray[np.int32]
    hashes: NDArray[np.uint64]
    scores: NDArray[np.float32]
    same: NDArray[np.bool_]


class _Names:
    """The distinct names so far; they are numbered as they come."""

    def __init__(self) -> None:
        self._count = 0
        self._slots = _slots(1 << 12)
        self._bounds = np.zeros(1 << 11, np.int64)
        self._letters = np.empty(1 << 15, np.uint8)
        self._codes: list[NDArray[np.int32]] = []

    def add(self, room: _Room, which: int, rows: int, same: NDArray[np.bool_]) -> None:
        """Number one column, the which-th of query and document, of the first *rows*."""
        from qrels.scan_run import intern  # numba takes a while to load

        starts, stops = room.places[2 * which, :rows], room.places[2 * which + 1, :rows]
        self._make_room(rows - int(same.sum()), int(stops.sum() - starts.sum()))
        codes = np.empty(rows, np.int32)
        self._count = intern(
            np.frombuffer(room.data, np.uint8), starts, stops, room.hashes[which, :rows], same,
            self._slots, self._letters, self._bounds, self._count, codes,
        )  # fmt: skip
        self._codes.append(codes)

    def _make_room(self, names: int, letters: int) -> None:
        """So that as many more names fit, with two thirds of the slots taken at most."""
        from qrels.scan_run import move_all

        need = self._count + names
        if 3 * need > 2 * len(self._slots):
            old = self._slots
            self._slots = _slots(1 << (3 * need // 2).bit_length())
            move_all(old, self._slots)
        if need >= len(self._bounds):
            self._bounds = _larger(self._bounds, 1 << (need + 1).bit_length())
        need = int(self._bounds[self._count]) + letters
        if need > len(self._letters):
            self._letters = _larger(self._letters, 1 << need.bit_length())

    def column(self) -> Coded:
        """All rows."""
        bounds = self._bounds[: self._count + 1].copy()
        names = TextColumn(self._letters[: bounds[-1]].copy(), bounds)
        return Coded(names, np.concatenate(self._codes))


def _slots(size: int) -> NDArray[np.uint64]:
    """An empty table. Not np.zeros, whose memory comes in pages too small for random access."""
    found = np.empty((size, 4), np.uint64)
    found[:] = 0
    return found


def _larger(array: NDArray[D], size: int) -> NDArray[D]:
    found = np.empty(size, array.dtype)
    found[: len(array)] = array
    return found


def fast_run(path: Path) -> FastRun:
    """The rows of a TREC run in file order. Raises Refused where anything is unusual."""
    queries, docs, scores, tag = _Names(), _Names(), [], ""
    for room, size, rows in in_order(path, _room, _parsed):
        if not rows:
            continue
        if not tag:
            first = bytes(room.data[int(room.places[5, 0]) : size]).split(b"\n", 1)[0]
            tag = first.split()[-1].decode()
        queries.add(room, 0, rows, room.same[:rows])
        docs.add(room, 1, rows, np.zeros(rows, np.bool_))
        scores.append(_scores(room, rows))
    if not scores:
        raise Refused
    found = FastRun(queries.column(), docs.column(), np.concatenate(scores), tag)
    if _repeats(found.query_ids, found.doc_ids):
        raise Refused
    return found


def _room() -> _Room:
    return _Room(
        bytearray(2 * BLOCK + 64),
        np.empty((6, ROWS), np.int32),
        np.empty((2, ROWS), np.uint64),
        np.empty(ROWS, np.float32),
        np.empty(ROWS, np.bool_),
    )


def _parsed(room: _Room, size: int) -> tuple[_Room, int, int]:
    from qrels.scan_run import run_lines

    data, *rest = room
    rows = run_lines(np.frombuffer(data, np.uint8), size, *rest)
    if rows < 0:
        raise Refused
    return room, size, rows


def _scores(room: _Room, rows: int) -> NDArray[np.float32]:
    """The scores, those that need it by way of Python's float."""
    found = room.scores[:rows].copy()
    for row in np.flatnonzero(np.isnan(found)).tolist():
        start, stop = room.places[4:, row].tolist()
        text = bytes(room.data[start:stop])
        try:
            value = float(text) if b"_" not in text else np.nan
        except ValueError as error:
            raise Refused from error
        with np.errstate(over="ignore"):
            found[row] = np.float32(value)
    if not np.isfinite(found).all():
        raise Refused
    return found


def _repeats(queries: Coded, docs: Coded) -> bool:
    """Whether a query and a document are paired twice."""
    from qrels.scan_run import repeats

    changes = np.count_nonzero(np.diff(queries.codes)) + 1
    if changes == len(queries.names):
        last = np.full(len(docs.names), -1, np.int32)
        return bool(repeats(queries.codes, docs.codes, last))
    pairs = np.sort(queries.codes.astype(np.int64) * len(docs.names) + docs.codes)
    return bool((pairs[1:] == pairs[:-1]).any())
