"""Maximal marginal relevance by hand, and its limits."""

import numpy as np
import pytest

from qrels.data import Corpus
from qrels.errors import UsageError
from rerankers.mmr import MMR, marginal

ROOT = float(np.sqrt(0.5))
QUERY = [1, 0]
NEAR, COPY, BESIDE, ACROSS, AGAINST = [0.8, 0.6], [1.6, 1.2], [0.6, -0.8], [0, 1], [-1, 0]
# cosines to the query .8 .8 .6 0 -1; NEAR to COPY 1, BESIDE 0, ACROSS .6, AGAINST -.8
CASES = {  # documents, diversity, and each one's value when its turn came
    "one": ([NEAR], 0.3, [0.56]),
    "relevance-alone": ([ACROSS, NEAR, BESIDE], 0.0, [0, 0.8, 0.6]),
    # NEAR .4, then BESIDE .3 - 0 before COPY .4 - .5
    "a-copy-waits": ([NEAR, COPY, BESIDE], 0.5, [0.4, -0.1, 0.3]),
    # NEAR .4, then ACROSS 0 - .3 before AGAINST -.5 - 0, which is against all
    "opposite-is-not-rewarded": ([AGAINST, NEAR, ACROSS], 0.5, [-0.5, 0.4, -0.3]),
    "novelty-alone": ([NEAR, COPY, BESIDE], 1.0, [0, -1, 0]),
    "no-vector": ([[0, 0], NEAR], 0.5, [0, 0.4]),
    "none": ([], 0.5, []),
}


@pytest.mark.parametrize(("documents", "diversity", "expected"), CASES.values(), ids=CASES)
def test_each_value_is_relevance_less_redundancy(documents, diversity, expected):
    """The value at its turn is the hand-worked one; of equals the first in the tie order goes."""
    vectors = np.array(documents, np.float32).reshape(-1, 2)
    found = marginal(np.array(QUERY, np.float32), vectors, diversity, np.arange(len(documents)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("diversity", [0.0, 0.3, 0.7, 1.0])
def test_values_fall_in_the_order_of_choice(diversity):
    """A plain greedy loop, written out, chooses in the order of the values."""
    rng = np.random.default_rng(4)
    query, vectors = rng.normal(size=8), rng.normal(size=(20, 8))
    vectors[7], vectors[13] = vectors[2], -vectors[2]
    ties = rng.permutation(20)
    values = marginal(query.astype(np.float32), vectors.astype(np.float32), diversity, ties)

    def cosine(one, other):
        return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))

    chosen, left = [], sorted(range(20), key=ties.__getitem__)
    while left:
        gains = [
            (1 - diversity) * cosine(query, vectors[at])
            - diversity * max([0.0] + [cosine(vectors[at], vectors[other]) for other in chosen])
            for at in left
        ]
        chosen.append(left.pop(int(np.argmax(np.round(gains, 6)))))
    assert np.lexsort((ties, -np.round(values, 6))).tolist() == chosen


CORPUS = Corpus(
    ["a", "b", "c"],
    {"text": ["red fish pond", "red fish pond", "red whale"], "title": ["", "", "fish"]},
)


def test_a_copy_gives_way_to_something_else(first_stage):
    """Without diversity both copies lead; with it the second copy comes last."""
    run = first_stage([0, 1, 2])
    plain = MMR("hashing", diversity=0.0, fields=["text"])
    assert plain.rerank(["red fish pond"], run, CORPUS, 3).docs.tolist() == [[1, 0, 2]]
    mixed = MMR("hashing", diversity=0.5, fields=["text"])
    assert mixed.rerank(["red fish pond"], run, CORPUS, 3).docs.tolist() == [[1, 2, 0]]


@pytest.mark.parametrize("diversity", [-0.1, 1.5])
def test_diversity_is_between_zero_and_one(diversity, first_stage):
    """Anything else is a UsageError."""
    with pytest.raises(UsageError, match=r"diversity is .*; allowed: 0 to 1"):
        MMR("hashing", diversity=diversity).rerank(["x"], first_stage([0]), CORPUS, 1)
