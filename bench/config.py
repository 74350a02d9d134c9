"""What to run: systems and experiments, from TOML files or the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.grid import expanded
from qrels.data import Suite
from qrels.errors import DataError, UsageError, unknown
from qrels.files import is_folder, read_toml
from qrels.suites import shipped
from retrievers.registry import parse_spec

RERANK_DEPTH = 50
RERANKER_PREFIX = "reranker."


@dataclass(frozen=True)
class System:
    """A retriever, with or without a reranker of its first rerank_depth documents."""

    name: str
    retriever: str
    params: Mapping[str, Any] = field(default_factory=dict)  # constructor arguments
    reranker: str | None = None
    reranker_params: Mapping[str, Any] = field(default_factory=dict)  # constructor arguments
    rerank_depth: int = RERANK_DEPTH


@dataclass(frozen=True)
class Experiment:
    """Suites and systems to run; None leaves the choice to each suite.

    gate: the [gate] table as it stands in the file, for `bench.gate.rules`.
    """

    suites: Sequence[str | Suite]
    systems: Sequence[System] | None = None
    name: str | None = None
    split: str | None = None
    measures: Sequence[str] | None = None
    depth: int | None = None
    seed: int = 13
    gate: Mapping[str, Any] = field(default_factory=dict)


def parse_system(spec: str) -> System:
    """The system written as `retriever[+reranker][?key=value&...]`.

    Keys are the retriever's parameters, `reranker.KEY` the reranker's; `rerank_depth` is the
    system's own.
    """
    names, params = parse_spec(spec)
    retriever, plus, reranker = names.partition("+")
    if not retriever or (plus and not reranker):
        raise UsageError(f"cannot read system {spec!r}; expected retriever[+reranker][?key=value]")
    if "rerank_depth" in params and not reranker:
        raise UsageError(f"{spec!r} has a rerank_depth but no reranker")
    depth = params.pop("rerank_depth", RERANK_DEPTH)
    mine = {
        key.removeprefix(RERANKER_PREFIX): params.pop(key)
        for key in list(params)
        if key.startswith(RERANKER_PREFIX)
    }
    if mine and not reranker:
        raise UsageError(f"{spec!r} has parameters of a reranker but no reranker")
    return System(spec, retriever, params, reranker or None, mine, _depth(depth, spec))


def choose_systems(names: Sequence[str], known: Sequence[System]) -> list[System]:
    """The systems called *names*: of the experiment where it has such a one, else read as specs."""
    table = {system.name: system for system in known}
    chosen = [table[name] if name in table else parse_system(name) for name in names]
    return unique(chosen)


def unique(systems: Sequence[System]) -> list[System]:
    """The same systems; two of one name are a UsageError."""
    seen: set[str] = set()
    for system in systems:
        if system.name in seen:
            raise UsageError(f"two systems are called {system.name!r}")
        seen.add(system.name)
    return list(systems)


def read_experiment(path: Path) -> Experiment:
    """The experiment in a TOML file; an unknown key or a wrong type is an error naming the file."""
    table = read_toml(path)
    _check(table, _EXPERIMENT_KEYS, str(path))
    systems = (
        [
            system
            for i, entry in enumerate(table["system"], 1)
            for system in _systems(entry, f"{path}: system {i}")
        ]
        if "system" in table
        else None
    )
    try:
        unique(systems or ())
    except UsageError as error:
        raise DataError(f"{path}: {error}") from error
    if systems == []:
        raise DataError(f"{path}: 'system' is empty; leave it out for the suite's own systems")
    if not table.get("suites"):
        raise DataError(f"{path}: 'suites' is missing; expected a list of suite names or folders")
    return Experiment(
        suites=[_beside(path, name) for name in table["suites"]],
        systems=systems,
        name=table.get("name", path.stem),
        split=table.get("split"),
        measures=table.get("measures"),
        depth=table.get("depth"),
        seed=table.get("seed", 13),
        gate=table.get("gate", {}),
    )


_EXPERIMENT_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "suites": list,
    "name": str,
    "split": str,
    "measures": list,
    "depth": int,
    "seed": int,
    "system": list,
    "gate": dict,
}
_TEXTS = ("suites", "measures")
_LEAST = {"depth": 1, "seed": 0}
_SYSTEM_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "name": str,
    "retriever": str,
    "params": dict,
    "reranker": str,
    "reranker_params": dict,
    "rerank_depth": (int, list),
    "grid": dict,
}


def _systems(entry: Any, where: str) -> list[System]:
    """The systems of one [[system]] table: one, or those of its grid."""
    if not isinstance(entry, dict):
        raise DataError(f"{where}: expected a table, [[system]]")
    _check(entry, _SYSTEM_KEYS, where)
    return [_system(point, where) for point in expanded(entry, where)]


def _system(entry: Mapping[str, Any], where: str) -> System:
    """One point of a grid."""
    if "retriever" not in entry:
        raise DataError(f"{where}: 'retriever' is missing")
    for key in ("reranker_params", "rerank_depth"):
        if key in entry and "reranker" not in entry:
            raise DataError(f"{where}: {key} without a reranker")
    depth = _depth(entry.get("rerank_depth", RERANK_DEPTH), where)
    name = entry.get("name") or "+".join(filter(None, (entry["retriever"], entry.get("reranker"))))
    return System(
        name,
        entry["retriever"],
        entry.get("params", {}),
        entry.get("reranker"),
        entry.get("reranker_params", {}),
        depth,
    )


def _check(
    table: Mapping[str, Any], keys: Mapping[str, type | tuple[type, ...]], where: str
) -> None:
    for key, value in table.items():
        if key not in keys:
            raise DataError(f"{where}: {unknown('key', key, keys)}")
        if not isinstance(value, keys[key]) or isinstance(value, bool):
            raise DataError(f"{where}: {key} = {value!r}; expected {_kinds(keys[key])}")
        _check_value(key, value, where)


def _kinds(kinds: type | tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))


def _check_value(key: str, value: Any, where: str) -> None:  # of the type that the key wants
    if key in _TEXTS and not all(isinstance(item, str) for item in value):
        raise DataError(f"{where}: {key} = {value!r}; expected a list of strings")
    if key in _LEAST and value < _LEAST[key]:
        raise DataError(f"{where}: {key} = {value!r}; expected at least {_LEAST[key]}")


def _depth(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UsageError(f"{where}: rerank_depth = {value!r}; expected an integer of at least 1")
    return value


def _beside(path: Path, name: str) -> str:
    """A suite that is a folder beside the experiment file, as a path; any other name as it is."""
    folder = path.parent / name
    return str(folder) if is_folder(folder) and name not in shipped() else name
