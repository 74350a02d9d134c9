"""What a reranker with an encoder prepared, as files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

import encoders
from qrels.data import Corpus
from qrels.saved import load_index, save_index

Arrays = Mapping[str, NDArray[Any]]  # dtypes are the reranker's own


def save_prepared(owner: Any, folder: Path, arrays: Arrays, n_docs: int) -> None:
    """Write the arrays of *owner*, a reranker with an `encoder`, into *folder*."""
    facts = {"n_docs": n_docs, "encoder": encoders.load(owner.encoder).digest}
    save_index(owner, folder, arrays, facts)


def load_prepared(owner: Any, folder: Path, corpus: Corpus) -> Arrays:
    """What `save_prepared` wrote, mapped into memory, read-only.

    DataError where the folder holds nothing whole, or what was made with other parameters,
    another encoder or another number of documents.
    """
    arrays, facts = load_index(owner, folder, len(corpus))
    encoders.check_encoder(folder, facts["encoder"], owner.encoder)
    return arrays
