"""What rerankers save: which files there are, and what is refused."""

import numpy as np
import pytest

import encoders
from qrels.data import Corpus
from qrels.errors import DataError
from qrels.saved import INDEX
from rerankers.late_interaction import LateInteraction
from rerankers.mmr import MMR
from rerankers.saved import load_prepared

CORPUS = Corpus(["a", "b"], {"text": ["red fish", "blue"]})


@pytest.fixture
def folder(tmp_path):
    reranker = LateInteraction("hashing", fields=("text",))
    reranker.prepare(CORPUS)
    folder = tmp_path / "saved"
    folder.mkdir()
    reranker.save(folder)
    return folder


def test_arrays_are_mapped_files_of_their_own(folder):
    """No draft is left behind, and what is read back comes from the file and cannot be written."""
    assert sorted(path.name for path in folder.iterdir()) == [INDEX, "offsets.npy", "vectors.npy"]
    arrays = load_prepared(LateInteraction("hashing", fields=["text"]), folder, CORPUS)
    assert arrays["offsets"].tolist() == [0, 2, 3]
    assert arrays["vectors"].dtype == np.float16
    assert not arrays["vectors"].flags.writeable
    assert isinstance(arrays["vectors"].base, np.memmap)


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


SAME = LateInteraction("hashing", fields=["text"])
REFUSED = {
    "other-parameters": (lambda folder: None, LateInteraction("hashing"), CORPUS, "'fields': None"),
    "other-class": (lambda folder: None, MMR("hashing"), CORPUS, "expected {'class': 'MMR'"),
    "other-corpus": (
        lambda folder: None,
        SAME,
        Corpus(["a"], {"text": [""]}),
        "over 2 documents; the corpus has 1",
    ),
    "no-file": (lambda folder: (folder / INDEX).unlink(), SAME, CORPUS, "not an index"),
    "cut-text": (lambda folder: cut(folder / INDEX), SAME, CORPUS, "not an index"),
    "other-json": (lambda folder: (folder / INDEX).write_text("[]"), SAME, CORPUS, "not an index"),
    "cut-array": (lambda folder: cut(folder / "vectors.npy"), SAME, CORPUS, "damaged"),
}


@pytest.mark.parametrize(("spoil", "reranker", "corpus", "says"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_belong_is_refused(spoil, reranker, corpus, says, folder):
    """Files that are damaged, or were made for something else, are a DataError."""
    spoil(folder)
    with pytest.raises(DataError, match=says):
        reranker.load(folder, corpus)


def test_vectors_of_another_encoder_are_refused(folder, monkeypatch):
    """They belong to the encoder that made them, even where another has its name now."""
    other = encoders.load("hashing?seed=1")
    monkeypatch.setattr(encoders, "load", lambda spec: other)
    with pytest.raises(DataError, match=r"built with the encoder .* seed 0.* is now .* seed 1"):
        SAME.load(folder, CORPUS)
