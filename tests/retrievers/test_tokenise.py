"""Text to terms."""

import json

import bm25s
import numpy as np
import pytest
import Stemmer
from hypothesis import given, settings
from hypothesis import strategies as st

from qrels.errors import UsageError
from retrievers.tokenise import STOP_WORDS, Analysis

PLAIN = Analysis(stemmer=None, stop_words=None)
CASES = {
    "lower-case": (PLAIN, "Jupiter IS", ["jupiter", "is"]),
    "one-character-words": (PLAIN, "a b7 c", ["b7"]),
    "punctuation": (PLAIN, "on-the-fly, isn't it?", ["on", "the", "fly", "isn", "it"]),
    "underscore-and-digits": (PLAIN, "all_mini v2 1.5", ["all_mini", "v2"]),
    "letters-beyond-ascii": (PLAIN, "Größe ÉTÉ 日本語", ["größe", "été", "日本語"]),
    "empty": (PLAIN, "", []),
    "repeated": (PLAIN, "go go go", ["go", "go", "go"]),
    "stop-words": (Analysis(None), "the cat is on the mat", ["cat", "mat"]),
    "own-stop-words": (Analysis(None, ["cat"]), "the cat sat", ["the", "sat"]),
    "stop-words-before-stemming": (Analysis("english", ["cats"]), "cats cat", ["cat"]),
    "stems": (Analysis("english", None), "planets studies running", ["planet", "studi", "run"]),
    "german-stems": (Analysis("german", None), "Katzen schlafen", ["katz", "schlaf"]),
}


@pytest.mark.parametrize(("analysis", "text", "terms"), CASES.values(), ids=CASES)
def test_text_becomes_terms(analysis, text, terms):
    """Words of two characters or more, lower case, without stop words, stemmed."""
    assert analysis.terms([text]) == [terms]


def test_the_vocabulary_numbers_terms_as_they_first_appear():
    """build gives CSR token numbers whose vocabulary spells the texts again."""
    known, (indptr, terms) = Analysis().build(["the planets", "", "planet and moon"])
    assert known == {"planet": 0, "moon": 1}
    assert indptr.tolist() == [0, 1, 1, 3]
    assert terms.tolist() == [0, 0, 1]
    assert (indptr.dtype, terms.dtype) == (np.int64, np.int32)


def test_unknown_terms_of_a_query_are_left_out():
    """encode keeps the numbers that the vocabulary has, twice where a term is there twice."""
    indptr, terms = Analysis().encode(["moons, a moon", "mars", ""], {"planet": 0, "moon": 1})
    assert indptr.tolist() == [0, 2, 2, 2]
    assert terms.tolist() == [1, 1]


def test_nothing_gives_no_texts():
    """No texts have no terms and one bound."""
    known, (indptr, terms) = Analysis().build([])
    assert (known, indptr.tolist(), terms.tolist()) == ({}, [0], [])


def test_english_stop_words_are_those_of_bm25s():
    """The named list is the one the field's figures were made with."""
    assert STOP_WORDS["english"] == set(bm25s.stopwords.STOPWORDS_EN)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_terms_are_those_of_bm25s(texts):
    """Any Unicode text is cut and stemmed as bm25s does with the same stemmer and stop words."""
    assert Analysis().terms(texts) == bm25s_terms(texts)


def test_terms_of_real_text_are_those_of_bm25s(shared):
    """On SciFact's first 500 abstracts both give the same terms in the same order."""
    with (shared / "scifact" / "corpus.jsonl").open(encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(500), strict=False)]
    assert Analysis().terms(texts) == bm25s_terms(texts)


WRONG = {
    "stemmer": (Analysis(stemmer="englsh"), "unknown stemmer 'englsh'; did you mean 'english'"),
    "stop-words": (Analysis(stop_words="en"), "unknown stop words 'en'; allowed: english"),
}


@pytest.mark.parametrize(("analysis", "message"), WRONG.values(), ids=WRONG)
def test_unknown_names_are_refused(analysis, message):
    """A language or list that there is not names what there is."""
    with pytest.raises(UsageError, match=message):
        analysis.build(["text"])


def bm25s_terms(texts):
    stemmer = Stemmer.Stemmer("english")
    return bm25s.tokenize(
        texts, stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False
    )
