"""What a gate asks for: margins, error rates, must-pass queries, floors; from TOML or options."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.config import read_experiment
from bench.metrics import named
from qrels.errors import DataError, UsageError, unknown
from qrels.files import read_toml

ANY = "*"
"""The measure of a margin that is for all."""


@dataclass(frozen=True)
class Floor:
    """A mean that must be reached, whatever the baseline was; None as suite or system means all."""

    measure: str
    at_least: float
    suite: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class MustPass:
    """A query that must have a document among its first *within*."""

    query: str
    document: str
    within: int
    suite: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Rules:
    """How to decide; margins by measure, ANY for all others, by default what can be resolved.

    measures: those that are gated, by default the first that was accepted. Measures are as
    written: one that names no relevance level has the suite's. inconclusive: what "cannot tell"
    does to the job: fail, pass, or its own exit code where it is None.
    """

    alpha: float = 0.05
    power: float = 0.8
    measures: tuple[str, ...] = ()
    margins: Mapping[str, float] = field(default_factory=dict)
    floors: tuple[Floor, ...] = ()
    must_pass: tuple[MustPass, ...] = ()
    inconclusive: str | None = None


INCONCLUSIVE = ("pass", "fail")
BETWEEN = {"alpha": (0.0, 0.5), "power": (0.5, 1.0)}
Keys = Mapping[str, tuple[type, ...]]

_KEYS: Keys = {
    "alpha": (float,), "power": (float,), "measures": (list,), "margin": (int, float, dict),
    "floor": (list,), "must_pass": (list,), "inconclusive": (str,),
}  # fmt: skip
_FLOOR: Keys = {"measure": (str,), "at_least": (int, float), "suite": (str,), "system": (str,)}
_MUST_PASS: Keys = {
    "query": (str,), "document": (str,), "within": (int,), "suite": (str,), "system": (str,),
}  # fmt: skip


def read_rules(path: Path) -> Rules:
    """The rules in a TOML file's [gate] table; DataError for a file without one.

    The file may be an experiment; in any other [gate] is the only table.
    """
    table = read_toml(path)
    if not isinstance(table.get("gate"), dict):
        raise DataError(f"{path}: no [gate] table")
    if "suites" in table:
        read_experiment(path)  # which checks the other keys
    else:
        _check(table, {"gate": (dict,)}, str(path))
    return parse_rules(table["gate"], f"{path}: gate")


def parse_rules(table: Mapping[str, Any], where: str) -> Rules:
    """The rules in a [gate] table; DataError for an unknown key, a wrong type or value."""
    _check(table, _KEYS, where)
    if table.get("inconclusive", "fail") not in INCONCLUSIVE:
        raise DataError(f"{where}: inconclusive = {table['inconclusive']!r}; expected pass or fail")
    margin = table.get("margin", {})
    margins = margin if isinstance(margin, dict) else {ANY: margin}
    return Rules(
        alpha=rate("alpha", table.get("alpha", Rules.alpha), where),
        power=rate("power", table.get("power", Rules.power), where),
        measures=gateable(table.get("measures", ()), where),
        margins={_measure(name, where): _margin(value, where) for name, value in margins.items()},
        floors=tuple(
            Floor(**{**_row(row, _FLOOR, ("measure", "at_least"), f"{where}: floor {i}"),
                     "measure": _measure(row["measure"], where)})
            for i, row in enumerate(table.get("floor", ()), 1)
        ),
        must_pass=tuple(
            MustPass(**_row(row, _MUST_PASS, ("query", "document", "within"),
                            f"{where}: must_pass {i}"))
            for i, row in enumerate(table.get("must_pass", ()), 1)
        ),
        inconclusive=table.get("inconclusive"),
    )  # fmt: skip


def rate(key: str, value: float, where: str) -> float:
    """alpha or power; DataError where it is not between the bounds that make sense."""
    low, high = BETWEEN[key]
    if not low < value < high:
        raise DataError(f"{where}: {value!r}; {key} is a number between {low:g} and {high:g}")
    return value


def parse_margin(text: str) -> tuple[str, float]:
    """The margin written as `nDCG@10=0.01`, or as `0.01` for every measure."""
    name, equals, value = text.rpartition("=")
    return _measure(name if equals else ANY, "--margin"), _margin(
        _number(value, f"--margin {text!r}; expected a number or nDCG@10=0.01"), "--margin"
    )


def parse_floor(text: str) -> Floor:
    """The floor written as `nDCG@10=0.4` or `nDCG@10>=0.4`."""
    name, _, value = text.replace(">=", "=").rpartition("=")
    at_least = _number(value if name else "", f"--floor {text!r}; expected nDCG@10=0.40")
    return Floor(_measure(name, "--floor"), at_least)


def _number(text: str, message: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(message) from None


def gateable(names: Sequence[object], where: str) -> tuple[str, ...]:
    """The measures to gate; Judged@k is none: it says something of the judgements."""
    for name in names:
        if not isinstance(name, str):
            raise DataError(f"{where}: measure {name!r}; expected a name such as nDCG@10")
        if name.lower().startswith("judged"):
            raise UsageError(f"{where}: {name} is never gated; a floor may be set on it")
    return tuple(_measure(str(name), where) for name in names)


def _row(row: object, keys: Keys, needed: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a table with {', '.join(needed)}")
    _check(row, keys, where)
    for key in needed:
        if key not in row:
            raise DataError(f"{where}: {key!r} is missing")
    if "within" in row and row["within"] < 1:
        raise DataError(f"{where}: within = {row['within']!r}; expected at least 1")
    return row


def _check(table: Mapping[str, Any], keys: Keys, where: str) -> None:
    for key, value in table.items():
        if key not in keys:
            raise DataError(f"{where}: {unknown('key', key, keys)}")
        kinds = keys[key]
        if not isinstance(value, kinds) or isinstance(value, bool):
            names = " or ".join(kind.__name__ for kind in kinds)
            raise DataError(f"{where}: {key} = {value!r}; expected {names}")


def _measure(name: str, where: str) -> str:
    """The name, if it is that of a measure, or ANY."""
    try:
        if name != ANY:
            named(name)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error
    return name


def _margin(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise DataError(f"{where}: margin {value!r}; expected a number above 0, at most 1")
    return float(value)
