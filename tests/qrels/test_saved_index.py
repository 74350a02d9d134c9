"""Indexes as files: what is refused, and that nothing half-written stays."""

import json

import numpy as np
import pytest

from qrels.data import Corpus
from qrels.errors import DataError
from qrels.saved import INDEX, load_index, save_index
from retrievers.bm25 import BM25

CORPUS = Corpus(["a", "b"], {"text": ["cat dog", "fish"]})


@pytest.fixture
def folder(tmp_path):
    retriever = BM25(k1=1.2, fields=("text",))
    retriever.index(CORPUS)
    retriever.save(tmp_path)
    return tmp_path


def test_an_index_is_its_arrays_and_one_json_file(folder):
    """No draft is left behind."""
    names = {path.name for path in folder.iterdir()} - {INDEX}
    assert INDEX in {path.name for path in folder.iterdir()}
    assert names == {
        f"{name}.npy" for name in load_index(BM25(k1=1.2, fields=["text"]), folder, 2)[0]
    }


def test_arrays_are_mapped_and_cannot_be_written(folder):
    """Loading reads no array whole: it comes from the file, as it was."""
    arrays, facts = load_index(BM25(k1=1.2, fields=["text"]), folder, 2)
    assert arrays["docs"].tolist() == [0, 0, 1]
    assert not arrays["docs"].flags.writeable
    assert isinstance(arrays["docs"].base, np.memmap)
    assert facts["n_docs"] == 2


REFUSED = {
    "other-parameters": (lambda folder: None, BM25(), CORPUS, r"built with .*'k1': 1.2.*expected"),
    "other-corpus": (
        lambda folder: None,
        BM25(k1=1.2, fields=["text"]),
        Corpus(["a"], {"text": ["cat"]}),
        "built over 2 documents; the corpus has 1",
    ),
    "no-index": (
        lambda folder: (folder / INDEX).unlink(),
        BM25(),
        CORPUS,
        "not an index that can be read",
    ),
    "cut-short": (
        lambda folder: (folder / INDEX).write_text('{"param'),
        BM25(),
        CORPUS,
        "not an index that can be read",
    ),
    "other-json": (
        lambda folder: (folder / INDEX).write_text("[]"),
        BM25(),
        CORPUS,
        "not an index that can be read",
    ),
    "missing-array": (
        lambda folder: (folder / "docs.npy").unlink(),
        BM25(),
        CORPUS,
        "not an index that can be read",
    ),
    "pickled-array": (
        lambda folder: np.save(folder / "docs.npy", np.array([{}]), allow_pickle=True),
        BM25(),
        CORPUS,
        "damaged",
    ),
}


@pytest.mark.parametrize(
    ("damage", "retriever", "corpus", "message"), REFUSED.values(), ids=REFUSED
)
def test_what_is_not_this_index_is_refused(folder, damage, retriever, corpus, message):
    """Other parameters, another corpus and damaged files are DataErrors that name the folder."""
    damage(folder)
    with pytest.raises(DataError, match=message) as raised:
        retriever.load(folder, corpus)
    assert str(folder) in str(raised.value)


def test_a_failing_write_leaves_the_old_file(tmp_path):
    """An index that cannot be written whole changes no file and leaves no draft."""
    save_index(BM25(), tmp_path, {"x": np.arange(3)}, {"n_docs": 1})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="pickle"):
        save_index(BM25(), tmp_path, {"x": np.array([object()])}, {"n_docs": 1})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert json.loads(before[INDEX])["parameters"]["class"] == "BM25"


@pytest.mark.parametrize("name", ["docs.npy", "impacts.npy", "indptr.npy", INDEX])
@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_is_refused(folder, name, place):
    """Wherever one bit of a saved index differs, it is not loaded."""
    data = bytearray((folder / name).read_bytes())
    data[int(place * len(data))] ^= 1
    (folder / name).write_bytes(data)
    with pytest.raises(DataError, match=r"damaged|not an index"):
        BM25(k1=1.2, fields=["text"]).load(folder, CORPUS)
