"""Texts to word pieces, in batches that hold little padding."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Batch(NamedTuple):
    """Some texts: their rows, their token ids, 0 beyond the last, and 1 where a token is.

    ids: int64 (n, longest); mask: int32 (n, longest).
    """

    rows: list[int]
    ids: NDArray[np.int64]
    mask: NDArray[np.int32]


class WordPieces:
    """The tokenizer.json of *folder*, at most *max_length* tokens a text, special ones included."""

    def __init__(self, folder: Path, max_length: int) -> None:
        self.folder = folder
        self.max_length = max_length

    def batches(self, texts: Sequence[str], tokens: int) -> Iterator[Batch]:
        """All *texts* by falling length, as many a batch as *tokens* allow, padding included."""
        found = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts))]
        order = sorted(range(len(found)), key=lambda row: -len(found[row]))
        for start, stop in pairwise(cuts([len(found[row]) for row in order], tokens)):
            rows = order[start:stop]
            yield Batch(rows, *padded([found[row] for row in rows]))

    @cached_property
    def _tokenizer(self) -> Any:  # tokenizers.Tokenizer; the package has no types
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length)
        return tokenizer


def padded(tokens: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Ids int64 (n, longest), 0 beyond a text's last, and mask int32, 1 where a token is."""
    lengths = np.array([len(ids) for ids in tokens])
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int32)
    found = np.zeros(mask.shape, np.int64)
    found[mask == 1] = np.concatenate(tokens)
    return found, mask


def cuts(lengths: Sequence[int], tokens: int) -> list[int]:
    """Where batches of falling *lengths* start and end, each as full as *tokens* allow."""
    found = [0]
    while found[-1] < len(lengths):
        size = max(1, tokens // lengths[found[-1]])
        found.append(min(found[-1] + size, len(lengths)))
    return found
