"""Compiled reading of text: the words are those of `re`, whatever the text holds."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrels.text_column import TextColumn
from retrievers import tokenise
from retrievers.tokenise import WORD, Analysis

PLAIN = Analysis(stemmer=None, stop_words=None)
ODD = "aZ0_ '.-\n\x00\x1c\x85éÉßẞσςΣİIıKΆ·𐐀𐐨𝟘日́\u200d\ud800\udfffⅨ²"
"""Letters in lower case by their context or as two, marks, a surrogate, numbers, line ends."""

ANYTHING = st.text(st.one_of(st.sampled_from(ODD), st.characters(codec=None)), max_size=40)


@pytest.fixture(autouse=True)
def compiled(monkeypatch):
    """Little text too is read by compiled code, in blocks of a few texts."""
    monkeypatch.setattr(tokenise, "BLOCK", 100)


def spelled(texts, analysis=PLAIN):
    """The words of each text as the tokeniser gives them, long enough to be compiled."""
    known, (indptr, terms) = analysis.build([*texts, "filler " * 20])
    words = list(known)
    lists = np.split(terms, indptr[1:-1])
    return [[words[number] for number in found] for found in lists[:-1]]


def by_re(texts):
    return [WORD.findall(text.lower()) for text in texts]


def never(*_):
    raise AssertionError


def test_every_code_point_is_read_as_re_reads_it():
    """Between letters and beside them, each character joins, parts or is lower-cased alike."""
    points = [chr(point) for point in range(sys.maxunicode + 1)]
    texts = [
        " ".join(f"a{point}b {point}{point}" for point in points[start : start + 512])
        for start in range(0, len(points), 512)
    ]
    assert spelled(texts) == by_re(texts)


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(ANYTHING, max_size=6))
def test_any_text_is_read_as_re_reads_it(texts):
    """Arbitrary Unicode, lone surrogates among it, gives the words of `re` in their order."""
    assert spelled(texts) == by_re(texts)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(st.lists(st.text(st.one_of(st.sampled_from("aΣİ b"), st.characters()), max_size=40)))
def test_a_column_is_read_as_its_texts(texts):
    """UTF-8 bytes and offsets give the vocabulary and tokens of the strings."""
    texts = [*texts, "filler " * 20]
    known, tokens = Analysis().build(TextColumn.of(texts))
    expected, others = Analysis().build(texts)
    assert list(known) == list(expected)
    assert_equal(tokens, others)


def assert_equal(tokens, others):
    for mine, other in zip(tokens, others, strict=True):
        assert (mine.dtype, mine.tolist()) == (other.dtype, other.tolist())


MANY = [f"w{number}" for number in range(20_000)]
TEXTS = {
    "many-words": [" ".join(MANY[i : i + 7]) for i in range(0, 20_000, 7)] * 2,
    "many-words-in-one-text": ["short", " ".join(MANY), "text"],
    "a-long-word": ["ab " + "x" * 300_000 + " cd", "ȺȺ" * 90_000, "x" * 299_999],
    "growing-in-lower-case": ["ȺȾ" * 40_000 + " end"],
    "of-eight-bytes": ["abcdefgh abcdefg abcdefghi abcdefgh abcdefghabcdefgh abcdefghabcdefgi"],
    "empty-texts": ["", "", "one two", "", "a", ""],
    "nothing": [],
    "last-block-empty": ["word " * 20],
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
def test_more_room_is_made_where_needed(texts):
    """Many words, long ones and empty texts: all are read as `re` reads them."""
    assert spelled(texts) == by_re(texts)


@pytest.mark.parametrize("block", [1, 7, 100, 10**9])
def test_blocks_do_not_tell(block, monkeypatch):
    """Vocabulary, order and tokens are the same by blocks of any size and by `re`."""
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(MANY[:50], rng.integers(0, 30))) + " the é" for _ in range(99)]
    monkeypatch.setattr(tokenise, "BLOCK", block)
    known, tokens = Analysis().build(iter(texts))
    monkeypatch.setattr(tokenise, "BLOCK", 10**9)
    expected, others = Analysis().build(texts)
    assert list(known) == list(expected)
    assert_equal(tokens, others)


def test_much_text_is_not_read_by_re(monkeypatch):
    """From BLOCK characters on compiled code reads, and below it does not."""
    monkeypatch.setattr(tokenise, "_little", never)
    assert len(PLAIN.build(["word " * 20])[1].terms) == 20
    with pytest.raises(AssertionError):
        PLAIN.build(["word " * 19])


def test_many_queries_are_encoded_as_one_by_one():
    """Compiled or not, encode leaves out what the vocabulary lacks and keeps the rest."""
    known = {"planet": 0, "moon": 1}
    queries = ["moons, a moon", "mars", "", "the Planet"] * 20
    together = Analysis().encode(queries, known)
    alone = [Analysis().encode([query], known).terms.tolist() for query in queries]
    assert [part.tolist() for part in np.split(together.terms, together.indptr[1:-1])] == alone


def test_words_of_equal_hash_are_told_apart():
    """Two words made to have the same 64-bit hash have two numbers."""
    first, second = colliding()
    assert first != second
    assert hashed(first) == hashed(second)
    texts = [f"{first} {second} {first}", second]
    assert spelled(texts) == by_re(texts)
    assert len(PLAIN.build([*texts * 5])[0]) == 2


def colliding():
    """Two words of sixteen letters: the second half of one makes up for its first half."""
    letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz0123456789_", np.uint8)
    rng = np.random.default_rng(0)
    first = "planetarysystems"
    start, end = np.frombuffer(first.encode(), "<u8")
    while True:
        halves = rng.choice(letters, (2**20, 8)).view("<u8").ravel()
        ends = mixed(halves) ^ mixed(np.array([start])) ^ end
        fine = np.isin(ends[:, None].view(np.uint8), letters).all(axis=1)
        for half, rest in zip(halves[fine], ends[fine], strict=True):
            return first, (half.tobytes() + rest.tobytes()).decode()


def hashed(word):
    value = np.zeros(1, np.uint64)
    for eight in np.frombuffer(word.encode(), "<u8"):
        value = mixed(value ^ eight)
    return int(value[0])


def mixed(values):
    """As the compiled code does, in NumPy."""
    product = values * np.uint64(0x9E3779B97F4A7C15)
    return product ^ (product >> np.uint64(32))
