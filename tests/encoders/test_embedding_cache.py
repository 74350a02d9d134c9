"""The embedding cache: what is encoded once stays encoded, and nothing damaged is ever used."""

import subprocess
import sys
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

import encoders
from encoders import cache
from encoders.cache import CachedEncoder, cache_folder, cache_policy
from encoders.hashing import Hashing
from encoders.segments import Identity, Segment, Store, distinct, text_keys

TEXTS = [f"text number {number}" for number in range(10)]


@pytest.fixture
def fresh(counting):
    """make() gives a counting encoder behind a cache that has opened no file yet."""
    return lambda **given: CachedEncoder(counting(**given))


def files():
    return sorted(cache_folder().rglob("*.emb"))


def plain(texts):
    return Hashing(16).encode(texts, "passage")


def test_what_is_cached_is_not_encoded_again(fresh):
    """A second process's encoder reads the same bits and encodes nothing."""
    first = fresh().encode(TEXTS, "passage")
    again = fresh()
    assert np.array_equal(again.encode(TEXTS, "passage"), first)
    assert again.inner.encoded == []
    assert np.array_equal(first, plain(TEXTS))


def test_only_texts_that_are_new_are_encoded(fresh):
    """Of a corpus with one changed document, that document alone is encoded; order is kept."""
    fresh().encode(TEXTS, "passage")
    again = fresh()
    changed = ["new", *TEXTS[::-1]]
    assert np.array_equal(again.encode(changed, "passage"), plain(changed))
    assert again.inner.encoded == ["new"]


def test_equal_texts_are_encoded_once(fresh):
    """A repeated text is one text, and its rows are equal."""
    encoder = fresh()
    found = encoder.encode(["a", "b", "a", "", ""], "query")
    assert encoder.inner.encoded == ["a", "b", ""]
    assert np.array_equal(found, plain(["a", "b", "a", "", ""]))


def test_a_whole_corpus_is_mapped_from_one_file(fresh, monkeypatch):
    """Blocks written on the way become one file, in order, read without a copy."""
    monkeypatch.setattr(cache, "BLOCK", 3)
    fresh().encode(TEXTS, "passage")
    assert len(files()) == 1
    found = fresh().encode(TEXTS, "passage")
    assert not found.flags.writeable
    assert np.array_equal(found, plain(TEXTS))


def test_an_interruption_keeps_the_blocks_that_are_done(fresh, monkeypatch):
    """Three blocks of three were written before the fourth was interrupted."""
    monkeypatch.setattr(cache, "BLOCK", 3)
    broken = fresh()
    plain_encode = broken.inner.encode

    def interrupted(texts, side):
        if TEXTS[9] in texts:
            raise KeyboardInterrupt
        return plain_encode(texts, side)

    broken.inner.encode = interrupted
    with pytest.raises(KeyboardInterrupt):
        broken.encode(TEXTS, "passage")
    again = fresh()
    assert np.array_equal(again.encode(TEXTS, "passage"), plain(TEXTS))
    assert again.inner.encoded == TEXTS[9:]


def test_what_an_interruption_left_becomes_one_file_with_the_rest(fresh, monkeypatch):
    """The blocks of both calls are merged in the order of the texts, and mapped without a copy."""
    monkeypatch.setattr(cache, "BLOCK", 2)
    fresh().encode(TEXTS[:2], "passage")
    fresh().encode(TEXTS[2:4], "passage")
    assert len(files()) == 2
    fresh().encode(TEXTS, "passage")
    assert len(files()) == 1
    found = fresh().encode(TEXTS, "passage")
    assert not found.flags.writeable
    assert np.array_equal(found, plain(TEXTS))


def test_a_block_that_is_merged_is_no_longer_held(fresh, monkeypatch):
    """Only the merged file stays mapped, so that the disk gets back what the blocks took."""
    monkeypatch.setattr(cache, "BLOCK", 3)
    encoder = fresh()
    encoder.encode(TEXTS, "passage")
    (store,) = encoder._stores.values()
    assert [len(part.vectors) for part in store.segments if part.path] == [len(TEXTS)]
    assert sum(len(part.vectors) for part in store.segments) == len(TEXTS)


def test_several_blocks_that_cannot_be_written_are_kept(fresh, tmp_path, monkeypatch):
    """Vectors of every block are given, and given again without encoding."""
    monkeypatch.setattr(cache, "BLOCK", 3)
    (tmp_path / "file").write_text("in the way")
    encoder = fresh()
    with cache_policy(folder=tmp_path / "file" / "cache"):
        with pytest.warns(RuntimeWarning, match="embeddings are not cached"):
            encoder.encode(TEXTS, "passage")
        assert np.array_equal(encoder.encode(TEXTS[::-1], "passage"), plain(TEXTS[::-1]))
    assert encoder.inner.encoded == TEXTS


KEYS = np.array([[5, 1], [5, 2], [5, 2], [7, 1], [5, 1], [5, 3], [0, 9]], np.uint64)


def test_texts_whose_hashes_begin_alike_are_told_apart(tmp_path):
    """The second half decides where the first is equal, and what is registered later wins."""
    store = Store(tmp_path, Identity("e", "passage", "sentence", "<f4"))
    for number, part in enumerate((KEYS[:2], KEYS[2:4])):
        vectors = np.full((len(part), 1), number, np.float32)
        store.add(Segment(part, vectors, None, 1))
    found = store.find(KEYS)
    assert found.T.tolist() == [[0, 0], [1, 0], [1, 0], [1, 1], [0, 0], [-1, -1], [-1, -1]]


def test_distinct_keys_keep_their_first_places():
    """Firsts ascend, and every key gets the number of its own; None where all differ."""
    firsts, which = distinct(KEYS)
    assert firsts.tolist() == [0, 1, 3, 5, 6]
    assert which.tolist() == [0, 1, 1, 2, 0, 3, 4]
    firsts, which = distinct(KEYS[[0, 1, 3]])
    assert (firsts.tolist(), which) == ([0, 1, 2], None)


def test_the_key_of_a_text_is_its_hash():
    """16 bytes of BLAKE2b, lone surrogates too."""
    texts = ["a", "ü", "\ud800", ""]
    raw = [blake2b(t.encode("utf-8", "surrogatepass"), digest_size=16).digest() for t in texts]
    assert text_keys(texts).tobytes() == b"".join(raw)


def test_many_small_files_become_one(fresh, monkeypatch):
    """Single queries gather into one file instead of one each for ever."""
    monkeypatch.setattr(cache, "SMALL_SEGMENTS", 4)
    encoder = fresh()
    for text in TEXTS:
        encoder.encode([text], "query")
    assert len(files()) <= 5
    again = fresh()
    assert np.array_equal(again.encode(TEXTS, "query"), plain(TEXTS))
    assert again.inner.encoded == []


@pytest.mark.parametrize("other", [{"dimension": 32}, {"seed": 1}], ids=["dimension", "seed"])
def test_another_digest_shares_nothing(fresh, other):
    """Another encoder's vectors are never taken."""
    fresh().encode(TEXTS, "passage")
    encoder = fresh(**other)
    encoder.encode(TEXTS, "passage")
    assert encoder.inner.encoded == TEXTS


def test_the_sides_share_nothing(fresh):
    """A text encoded as a passage is encoded again as a query."""
    encoder = fresh()
    encoder.encode(TEXTS, "passage")
    encoder.encode(TEXTS, "query")
    assert encoder.inner.encoded == TEXTS * 2


def flipped(place):
    return lambda data: data[:place] + bytes([data[place] ^ 1]) + data[place:][1:]


def of_another_encoder(data):
    other = cache_folder() / "other"
    with cache_policy(folder=other):
        CachedEncoder(Hashing(16, seed=9)).encode(TEXTS, "passage")
    (path,) = other.rglob("*.emb")
    found = path.read_bytes()
    path.unlink()
    return found


DAMAGES = {
    "first-byte": flipped(0),
    "checksum": flipped(40),
    "header": flipped(120),
    "key": flipped(400),
    "vector": flipped(-1),
    "cut": lambda data: data[:-7],
    "lengthened": lambda data: data + bytes(64),
    "emptied": lambda data: b"",
    "version": lambda data: data.replace(b"embeddings 1 ", b"embeddings 2 ", 1),
    "encoder": of_another_encoder,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("kind", ["encode", "encode_tokens"])
def test_a_file_that_does_not_check_out_is_encoded_again(fresh, damage, kind):
    """Flipped, cut or foreign: the vectors are right, the texts encoded anew and then cached."""
    expected = [vectors.copy() for vectors in getattr(fresh(), kind)(TEXTS, "passage")]
    (path,) = files()
    data = damage(path.read_bytes())
    path.unlink()  # the old file may still be mapped
    path.write_bytes(data)
    again = fresh()
    for found, right in zip(getattr(again, kind)(TEXTS, "passage"), expected, strict=True):
        assert np.array_equal(found, right)
    assert again.inner.encoded
    after = fresh()
    getattr(after, kind)(TEXTS, "passage")
    assert after.inner.encoded == []


def test_token_vectors_are_cached_as_they_are_given(fresh):
    """Rounded to float16 cached or not; texts without tokens have none."""
    texts = ["A cat sat", "", "dog", "A cat sat"]
    with cache_policy(enabled=False):
        uncached = fresh().encode_tokens(texts, "passage")
    first, again = fresh(), fresh()
    for encoder in (first, again):
        for found, right in zip(encoder.encode_tokens(texts, "passage"), uncached, strict=True):
            assert found.dtype == np.float32
            assert np.array_equal(found, right)
    assert [vectors.shape for vectors in uncached] == [(3, 16), (0, 16), (1, 16), (3, 16)]
    assert again.inner.encoded == []
    exact = Hashing(16).encode_tokens(texts, "passage")
    np.testing.assert_allclose(uncached[0], exact[0], atol=1e-3)


def test_queries_are_left_alone_where_the_policy_says_so(fresh):
    """queries=False neither reads nor writes query vectors; passages are cached as ever."""
    fresh().encode(TEXTS, "query")
    before = files()
    encoder = fresh()
    with cache_policy(queries=False) as stats:
        encoder.encode(TEXTS[:1], "query")
        encoder.encode(TEXTS[:1], "query")
        encoder.encode_tokens(["token"], "query")
        assert files() == before
        encoder.encode(TEXTS[:1], "passage")
    assert encoder.inner.encoded == [TEXTS[0], TEXTS[0], "token", TEXTS[0]]
    assert len(files()) == len(before) + 1
    assert stats.from_cache == 0


def test_a_disabled_cache_touches_no_file(fresh):
    """enabled=False encodes every time and makes no folder."""
    encoder = fresh()
    with cache_policy(enabled=False):
        encoder.encode(TEXTS, "passage")
        encoder.encode(TEXTS, "passage")
    assert encoder.inner.encoded == TEXTS * 2
    assert not cache_folder().exists()


def test_stats_say_what_was_encoded_and_what_was_cached(fresh):
    """Times of cached vectors are those recorded when they were encoded."""
    with cache_policy() as first:
        fresh().encode(TEXTS[:8], "passage")
    with cache_policy() as second:
        fresh().encode(TEXTS, "passage")
    assert (first.texts, first.from_cache, first.recorded_ns) == (8, 0, 0)
    assert (second.texts, second.from_cache) == (10, 8)
    assert second.recorded_ns == first.encode_ns > 0
    assert second.encode_ns > 0


def test_policies_nest(tmp_path):
    """What an inner scope leaves open is as outside; stats are each scope's own."""
    with cache_policy(folder=tmp_path / "a", queries=False) as outer:
        with cache_policy(enabled=True) as inner:
            assert cache_folder() == tmp_path / "a"
            CachedEncoder(Hashing(16)).encode(["a"], "query")
        assert (inner.texts, outer.texts) == (1, 0)
    assert not (tmp_path / "a").exists()


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    """BENCH_CACHE, else XDG_CACHE_HOME/retrieval-bench, else that in ~/.cache."""
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("BENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "retrieval-bench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "retrieval-bench"


def test_progress_is_told_block_by_block(fresh, monkeypatch):
    """Texts done and texts to encode, cached ones left out."""
    monkeypatch.setattr(cache, "BLOCK", 4)
    fresh().encode(TEXTS[:1], "passage")
    told = []
    with cache_policy(progress=lambda done, all_of: told.append((done, all_of))):
        fresh().encode(TEXTS, "passage")
    assert told == [(4, 9), (8, 9), (9, 9)]


def test_a_folder_that_cannot_be_written_loses_nothing(fresh, tmp_path):
    """Work goes on uncached after a warning; what this encoder has it keeps."""
    (tmp_path / "file").write_text("in the way")
    encoder = fresh()
    with cache_policy(folder=tmp_path / "file" / "cache"):
        with pytest.warns(RuntimeWarning, match="embeddings are not cached"):
            first = encoder.encode(TEXTS, "passage")
        again = encoder.encode(TEXTS, "passage")
    assert np.array_equal(first, plain(TEXTS))
    assert np.array_equal(again, plain(TEXTS))
    assert encoder.inner.encoded == TEXTS


def test_a_full_disk_leaves_no_draft(fresh, monkeypatch):
    """A write that fails half way is undone, warned of, and the vectors are still given."""

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("encoders.segments.os.replace", full)
    with pytest.warns(RuntimeWarning, match="No space left"):
        found = fresh().encode(TEXTS, "passage")
    assert np.array_equal(found, plain(TEXTS))
    assert [path for path in cache_folder().rglob("*") if path.is_file()] == []


WRITER = """
import sys
from encoders import cache
from encoders.cache import CachedEncoder
from encoders.hashing import Hashing
cache.BLOCK, cache.SMALL_SEGMENTS = 4, 3
encoder = CachedEncoder(Hashing(16))
for start in range(0, 60, 6):
    texts = [f"text {n}" for n in range(start, start + 9)]
    found = encoder.encode(texts, "passage")
    assert (found == Hashing(16).encode(texts, "passage")).all()
    encoder.encode([texts[0]], "query")
"""


def test_processes_share_a_cache(fresh, tmp_path):
    """Three processes that write and merge at once end with a cache that has every text."""
    root = str(Path(encoders.__file__).parents[1])
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", WRITER], cwd=root) for _ in range(3)
    ]
    assert [process.wait() for process in started] == [0, 0, 0]
    texts = [f"text {number}" for number in range(63)]
    again = fresh()
    assert np.array_equal(again.encode(texts, "passage"), plain(texts))
    assert not list(cache_folder().rglob("*.tmp"))
    for path in files():
        assert path.stat().st_size > 0
