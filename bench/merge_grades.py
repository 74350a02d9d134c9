"""Adds the grades of a filled-in sheet to judgements: everything fits, or nothing is written."""

import csv
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from bench.judge_next import COLUMNS
from qrels.errors import DataError
from qrels.files import read_data, shown
from qrels.trec import Judgements, write_qrels
from reports.cells import as_written

Pair = tuple[str, str]
"""Query and document."""


class Graded(NamedTuple):
    """A grade of the sheet and the line it stands on."""

    grade: int
    line: int


class Merged(NamedTuple):
    """The judgements with the sheet's, in file order, then in the sheet's; and what was done."""

    grades: Mapping[Pair, int]
    added: int
    replaced: int
    empty: int

    def write(self, path: Path) -> None:
        """Write them whole or not at all, in the form that the name of *path* asks for."""
        queries, docs = zip(*self.grades, strict=True)
        write_qrels(path, queries, docs, self.grades.values())


def merge(
    sheet: Path,
    judgements: Judgements,
    known_queries: Collection[str] | None = None,
    known_docs: Collection[str] | None = None,
    *,
    max_grade: int | None = None,
    replace: bool = False,
) -> Merged:
    """The judgements with the grades of the sheet added; an empty grade is not judged yet.

    A grade is between the smallest (at most 0) and the largest of the judgements, or *max_grade*.
    known_queries: by default those judged; known_docs: None takes any. DataError, naming file,
    line and value, for anything else and for a pair that has another grade already, unless
    *replace*.
    """
    allowed = range(
        min(0, int(judgements.grades.min())),
        (max_grade if max_grade is not None else max(1, int(judgements.grades.max()))) + 1,
    )
    known = set(judgements.query_ids) if known_queries is None else set(known_queries)
    given, empty = _read(sheet, allowed, known, None if known_docs is None else set(known_docs))
    pairs = zip(judgements.query_ids, judgements.doc_ids, strict=True)
    grades = dict(zip(pairs, judgements.grades.tolist(), strict=True))
    changed = [pair for pair, new in given.items() if grades.get(pair, new.grade) != new.grade]
    if changed and not replace:
        query, doc = changed[0]
        raise DataError(
            f"{sheet}:{given[changed[0]].line}: grade {given[changed[0]].grade} of {doc!r} for "
            f"query {query!r}; {judgements.source} has {grades[changed[0]]}; --replace takes the "
            "new one"
        )
    added = sum(pair not in grades for pair in given)
    grades.update((pair, new.grade) for pair, new in given.items())
    return Merged(grades, added, len(changed), empty)


def _read(
    sheet: Path, allowed: range, queries: Collection[str], docs: Collection[str] | None
) -> tuple[dict[Pair, Graded], int]:
    """The grades of a sheet by query and document, and how many rows have none yet."""
    rows = csv.reader(read_data(sheet).decode().splitlines(keepends=True), delimiter="\t")
    if (header := tuple(next(rows))) != COLUMNS:
        raise DataError(f"{sheet}:1: header {shown(header)}; expected {' '.join(COLUMNS)}, by tabs")
    found: dict[Pair, Graded] = {}
    empty = 0
    for row in filter(None, rows):
        where = f"{sheet}:{rows.line_num}"
        if len(row) != len(COLUMNS):
            raise DataError(f"{where}: {len(row)} columns; expected {len(COLUMNS)}, by tabs")
        query, _, doc, _, text = map(as_written, row)
        if not text.strip():
            empty += 1
            continue
        if query not in queries:
            raise DataError(f"{where}: query {query!r} is not known")
        if docs is not None and doc not in docs:
            raise DataError(f"{where}: document {doc!r} is not in the corpus")
        new = Graded(_grade(text, allowed, where), rows.line_num)
        before = found.setdefault((query, doc), new)
        if before.grade != new.grade:
            raise DataError(
                f"{where}: grade {new.grade} of {doc!r} for query {query!r}; line {before.line} "
                f"has {before.grade}"
            )
    return found, empty


def _grade(text: str, allowed: range, where: str) -> int:
    if re.fullmatch(r"\s*[+-]?[0-9]{1,5}\s*", text) and int(text) in allowed:
        return int(text)
    raise DataError(
        f"{where}: grade {shown(text)}; expected a whole number from {allowed[0]} to {allowed[-1]}"
    )
