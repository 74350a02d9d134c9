"""Any sentence-transformers folder: vectors, prompts, truncation, token vectors, digests."""

import shutil

import numpy as np
import pytest

from encoders.sentence_transformer import SentenceTransformerEncoder
from qrels.errors import DataError, UsageError

TEXTS = ["the cat sat on the mat", "dog", "a big planet", "", "the the the cat dog planet big a"]


@pytest.fixture(scope="module")
def plain(tiny_model):
    return SentenceTransformerEncoder(str(tiny_model))


@pytest.fixture(scope="module")
def library(tiny_model):
    """The same folder opened by the library itself."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(tiny_model), device="cpu", local_files_only=True)


def test_vectors_are_the_librarys(plain, library):
    """A plain encode of the library gives the same, normalised, in the order of the texts."""
    expected = library.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    found = plain.encode(TEXTS, "passage")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert plain.dimension == 8
    assert plain.encode([], "query").shape == (0, 8)


def test_without_normalisation_lengths_stay(tiny_model, library):
    """normalise=False gives the model's own lengths."""
    encoder = SentenceTransformerEncoder(str(tiny_model), normalise=False)
    expected = library.encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(encoder.encode(TEXTS, "passage"), expected, atol=1e-6)


def test_prompts_go_before_the_texts_of_their_side(tiny_model, plain):
    """A prompted text is the text with the prompt written before it."""
    encoder = SentenceTransformerEncoder(
        str(tiny_model), query_prompt="query : ", passage_prompt="passage : "
    )
    for side in ("query", "passage"):
        expected = plain.encode([f"{side} : the cat"], side)
        np.testing.assert_allclose(encoder.encode(["the cat"], side), expected, atol=1e-6)
    assert encoder.digest != plain.digest


def test_the_batch_size_changes_nothing(tiny_model, plain):
    """Texts of mixed lengths come back in order, whatever the batches."""
    encoder = SentenceTransformerEncoder(str(tiny_model), batch_size=2)
    np.testing.assert_allclose(
        encoder.encode(TEXTS, "passage"), plain.encode(TEXTS, "passage"), atol=1e-6
    )


def test_max_length_cuts_texts(tiny_model, plain):
    """With max_length 4, two words are left between [CLS] and [SEP]."""
    encoder = SentenceTransformerEncoder(str(tiny_model), max_length=4)
    np.testing.assert_allclose(
        encoder.encode(["the cat sat on"], "query"), plain.encode(["the cat"], "query"), atol=1e-6
    )
    assert encoder.digest != plain.digest


def test_token_vectors_leave_special_tokens_and_padding_out(plain, library):
    """One unit vector a word, equal to the library's hidden states between [CLS] and [SEP]."""
    found = plain.encode_tokens(TEXTS, "passage")
    assert [len(vectors) for vectors in found] == [6, 1, 3, 0, 8]
    hidden = library.encode(TEXTS[0], output_value="token_embeddings", show_progress_bar=False)
    expected = hidden[1:-1].numpy().copy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_close_and_has_its_own_digest(tiny_model, plain, dtype):
    """Vectors computed in half precision come back as float32 near the full ones."""
    encoder = SentenceTransformerEncoder(str(tiny_model), dtype=dtype)
    found = encoder.encode(TEXTS[:3], "query")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, plain.encode(TEXTS[:3], "query"), atol=0.05)
    assert encoder.digest != plain.digest


def test_the_digest_is_of_the_content(tiny_model, plain, tmp_path):
    """A copy elsewhere has the same digest; one changed byte in the weights, another."""
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    assert SentenceTransformerEncoder(str(copy)).digest == plain.digest
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    assert SentenceTransformerEncoder(str(copy)).digest != plain.digest


def test_weights_that_are_pickled_are_refused(tiny_model, tmp_path):
    """A folder with pytorch_model.bin and no safetensors is a DataError."""
    copy = shutil.copytree(tiny_model, tmp_path / "copy")
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"not to be read")
    with pytest.raises(DataError, match="cannot be loaded"):
        SentenceTransformerEncoder(str(copy)).encode(["a"], "query")


def test_an_unknown_dtype_is_refused(tiny_model):
    """The message names the close match."""
    with pytest.raises(UsageError, match="did you mean 'float16'"):
        SentenceTransformerEncoder(str(tiny_model), dtype="flaot16").encode(["a"], "query")


def test_the_record_names_the_folder_and_its_content(tiny_model, plain):
    """describe is plain data, without the folder's path."""
    about = plain.describe()
    assert about["source"] == "folder"
    assert about["model"] == "model"
    assert about["content"] in plain.digest
    assert str(tiny_model.parent) not in str(about)


def test_a_hub_model_is_known_by_its_commit(monkeypatch):
    """A branch name is resolved to the commit; a commit needs no look-up."""
    from huggingface_hub.errors import EntryNotFoundError

    def download(model, name, revision):
        if name == "modules.json":
            raise EntryNotFoundError("none")
        return f"/cache/{model}/snapshots/{revision}-commit/{name}"

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    branch = SentenceTransformerEncoder("org/name", revision="main")
    assert branch.describe()["content"] == "main"
    assert "org/name@main-commit" in branch.digest
    assert branch.describe()["content"] == "org/name@main-commit"
    monkeypatch.setattr("huggingface_hub.hf_hub_download", None)
    commit = SentenceTransformerEncoder("org/name", revision="a" * 40)
    assert f"org/name@{'a' * 40}" in commit.digest


def test_a_hub_that_cannot_be_reached_is_a_data_error(monkeypatch):
    """One line names the model, the reason, and what to download."""

    def download(model, name, revision):
        raise OSError("no network\nlong story")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    with pytest.raises(DataError, match=r"encoder .org/name. cannot .*: no network; .*org/name"):
        SentenceTransformerEncoder("org/name").encode(["a"], "query")
