"""Corpora and queries in BEIR's JSON lines: `_id`, `title`, `text`, `metadata`, plain or gzip."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qrels.columns import make_column
from qrels.corpus_cache import large_corpus
from qrels.data import Column, ColumnKind, Corpus, Queries
from qrels.errors import DataError, unknown
from qrels.files import FAST_FROM, find, read_objects, shown, write_whole

METADATA = "metadata."


class FieldSpec(NamedTuple):
    """Where a text field comes from: a key of the document, or `metadata.KEY`."""

    source: str
    weight: float = 1.0


class Rows(NamedTuple):
    """The objects of a file, each on its line, in file order."""

    path: Path
    lines: list[int]
    objects: list[dict[str, Any]]  # free JSON

    def where(self, i: int, column: str = "") -> str:
        """Object i as messages name it."""
        return f"{self.path}:{self.lines[i]}" + (f": {column}" if column else "")


def read_corpus(
    path: Path | str,
    fields: Mapping[str, FieldSpec] | None = None,
    columns: Mapping[str, ColumnKind] | None = None,
) -> Corpus:
    """The corpus in a JSON lines file, or in the corpus.jsonl (.gz) of a folder.

    fields: by default title, where any document has one, and text. A field made of a list is its
    items joined by ", "; one made of nothing is "". columns: the metadata read, with their kinds;
    a value that is missing or null is missing. Every document needs `_id` and `text`, which may
    be "". Raises DataError, with file and line, for anything else; a field or column that no
    document has is a UsageError. The texts of a large file stay UTF-8, mapped from the cache
    folder, and become strings one at a time.
    """
    path = find(Path(path), "corpus.jsonl") if Path(path).is_dir() else Path(path)
    if (large := _large(path, fields, columns or {})) is not None:
        return large
    rows = _read(path, "corpus.jsonl")
    doc_ids = _ids(rows)
    texts = [_required(rows, i, "text") for i in range(len(doc_ids))]
    if fields is None:
        titles = _field(rows, "title")
        found: dict[str, Sequence[str]] = {"title": titles} if any(titles) else {}
        found["text"] = texts
    else:
        found = {name: _field(rows, spec.source) for name, spec in fields.items()}
    weights = {name: fields[name].weight if fields else 1.0 for name in found}
    metadata = {name: _column(rows, name, kind) for name, kind in (columns or {}).items()}
    return Corpus(doc_ids, found, metadata, weights)


def _large(
    path: Path, fields: Mapping[str, FieldSpec] | None, columns: Mapping[str, ColumnKind]
) -> Corpus | None:
    """The corpus in a large regular file; None for any other."""
    if not path.is_file() or path.stat().st_size < FAST_FROM:
        return None
    sources = None if fields is None else {name: spec.source for name, spec in fields.items()}
    if (found := large_corpus(path, sources, columns)) is None:
        return None
    weights = {name: fields[name].weight if fields else 1.0 for name in found.fields}
    return replace(found, weights=weights)


def read_queries(path: Path | str) -> Queries:
    """The queries in a JSON lines file, or in the queries.jsonl (.gz) of a folder.

    Every query needs `_id` and `text`, which may be "". What else is beside them (`answers`)
    goes into its metadata, under the file's own `metadata`. Raises DataError as `read_corpus`.
    """
    rows = _read(path, "queries.jsonl")
    query_ids = _ids(rows)
    texts = [_required(rows, i, "text") for i in range(len(query_ids))]
    own = ("_id", "text", "metadata")
    metadata = [
        {key: value for key, value in row.items() if key not in own} | _metadata(rows, i)
        for i, row in enumerate(rows.objects)
    ]
    return Queries(query_ids, texts, metadata)


def write_corpus(path: Path | str, corpus: Corpus) -> None:
    """Write *corpus* so that `read_corpus` with its fields and columns gives it back.

    Fields are keys of the document (`text` is "" where there is no such field); missing metadata
    is left out, and so a column that is missing everywhere cannot be read back.
    """
    cells = {name: _cells(column) for name, column in corpus.metadata.items()}
    _write(
        path,
        (
            {"_id": doc_id, "text": ""}
            | {name: texts[i] for name, texts in corpus.fields.items()}
            | {"metadata": {name: v[i] for name, v in cells.items() if v[i] is not None}}
            for i, doc_id in enumerate(corpus.doc_ids)
        ),
    )


def write_queries(path: Path | str, queries: Queries) -> None:
    """Write *queries* so that `read_queries` gives them back."""
    rows = zip(queries.query_ids, queries.texts, queries.metadata, strict=True)
    _write(path, ({"_id": i, "text": text, "metadata": dict(item)} for i, text, item in rows))


def check_ids(ids: Sequence[str], where: Callable[[int], str]) -> None:
    """DataError where one of *ids* is no string, empty or there twice; where(i) names its place."""
    seen: dict[str, int] = {}
    for i, name in enumerate(ids):
        if not isinstance(name, str) or not name:
            hint = f'; write it as "{name}"' if isinstance(name, int) else ""
            raise DataError(f"{where(i)}: id {shown(name)}; expected a non-empty string{hint}")
        if seen.setdefault(name, i) != i:
            raise DataError(f"{where(i)}: id {name!r} was already given at {where(seen[name])}")


def as_text(value: object) -> str:
    """A JSON value as the text of a field: "" for none, items of a list joined by ", ".

    Raises TypeError for objects, booleans and lists of anything but strings and numbers.
    """
    if value is None:
        return ""
    if isinstance(value, list):
        if any(isinstance(item, list) or item is None for item in value):
            raise TypeError
        return ", ".join(map(as_text, value))
    if isinstance(value, bool | dict):
        raise TypeError
    return str(value)


def _read(path: Path | str, name: str) -> Rows:
    path = Path(path)
    path = find(path, name) if path.is_dir() else path
    lines, objects = zip(*read_objects(path), strict=True)
    return Rows(path, list(lines), list(objects))


def _ids(rows: Rows) -> list[str]:
    ids = [_present(rows, i, "_id") for i in range(len(rows.objects))]
    check_ids(ids, rows.where)
    return ids


def _present(rows: Rows, i: int, key: str) -> Any:  # a JSON value
    if key not in rows.objects[i]:
        raise DataError(f"{rows.where(i)}: {key!r} is missing")
    return rows.objects[i][key]


def _required(rows: Rows, i: int, key: str) -> str:
    value = _present(rows, i, key)
    if not isinstance(value, str):
        raise DataError(f"{rows.where(i, key)} = {shown(value)}; expected a string")
    return value


def _metadata(rows: Rows, i: int) -> dict[str, Any]:  # free JSON
    value = rows.objects[i].get("metadata")
    if not isinstance(value, dict | None):
        raise DataError(f"{rows.where(i, 'metadata')} = {shown(value)}; expected an object")
    return value or {}


def _field(rows: Rows, source: str) -> list[str]:
    """The text of one field in each document; only `title` may be in none of them."""
    values = _values(rows, source, required=source != "title")
    texts = []
    for i, value in enumerate(values):
        try:
            if source in ("title", "text") and not isinstance(value, str | None):
                raise TypeError
            texts.append(as_text(value))
        except TypeError as error:
            raise DataError(
                f"{rows.where(i, source)} = {shown(value)}; expected a string or a list of strings"
            ) from error
    return texts


def _column(rows: Rows, name: str, kind: ColumnKind) -> Column:
    values = _values(rows, METADATA + name, required=True)
    return make_column(kind, values, lambda i: rows.where(i, METADATA + name))


def _values(rows: Rows, source: str, required: bool) -> list[object]:
    """The JSON value of `KEY` or `metadata.KEY` in each document, None where it is not there."""
    key = source.removeprefix(METADATA)
    tables = rows.objects
    if key != source:
        tables = [_metadata(rows, i) for i in range(len(rows.objects))]
    if required and not any(key in table for table in tables):
        keys = dict.fromkeys(key for table in tables for key in table)
        kind = "metadata column" if key != source else "field"
        raise unknown(f"{kind} of {rows.path}", key, keys)
    return [table.get(key) for table in tables]


def _cells(column: Column) -> list[object]:
    """The values of a column as JSON has them, None where missing."""
    if column.kind == "date":
        return [None if np.isnat(v) else f"{v}Z" for v in column.values]
    if column.kind == "list":
        return [list(items) or None for items in column.values]
    if column.kind == "str":
        return list(column.values)
    number = int if column.kind == "int" else float
    return [None if np.isnan(v) else number(v) for v in column.values]


def _write(path: Path | str, objects: Iterable[Mapping[str, object]]) -> None:
    lines = (json.dumps(item, ensure_ascii=False) + "\n" for item in objects)
    write_whole(Path(path), "".join(lines))
