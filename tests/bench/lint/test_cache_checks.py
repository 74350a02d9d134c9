"""What lies in the cache under the wrong settings, or broken, is found."""

import shutil

import pytest

import encoders
from bench.config import parse_system
from bench.lint.cache import CACHE
from bench.lint.findings import found
from bench.search import save_index
from bench.system import index, make


def codes(folder):
    return [one.code for one in found(CACHE, folder)]


@pytest.fixture
def cache(tmp_path, monkeypatch, toy_corpus):
    """Embeddings of one encoder, and one saved index."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    encoders.load("hashing").encode(["a", "b"], "passage")
    built = make(parse_system("bm25"), toy_corpus)
    index(built)
    save_index(built, tmp_path / "indexes" / "one")
    return tmp_path


def test_a_cache_as_it_was_written_has_no_finding(cache):
    """Nor has one that is not there."""
    assert list(cache.rglob("*.emb"))
    assert codes(cache) == []
    assert codes(cache / "nowhere") == []


@pytest.mark.parametrize("place", ["0" * 32 + "/passage-sentence", None])
def test_embeddings_in_the_wrong_folder_are_found(cache, place):
    """Copied to another encoder's folder, or to the other side of its own."""
    (file,) = cache.rglob("*.emb")
    target = file.parents[2] / place if place else file.parents[1] / "query-sentence"
    target.mkdir(parents=True)
    shutil.copy(file, target)
    assert codes(cache) == ["C1"]


@pytest.mark.parametrize("content", [b"", b"junk\n", b"retrieval-bench embeddings 1 x\n{}\n"])
def test_embeddings_that_cannot_be_read_are_found(cache, content):
    """Whatever the file holds."""
    (file,) = cache.rglob("*.emb")
    (file.parent / "other.emb").write_bytes(content)
    assert codes(cache) == ["C1"]


@pytest.mark.parametrize("damage", ["array", "json"])
def test_a_saved_index_that_is_not_whole_is_found(cache, damage):
    """An array that is missing, or a table of contents that is cut off."""
    (about,) = cache.rglob("index.json")
    if damage == "array":
        next(about.parent.glob("*.npy")).unlink()
    else:
        about.write_text("{")
    assert codes(cache) == ["C2"]
