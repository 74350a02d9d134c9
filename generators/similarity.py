"""How near the sentences of passages are to a question: the cosine of their vectors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import encoders
from generators.base import Passage


def similarities(
    encoder: str, questions: Sequence[str], groups: Sequence[Sequence[str]]
) -> list[NDArray[np.float32]]:
    """For each question the cosines with the sentences of its own group, float32 (n_sentences,).

    encoder: a spec of `encoders.load`. Each distinct sentence is encoded once, as a passage; a
    vector of zeros has cosine 0 with all.
    """
    rows = {text: row for row, text in enumerate(dict.fromkeys(t for some in groups for t in some))}
    if not rows:
        return [np.empty(0, np.float32) for _ in questions]
    made = encoders.load(encoder)
    wanted = _unit(made.encode(questions, "query"))
    known = _unit(made.encode(list(rows), "passage"))
    places = [np.array([rows[text] for text in some], np.int64) for some in groups]
    return [
        np.asarray((known[at] * vector).sum(axis=1), np.float32)  # by row: a twin scores the same
        for at, vector in zip(places, wanted, strict=True)
    ]


def titled(passage: Passage, sentence: str) -> str:
    """A sentence with its passage's title before it, which says what "it" and "he" stand for."""
    return ": ".join(part for part in (passage.title.strip(), sentence.strip()) if part)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), np.float32)
