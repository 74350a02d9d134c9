"""Typed metadata columns out of JSON values."""

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import numpy as np

from qrels.data import Column, ColumnKind
from qrels.errors import DataError
from qrels.files import shown

EXACT = 2**53
"""The largest whole number up to which float64 holds every one."""

KINDS: tuple[str, ...] = get_args(ColumnKind)


def make_column(
    kind: ColumnKind,
    values: Iterable[object],
    where: Callable[[int], str],
) -> Column:
    """The column of *kind* over JSON *values*, one a document; None and NaN are missing.

    where(i) names the place of value i in the DataError for one of a wrong type.
    """
    convert, expected = _CONVERTERS[kind]
    found = []
    for i, value in enumerate(values):
        try:
            found.append(_MISSING[kind] if is_missing(value) else convert(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError(f"{where(i)} = {shown(value)}; expected {expected}") from error
    if kind in ("str", "list"):
        cells = np.empty(len(found), object)  # np.array would make lists of one length 2-D
        cells[:] = found
        return Column(kind, cells)
    return Column(kind, np.array(found, "datetime64[s]" if kind == "date" else np.float64))


def is_missing(value: object) -> bool:
    """Whether a JSON value says that there is none; NaN is how pandas writes it."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def to_date(value: object) -> np.datetime64:
    """The second, in UTC, of an ISO date or timestamp; ValueError or TypeError for others."""
    if not isinstance(value, str):
        raise TypeError
    found = datetime.fromisoformat(value)
    if found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(found, "s")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _int(value: object) -> float:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    if abs(value) > EXACT:
        raise ValueError
    return float(value)


def _float(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError
    if not math.isfinite(value):
        raise ValueError
    return float(value)


def _list(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(item) for item in value)


_CONVERTERS: Mapping[str, tuple[Callable[[object], Any], str]] = {  # Any: by kind, as in Column
    "str": (_text, "str, a string"),
    "int": (_int, "int, a whole number up to 2**53"),
    "float": (_float, "float, a finite number"),
    "date": (to_date, "date, as 2024-12-31 or 2024-12-31T23:59:59Z"),
    "list": (_list, "list, a list of strings"),
}
_MISSING: Mapping[str, Any] = {  # Any: by kind, as in Column
    "str": None,
    "int": math.nan,
    "float": math.nan,
    "date": np.datetime64("NaT"),
    "list": (),
}
