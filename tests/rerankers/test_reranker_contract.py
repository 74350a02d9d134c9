"""What holds for every reranker. A built-in that PARAMETERS does not know fails every test."""

import inspect
import pickle

import numpy as np
import pytest

from qrels.data import Run
from qrels.errors import UsageError
from rerankers import BUILTINS, RERANKERS, create
from rerankers.base import Prepares, Reranker
from retrievers.base import SavesIndex

TEMPLATE = "{query} : {document} ?"
PARAMETERS = {  # of each built-in, so that it works offline
    "cross-encoder": lambda model: {"model": str(model("bert"))},
    "late-interaction": lambda model: {"encoder": "hashing"},
    "llm-yes-no": lambda model: {"model": str(model("gpt2")), "template": TEMPLATE},
    "metadata-prior": lambda model: {"recency": 0.3},
    "mmr": lambda model: {"encoder": "hashing"},
}
PREPARES = {"late-interaction", "metadata-prior", "mmr"}
SAVES = {"late-interaction", "mmr"}
QUERIES = ["w1 w2", "w7", "", "w3 w4 w5 w6 w3", "unheard of", "w1 w2 w9 w10"]
TOLERANCE = 1e-5

pytestmark = pytest.mark.parametrize("name", BUILTINS)


@pytest.fixture(scope="module")
def corpus(corpus_of):
    return corpus_of()


@pytest.fixture
def make(name, tiny_model):
    return lambda **more: create(name, {**PARAMETERS[name](tiny_model), **more})


@pytest.fixture
def run(corpus):
    """Twelve random candidates a query; a short list, and one with nothing."""
    rng = np.random.default_rng(3)
    docs = np.stack([rng.permutation(len(corpus))[:12] for _ in QUERIES]).astype(np.int32)
    scores = np.sort(rng.normal(size=docs.shape).astype(np.float32))[:, ::-1].copy()
    docs[1, 5:], scores[1, 5:] = -1, -np.inf
    docs[4], scores[4] = -1, -np.inf
    return Run(docs, scores)


def rows(run, chosen):
    return Run(run.docs[chosen], run.scores[chosen])


def assert_same(found, expected):
    """The same rankings up to swaps of documents whose scores are within TOLERANCE."""
    np.testing.assert_allclose(found.scores, expected.scores, rtol=TOLERANCE, atol=TOLERANCE)
    for docs, scores, others, values in zip(*found, *expected, strict=True):
        score_of = dict(zip(others.tolist(), values.tolist(), strict=True))
        expected_scores = [score_of[doc] for doc in docs.tolist()]
        np.testing.assert_allclose(scores, expected_scores, rtol=TOLERANCE, atol=TOLERANCE)


def assert_identical(found, expected):
    assert np.array_equal(found.docs, expected.docs)
    assert np.array_equal(found.scores, expected.scores)


def test_it_keeps_the_protocol(name, make):
    """Every built-in reranks; those that prepare and save say so by their methods."""
    reranker = make()
    assert isinstance(reranker, Reranker)
    assert isinstance(reranker, Prepares) == (name in PREPARES)
    assert isinstance(reranker, SavesIndex) == (name in SAVES)


def test_the_constructor_stores_its_arguments_and_nothing_else(name):
    """Each parameter becomes the attribute of its name, the same object; there is no other."""
    found = RERANKERS.load(name)
    given = {key: object() for key in inspect.signature(found).parameters}
    stored = vars(found(**given))
    assert stored.keys() == given.keys()
    assert all(stored[key] is value for key, value in given.items())


@pytest.mark.parametrize("k", [0, 1, 7, 12, 50])
def test_it_reorders_the_first_k_documents(name, make, corpus, run, checked, k):
    """The answer is the first k candidates of each query, sorted, padding last."""
    checked(make(), QUERIES, run, corpus, k)


def test_what_lies_below_k_plays_no_part(name, make, corpus, run, checked):
    """The first k alone give the same ranking."""
    first = Run(run.docs[:, :6], run.scores[:, :6])
    assert_identical(
        checked(make(), QUERIES, run, corpus, 6), checked(make(), QUERIES, first, corpus, 6)
    )


def test_a_batch_is_its_queries_one_at_a_time(name, make, corpus, run, checked):
    """Reranking together or alone gives the same rankings."""
    reranker = make()
    batch = checked(reranker, QUERIES, run, corpus, 12)
    single = [
        checked(reranker, [query], rows(run, [row]), corpus, 12)
        for row, query in enumerate(QUERIES)
    ]
    assert_same(batch, Run(*map(np.concatenate, zip(*single, strict=True))))


def test_the_candidates_order_plays_no_part(name, make, corpus, run, checked):
    """Candidates that come shuffled, with their scores, are ranked the same."""
    order = np.random.default_rng(9).permutation(12)
    shuffled = Run(run.docs[:, order], run.scores[:, order])
    expected = checked(make(), QUERIES, run, corpus, 12)
    assert_same(checked(make(), QUERIES, shuffled, corpus, 12), expected)


def test_reranking_changes_nothing(name, make, corpus, run, checked):
    """The second answer equals the first, and neither run nor parameters were touched."""
    reranker = make()
    before, given = dict(vars(reranker)), Run(run.docs.copy(), run.scores.copy())
    pickled = pickle.dumps(reranker)
    first = checked(reranker, QUERIES, run, corpus, 12)
    checked(reranker, QUERIES[:2], rows(run, [0, 1]), corpus, 3)
    assert_identical(checked(reranker, QUERIES, run, corpus, 12), first)
    assert_identical(run, given)
    assert all(vars(reranker)[key] is value for key, value in before.items())
    assert pickle.dumps(reranker) == pickled


def test_one_candidate_or_none(name, make, corpus, first_stage, checked):
    """A single candidate is the answer; a query with none has none."""
    run = first_stage([4], [], depth=3)
    found = checked(make(), ["w1", "w2"], run, corpus, 3)
    assert found.docs.tolist() == [[4, -1, -1], [-1, -1, -1]]
    empty = first_stage([], [], depth=3)
    assert (checked(make(), ["w1", "w2"], empty, corpus, 3).docs == -1).all()


def test_no_queries_have_no_rankings(name, make, corpus, run, checked):
    """An empty batch gives (0, k)."""
    checked(make(), [], rows(run, []), corpus, 5)


def test_it_can_be_pickled(name, make, corpus, run, checked):
    """A copy made by pickle, before or after use, behaves as the original."""
    reranker = make()
    early = pickle.loads(pickle.dumps(reranker))
    expected = checked(reranker, QUERIES, run, corpus, 12)
    late = pickle.loads(pickle.dumps(reranker))
    assert_identical(checked(early, QUERIES, run, corpus, 12), expected)
    assert_identical(checked(late, QUERIES, run, corpus, 12), expected)


def test_preparing_changes_no_ranking(name, make, corpus, run, checked, corpus_of):
    """What is prepared once ranks as what is worked out on each call; for its corpus alone."""
    reranker = make()
    expected = checked(reranker, QUERIES, run, corpus, 12)
    if isinstance(reranker, Prepares):
        reranker.prepare(corpus)
        assert_same(checked(reranker, QUERIES, run, corpus, 12), expected)
        with pytest.raises(UsageError, match="prepared for 30 documents; the corpus has 31"):
            reranker.rerank(QUERIES, run, corpus_of(31), 12)


def test_what_is_saved_ranks_as_what_was_prepared(name, make, corpus, run, checked, tmp_path):
    """save, then load into a new reranker of the same parameters, changes no bit of a ranking."""
    reranker = make()
    if isinstance(reranker, SavesIndex):
        with pytest.raises(UsageError, match="nothing to save before prepare"):
            reranker.save(tmp_path)
        reranker.prepare(corpus)
        reranker.save(tmp_path)
        loaded = make()
        loaded.load(tmp_path, corpus)
        assert_identical(
            checked(loaded, QUERIES, run, corpus, 12), checked(reranker, QUERIES, run, corpus, 12)
        )
