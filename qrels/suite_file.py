"""suite.toml: what a suite says of itself beside its three files."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from qrels.beir import FieldSpec
from qrels.columns import KINDS
from qrels.data import ColumnKind, Rules
from qrels.errors import UsageError, unknown
from qrels.files import read_toml, shown

FILE = "suite.toml"


@dataclass(frozen=True)
class SuiteFile:
    """The content of a suite.toml; None where Suite's own default or the file layout decides."""

    name: str | None = None
    version: str = ""
    description: str = ""
    measures: Sequence[str] | None = None
    depth: int | None = None
    split: str | None = None
    systems: Sequence[str] | None = None
    rules: Rules = field(default_factory=Rules)
    fields: Mapping[str, FieldSpec] | None = None
    metadata: Mapping[str, ColumnKind] = field(default_factory=dict)


def read_suite_file(folder: Path) -> SuiteFile:
    """The folder's suite.toml, all defaults where there is none.

    Raises DataError for broken TOML, UsageError for an unknown key, anywhere, or a wrong value.
    """
    path = folder / FILE
    if not path.exists():
        return SuiteFile()
    table = read_toml(path)
    _check(table, _TOP, str(path))
    rules = {rule.name: table.pop(rule.name) for rule in fields(Rules) if rule.name in table}
    if "systems" in table:
        _check(table["systems"], _SYSTEMS, f"{path}: [systems]")
        table["systems"] = table["systems"].get("default")
    if "fields" in table:
        table["fields"] = {
            name: _field_spec(name, value, f"{path}: [fields] {name}")
            for name, value in table["fields"].items()
        }
    for name, kind in table.get("metadata", {}).items():
        if not isinstance(kind, str) or kind not in KINDS:
            place = f"{path}: [metadata] {name}"
            raise UsageError(f"{place} = {shown(kind)}; expected one of {', '.join(KINDS)}")
    return SuiteFile(**table, rules=Rules(**rules))


Check = Callable[[Any], bool]  # Any: a TOML value


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_weight(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= 0  # type: ignore[arg-type,operator]  # a number by now


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) and bool(value)


_TEXT = (_is_text, "a string that is not empty")
_TEXTS = (_are_texts, "a list of strings")
_COUNT = (_is_count, "a whole number of at least 1")
_BOOL = (_is_bool, "true or false")
_TABLE = (_is_table, "a table that is not empty")

_TOP: Mapping[str, tuple[Check, str]] = {
    "name": _TEXT,
    "version": _TEXT,
    "description": _TEXT,
    "measures": _TEXTS,
    "depth": _COUNT,
    "split": _TEXT,
    "exclude_self": _BOOL,
    "relevance_level": _COUNT,
    "skip_unanswerable": _BOOL,
    "fields": _TABLE,
    "metadata": _TABLE,
    "systems": _TABLE,
}
_SYSTEMS: Mapping[str, tuple[Check, str]] = {"default": _TEXTS}
_FIELD: Mapping[str, tuple[Check, str]] = {
    "weight": (_is_weight, "a number of at least 0"),
    "from": _TEXT,
}


def _check(table: Mapping[str, object], keys: Mapping[str, tuple[Check, str]], where: str) -> None:
    for key, value in table.items():
        if key not in keys:
            raise UsageError(f"{where}: {unknown('key', key, keys)}")
        fits, expected = keys[key]
        if not fits(value):
            raise UsageError(f"{where}: {key} = {shown(value)}; expected {expected}")


def _field_spec(name: str, value: object, where: str) -> FieldSpec:
    if not isinstance(value, dict):
        raise UsageError(f"{where} = {shown(value)}; expected {{ weight = 1.0, from = 'KEY' }}")
    _check(value, _FIELD, where)
    return FieldSpec(value.get("from", name), float(value.get("weight", 1.0)))
