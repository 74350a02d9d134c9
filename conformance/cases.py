"""The cases, read from their files: qrels, a run, and what each measure is on them."""

import ast
import json
import math
import operator
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "cases"

ABSOLUTE = 1e-9
"""How close a value must be: expected values are worked by hand, in double precision."""


class Expectation(NamedTuple):
    """What *measure* is on each query, and how that was worked out.

    differs: why an implementation, by name, is known to give something else.
    """

    measure: str
    values: Mapping[str, float]
    worked: Mapping[str, str]
    differs: Mapping[str, str]


class Case(NamedTuple):
    """One situation and why it matters.

    qrels: grade by document by query; run: documents with scores in file order, by query.
    error: None, or the run must be refused, and why an implementation is known not to.
    """

    name: str
    why: str
    qrels: Mapping[str, Mapping[str, int]]
    run: Mapping[str, list[tuple[str, float]]]
    error: Mapping[str, str] | None
    expectations: list[Expectation]


def read_cases(folder: Path = FOLDER) -> Iterator[Case]:
    """Every case of every file of *folder*, files by name."""
    for path in sorted(folder.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            yield Case(
                row["name"],
                row["why"],
                row["qrels"],
                {
                    query: [(doc, score) for doc, score in docs]
                    for query, docs in row["run"].items()
                },
                row.get("error"),
                [_expectation(found) for found in row.get("expect", [])],
            )


def _expectation(row: Mapping[str, Any]) -> Expectation:
    return Expectation(row["measure"], row["values"], row["worked"], row.get("differs", {}))


def worked_out(text: str) -> float:
    """The value of arithmetic such as `(3 + 1 / log2(3)) / 4`; ValueError for anything else."""
    return _value(ast.parse(text, mode="eval").body)


_OPERATORS = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow,
}  # fmt: skip


def _value(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
            result: float = _OPERATORS[type(op)](_value(left), _value(right))
            return result
        case ast.Call(func=ast.Name(id="log2"), args=[argument], keywords=[]):
            return math.log2(_value(argument))
    raise ValueError(f"only numbers, + - * / ** and log2 may stand in {ast.unparse(node)!r}")
