"""What to run: systems and experiments, from TOML files or the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.grid import expanded
from generators import GENERATORS
from qrels.data import Suite
from qrels.errors import BenchError, DataError, UsageError, unknown
from qrels.files import is_folder, read_toml
from qrels.suites import shipped
from retrievers.registry import parse_spec

RERANK_DEPTH = 50
ROLES = ("reranker", "generator", "context")
"""Whose parameters a spec can give as ROLE.KEY; those without a role are the retriever's."""


@dataclass(frozen=True)
class System:
    """A retriever, with or without a reranker of its first rerank_depth documents, and a generator.

    context: what the generator sees of the ranking, parameters of `generators.context.Context`.
    """

    name: str
    retriever: str
    params: Mapping[str, Any] = field(default_factory=dict)  # constructor arguments
    reranker: str | None = None
    reranker_params: Mapping[str, Any] = field(default_factory=dict)  # constructor arguments
    rerank_depth: int = RERANK_DEPTH
    generator: str | None = None
    generator_params: Mapping[str, Any] = field(default_factory=dict)  # constructor arguments
    context: Mapping[str, Any] = field(default_factory=dict)  # constructor arguments


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
    """The system written as `retriever[+reranker][+generator][?key=value&...]`.

    Keys are the retriever's parameters, `reranker.KEY` the reranker's, `generator.KEY` and
    `context.KEY` likewise; `rerank_depth` is the system's own.
    """
    names, params = parse_spec(spec)
    retriever, reranker, generator = _names(names, spec)
    if "rerank_depth" in params and not reranker:
        raise UsageError(f"{spec!r} has a rerank_depth but no reranker")
    depth = _depth(params.pop("rerank_depth", RERANK_DEPTH), spec)
    own: dict[str, dict[str, Any]] = {role: {} for role in ROLES}
    for key in list(params):
        role, dot, name = key.partition(".")
        if dot and role in ROLES:
            own[role][name] = params.pop(key)
    for role, part in (("reranker", reranker), ("generator", generator), ("context", generator)):
        if own[role] and not part:
            lacks = "generator" if role == "context" else role
            raise UsageError(f"{spec!r} has parameters of a {role} but no {lacks}")
    return System(
        spec, retriever, params, reranker, own["reranker"], depth,
        generator, own["generator"], own["context"],
    )  # fmt: skip


def _names(names: str, spec: str) -> tuple[str, str | None, str | None]:
    """Retriever, reranker and generator; what stands second is a generator where it is one."""
    retriever, *more = names.split("+")
    if not all((retriever, *more)) or len(more) > 2:
        raise UsageError(
            f"cannot read system {spec!r}; expected retriever[+reranker][+generator][?key=value]"
        )
    if len(more) == 1 and more[0] in GENERATORS.targets():
        return retriever, None, more[0]
    reranker, generator = (*more, None, None)[:2]
    return retriever, reranker, generator


def ranking_of(system: System) -> System:
    """The system without its generator; its name loses it too where that is the whole system."""
    bare = replace(system, generator=None, generator_params={}, context={})
    try:
        spelled = system.generator is not None and parse_system(system.name) == system
    except BenchError:
        spelled = False
    if not spelled:
        return bare
    names, _, params = system.name.partition("?")
    own = [part for part in params.split("&") if part and part.split(".")[0] not in ROLES[1:]]
    names = names.removesuffix(f"+{system.generator}")
    return replace(bare, name="?".join(filter(None, (names, "&".join(own)))))


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
    "generator": str,
    "generator_params": dict,
    "context": dict,
    "grid": dict,
}
_BELONG = {
    "reranker_params": "reranker",
    "rerank_depth": "reranker",
    "generator_params": "generator",
    "context": "generator",
}
"""Keys that say something of a part, which has to be there."""


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
    for key, part in _BELONG.items():
        if key in entry and part not in entry:
            raise DataError(f"{where}: {key} without a {part}")
    depth = _depth(entry.get("rerank_depth", RERANK_DEPTH), where)
    parts = (entry["retriever"], entry.get("reranker"), entry.get("generator"))
    name = entry.get("name") or "+".join(filter(None, parts))
    return System(
        name,
        entry["retriever"],
        entry.get("params", {}),
        entry.get("reranker"),
        entry.get("reranker_params", {}),
        depth,
        entry.get("generator"),
        entry.get("generator_params", {}),
        entry.get("context", {}),
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
