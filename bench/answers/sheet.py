"""The sheet that raters fill in, and its key: CSV that no spreadsheet takes for formulas."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.answers.items import Blind, Key
from qrels.errors import DataError
from qrels.files import read_data, shown
from reports.cells import as_written, inert
from reports.serial import RecordError, dumps, loads
from reports.table import clean

COLUMNS = ("item", "question", "gold", "answer", "rating", "comment")
SEPARATORS = ",;\t"
"""What a spreadsheet may put between columns when it saves."""

NO_ANSWER = "(no answer)"
"""What a cell shows for an answer that says nothing."""


@dataclass(frozen=True)
class SheetRow:
    """One item of a sheet; rating None where there is none yet."""

    item_id: str
    question: str
    gold: tuple[str, ...]
    answer: str
    rating: int | None = None
    comment: str = ""


def empty_sheet(found: Blind) -> list[SheetRow]:
    """The rows of the items, without ratings."""
    pairs = zip(found.key.items, found.rows, strict=True)
    return [SheetRow(item.item_id, row.question, row.gold, row.answer) for item, row in pairs]


def to_csv(rows: Iterable[SheetRow]) -> str:
    """The sheet as text, marked as UTF-8 for spreadsheets; gold answers one a line."""
    out = io.StringIO()
    # all text quoted: a CR inside it is not reason enough for csv to quote
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(COLUMNS)
    for row in rows:
        gold = "\n".join(map(clean, row.gold))
        texts = (row.item_id, _lines(row.question), gold, _lines(row.answer) or NO_ANSWER)
        rating = "" if row.rating is None else row.rating
        writer.writerow([*map(inert, texts), rating, inert(_lines(row.comment))])
    return f"\ufeff{out.getvalue()}"


def _lines(text: str) -> str:
    """*text* with its lines, without what would steer a terminal or turn the reading direction."""
    return "\n".join(map(clean, text.splitlines())).strip()


def read_sheet(path: Path, key: Key) -> list[SheetRow]:
    """The rows of a sheet, filled in or not; DataError naming file, line and value.

    Columns may be separated by commas, semicolons or tabs; an item may be missing, but no item is
    there twice or belongs to another sheet, and ratings are whole numbers of the key's scale.
    """
    text = read_data(path).decode()
    head = text.split("\n", 1)[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(SEPARATORS, key=head.count))
    known = {item.item_id for item in key.items}
    found: dict[str, SheetRow] = {}
    try:
        if (header := tuple(next(rows))) != COLUMNS:
            raise DataError(f"{path}:1: columns {shown(header)}; expected {', '.join(COLUMNS)}")
        for cells in filter(any, rows):
            where = f"{path}:{rows.line_num}"
            row = _row(cells, key, where)
            if row.item_id not in known:
                raise DataError(f"{where}: item {row.item_id!r} is not in the key")
            if row.item_id in found:
                raise DataError(f"{where}: item {row.item_id!r} is there twice")
            found[row.item_id] = row
    except csv.Error as error:
        raise DataError(f"{path}:{rows.line_num}: cannot read this CSV: {error}") from error
    return list(found.values())


def _row(cells: Sequence[str], key: Key, where: str) -> SheetRow:
    if len(cells) != len(COLUMNS):
        raise DataError(f"{where}: {len(cells)} columns; expected {len(COLUMNS)}")
    item, question, gold, answer, rating, comment = map(as_written, cells)
    said = "" if answer == NO_ANSWER else answer
    golds = tuple(gold.splitlines())
    return SheetRow(item.strip(), question, golds, said, _rating(rating, key, where), comment)


def _rating(text: str, key: Key, where: str) -> int | None:
    if not text.strip():
        return None
    if re.fullmatch(r"\s*-?[0-9]{1,5}\s*", text) and key.low <= int(text) <= key.high:
        return int(text)
    raise DataError(
        f"{where}: rating {shown(text)}; expected a whole number from {key.low} to {key.high}"
    )


def key_text(key: Key) -> str:
    """The key as JSON."""
    return dumps(key) + "\n"


def read_key(path: Path) -> Key:
    """The key of a sheet; DataError where the file holds none."""
    try:
        found = loads(Key, read_data(path))
    except (ValueError, RecursionError, RecordError) as error:
        raise DataError(f"{path}: not the key of a sheet: {error}") from error
    places = {(info.name, info.split): set(info.query_ids) for info in found.suites}
    for item in found.items:
        if item.query_id not in places.get((item.suite, item.split), ()):
            raise DataError(f"{path}: item {item.item_id!r} is of a question that the key lacks")
    return found
