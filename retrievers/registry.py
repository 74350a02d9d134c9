"""Names to classes: built-ins from a table, plug-ins from entry points, or `module:Class`.

One `Registry` serves retrievers, rerankers and, through them, everything that is made by name.
"""

import importlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

from qrels.errors import MissingPackageError, UsageError, unknown

Params = Mapping[str, Any]  # constructor arguments; their types are the class's own


@dataclass(frozen=True)
class Registry:
    """What can be made by name: kind is the word in messages, builtins maps names to targets.

    A target is `module:Class`. group is the entry-point group where other packages register.
    """

    kind: str
    builtins: Mapping[str, str]
    group: str

    def targets(self) -> dict[str, str]:
        """Every registered name with its `module:Class`, built-ins first."""
        plugins = {point.name: point.value for point in entry_points(group=self.group)}
        return {**self.builtins, **{n: v for n, v in plugins.items() if n not in self.builtins}}

    def load(self, name: str) -> type[Any]:
        """The class behind a registered *name* or a `module:Class`."""
        targets = self.targets()
        if name not in targets and ":" not in name:
            raise unknown(self.kind, name, targets)
        module_name, _, attribute = targets.get(name, name).partition(":")
        try:
            found = getattr(importlib.import_module(module_name), attribute)
        except ModuleNotFoundError as error:
            raise MissingPackageError(
                f"{self.kind} {name!r} needs the package {error.name!r}, which is not installed"
            ) from error
        except AttributeError as error:
            raise UsageError(f"{self.kind} {name!r}: no {attribute!r} in {module_name}") from error
        if not inspect.isclass(found):
            raise UsageError(f"{self.kind} {name!r}: {attribute!r} is not a class")
        return found

    def create(self, name: str, params: Params | None = None) -> Any:  # a Retriever, a Reranker
        """An instance of *name*; a parameter that its constructor lacks is a UsageError."""
        found = self.load(name)
        given = dict(params or {})
        allowed = parameters(found)
        for key in given:
            if key not in allowed:
                raise unknown(f"parameter of {self.kind} {name!r}", key, allowed)
        missing = [key for key, default in allowed.items() if default is REQUIRED]
        if absent := [key for key in missing if key not in given]:
            raise UsageError(f"{self.kind} {name!r} needs the parameter {absent[0]!r}")
        return found(**given)


REQUIRED = inspect.Parameter.empty


def parameters(found: type[Any]) -> dict[str, Any]:
    """The constructor's parameters with their defaults, `REQUIRED` where there is none."""
    if found.__init__ is object.__init__:
        return {}
    return {
        name: parameter.default
        for name, parameter in inspect.signature(found).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


def summary(found: type[Any]) -> str:
    """The first line of a class's own docstring."""
    return (found.__dict__.get("__doc__") or "").strip().partition("\n")[0]


def parse_value(text: str) -> Any:  # a JSON value, or the text itself
    """A parameter written on the command line: JSON where it parses, else plain text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Name and parameters of `name?key=value&key=value`."""
    name, _, query = spec.partition("?")
    params = {}
    for part in query.split("&") if query else ():
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"cannot read {part!r} in {spec!r}; expected key=value")
        params[key] = parse_value(value)
    return name, params
