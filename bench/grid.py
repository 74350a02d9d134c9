"""Grids in an experiment file: a list where one value is wanted stands for as many systems."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from generators import GENERATORS
from qrels.errors import BenchError, DataError
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import Registry, parse_spec

Entry = Mapping[str, Any]  # a [[system]] table
PARTS = (
    ("params", "retriever", "", RETRIEVERS),
    ("reranker_params", "reranker", "reranker.", RERANKERS),
    ("generator_params", "generator", "generator.", GENERATORS),
)
"""Where parameters stand: the table, whose they are, what goes before a key, and the names."""

LISTS = re.compile(
    r"\b(\w*Sequence|[Ll]ist|[Tt]uple|Iterable|Collection|\w*Mapping|[Dd]ict|(frozen)?set|NDArray"
    r"|ndarray|Any|object)\b"
)
"""Words in the annotation of a parameter that takes a list itself."""


def expanded(entry: Entry, where: str) -> Iterator[dict[str, Any]]:
    """The [[system]] tables that *entry* stands for: itself, or one for each point of its grid.

    A list is a grid where the parameter's annotation takes none: `k1 = [0.9, 1.2]`; also as
    rerank_depth. For a parameter that takes lists, `grid = { fields = [["title"], ["text"]] }`
    says it outright; there the parameters of other parts are written
    `"reranker.KEY"`, `"generator.KEY"`, `"context.KEY"`.
    """
    axes = dict(_axes(entry, where))
    plain = {key: value for key, value in entry.items() if key != "grid"}
    if not axes:
        yield plain
        return
    roles = (str(plain.get(role, "")) for _, role, *_ in PARTS)
    name = plain.get("name") or "+".join(filter(None, roles))
    for point in product(*axes.values()):
        chosen = dict(zip(axes, point, strict=True))
        yield {**_at(plain, chosen), "name": _named(name, chosen)}


def _axes(entry: Entry, where: str) -> Iterator[tuple[str, Sequence[Any]]]:
    """Every key with more than one value, in the order of the table, and its values."""
    found: dict[str, Any] = {}
    for table, role, prefix, registry in PARTS:
        given = entry.get(table, {})
        for key, value in given.items() if isinstance(given, dict) else ():
            if isinstance(value, list) and not _takes_list(registry, entry.get(role), key, where):
                found[f"{prefix}{key}"] = value
    if isinstance(entry.get("rerank_depth"), list):
        found["rerank_depth"] = entry["rerank_depth"]
    for key, value in entry.get("grid", {}).items():
        if not isinstance(value, list):
            raise DataError(f"{where}: grid.{key} = {value!r}; expected a list of values")
        if key in found or key in _given(entry):
            raise DataError(f"{where}: {key} has a value and is in grid; expected one of the two")
        found[key] = value
    for key, value in found.items():
        if not value:
            raise DataError(f"{where}: {key} is an empty list; expected the values to try")
        yield key, value


def _given(entry: Entry) -> set[str]:
    """The keys that the table gives outside `grid`, as `grid` would write them."""
    found = {f"{prefix}{key}" for table, _, prefix, _ in PARTS for key in entry.get(table, {})}
    return found | ({"rerank_depth"} & set(entry))


def _takes_list(registry: Registry, spec: object, key: str, where: str) -> bool:
    """Whether the parameter wants a list itself, by its annotation, or else by its default."""
    if not isinstance(spec, str):
        return True  # the reader of the table says what is wrong with it
    try:
        signature = inspect.signature(registry.load(parse_spec(spec)[0]))
    except BenchError as error:
        raise DataError(f"{where}: {error}") from error
    if key not in signature.parameters:
        return False
    parameter = signature.parameters[key]
    if parameter.annotation is inspect.Parameter.empty:
        return isinstance(parameter.default, list | tuple | Mapping)
    return LISTS.search(str(parameter.annotation)) is not None


def _at(entry: Entry, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The table with one value for each key of the grid."""
    made = dict(entry)
    tables = {prefix: table for table, _, prefix, _ in PARTS} | {"context.": "context"}
    for key, value in chosen.items():
        if key == "rerank_depth":
            made[key] = value
            continue
        prefix = next((one for one in tables if one and key.startswith(one)), "")
        table = tables[prefix]
        made[table] = {**made.get(table, {}), key.removeprefix(prefix): value}
    return made


def _named(name: str, chosen: Mapping[str, Any]) -> str:
    parts = "&".join(
        f"{key}={json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in chosen.items()
    )
    return f"{name}{'&' if '?' in name else '?'}{parts}"
