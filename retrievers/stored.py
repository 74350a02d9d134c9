"""Vectors as an index keeps them: float32, float16, or int8 with a factor a vector."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

ROWS = 16384
"""Vectors converted at once while an index is built."""


@dataclass(frozen=True)
class Stored:
    """One vector a row, perhaps mapped from a file: the row's codes times its factor.

    codes: float32, float16 or int8 (n, dimension); factors: float32 (n,), None where all are 1.
    """

    codes: NDArray[Any]
    factors: Floats | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def filler(self, size: int) -> Callable[[slice | NDArray[np.int64]], Floats]:
        """Gives the codes of up to *size* rows as float32, in memory it uses anew each time.

        Whole float32 blocks are given as they are, without a copy.
        """
        taken = np.empty((size, self.codes.shape[1]), self.codes.dtype)
        ready = self.codes.dtype == np.float32
        wide = taken if ready else np.empty(taken.shape, np.float32)
        widen = _widen_halves if self.codes.dtype == np.float16 else np.copyto

        def fill(rows: slice | NDArray[np.int64]) -> Floats:
            if isinstance(rows, slice):
                found = self.codes[rows]
            else:
                found = taken[: len(rows)]
                np.take(self.codes, rows, axis=0, out=found, mode="clip")  # other modes copy twice
            if not ready:
                widen(wide[: len(found)], found)
                found = wide[: len(found)]
            return found

        return fill

    def norms(self) -> Floats:
        """float32 (n,): the length of each vector, taken block by block."""
        found = np.empty(len(self), np.float32)
        fill = self.filler(min(ROWS, len(self)))
        for start in range(0, len(self), ROWS):
            found[start : start + ROWS] = np.linalg.norm(fill(slice(start, start + ROWS)), axis=1)
        return found if self.factors is None else found * self.factors


def _widen_halves(wide: Floats, halves: NDArray[np.float16]) -> None:
    """Fill *wide* with *halves*, finite ones, by moving their bits: 5 times np.copyto's speed.

    Sign, exponent and fraction come to their places in float32, whose exponent counts from 127,
    not 15; the factor makes up for that, exactly, for subnormal numbers too.
    """
    bits = wide.view(np.int32)
    np.copyto(bits, halves.view(np.int16))  # the sign is carried into the upper half
    np.left_shift(bits, 13, out=bits)
    np.bitwise_and(bits, np.int32(-0x70002000), out=bits)
    np.multiply(wide, np.float32(2.0**112), out=wide)


def _as(dtype: type[np.floating[Any]]) -> Callable[[Floats], Stored]:
    return lambda vectors: Stored(vectors.astype(dtype, copy=False))


def _int8(vectors: Floats) -> Stored:
    """The nearest of 255 even steps from minus to plus the vector's largest magnitude."""
    codes = np.empty(vectors.shape, np.int8)
    factors = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), ROWS):
        here = slice(start, start + ROWS)
        largest = np.abs(vectors[here]).max(axis=1, initial=0)
        factors[here] = np.where(largest > 0, largest / 127, 1)
        codes[here] = np.rint(vectors[here] / factors[here, None]).clip(-127, 127)
    return Stored(codes, factors)


DTYPES: Mapping[str, Callable[[Floats], Stored]] = {
    "float32": _as(np.float32),
    "float16": _as(np.float16),
    "int8": _int8,
}
"""How vectors can be kept, and what makes them so; int8 takes a quarter of the bytes."""
