"""Code: which systems have some that is not ours, and digests of both kinds."""

import hashlib
import site
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bench.about import inner
from bench.config import System
from bench.parts import parts
from qrels.content import sha256
from retrievers import RETRIEVERS
from retrievers.registry import Params, Registry, parse_spec

OURS = ("bench", "encoders", "generators", "qrels", "rerankers", "retrievers")
"""The packages whose code decides what a cell holds."""


def is_plugin(system: System) -> bool:
    """Whether some of the system's code is not ours."""
    return any(not name_is_ours for part in parts(system) for name_is_ours in _ours(*part))


def _ours(registry: Registry, spec: str, given: Params) -> Iterator[bool]:
    """For the spec and the retrievers that it fuses, whether each is a built-in."""
    name, written = parse_spec(spec)
    yield name in registry.builtins
    for part in inner({**written, **given}):
        yield from _ours(RETRIEVERS, part, {})


def foreign_code() -> list[str]:
    """The digests of loaded modules that nobody installed: plug-ins and what they import."""
    installed = tuple({sys.prefix, sys.base_prefix, *site.getsitepackages()})
    files = {
        file
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] not in OURS
        and isinstance(file := getattr(module, "__file__", None), str)
        and not file.startswith(installed)
    }
    return [f"{file} {sha256(Path(file))}" for file in sorted(files) if Path(file).is_file()]


@cache
def code_digest() -> str:
    """The SHA-256 of our own code, as far as it decides a ranking, a value or a cost."""
    digest = hashlib.sha256()
    for name in OURS:
        root = Path(str(sys.modules[name].__file__)).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{name}/{path.relative_to(root).as_posix()} {sha256(path)}\n".encode())
    return digest.hexdigest()
