"""The ability `Reads`: what was read of a corpus serves every retriever whose reading is equal."""

import numpy as np
import pytest

import retrievers
from qrels.data import Corpus
from qrels.errors import UsageError
from retrievers.base import Reads

QUERIES = ["w1ord w2ord", "w3ord w3ord w20ord", "", "unheard-of", "w0ord w4ord w5ord w6ord w7ord"]
FIELDS = {"title": 2.0, "text": 1.0}
SHARE = {  # pairs of parameters whose reading is equal
    "bm25": [
        ({"k1": 0.5}, {"k1": 2.0, "b": 0.9}),
        ({}, {"method": "bm25+", "delta": 1.0}),
        ({"stemmer": None, "fields": ["title"]}, {"stemmer": None, "fields": ["title"], "b": 0.0}),
    ],
    "bm25f": [
        ({}, {"k1": 2.0, "b": 0.9}),
        ({"weights": FIELDS}, {"weights": {"text": 0.3, "title": 7}}),
        ({"weights": {**FIELDS, "tags": 0}}, {"weights": FIELDS, "b": {"title": 0, "text": 1}}),
    ],
}
APART = {  # pairs whose reading is not
    "bm25": [({}, {"stemmer": None}), ({}, {"stop_words": None}), ({}, {"fields": ["title"]})],
    "bm25f": [
        ({}, {"stemmer": None}),
        ({}, {"stop_words": ["w1ord"]}),
        ({}, {"weights": FIELDS}),
        ({"weights": FIELDS}, {"weights": {"title": 1.0, "text": 0.0}}),
    ],
}
PAIRS = [(name, *pair) for name, pairs in SHARE.items() for pair in pairs]


@pytest.fixture(scope="module")
def corpus():
    """Random words in three fields, some texts empty."""
    rng = np.random.default_rng(8)

    def texts(longest):
        return [
            " ".join(f"w{number}ord" for number in rng.integers(0, 25, rng.integers(0, longest)))
            for _ in range(60)
        ]

    ids = [f"d{number}" for number in rng.permutation(60)]
    return Corpus(ids, {"title": texts(4), "text": texts(20), "tags": texts(3)})


def indexed(name, params, corpus, read=None):
    retriever = retrievers.create(name, params)
    retriever.index(corpus) if read is None else retriever.index_read(read, corpus)
    return retriever.search(QUERIES, 40)


def test_every_built_in_that_reads_is_tried_here():
    """A built-in with the ability is in both tables."""
    able = {name for name in retrievers.BUILTINS if issubclass(retrievers.RETRIEVERS.load(name), Reads)}  # fmt: skip # noqa: E501
    assert able == set(SHARE) == set(APART)


@pytest.mark.parametrize(("name", "mine", "other"), PAIRS)
def test_what_a_sibling_read_gives_the_same_answers(name, mine, other, corpus):
    """Bit for bit those of indexing afresh, and what was read serves again afterwards."""
    first, second = (retrievers.create(name, params) for params in (mine, other))
    assert first.reading() == second.reading()
    read = first.read(corpus)
    for params in (other, mine, other):
        found, afresh = indexed(name, params, corpus, read), indexed(name, params, corpus)
        assert np.array_equal(found.docs, afresh.docs)
        assert np.array_equal(found.scores, afresh.scores)
    assert not np.array_equal(indexed(name, mine, corpus).scores, indexed(name, other, corpus).scores)  # fmt: skip # noqa: E501


@pytest.mark.parametrize(
    ("name", "mine", "other"), [(name, *pair) for name, pairs in APART.items() for pair in pairs]
)
def test_other_readings_are_known_by_other_names(name, mine, other):
    """Parameters that change what is read are part of the reading."""
    assert retrievers.create(name, mine).reading() != retrievers.create(name, other).reading()


@pytest.mark.parametrize("name", SHARE)
@pytest.mark.parametrize("wrong", [{"k1": -1.0}, {"b": 2.0}])
def test_parameters_are_checked_over_what_was_read_too(name, wrong, corpus):
    """A wrong k1 or b is refused by name although nothing is read."""
    read = retrievers.create(name).read(corpus)
    with pytest.raises(UsageError, match=f"{next(iter(wrong))}.* is "):
        retrievers.create(name, wrong).index_read(read, corpus)
