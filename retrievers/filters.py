"""Metadata filters: conditions as text, and the documents that meet them all.

A missing value (NaN, NaT, None, an empty list) meets no condition but `!=`, which it always
meets: `license!=mit` keeps documents without a licence.

Dates compare at the precision they are written in: `created_at=2024` holds for the whole year,
`created_at<=2024-01-31` for that day to its end.
"""

import datetime
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.columns import to_date
from qrels.data import Column, ColumnKind, Filter, Operator
from qrels.errors import UsageError, unknown

Mask = NDArray[np.bool_]
Test = Callable[[NDArray[Any], Any], Mask]  # values and operand, typed by the column's kind

WRITTEN: Mapping[str, Operator] = {
    "=": "=", "==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">=",
    ":": "contains", "in": "in",
}  # fmt: skip
CONDITION = re.compile(r"\s*([^\s!<>=:]+)\s*(==?|!=|<=|>=|<|>|:|(?<=\s)in(?=\s))\s*(.*\S)\s*")


def parse_filter(text: str) -> Filter:
    """The condition written as `column=value`, one of = != < <= > >= : (contains), or ` in a,b`.

    The operand stays text; `matching` converts it to the column's kind.
    """
    found = CONDITION.fullmatch(text)
    if found is None:
        raise UsageError(
            f"cannot read the filter {text!r}; expected column=value, column!=value, column<value "
            "(also <=, >, >=), column:value (contains) or 'column in a,b'"
        )
    column, written, operand = found.groups()
    if written != "in":
        return Filter(column, WRITTEN[written], operand)
    return Filter(column, "in", tuple(part.strip() for part in operand.split(",") if part.strip()))


def matching(columns: Mapping[str, Column], where: Sequence[Filter], n_docs: int) -> Mask | None:
    """Which documents meet every condition: bool (n_docs,), or None where there is none.

    UsageError for an unknown column, an operator that its kind does not have, and an operand
    that is not of its kind.
    """
    if not where:
        return None
    kept = np.ones(n_docs, np.bool_)
    for condition in where:
        kept &= _meeting(columns, condition)
    return kept


def _meeting(columns: Mapping[str, Column], condition: Filter) -> Mask:
    if condition.column not in columns:
        raise unknown("metadata column", condition.column, columns)
    column = columns[condition.column]
    kind = KINDS[column.kind]
    about = f"filter on {condition.column!r}, a column of kind {column.kind}"
    if condition.operator != "in" and condition.operator not in kind.tests:
        allowed = ", ".join([*kind.tests, "in"])
        raise UsageError(f"{about}: no operator {condition.operator!r}; allowed: {allowed}")
    test = kind.tests["=" if condition.operator == "in" else condition.operator]
    met = [test(column.values, operand) for operand in _operands(condition, kind, about)]
    return np.asarray(np.logical_or.reduce(met), np.bool_)


def _operands(condition: Filter, kind: "Kind", about: str) -> list[Any]:  # typed by the kind
    """The operand as a value of the column's kind; several for `in`."""
    written = condition.operand if condition.operator == "in" else (condition.operand,)
    if isinstance(written, str) or not isinstance(written, Sequence) or not written:
        raise UsageError(f"{about}: 'in' takes a list of values, not {written!r}")
    try:
        return [kind.convert(operand) for operand in written]
    except (TypeError, ValueError):
        shown = ", ".join(map(repr, written))
        raise UsageError(
            f"{about}: cannot compare with {shown}; expected {kind.expected}"
        ) from None


def _number(operand: Any) -> float:  # text from the command line, or a number
    value = float(operand)
    if isinstance(operand, bool) or not np.isfinite(value):
        raise ValueError(operand)
    return value


def _text(operand: Any) -> str:  # anything a caller passed; only text is allowed
    if not isinstance(operand, str):
        raise TypeError(operand)
    return operand


def _date(operand: Any) -> np.datetime64:  # text, a date or a datetime64
    """A day, month or year in that unit; a time in seconds, UTC where it names a zone."""
    if isinstance(operand, datetime.date | np.datetime64) and not np.isnat(np.datetime64(operand)):
        return np.datetime64(operand)
    if re.fullmatch(r"\d{4}(-\d\d){0,2}", operand):
        return np.datetime64(operand)
    return to_date(operand)


def _at_precision(compare: Callable[[Any, Any], Any]) -> Test:
    def test(values: NDArray[Any], operand: np.datetime64) -> Mask:
        return np.asarray(compare(values.astype(operand.dtype), operand), np.bool_)

    return test


def _each(meets: Callable[[Any, str], bool]) -> Test:
    def test(values: NDArray[Any], operand: str) -> Mask:
        return np.fromiter((meets(value, operand) for value in values), np.bool_, len(values))

    return test


def _within(value: str | None, part: str) -> bool:
    return value is not None and part.lower() in value.lower()


class Kind(NamedTuple):
    """What a kind of column can be asked: its operators, and how an operand is read."""

    tests: Mapping[Operator, Test]
    convert: Callable[[Any], Any]
    expected: str


EQUALITY: Mapping[Operator, Callable[[Any, Any], Any]] = {"=": operator.eq, "!=": operator.ne}
ORDER: Mapping[Operator, Callable[[Any, Any], Any]] = {
    **EQUALITY,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
NUMBER = Kind(ORDER, _number, "a number")
KINDS: Mapping[ColumnKind, Kind] = {
    "int": NUMBER,
    "float": NUMBER,
    "date": Kind(
        {name: _at_precision(compare) for name, compare in ORDER.items()},
        _date,
        "a date such as 2024, 2024-01, 2024-01-31 or 2024-01-31T12:00",
    ),
    "str": Kind(
        {**EQUALITY, "contains": _each(_within)},
        _text,
        "text",
    ),
    "list": Kind(
        {
            "=": _each(lambda values, wanted: wanted in values),
            "!=": _each(lambda values, wanted: wanted not in values),
            "contains": _each(
                lambda values, wanted: wanted.lower() in (value.lower() for value in values)
            ),
        },
        _text,
        "text",
    ),
}  # on a list, = and != ask whether it holds the value; contains ignores case, as on text
