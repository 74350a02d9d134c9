"""A BERT's ONNX file, made once from its safetensors and kept in the cache by what decides it."""

import hashlib
import json
import warnings
from pathlib import Path

from encoders.cache import cache_folder
from encoders.digests import file_digest
from encoders.layout import BertFolder
from encoders.onnx_graph import OPSET, bert_graph
from encoders.packages import needed
from qrels.errors import DataError
from qrels.saved import with_file

FORMAT = 1
SUFFIX = ".onnx"
EXPORTER = 1
"""Raised where the same weights would give another graph."""


def exported(model: BertFolder, dtype: str, dialect: str) -> bytes:
    """The ONNX model, from the cache where it is there and whole, else made and put there.

    Its folder is named by its recipe, the file by its content: one that is not what its name says
    is made again.
    """
    folder = cache_folder() / f"models-{FORMAT}" / _recipe(model, dtype, dialect)[:32]
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        if (found := whole(path)) is not None:
            return found
    made = _made(model, dtype, dialect)
    _kept(folder / (_digest(made) + SUFFIX), made)
    return made


def whole(path: Path) -> bytes | None:
    """What an exported file holds, None where it is gone or not what its name says."""
    try:
        found = path.read_bytes()
    except OSError:
        return None
    return found if path.stem == _digest(found) else None


def _recipe(model: BertFolder, dtype: str, dialect: str) -> str:
    files = [file_digest(model.folder / name) for name in ("model.safetensors", "config.json")]
    parts = [*files, model.pooling, dtype, dialect, EXPORTER, OPSET]
    return _digest(json.dumps(parts).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _made(model: BertFolder, dtype: str, dialect: str) -> bytes:
    needed("onnx", "onnx")
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = model.folder / "model.safetensors"
    try:
        weights = load_file(path)
        plain = {name.removeprefix("bert."): w.astype("f4") for name, w in weights.items()}
        return bert_graph(model.config(), plain, model.pooling, dtype, dialect)
    except (KeyError, TypeError, SafetensorError) as error:
        raise DataError(f"{path} cannot be exported: {error}; expected a BERT's weights") from error


def _kept(path: Path, data: bytes) -> None:
    """Write the file; a cache that cannot be written is a warning."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with_file(path, lambda file: file.write(data))
    except OSError as error:
        warnings.warn(
            f"the exported model is not cached: {path.parent} cannot be written ({error.strerror})",
            RuntimeWarning,
            stacklevel=3,
        )
