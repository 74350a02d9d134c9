"""A corpus out of one plain file, CSV or JSON lines, its columns typed by what they hold.

Made for a listing that someone has at hand; a suite says its fields and columns in suite.toml.
"""

import ast
import csv
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qrels.beir import as_text, check_ids
from qrels.columns import EXACT, is_missing, make_column, to_date
from qrels.data import ColumnKind, Corpus
from qrels.errors import DataError, UsageError
from qrels.files import read_data, read_objects

ID_COLUMNS = ("_id", "id", "model_id", "dataset_id")
NAMES = ("model_id", "dataset_id")  # ids that people search by
ALWAYS_TEXT = ("title", "text", *NAMES)
VECTORS = "embeddings"
CELL_LIMIT = 2**31 - 1


class _Rows(NamedTuple):
    """A file's columns by name, with the line that each row ends on."""

    columns: dict[str, list[Any]]  # JSON values
    lines: list[int]

    def place(self, path: Path, column: str = "") -> Callable[[int], str]:
        """What names row i, and the column, in a message."""
        return lambda i: f"{path}:{self.lines[i]}" + (f": {column}" if column else "")


def read_plain(path: Path | str) -> Corpus:
    """The corpus in a .csv, .jsonl or .ndjson file (.gz too), one row a document.

    Ids come from the first of `_id`, `id`, `model_id`, `dataset_id`. Every other column is typed
    by its values, "" and null being missing: int, float, date (ISO) or list where all of them
    are such, str otherwise; in a CSV a list is written as JSON or Python does. str and list
    columns are text fields of weight 1 as well as metadata, and so is a `model_id` or
    `dataset_id` that is the id; BEIR's `title` and `text` are fields alone. The keys of an object
    `metadata` are columns. Left out: `embeddings`, columns without a name, columns of objects.
    Raises DataError, with file and line, for ragged rows, empty or repeated ids.
    """
    path = Path(path)
    suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
    if suffix not in _READERS:
        raise UsageError(f"{path}: cannot read {suffix!r}; allowed: {', '.join(_READERS)}")
    rows = _READERS[suffix](path)
    columns = rows.columns
    id_column = next((name for name in ID_COLUMNS if name in columns), None)
    if id_column is None:
        raise DataError(f"{path}: no column of ids; expected one of {', '.join(ID_COLUMNS)}")
    doc_ids = columns[id_column]
    check_ids(doc_ids, rows.place(path))
    if id_column not in NAMES:
        del columns[id_column]
    typed = {name: _typed(name, values) for name, values in columns.items() if name != VECTORS}
    known = {name: column for name, column in typed.items() if column is not None}
    fields = {
        name: [as_text(value) for value in values]
        for name, (kind, values) in known.items()
        if kind in ("str", "list")
    }
    if not fields:
        raise DataError(f"{path}: no column of text to search in")
    metadata = {
        name: make_column(kind, values, rows.place(path, name))
        for name, (kind, values) in known.items()
        if name not in ALWAYS_TEXT
    }
    return Corpus(doc_ids, fields, metadata, dict.fromkeys(fields, 1.0))


def _read_csv(path: Path) -> _Rows:
    text = read_data(path).decode()
    before = csv.field_size_limit(CELL_LIMIT)  # embeddings are longer than the default 131,072
    try:
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not valid CSV: {error}") from error
    finally:
        csv.field_size_limit(before)
    (_, header), *body = rows
    if not body:
        raise DataError(f"{path}: holds a header and no rows")
    named = [name for name in header if name]
    if repeated := next((name for name in named if named.count(name) > 1), None):
        raise DataError(f"{path}:1: column {repeated!r} is there twice")
    for line, row in body:
        if len(row) != len(header):
            raise DataError(f"{path}:{line}: expected {len(header)} columns, got {len(row)}")
    cells = {
        name: [row[i] for _, row in body]
        for i, name in enumerate(header)
        if name and name != VECTORS
    }
    columns = {
        name: v if name in ID_COLUMNS + ALWAYS_TEXT else _parsed(v) for name, v in cells.items()
    }
    return _Rows(columns, [line for line, _ in body])


def _read_jsonl(path: Path) -> _Rows:
    lines, objects = zip(*read_objects(path), strict=True)
    rows = [_flat(row) for row in objects]
    names = dict.fromkeys(name for row in rows for name in row)
    return _Rows({name: [row.get(name) for row in rows] for name in names}, list(lines))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:  # JSON values
    """The row with the keys of its `metadata` beside its own, which go first."""
    inner = row.get("metadata")
    return {**inner, **row} if isinstance(inner, dict) else dict(row)


_READERS: Mapping[str, Callable[[Path], _Rows]] = {
    ".csv": _read_csv,
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
}


def _parsed(cells: Sequence[str]) -> list[Any]:  # JSON values
    """The cells of a CSV column as the numbers or lists that all of them are, else as they are."""
    for parse in (_int, _float, _list):
        try:
            return [parse(cell) if cell else None for cell in cells]
        except ValueError:
            continue
    return list(cells)


def _int(cell: str) -> int:
    return int(_number(cell))


def _float(cell: str) -> float:
    return float(_number(cell))


def _number(cell: str) -> str:
    if "_" in cell or not cell.isascii() or math.isinf(float(cell)):  # Python reads 1_0 as ten
        raise ValueError
    return cell


def _list(cell: str) -> list[object]:
    """The list written as JSON or as Python does; nothing is evaluated."""
    if not (cell.startswith("[") and cell.endswith("]")):
        raise ValueError
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(found, list):
            return found
    raise ValueError


def _typed(name: str, values: Sequence[object]) -> tuple[ColumnKind, list[object]] | None:
    """The kind of a column and its values as that kind has them; None for one left out."""
    given = [value for value in values if not is_missing(value) and value != ""]
    kinds = {type(value) for value in given}
    if not given or dict in kinds or any(map(_holds_objects, given)):
        return None
    kind = _kind(given, kinds) if name not in ALWAYS_TEXT else "str"
    convert = _CONVERT[kind]
    blank = [is_missing(value) or value == "" for value in values]
    return kind, [None if no else convert(v) for v, no in zip(values, blank, strict=True)]


def _kind(given: Sequence[object], types: set[type]) -> ColumnKind:
    if types == {int} and max(map(abs, given)) <= EXACT:  # type: ignore[arg-type]  # integers
        return "int"
    if types <= {int, float}:
        return "float"
    if list in types:
        return "list"
    return "date" if all(map(_is_date, given)) else "str"


def _items(value: object) -> list[str]:
    """A cell of a list column; a single value is a list of one."""
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]


def _same(value: object) -> object:
    return value


_CONVERT: Mapping[ColumnKind, Callable[[object], object]] = {
    "int": _same,
    "float": _same,
    "date": _same,
    "list": _items,
    "str": str,
}


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict | list) for item in value)


def _is_date(value: object) -> bool:
    try:
        to_date(value)  # "20241231" is a date to Python, here it is a number
        return isinstance(value, str) and "-" in value
    except (ValueError, TypeError, OverflowError):
        return False


def has_vectors(path: Path) -> bool:
    """Whether the file has a column, or its first row a key, called `embeddings`."""
    first = next(iter(read_data(path).decode().splitlines()), "")
    if Path(path.name.removesuffix(".gz")).suffix.lower() == ".csv":
        return VECTORS in next(csv.reader([first]), [])
    return VECTORS in _flat(next(iter(read_objects(path)))[1])
