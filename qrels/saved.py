"""An index as files: one .npy an array, and index.json for the rest, written last.

Nothing is pickled, and arrays can be mapped into memory instead of read. Every file's checksum
is in index.json, and that file's own too: what is damaged is refused, never searched.
"""

import hashlib
import inspect
import json
import os
import tokenize
import warnings
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
    sums = {name: _checksum(folder / f"{name}.npy") for name in sorted(arrays)}
    about = {"parameters": _identity(owner), "arrays": sums, "facts": dict(facts)}
    text = json.dumps({"sha256": _text_checksum(about), **about}, ensure_ascii=False)
    with_file(folder / INDEX, lambda file: file.write(text.encode()))


def load_index(
    owner: object, folder: Path, n_docs: int
) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What `save_index` wrote for the same class and parameters.

    Arrays are mapped into memory, read-only. DataError where the folder holds no whole index, a
    damaged one, or that of other parameters or another number of documents.
    """
    about = check_saved(folder)
    path, found, expected = folder / INDEX, about["parameters"], _identity(owner)
    if found != expected:
        raise DataError(f"{path}: built with {found}; expected {expected}")
    documents = about["facts"].get("n_docs")
    if documents != n_docs:
        raise DataError(f"{path}: built over {documents} documents; the corpus has {n_docs}")
    return {name: read_array(folder / f"{name}.npy") for name in about["arrays"]}, about["facts"]


def check_saved(folder: Path) -> dict[str, Any]:  # what index.json says
    """The index.json of a saved index, all checksums verified; DataError where one does not hold.

    Reads every byte: about half a second a gigabyte.
    """
    path = folder / INDEX
    try:
        about: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if about.pop("sha256") != _text_checksum(about):
            raise DataError(f"{path}: damaged: the checksum does not hold")
        for name, expected in about["arrays"].items():
            if _checksum(folder / f"{name}.npy") != expected:
                raise DataError(f"{folder / name}.npy: damaged: the checksum does not hold")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{folder}: not an index that can be read ({error})") from error
    return about


def read_array(path: Path) -> NDArray[Any]:  # the dtype is the file's
    """The array in a .npy file, mapped into memory, read-only; DataError for any other file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header in need of "additional parsing"
            return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, TypeError, EOFError, SyntaxError, MemoryError, OverflowError,
            RecursionError, tokenize.TokenError) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not an array that can be read: {reason}") from error


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


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text_checksum(about: Mapping[str, Any]) -> str:  # JSON values
    return hashlib.sha256(json.dumps(about, ensure_ascii=False).encode()).hexdigest()
