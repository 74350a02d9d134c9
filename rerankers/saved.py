"""What a reranker prepared, as files: one .npy an array, and prepared.json, written last."""

import inspect
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoders
from qrels.data import Corpus
from qrels.errors import DataError
from qrels.files import write_whole

ABOUT = "prepared.json"
Arrays = Mapping[str, NDArray[Any]]  # dtypes are the reranker's own


def save_prepared(owner: Any, folder: Path, arrays: Arrays, n_docs: int) -> None:
    """Write the arrays of *owner*, a reranker with an `encoder`, into *folder*."""
    for name, array in arrays.items():
        draft = folder / f".{name}.{os.getpid()}"
        try:
            with draft.open("wb") as file:
                np.save(file, array, allow_pickle=False)
            draft.replace(folder / f"{name}.npy")
        finally:
            draft.unlink(missing_ok=True)
    about = {"made_with": _identity(owner, n_docs), "arrays": sorted(arrays)}
    write_whole(folder / ABOUT, json.dumps(about, ensure_ascii=False))


def load_prepared(owner: Any, folder: Path, corpus: Corpus) -> Arrays:
    """What `save_prepared` wrote, mapped into memory, read-only.

    DataError where the folder holds nothing whole, or what was made with other parameters,
    another encoder or another number of documents.
    """
    path, expected = folder / ABOUT, _identity(owner, len(corpus))
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        made = about["made_with"]
        arrays = {
            name: np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False))
            for name in about["arrays"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: nothing prepared that can be read ({error})") from error
    if made != expected:
        raise DataError(f"{path}: made with {made}; expected {expected}")
    return arrays


def _identity(owner: Any, n_docs: int) -> Any:  # JSON values
    """Class, constructor's arguments, encoder's digest and n_docs, as JSON gives them back."""
    arguments = {name: getattr(owner, name) for name in inspect.signature(type(owner)).parameters}
    digest = encoders.load(owner.encoder).digest
    shown = {"class": type(owner).__name__, **arguments, "digest": digest, "n_docs": n_docs}
    return json.loads(json.dumps(shown, default=list))
