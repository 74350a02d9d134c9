"""What is read of a large JSON lines file, and how it becomes a corpus."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.columns import make_column
from qrels.data import Column, ColumnKind, Corpus
from qrels.errors import DataError
from qrels.fast_corpus import JSON, OPTIONAL, REQUIRED, Refused, Wanted, parse
from qrels.text_column import TextColumn

METADATA = "metadata"


class Plan(NamedTuple):
    """What is read: the source of each field, None for title and text; the kind of each column."""

    fields: Mapping[str, str] | None
    columns: Mapping[str, ColumnKind]

    @property
    def sources(self) -> Mapping[str, str]:
        return {"title": "title", "text": "text"} if self.fields is None else self.fields


def parsed(path: Path, plan: Plan) -> Corpus:
    """The corpus of *path* in memory. Raises Refused."""
    wanted = wanted_keys(plan)
    size = path.stat().st_size  # more than any column has, unless it is packed
    sinks = [_Memory(size) for _ in wanted]
    found = parse(path, list(wanted.values()), sinks)
    columns = dict(zip(wanted, map(_Memory.column, sinks, found.offsets), strict=True))
    return assembled(columns, dict(zip(wanted, found.seen.tolist(), strict=True)), plan)


class _Memory:
    """A sink that keeps what it is given; not a bytearray, whose memory comes in small pages."""

    def __init__(self, size: int) -> None:
        self.data = np.empty(size, np.uint8)
        self.used = 0

    def write(self, data: memoryview) -> None:
        end = self.used + len(data)
        if end > len(self.data):
            kept, self.data = self.data[: self.used], np.empty(2 * end, np.uint8)
            self.data[: self.used] = kept
        self.data[self.used : end] = data
        self.used = end

    def column(self, offsets: NDArray[np.int64]) -> TextColumn:
        return TextColumn(self.data[: self.used], offsets)


def wanted_keys(plan: Plan) -> dict[str, Wanted]:
    """The keys of a document that are read, the id first. Raises Refused for `metadata` whole."""
    sources = plan.sources.values()
    if METADATA in sources:
        raise Refused
    found = {"_id": Wanted("_id", REQUIRED), "text": Wanted("text", REQUIRED)}
    inner = bool(plan.columns)
    for source in sources:
        if source.startswith(f"{METADATA}."):
            inner = True
        else:
            found.setdefault(source, Wanted(source, OPTIONAL))
    if inner:
        found[METADATA] = Wanted(METADATA, JSON)
    return found


def assembled(columns: Mapping[str, TextColumn], seen: Mapping[str, int], plan: Plan) -> Corpus:
    """What was parsed as a corpus. Raises Refused where the exact reader would not take it."""
    ids, inner = columns["_id"], _inner(columns.get(METADATA), plan)
    fields: dict[str, Sequence[str]] = {}
    for name, source in plan.sources.items():
        if source.startswith(f"{METADATA}."):
            fields[name] = _field(inner[source.removeprefix(f"{METADATA}.")])
        elif seen[source] or source == "title":
            fields[name] = columns[source]
        else:
            raise Refused
    if plan.fields is None and not columns["title"].utf8()[1][-1]:
        del fields["title"]
    metadata = {name: _typed(inner[name], kind) for name, kind in plan.columns.items()}
    return Corpus(ids, fields, metadata)


def _inner(column: TextColumn | None, plan: Plan) -> dict[str, list[Any]]:  # JSON values
    """The values of each key of `metadata` that is read. Raises Refused where it is no object."""
    if column is None:
        return {}
    start = f"{METADATA}."
    keys = [s.removeprefix(start) for s in plan.sources.values() if s.startswith(start)]
    values: dict[str, list[Any]] = {name: [] for name in (*plan.columns, *keys)}
    met = set()
    for text in column:
        table = json.loads(text) if text else {}
        if not isinstance(table, dict | None):
            raise Refused
        for name, found in values.items():
            found.append((table or {}).get(name))
        met |= values.keys() & (table or {}).keys()
    if met != values.keys():
        raise Refused
    return values


def _field(values: Sequence[Any]) -> TextColumn:  # JSON values
    if not all(isinstance(value, str | None) for value in values):
        raise Refused
    return TextColumn.of(value or "" for value in values)


def _typed(values: Sequence[Any], kind: ColumnKind) -> Column:  # JSON values
    try:
        return make_column(kind, values, str)
    except DataError as error:
        raise Refused from error
