"""What holds for every retriever. A new built-in is tested here as soon as it is in the table.

`make_retriever` in tests/conftest.py says with which parameters; a built-in that it does not
know fails every test.
"""

import inspect
import pickle

import numpy as np
import pytest

from qrels.data import Column, Corpus, Filter, Run
from qrels.ranking import check_run
from retrievers import BUILTINS, RETRIEVERS
from retrievers.base import Retriever, SavesIndex, Stages, can_filter
from retrievers.registry import parameters

TOLERANCE = 1e-5
WORDS = [f"w{number}ord" for number in range(25)]
QUERIES = ["w1ord", "w2ord w3ord", "w3ord w3ord w20ord", "w0ord w1ord w2ord w3ord w4ord unheard-of"]
ODD_QUERIES = ["", "   ", "xyzzy", "the of", "?!", "w1ord " * 200, "日本語"]

WHERE = {  # conditions, and which of the documents 0, 1, 2 ... meet them
    "half": ([Filter("number", "<", 20)], lambda numbers: numbers < 20),
    "few": (
        [Filter("kind", "=", "odd"), Filter("number", ">=", 30)],
        lambda numbers: (numbers % 2 == 1) & (numbers >= 30),
    ),
    "one": ([Filter("number", "=", 7)], lambda numbers: numbers == 7),
    "none": ([Filter("number", ">", 1000)], lambda numbers: numbers > 1000),
    "all": ([Filter("number", ">=", 0)], lambda numbers: numbers >= 0),
}
HALF = WHERE["half"][0]
RELATIVE = {"hybrid"}
"""Whose scores depend on what else is ranked, so that a filter changes them too."""

pytestmark = pytest.mark.parametrize("name", BUILTINS)


def make_corpus(n_docs=40):
    """Random texts, ids in no order, every fifth text a copy of the one before, a few empty."""
    rng = np.random.default_rng(n_docs)
    chance = 1 / np.arange(1, len(WORDS) + 1)
    texts = [
        " ".join(rng.choice(WORDS, rng.integers(1, 15), p=chance / chance.sum()))
        for _ in range(n_docs)
    ]
    titles = [" ".join(rng.choice(WORDS, 2)) for _ in range(n_docs)]
    for copy in range(4, n_docs, 5):
        texts[copy], titles[copy] = texts[copy - 1], titles[copy - 1]
    for empty in range(11, n_docs, 13):
        texts[empty], titles[empty] = "", ""
    numbers = np.arange(n_docs)
    metadata = {
        "number": Column("int", numbers.astype(np.float64)),
        "kind": Column("str", np.where(numbers % 2, "odd", "even").astype(object)),
    }
    ids = [f"id-{number}" for number in rng.permutation(n_docs)]
    return Corpus(ids, {"title": titles, "text": texts}, metadata)


@pytest.fixture(scope="module")
def corpus():
    return make_corpus()


@pytest.fixture
def indexed(name, corpus, make_retriever):
    retriever = make_retriever(name, corpus)
    retriever.index(corpus)
    return retriever


def checked_search(retriever, corpus, queries, k, *where):
    """What was returned, held to the protocol: shapes, types, order, ties."""
    docs, scores = retriever.search(queries, k, *where)
    assert (docs.dtype, scores.dtype) == (np.int32, np.float32)
    run = check_run(docs, scores, (len(queries), k), corpus.tie_order, "it")
    assert np.array_equal(run.docs, docs), "equal scores out of the one order"
    absent = docs == -1
    assert np.array_equal(absent, np.sort(absent, axis=1)), "padding comes last"
    assert (scores[absent] == -np.inf).all()
    return run


def assert_same(run, other):
    """The same rankings up to swaps of documents whose scores are within TOLERANCE."""
    assert run.docs.shape == other.docs.shape
    np.testing.assert_allclose(run.scores, other.scores, rtol=TOLERANCE, atol=TOLERANCE)
    for docs, scores, others, values in zip(*run, *other, strict=True):
        score_of = dict(zip(others.tolist(), values.tolist(), strict=True))
        last = values[others >= 0].min(initial=np.inf)
        for doc, score in zip(docs.tolist(), scores.tolist(), strict=True):
            assert score == pytest.approx(score_of.get(doc, last), rel=TOLERANCE, abs=TOLERANCE)


def assert_identical(run, other):
    assert np.array_equal(run.docs, other.docs)
    assert np.array_equal(run.scores, other.scores)


def test_it_keeps_the_protocol(name, indexed):
    """Every built-in ranks, filters and saves its index."""
    assert isinstance(indexed, Retriever)
    assert isinstance(indexed, SavesIndex)
    assert can_filter(indexed)


def test_the_constructor_stores_its_arguments_and_nothing_else(name):
    """Each parameter becomes the attribute of its name, the same object; there is no other."""
    found = RETRIEVERS.load(name)
    given = {key: object() for key in inspect.signature(found).parameters}
    stored = vars(found(**given))
    assert stored.keys() == given.keys()
    assert all(stored[key] is value for key, value in given.items())


def test_indexing_leaves_the_parameters_alone(name, corpus, make_retriever):
    """After index and search each parameter is the object it was."""
    retriever = make_retriever(name, corpus)
    before = dict(vars(retriever))
    retriever.index(corpus)
    retriever.search(QUERIES, 3)
    assert all(vars(retriever)[key] is value for key, value in before.items())


def test_it_finds_what_there_is_to_find(name, corpus, indexed):
    """A query made of a document's own words ranks that document, or its copy, first."""
    texts = corpus.joined()
    run = checked_search(indexed, corpus, texts[:10], 1)
    assert sum(texts[doc] == text for doc, text in zip(run.docs[:, 0], texts, strict=False)) >= 8


def test_a_batch_is_its_queries_one_at_a_time(name, corpus, indexed):
    """Searching together or alone gives the same rankings."""
    queries = QUERIES + ODD_QUERIES
    batch = checked_search(indexed, corpus, queries, 15)
    single = [checked_search(indexed, corpus, [query], 15) for query in queries]
    assert_same(batch, Run(*map(np.concatenate, zip(*single, strict=True))))


def test_searching_changes_nothing(name, corpus, indexed):
    """The second search equals the first, and what is pickled is the same before and after."""
    before = pickle.dumps(indexed)
    first = checked_search(indexed, corpus, QUERIES, 10)
    checked_search(indexed, corpus, ODD_QUERIES, 3)
    checked_search(indexed, corpus, QUERIES, 2, HALF)
    assert pickle.dumps(indexed) == before
    assert_identical(checked_search(indexed, corpus, QUERIES, 10), first)


def test_indexing_again_forgets_the_first_corpus(name, corpus, indexed, make_retriever):
    """The second index is as if it were the only one."""
    other = make_corpus(17)
    again = make_retriever(name, other)
    for attribute in parameters(type(again)):
        setattr(indexed, attribute, getattr(again, attribute))
    indexed.index(other)
    again.index(other)
    assert_identical(
        checked_search(indexed, other, QUERIES, 9), checked_search(again, other, QUERIES, 9)
    )


def test_k_beyond_the_corpus_is_padded(name, corpus, indexed):
    """More than there is gives all there is, then -1 and -inf."""
    beyond = checked_search(indexed, corpus, QUERIES, len(corpus) + 7)
    whole = checked_search(indexed, corpus, QUERIES, len(corpus))
    assert_identical(Run(*(array[:, : len(corpus)] for array in beyond)), whole)
    assert (beyond.docs[:, len(corpus) :] == -1).all()


def test_k_of_one_is_the_first_of_many(name, corpus, indexed):
    """A smaller k is a shorter cut of the same ranking."""
    many = checked_search(indexed, corpus, QUERIES, 20)
    assert_identical(checked_search(indexed, corpus, QUERIES, 1), Run(*(a[:, :1] for a in many)))


@pytest.mark.parametrize("query", ODD_QUERIES, ids=map(repr, map(len, ODD_QUERIES)))
def test_any_text_is_a_query(name, corpus, indexed, query):
    """Empty, unknown, very long and wordless queries have rankings, maybe empty ones."""
    checked_search(indexed, corpus, [query], 5)
    checked_search(indexed, corpus, [query, *QUERIES, query], 5)


def test_no_queries_have_no_rankings(name, corpus, indexed):
    """An empty batch gives (0, k)."""
    checked_search(indexed, corpus, [], 5)


@pytest.mark.parametrize("text", ["w1ord w2ord", ""], ids=["a-text", "no-text"])
def test_a_corpus_of_one_document(name, text, make_retriever):
    """One document, even an empty one, can be indexed; it is found where it has the words."""
    single = Corpus(["only"], {"text": [text]})
    retriever = make_retriever(name, single)
    retriever.index(single)
    run = checked_search(retriever, single, ["w1ord", "xyzzy", ""], 3)
    assert run.docs[0, 0] == 0 or not text
    assert (run.docs[:, 1:] == -1).all()


def test_a_corpus_without_any_text(name, make_retriever):
    """Where every text is empty nothing fails."""
    empty = Corpus(list("abc"), {"title": [""] * 3, "text": [""] * 3})
    retriever = make_retriever(name, empty)
    retriever.index(empty)
    checked_search(retriever, empty, [*QUERIES, *ODD_QUERIES], 2)


def test_exact_ties_follow_the_one_rule_at_every_cut(name, make_retriever):
    """Copies of a text score the same, doc_id down, and the cut at k takes the first of them."""
    texts = ["w1ord w2ord"] * 23 + ["w1ord w3ord w4ord"] * 9 + ["w2ord w1ord w5ord", "w6ord"]
    order = np.random.default_rng(5).permutation(len(texts))
    ids = [f"{number % 7}-{number}" for number in range(len(texts))]
    tied = Corpus(ids, {"text": [texts[number] for number in order]})
    retriever = make_retriever(name, tied)
    retriever.index(tied)
    whole = checked_search(retriever, tied, ["w1ord w2ord", "w4ord"], len(tied))
    copies = whole.docs[0, :23]
    assert {tied.fields["text"][doc] for doc in copies} == {"w1ord w2ord"}
    assert len(set(whole.scores[0, :23].tolist())) == 1
    assert [ids[doc] for doc in copies] == sorted((ids[doc] for doc in copies), reverse=True)
    for k in range(1, len(tied)):
        cut = checked_search(retriever, tied, ["w1ord w2ord", "w4ord"], k)
        assert_identical(cut, Run(*(array[:, :k] for array in whole)))


def test_it_can_be_pickled_before_and_after_indexing(name, corpus, make_retriever):
    """A copy made by pickle behaves as the original."""
    constructed = make_retriever(name, corpus)
    copied = pickle.loads(pickle.dumps(constructed))
    assert vars(copied) == vars(constructed)
    copied.index(corpus)
    constructed.index(corpus)
    expected = checked_search(constructed, corpus, QUERIES, 10)
    assert_identical(checked_search(copied, corpus, QUERIES, 10), expected)
    again = pickle.loads(pickle.dumps(constructed))
    assert_identical(checked_search(again, corpus, QUERIES, 10), expected)


def test_a_saved_index_ranks_as_the_one_that_was_built(
    name, corpus, indexed, make_retriever, tmp_path
):
    """save, then load into a new retriever of the same parameters, changes no bit of a ranking."""
    folder = tmp_path / "index"
    folder.mkdir()
    indexed.save(folder)
    assert sum(path.stat().st_size for path in folder.rglob("*")) > 0
    loaded = make_retriever(name, corpus)
    loaded.load(folder, corpus)
    assert_identical(
        checked_search(loaded, corpus, QUERIES + ODD_QUERIES, 12),
        checked_search(indexed, corpus, QUERIES + ODD_QUERIES, 12),
    )
    assert_identical(
        checked_search(loaded, corpus, QUERIES, 12, HALF),
        checked_search(indexed, corpus, QUERIES, 12, HALF),
    )


@pytest.mark.parametrize(("where", "meets"), WHERE.values(), ids=WHERE)
def test_filters_apply_before_the_cut(name, corpus, indexed, where, meets):
    """The k best under a filter are those of the whole ranking that meet it.

    Fusion ranks what is left: the same documents as in the whole ranking, perhaps in other order.
    """
    kept = meets(np.arange(len(corpus)))
    whole = checked_search(indexed, corpus, QUERIES, len(corpus))
    expected = Run(np.full((len(QUERIES), 6), -1), np.full((len(QUERIES), 6), -np.inf))
    for row, (docs, scores) in enumerate(zip(*whole, strict=True)):
        chosen = np.flatnonzero((docs >= 0) & kept[docs])[:6]
        expected.docs[row, : len(chosen)] = docs[chosen]
        expected.scores[row, : len(chosen)] = scores[chosen]
    if name not in RELATIVE:
        assert_same(checked_search(indexed, corpus, QUERIES, 6, where), expected)
    filtered = checked_search(indexed, corpus, QUERIES, len(corpus), where)
    for docs, others in zip(filtered.docs, whole.docs, strict=True):
        assert set(docs.tolist()) - {-1} == set(others[(others >= 0) & kept[others]].tolist())


def test_encoding_and_searching_are_the_two_halves_of_search(name, corpus, indexed):
    """Where a retriever has two stages they give together what search gives."""
    if isinstance(indexed, Stages):
        encoded = indexed.encode(QUERIES)
        assert_identical(
            indexed.search_encoded(encoded, 7, HALF),
            indexed.search(QUERIES, 7, HALF),
        )
