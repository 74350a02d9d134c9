"""Feature hashing: vectors from words and their trigrams, without a model, for tests.

Source: Weinberger et al. 2009, doi 10.1145/1553374.1553516 (signed hashing).
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Side

WORD = re.compile(r"\w+")


class Hashing:
    """Unit vectors of lower-cased words and character trigrams; a text without words is zero."""

    def __init__(self, dimension: int = 256, seed: int = 0) -> None:
        self.dimension = dimension
        self.seed = seed

    @property
    def digest(self) -> str:
        return f"hashing 1 dimension {self.dimension} seed {self.seed}"

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:  # noqa: ARG002
        """float32 (n_texts, dimension), unit length or zero; both sides alike."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in enumerate(texts):
            for word in WORD.findall(text.lower()):
                np.add.at(vectors[row], *features(word, self.dimension, self.seed))
        return _unit(vectors)

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[NDArray[np.float32]]:
        """For each text, a unit vector a word, float32 (n_words, dimension)."""
        return [self.encode(WORD.findall(text), side) for text in texts]

    def describe(self) -> dict[str, Any]:
        """For the record."""
        return {"encoder": "hashing", "dimension": self.dimension, "seed": self.seed}


@lru_cache(maxsize=65536)
def features(word: str, dimension: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Buckets and signs of a word: itself and its trigrams, with the ends marked."""
    marked = f"<{word}>"
    names = [word, *(marked[i : i + 3] for i in range(len(marked) - 2))]
    key = seed.to_bytes(8, "little", signed=True)
    hashes = [blake2b(name.encode(), digest_size=8, key=key).digest() for name in names]
    numbers = np.frombuffer(b"".join(hashes), "<u8")
    signs = np.where(numbers & np.uint64(1), 1, -1).astype(np.float32)
    return ((numbers >> np.uint64(1)) % np.uint64(dimension)).astype(np.int64), signs


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
