"""Dataclasses to JSON and back, every value checked against its annotation.

A field with a default may be missing from the file, which an older version wrote.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

T = TypeVar("T")

Free = dict[str, Any]  # JSON of the caller's own shape


class RecordError(Exception):
    """A record that cannot be read or saved; the message names the file and the place in it."""


def dumps(value: object) -> str:
    """Compact JSON of dataclasses, NumPy values and plain data; RecordError on NaN or infinity.

    In a field annotated `Free` NaN, infinity and whatever JSON lacks become text, tuples lists.
    """
    try:
        return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise RecordError(f"cannot save a record that holds NaN or infinity: {error}") from error


def _plain(value: Any) -> Any:  # json's own hook: anything that JSON lacks
    """A dataclass as an object, a NumPy value as Python's, anything else as its text."""
    if is_dataclass(value) and not isinstance(value, type):
        free = {f.name for f in fields(value) if f.type is Free}
        return {k: _finite(v) if k in free else v for k, v in vars(value).items()}
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)


def _finite(value: Any) -> Any:  # a caller's own JSON
    """The same with NaN and infinity, which a parameter may be, as text."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def loads(kind: type[T], text: bytes) -> T:
    """The dataclass *kind* that `dumps` wrote; RecordError names the place that does not fit."""
    data = json.loads(text)
    _check_schema(kind, data)
    found: T = build(kind, data, kind.__name__.lower())
    return found


def _check_schema(kind: type[Any], data: object) -> None:
    """RecordError for another schema, before its other keys are taken for mistakes."""
    (known,) = get_args(get_type_hints(kind)["schema"])
    found = data.get("schema") if isinstance(data, dict) else None
    if found != known:
        raise RecordError(f"schema is {found!r}; this version reads schema {known}")


def build(kind: Any, value: Any, where: str) -> Any:  # any of the types above, from JSON
    """*value* as the annotated *kind*; RecordError names the place where it is something else."""
    if is_dataclass(kind):
        return _object(kind, value, where)
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        some = next(arg for arg in args if arg is not NoneType)
        return None if value is None else build(some, value, where)
    if origin is tuple and isinstance(value, list):
        return tuple(build(args[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: build(args[1], item, f"{where}[{key!r}]") for key, item in value.items()}
    if kind is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if kind is Any or (origin is Literal and value in args) or (type(value) is kind is not float):
        return value
    expected = " or ".join(map(repr, args)) if origin is Literal else _NAMES[origin or kind]
    raise RecordError(f"{where}: expected {expected}, got {_short(value)}")


_NAMES = {
    tuple: "a list", dict: "an object", str: "text", int: "a whole number",
    float: "a finite number", bool: "true or false",
}  # fmt: skip


def _object(kind: Any, value: Any, where: str) -> Any:  # one of the dataclasses above
    if not isinstance(value, dict):
        raise RecordError(f"{where}: expected an object, got {_short(value)}")
    hints: Mapping[str, Any] = get_type_hints(kind)
    needed = {f.name for f in fields(kind) if f.default is f.default_factory is MISSING}
    for word, names in (("missing", needed - value.keys()), ("unknown", value.keys() - hints)):
        if names:
            raise RecordError(f"{where}: {word} key {min(names)!r}")
    return kind(**{name: build(hints[name], value[name], f"{where}.{name}") for name in value})


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
