"""The hashing encoder: fixed vectors, whatever the process, the batch or the platform."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import encoders
from encoders.hashing import Hashing

TEXTS = ["Jupiter is the biggest planet", "a cat", "", "日本語 ß", "cat cat a"]


def test_vectors_are_unit_or_zero():
    """A text with words has length 1, one without has length 0."""
    lengths = np.linalg.norm(Hashing(64).encode([*TEXTS, "?!"], "query"), axis=1)
    assert lengths == pytest.approx([1, 1, 0, 1, 1, 0])


def test_a_vector_depends_on_its_text_alone():
    """Neither the other texts of the batch nor the side nor letter case matters."""
    batch = Hashing(64).encode(TEXTS, "passage")
    for row, text in enumerate(TEXTS):
        assert np.array_equal(
            Hashing(64).encode([text.swapcase() if text.isascii() else text], "query")[0],
            batch[row],
        )


def test_vectors_are_the_same_in_another_process():
    """Python's own hash differs between processes; this one does not."""
    code = (
        "from encoders.hashing import Hashing\n"
        "print(Hashing(8).encode(['a cat'], 'query').tolist())"
    )
    path = str(Path(encoders.__file__).parents[1])
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert answers == {f"{Hashing(8).encode(['a cat'], 'query').tolist()}\n"}


def test_shared_words_and_word_parts_bring_texts_closer():
    """The inner product is larger for a shared word, and for a shared part of a word."""
    query, same, part, other = Hashing(4096).encode(
        ["planet", "planet earth", "planets", "garden"], "query"
    )
    assert query @ same > query @ other
    assert query @ part > query @ other


def test_seeds_differ():
    """Another seed is another hash, and another digest."""
    assert not np.array_equal(*(Hashing(64, seed).encode(["cat"], "query") for seed in (0, 1)))
    assert Hashing(64, 0).digest != Hashing(64, 1).digest != Hashing(32, 1).digest


def test_a_token_vector_a_word():
    """Token vectors are those of the words on their own."""
    found = Hashing(64).encode_tokens(["A cat sat", ""], "passage")
    assert [vectors.shape for vectors in found] == [(3, 64), (0, 64)]
    assert np.array_equal(found[0][1], Hashing(64).encode(["cat"], "passage")[0])
