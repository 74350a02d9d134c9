"""An index as files: one .npy an array, and index.json for the rest, written last.

Nothing is pickled, and arrays can be mapped into memory instead of read.
"""

import inspect
import json
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from qrels.errors import DataError

INDEX = "index.json"


def save_index(
    owner: object,
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],  # dtypes are the retriever's own
    facts: Mapping[str, Any],  # JSON values, n_docs among them
) -> None:
    """Write *arrays* and *facts* with the class and parameters of *owner* into *folder*."""
    for name, array in arrays.items():
        with_file(folder / f"{name}.npy", partial(np.save, arr=array, allow_pickle=False))
    about = {"parameters": _identity(owner), "arrays": sorted(arrays), "facts": dict(facts)}
    text = json.dumps(about, ensure_ascii=False)
    with_file(folder / INDEX, lambda file: file.write(text.encode()))


def load_index(
    owner: object, folder: Path, n_docs: int
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What `save_index` wrote for the same class and parameters.

    Arrays are mapped into memory, read-only. DataError where the folder holds no whole index, or
    that of other parameters or another number of documents.
    """
    path, expected = folder / INDEX, _identity(owner)
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        found, facts = about["parameters"], about["facts"]
        arrays = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            for name in about["arrays"]
        }
        documents = facts["n_docs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: not an index that can be read ({error})") from error
    if found != expected:
        raise DataError(f"{path}: built with {found}; expected {expected}")
    if documents != n_docs:
        raise DataError(f"{path}: built over {documents} documents; the corpus has {n_docs}")
    return arrays, facts


def with_file(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let *write* fill a draft beside *path*, which then takes its place."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            write(file)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _identity(owner: object) -> Any:  # JSON values
    """The class and the constructor's arguments, as JSON gives them back."""
    names = inspect.signature(type(owner)).parameters
    arguments = {name: getattr(owner, name) for name in names}
    shown = {"class": type(owner).__name__, **arguments}
    return json.loads(json.dumps(shown, default=list))
