"""Encoders by name: `minilm`, embedded; `dpr`; `hashing`; or a sentence-transformers model."""

import functools
import inspect
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from encoders.base import current_device
from encoders.cache import CachedEncoder
from encoders.reduced import Reduced
from qrels.errors import DataError, UsageError, unknown

BUILTINS: Mapping[str, str] = {
    "dpr": "encoders.dpr:DPR",
    "hashing": "encoders.hashing:Hashing",
    "minilm": "encoders.minilm:MiniLM",
}
ANY_MODEL = "encoders.sentence_transformer:SentenceTransformerEncoder"


def load(spec: str) -> CachedEncoder:
    """The encoder of `name?key=value&...`, behind the cache; the same object each time.

    name: one of BUILTINS, else a folder or hub id (`organisation/name`) of a
    sentence-transformers model. `dimensions` is for all of them: how many of a vector's first
    numbers to keep. Values are JSON where they parse, else plain text. Nothing is read or loaded
    before first use. Unknown names and parameters are UsageErrors.
    """
    return _load(spec, current_device())


@functools.cache
def _load(spec: str, device: str) -> CachedEncoder:  # a model stays on its device
    name, _, query = spec.partition("?")
    params = dict(_parameter(part, spec) for part in query.split("&")) if query else {}
    if name not in BUILTINS:
        if "/" not in name and not Path(name).is_dir():
            raise unknown("encoder", name, BUILTINS)
        params = {**params, "model": name}
    module, _, attribute = BUILTINS.get(name, ANY_MODEL).partition(":")
    found = getattr(import_module(module), attribute)
    allowed = inspect.signature(found).parameters
    if "dimensions" in params and not allowed.keys() & {"dimension", "dimensions"}:
        _check_type(name, "dimensions", params["dimensions"], 1)
        whole = "&".join(part for part in query.split("&") if not part.startswith("dimensions="))
        return Reduced(_load(spec.replace(query, whole).rstrip("?"), device), params["dimensions"])
    for key, value in params.items():
        if key not in allowed:
            raise unknown(f"parameter of encoder {name!r}", key, allowed)
        _check_type(name, key, value, allowed[key].default)
    return CachedEncoder(found(**params))


def check_encoder(folder: Path, digest: str, spec: str) -> None:
    """DataError where an index in *folder* was built by another encoder than *spec* is now."""
    if (now := load(spec).digest) != digest:
        raise DataError(f"{folder}: built with the encoder {digest!r}; {spec!r} is now {now!r}")


def _parameter(part: str, spec: str) -> tuple[str, Any]:  # a JSON value, or the text itself
    key, equals, text = part.partition("=")
    if not equals or not key:
        raise UsageError(f"cannot read {part!r} in encoder {spec!r}; expected key=value")
    try:
        return key, json.loads(text)
    except ValueError:
        return key, text


def _check_type(name: str, key: str, value: Any, default: Any) -> None:  # any JSON value
    """UsageError where *value* is not of the default's type."""
    if default not in (None, inspect.Parameter.empty) and type(value) is not type(default):
        raise UsageError(
            f"encoder {name!r}: {key} is {value!r}; expected {type(default).__name__}, "
            f"like {default!r}"
        )
