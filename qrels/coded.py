"""Ids of many rows as numbers of a few names."""

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Coded(Sequence[str]):
    """n ids, each one of some names; they become strings only where they are asked for.

    names: all different, in order of first appearance, which `positions` relies on; codes: int32
    (n,), which name each is.
    """

    def __init__(self, names: Sequence[str], codes: NDArray[np.int32]) -> None:
        self.names = names
        self.codes = codes

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self.names[code] for code in self.codes[at].tolist()]
        return self.names[int(self.codes[at])]

    def __iter__(self) -> Iterator[str]:
        names = list(self.names)
        return map(names.__getitem__, self.codes.tolist())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Coded | list | tuple):
            return len(self) == len(other) and all(map(str.__eq__, self, other))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to lists, which have none

    def __repr__(self) -> str:
        return f"Coded({len(self)} ids of {len(self.names)} names)"
