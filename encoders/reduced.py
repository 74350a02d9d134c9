"""Fewer dimensions: the first of them (Matryoshka), or the principal axes of a corpus."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Side
from encoders.cache import CachedEncoder
from qrels.errors import UsageError

Floats = NDArray[np.float32]

BLOCK = 8192
"""Vectors taken into float64 at once."""


class Reduced(CachedEncoder):
    """An encoder's first *dimensions* numbers, scaled to the length that all of them had.

    The cache keeps whole vectors, so another number of dimensions encodes nothing again. It means
    something for models trained so that the first numbers stand for the rest; for others
    `principal_axes` loses less. Source: Kusupati et al. 2022, arXiv 2205.13147.
    """

    def __init__(self, whole: CachedEncoder, dimensions: int) -> None:
        super().__init__(whole.inner)
        self.whole = whole
        self.dimensions = dimensions

    @property
    def digest(self) -> str:
        return f"{self.whole.digest} first {self.dimensions}"

    @property
    def dimension(self) -> int:
        check_dimensions(self.dimensions, self.whole.dimension)
        return self.dimensions

    def describe(self) -> dict[str, Any]:
        """What the record says of the encoder: plain data."""
        return {**self.whole.describe(), "dimensions": self.dimensions}

    def encode(self, texts: Sequence[str], side: Side) -> Floats:
        """float32 (n_texts, dimensions); where the first numbers are all 0 so is the vector."""
        return truncated(self.whole.encode(texts, side), self.dimension)

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[Floats]:
        """For each text, unit vectors float32 (n_tokens, dimensions)."""
        tokens = self.whole.encode_tokens(texts, side)
        return [truncated(found, self.dimension) for found in tokens]


def truncated(vectors: Floats, dimensions: int) -> Floats:
    """float32 (n, dimensions): the first numbers of each, scaled to the length all had."""
    first = vectors[:, :dimensions]
    whole, part = (np.linalg.norm(v, axis=1, keepdims=True) for v in (vectors, first))
    return np.asarray(first * np.divide(whole, part, out=0 * part, where=part > 0), np.float32)


def principal_axes(vectors: NDArray[Any], dimensions: int, sample: int, seed: int) -> Floats:
    """float32 (dimension, dimensions): orthonormal axes, the one that tells most apart first.

    vectors: floats (n, dimension); of more than *sample*, as many are drawn by *seed*. The axes
    are eigenvectors of the second moment about zero, not about the mean, since dot products are
    to be kept: with all dimensions every similarity is what it was. The largest number of an
    axis is positive, so that its sign is not left to the solver.
    """
    check_dimensions(dimensions, vectors.shape[1])
    rows = np.arange(len(vectors))
    if len(rows) > sample:
        rows = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    moment = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(rows), BLOCK):
        block = vectors[rows[start : start + BLOCK]].astype(np.float64)
        moment += block.T @ block
    axes = np.linalg.eigh(moment)[1][:, ::-1][:, :dimensions]  # eigh gives the largest last
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)
    return np.ascontiguousarray(axes * np.where(largest < 0, -1, 1), np.float32)


def projected(vectors: NDArray[Any], axes: Floats) -> Floats:
    """float32 (n, dimensions): *vectors* on the *axes*, each by itself, whatever the batch."""
    found = np.empty((len(vectors), axes.shape[1]), np.float32)
    for row, vector in enumerate(vectors):
        np.matmul(vector.astype(np.float32, copy=False), axes, out=found[row])
    return found


def check_dimensions(dimensions: int, whole: int) -> None:
    """UsageError unless *dimensions* is one to all of the *whole*."""
    if isinstance(dimensions, bool) or not isinstance(dimensions, int):
        raise UsageError(f"dimensions are {dimensions!r}; expected a whole number")
    if not 1 <= dimensions <= whole:
        raise UsageError(f"dimensions are {dimensions}; allowed: 1 to {whole}")
