"""Vectors that someone made before, in a file, searched exactly."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import encoders
from qrels.data import Corpus
from qrels.errors import DataError, UsageError, unknown
from qrels.files import read_data, read_objects
from qrels.plain import CELL_LIMIT, ID_COLUMNS
from qrels.saved import read_array
from retrievers.vectors import VectorRetriever, Vectors


class Precomputed(VectorRetriever):
    """Nearest vectors out of a file; queries by the encoder that made them.

    path: .csv or .jsonl (.gz too), a JSON list of numbers a row; .parquet; or .npy, float
    (n_docs, dimension) in the corpus's order. column: where the vectors are; id_column: where
    the ids are, by default the first of `_id`, `id`, `model_id`, `dataset_id`. Rows of other ids
    than the corpus's are passed over. similarity: cosine, dot, or l2.

    DataError: a document without a row or with two, a vector that is not numbers, not finite,
    or not of the encoder's dimension.
    """

    def __init__(
        self,
        path: str,
        column: str = "embeddings",
        id_column: str | None = None,
        encoder: str = "minilm",
        similarity: str = "dot",
    ) -> None:
        self.path = path
        self.column = column
        self.id_column = id_column
        self.encoder = encoder
        self.similarity = similarity

    def _vectors(self, corpus: Corpus) -> Vectors:
        path = Path(self.path)
        suffix = Path(path.name.removesuffix(".gz")).suffix.lower()
        if suffix == ".npy":
            matrix = _array(path, len(corpus))
        elif suffix in READERS:
            matrix = _by_id(READERS[suffix](path, self.column, self.id_column), path, corpus)
        else:
            allowed = ", ".join([*READERS, ".npy"])
            raise UsageError(f"{path}: cannot read vectors from {suffix!r}; allowed: {allowed}")
        dimension = encoders.load(self.encoder).dimension
        if matrix.shape[1] != dimension:
            raise DataError(
                f"{path}: vectors have {matrix.shape[1]} numbers; encoder {self.encoder!r} "
                f"gives {dimension}"
            )
        return matrix


LARGEST = 1e15
"""Beyond it the squares of a vector, added up, may leave float32."""


class Row(NamedTuple):
    """A row of a file: its place in messages, its id, and what should be a list of numbers."""

    place: str
    doc_id: str
    vector: object


def _csv(path: Path, column: str, id_column: str | None) -> Iterator[Row]:
    text = io.StringIO(read_data(path).decode(), newline="")
    before = csv.field_size_limit(CELL_LIMIT)  # vectors are longer than the default 131,072
    try:
        reader = csv.reader(text, strict=True)
        header = next(reader)
        ids, vectors = (header.index(name) for name in _columns(path, header, column, id_column))
        for cells in reader:
            place = f"{path}:{reader.line_num}"
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(f"{place}: expected {len(header)} columns, got {len(cells)}")
            yield Row(place, cells[ids], _parsed(cells[vectors]))
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not valid CSV: {error}") from error
    finally:
        csv.field_size_limit(before)


def _jsonl(path: Path, column: str, id_column: str | None) -> Iterator[Row]:
    names = None
    for line, row in read_objects(path):
        names = names or _columns(path, list(row), column, id_column)
        yield Row(f"{path}:{line}", str(row.get(names[0], "")), row.get(names[1]))


def _parquet(path: Path, column: str, id_column: str | None) -> Iterator[Row]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            ids, vectors = _columns(path, file.schema_arrow.names, column, id_column)
            number = 0
            for batch in file.iter_batches(columns=[ids, vectors]):
                for row in batch.to_pylist():
                    number += 1
                    yield Row(f"{path}: row {number}", str(row[ids]), row[vectors])
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"{path}: not Parquet that can be read: {error}") from error


READERS: Mapping[str, Callable[[Path, str, str | None], Iterator[Row]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
}


def _columns(
    path: Path, names: Sequence[str], column: str, id_column: str | None
) -> tuple[str, str]:
    """The columns of the ids and of the vectors."""
    if column not in names:
        raise unknown(f"column of {path}", column, names)
    if id_column is not None and id_column not in names:
        raise unknown(f"column of {path}", id_column, names)
    found = id_column or next((name for name in ID_COLUMNS if name in names), None)
    if found is None:
        raise DataError(
            f"{path}: no column of ids; expected one of {', '.join(ID_COLUMNS)}, or name id_column"
        )
    return found, column


def _parsed(cell: str) -> object:
    """The JSON in a cell, or the text itself where it is none."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return cell


def _by_id(rows: Iterator[Row], path: Path, corpus: Corpus) -> NDArray[np.float32]:
    """float32 (n_docs, dimension) in the corpus's order."""
    vectors: list[NDArray[np.float32] | None] = [None] * len(corpus)
    times: Counter[str] = Counter()
    dimension = None
    for row in rows:
        position = corpus.positions.get(row.doc_id)
        if position is None:
            continue
        times[row.doc_id] += 1
        vector = _vector(row)
        dimension = dimension or len(vector)
        if len(vector) != dimension:
            raise DataError(f"{row.place}: {len(vector)} numbers; the rows before have {dimension}")
        vectors[position] = vector
    _complain(path, "are there more than once", [i for i, count in times.items() if count > 1])
    _complain(path, "have no row", [i for i in corpus.doc_ids if i not in times])
    return np.stack([vector for vector in vectors if vector is not None])


def _complain(path: Path, what: str, ids: Sequence[str]) -> None:
    if ids:
        raise DataError(f"{path}: {len(ids)} documents {what}, the first is {ids[0]!r}")


def _vector(row: Row) -> NDArray[np.float32]:
    """The row's vector, float32 (dimension,)."""
    numbers = row.vector
    if not isinstance(numbers, list) or not numbers or not set(map(type, numbers)) <= {int, float}:
        shown = repr(numbers)
        raise DataError(
            f"{row.place}: expected a list of numbers, got "
            f"{shown if len(shown) < 60 else shown[:57] + '...'}"
        )
    try:
        with np.errstate(over="ignore"):
            vector = np.array(numbers, np.float64).astype(np.float32)
    except OverflowError:  # an integer beyond float64
        vector = np.full(1, np.inf, np.float32)
    if not _usable(vector):
        raise DataError(f"{row.place}: a number is not finite, or beyond {LARGEST:g}")
    return vector


def _array(path: Path, n_docs: int) -> Vectors:
    """The .npy file's vectors, mapped where they are float32 or float16."""
    found = read_array(path)
    if found.ndim != 2 or found.dtype.kind != "f" or len(found) != n_docs:
        raise DataError(
            f"{path}: holds {found.dtype} {found.shape}; expected floats ({n_docs}, dimension), "
            "a row a document"
        )
    matrix = np.asarray(found if found.dtype.itemsize <= 4 else found.astype(np.float32))
    if not all(_usable(matrix[at : at + 4096]) for at in range(0, n_docs, 4096)):
        row = int(np.argmin([_usable(vector) for vector in matrix]))
        raise DataError(
            f"{path}: row {row} holds a number that is not finite, or beyond {LARGEST:g}"
        )
    return matrix


def _usable(numbers: Vectors) -> bool:
    """Whether all are finite and small enough to be squared."""
    return float(np.abs(numbers).max(initial=0)) <= LARGEST
