"""Metadata as vector stores keep it, and filters in the few tests that all of them have.

A store sees numbers, texts and lists of texts, under names of its own: m0, m1, ... in the order
of the corpus's columns. A date is its seconds since 1970. Beside each text stands the same text
in Python's lower case, so that `contains` ignores case everywhere alike.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from qrels.data import Column, Filter
from retrievers.filters import KINDS, matching

Holding = Literal["number", "text", "texts"]
Test = Literal["number", "equal", "part", "holds"]


class Stored(NamedTuple):
    """One column of a store: its values as Python objects, None (a list: []) where missing."""

    name: str
    holding: Holding
    values: list[Any]  # float, str or list[str], by holding


class Leaf(NamedTuple):
    """One test of one column, which a missing value never meets.

    number: every (operator, number) of the operand, operators =, <, <=, >, >=; equal: the text
    itself; part: the operand is part of the text; holds: the operand is one of the texts.
    """

    test: Test
    name: str
    operand: Any  # as said above


class Condition(NamedTuple):
    """Met where any of the leaves is, or, negated, where none is: so by missing values too."""

    leaves: tuple[Leaf, ...]
    negated: bool


def stored_columns(metadata: Mapping[str, Column]) -> Iterator[Stored]:
    """The columns that a store is to keep."""
    for number, column in enumerate(metadata.values()):
        holding, convert, lower = HELD[column.kind]
        values = convert(column.values)
        yield Stored(f"m{number}", holding, values)
        if lower:
            yield Stored(f"m{number}_lower", holding, [lower(value) for value in values])


def translated(metadata: Mapping[str, Column], where: Sequence[Filter]) -> list[Condition]:
    """The filters as conditions that must all hold; UsageErrors as those of `filters.matching`."""
    none = {name: Column(column.kind, column.values[:0]) for name, column in metadata.items()}
    matching(none, where, 0)  # refuses what is not allowed
    names = {name: f"m{number}" for number, name in enumerate(metadata)}
    return [_condition(names[item.column], metadata[item.column], item) for item in where]


def _condition(name: str, column: Column, item: Filter) -> Condition:
    kind = KINDS[column.kind]
    operands = item.operand if item.operator == "in" else (item.operand,)
    operator = "=" if item.operator in ("in", "!=") else item.operator
    leaf = LEAVES[column.kind]
    leaves = tuple(leaf(name, operator, kind.convert(operand)) for operand in operands)
    return Condition(leaves, item.operator == "!=")


def _of_number(name: str, operator: str, operand: float) -> Leaf:
    return Leaf("number", name, ((operator, operand),))


def _of_date(name: str, operator: str, operand: np.datetime64) -> Leaf:
    """A date covers the seconds from its first to before its end: a year, a day, an instant."""
    first = operand.astype("datetime64[s]")
    unit = np.datetime_data(operand.dtype)[0]
    if unit in FINER:
        end = first + 1
        first = first if first.astype(operand.dtype) == operand else end
    else:
        end = (operand + 1).astype("datetime64[s]")
    start, stop = float(first.astype(np.int64)), float(end.astype(np.int64))
    tests = {
        "=": ((">=", start), ("<", stop)),
        "<": (("<", start),),
        "<=": (("<", stop),),
        ">": ((">=", stop),),
        ">=": ((">=", start),),
    }
    return Leaf("number", name, tests[operator])


FINER = frozenset({"ms", "us", "ns", "ps", "fs", "as"})
"""NumPy's units of time below a second; one of their instants may lie between two seconds."""


def _of_text(name: str, operator: str, operand: str) -> Leaf:
    if operator == "contains":
        return Leaf("part", f"{name}_lower", operand.lower())
    return Leaf("equal", name, operand)


def _of_texts(name: str, operator: str, operand: str) -> Leaf:
    if operator == "contains":
        return Leaf("holds", f"{name}_lower", operand.lower())
    return Leaf("holds", name, operand)


LEAVES: Mapping[str, Callable[[str, str, Any], Leaf]] = {
    "int": _of_number, "float": _of_number, "date": _of_date, "str": _of_text, "list": _of_texts,
}  # fmt: skip


def _numbers(values: Any) -> list[float | None]:
    return [None if value != value else float(value) for value in values.tolist()]


def _seconds(values: Any) -> list[float | None]:
    seconds = values.astype("datetime64[s]").astype(np.int64).tolist()
    missing = np.isnat(values).tolist()
    return [None if no else float(at) for at, no in zip(seconds, missing, strict=True)]


HELD: Mapping[str, tuple[Holding, Callable[[Any], list[Any]], Callable[[Any], Any] | None]] = {
    "int": ("number", _numbers, None),
    "float": ("number", _numbers, None),
    "date": ("number", _seconds, None),
    "str": ("text", list, lambda value: None if value is None else value.lower()),
    "list": ("texts", lambda values: [list(value) for value in values],
             lambda value: [text.lower() for text in value]),
}  # fmt: skip
"""By kind: what a store holds, the values as it takes them, and those in lower case."""


def as_sql(conditions: Sequence[Condition], leaf: Callable[[Leaf], str]) -> str:
    """The conditions in SQL, each leaf as *leaf* writes it; "" where there is none."""
    return " AND ".join(
        "(" + " OR ".join(map(leaf, condition.leaves)) + ")" + " IS NOT TRUE" * condition.negated
        for condition in conditions
    )
