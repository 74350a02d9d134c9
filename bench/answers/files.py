"""The file of a system's answers: a JSON object a line, in the order of the questions."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from qrels.errors import DataError, UsageError, unknown
from qrels.files import read_objects, shown, write_whole
from reports.record import Cell, Record, RecordError, load


@dataclass(frozen=True)
class AnswerRow:
    """One answer, a line of the file; only what has no default here must be in it.

    gold: the right answers, () where there is none; contexts: doc_ids of the passages given.
    """

    system: str
    query_id: str
    question: str
    answer: str
    suite: str = "answers"
    split: str = "test"
    citations: tuple[str, ...] = ()
    abstained: bool = False
    contexts: tuple[str, ...] = ()
    gold: tuple[str, ...] = ()


class Kind(NamedTuple):
    """What a value may be, in words and as a test."""

    words: str
    holds: Callable[[Any], bool]  # a value from JSON


KINDS: Mapping[Any, Kind] = {  # the types of AnswerRow's fields
    str: Kind("text", lambda value: isinstance(value, str)),
    bool: Kind("true or false", lambda value: isinstance(value, bool)),
    tuple[str, ...]: Kind(
        "a list of texts",
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    ),
}
FIELDS = {field.name: field for field in fields(AnswerRow)}
NAMES = ("suite", "split", "system", "query_id")
"""What tells one answer from another."""


def write_answers(path: Path, rows: Iterable[AnswerRow]) -> None:
    """Write the rows, gzipped where the name ends in .gz; whole or not at all."""
    write_whole(path, answer_lines(rows))


def answer_lines(rows: Iterable[AnswerRow]) -> str:
    """The text of a file of answers."""
    return "".join(f"{json.dumps(asdict(row), ensure_ascii=False)}\n" for row in rows)


def read_answers(path: Path) -> list[AnswerRow]:
    """The rows of a file; DataError naming file, line and value where one does not fit."""
    rows: list[AnswerRow] = []
    lines: dict[tuple[str, ...], int] = {}
    for line, found in read_objects(path):
        where = f"{path}:{line}"
        row = _row(found, where)
        name = tuple(getattr(row, key) for key in NAMES)
        if (before := lines.setdefault(name, line)) != line:
            raise DataError(
                f"{where}: {row.system!r} answers query {row.query_id!r} of {row.suite!r} "
                f"({row.split}) in line {before} already"
            )
        rows.append(row)
    return rows


def _row(found: Mapping[str, Any], where: str) -> AnswerRow:
    """The row of a JSON object, checked."""
    for key, value in found.items():
        if key not in FIELDS:
            raise DataError(f"{where}: {unknown('key', key, FIELDS)}")
        words, holds = KINDS[FIELDS[key].type]
        if not holds(value):
            raise DataError(f"{where}: {key} = {shown(value)}; expected {words}")
    for key, field in FIELDS.items():
        if field.default is MISSING and key not in found:
            raise DataError(f"{where}: has no {key!r}")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in found.items()}
    row = AnswerRow(**values)
    for key in NAMES:
        if not getattr(row, key).strip():
            raise DataError(f"{where}: {key} is empty")
    if row.abstained and row.answer:
        raise DataError(f"{where}: abstained, but answer = {shown(row.answer)}; expected ''")
    return row


def answers_of_record(path: Path, systems: Sequence[str] = ()) -> tuple[Record, list[AnswerRow]]:
    """A record and the answers of its systems, from the files that were saved with it.

    systems: those wanted, by default all but floors and ceilings. UsageError for a system without
    answers, DataError where a file is missing or is not the one that was saved.
    """
    try:
        record = load(path)
    except RecordError as error:
        raise DataError(str(error)) from error
    folder = path if path.is_dir() else path.parent
    cells = [cell for cell in record.cells if cell.answers_file]
    having = {cell.system for cell in cells}
    for name in systems:
        if name not in having:
            raise UsageError(f"{path}: {unknown('system with answers', name, having)}")
    chosen = [c for c in cells if (c.system in systems if systems else c.bound is None)]
    if not chosen:
        raise UsageError(f"{path} holds no answers; a system with a generator makes them")
    return record, [row for cell in chosen for row in _saved(folder, cell)]


def _saved(folder: Path, cell: Cell) -> list[AnswerRow]:
    """The answers of one cell; DataError where the file is another."""
    assert cell.answers_file  # only cells with one get here
    path = folder / cell.answers_file
    rows = read_answers(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != cell.answers_digest:
        raise DataError(f"{path}: is not what the record describes; its digest is another")
    return rows
