"""A system written down for use: as a command and as an experiment file."""

import json
import shlex
from collections.abc import Mapping
from types import NoneType
from typing import Any

from generators import GENERATORS
from reports.record import SystemInfo
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import Registry, parameters, parse_spec

Params = Mapping[str, Any]  # JSON, as a record holds it


def command_of(suite: str, info: SystemInfo) -> str:
    """The command that runs the system on *suite*; parameters at their defaults are left out."""
    given = {
        **changed(RETRIEVERS, info.retriever, info.params),
        **{f"reranker.{key}": value for key, value in _reranker_params(info).items()},
        **({"rerank_depth": info.rerank_depth} if info.reranker else {}),
        **{f"generator.{key}": value for key, value in _generator_params(info).items()},
        **{f"context.{key}": value for key, value in info.context.items()},
    }
    names = (info.retriever, info.reranker, info.generator)
    parts = [parse_spec(name)[0] for name in names if name]
    spec = _spec("+".join(parts), given)
    return shlex.join(["python", "-m", "bench", "run", "--suite", suite, "--system", spec])


def toml_of(suite: str, info: SystemInfo) -> str:
    """An experiment file of the one system.

    TOML has no null, and a list could be taken for a grid of what a plug-in's parameter may be:
    such parameters go with the name.
    """
    lines = [f"suites = [{_toml(suite)}]", "", "[[system]]", f"name = {_toml(info.name)}"]
    params = changed(RETRIEVERS, info.retriever, info.params)
    lines += _part("retriever", "params", info.retriever, params, RETRIEVERS)
    if info.reranker is not None:
        params = _reranker_params(info)
        lines += _part("reranker", "reranker_params", info.reranker, params, RERANKERS)
        lines.append(f"rerank_depth = {info.rerank_depth}")
    if info.generator is not None:
        params = _generator_params(info)
        lines += _part("generator", "generator_params", info.generator, params, GENERATORS)
        lines += [f"context = {_table(info.context)}"] if info.context else []
    return "\n".join(lines) + "\n"


def changed(registry: Registry, name: str, params: Params) -> dict[str, Any]:
    """The parameters other than a built-in's defaults; all of a plug-in's, which is not loaded."""
    plain = parse_spec(name)[0]
    if plain not in registry.builtins:
        return dict(params)
    defaults = parameters(registry.load(plain))
    return {
        key: value
        for key, value in params.items()
        if key not in defaults or _json(value) != _json(defaults[key])
    }


def _reranker_params(info: SystemInfo) -> dict[str, Any]:
    return changed(RERANKERS, info.reranker, info.reranker_params) if info.reranker else {}


def _generator_params(info: SystemInfo) -> dict[str, Any]:
    return changed(GENERATORS, info.generator, info.generator_params) if info.generator else {}


def _spec(name: str, given: Params) -> str:
    """A name with its parameters as the command line takes them."""
    parts = [f"{key}={_json(value)}".replace("&", "\\u0026") for key, value in given.items()]
    return f"{name}?{'&'.join(parts)}" if parts else name


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _part(role: str, key: str, name: str, params: Params, registry: Registry) -> list[str]:
    """The lines of one part."""
    plain = parse_spec(name)[0]
    apart = (NoneType,) if plain in registry.builtins else (NoneType, list)
    table = _table({key: value for key, value in params.items() if not isinstance(value, apart)})
    spec = _spec(plain, {key: value for key, value in params.items() if isinstance(value, apart)})
    return [f"{role} = {_toml(spec)}", *([f"{key} = {table}"] if table else [])]


def _table(values: Params) -> str:
    inside = ", ".join(f"{_key(key)} = {_toml(value)}" for key, value in values.items())
    return f"{{ {inside} }}" if inside else ""


def _key(key: str) -> str:
    bare = key.isascii() and key.replace("_", "a").replace("-", "a").isalnum()
    return key if bare else _toml(key)


def _toml(value: object) -> str:
    """A value of JSON as TOML writes it; json's strings and numbers are TOML's too."""
    if isinstance(value, Mapping):
        return _table(value) or "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return _json(value).replace("\x7f", "\\u007f")
