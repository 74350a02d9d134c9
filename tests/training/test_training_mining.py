"""Hard negatives: which documents of a ranking are taken."""

import numpy as np
import pytest

from qrels.suites import load_suite
from training.mining import chosen, mine, relevant_documents

INF = np.inf


@pytest.mark.parametrize(
    ("docs", "scores", "relevant", "margin", "expected"),
    [
        ([4, 7, 2, 9], [10, 9, 8, 7], {4}, 1.0, [7, 2]),
        ([4, 7, 2, 9], [10, 9, 8, 7], {4}, 0.85, [2, 9]),
        ([7, 4, 2, 9], [10, 9, 8, 7], {4}, 1.0, [2, 9]),
        ([4, 7, 2, 9], [10, 9, 8, 7], {4, 7}, 1.0, [2, 9]),
        ([4, 7, 2, 9], [10, 9, 8, 7], {5}, 1.0, []),
        ([4, 7, -1, -1], [10, 9, -INF, -INF], {4}, 1.0, [7]),
        ([4, 7, 2, 9], [-1.0, -1.05, -1.2, -2], {4}, 0.9, [2, 9]),
        ([4, 7], [10, 9], {4}, 0.0, []),
    ],
    ids=["best", "margin", "above", "second", "not-found", "short", "negative-scores", "none"],
)
def test_what_is_taken_of_a_ranking(docs, scores, relevant, margin, expected):
    """Best first, not relevant, and no nearer to the relevant one's score than the margin."""
    found = chosen(
        np.array(docs, np.int32), np.array(scores, np.float32), frozenset(relevant), 2, margin
    )
    assert found == expected


def test_negatives_come_from_any_system(squad_folder):
    """A run of bm25 or of a dense retriever gives each query negatives that are not relevant."""
    suite = load_suite(squad_folder)
    relevant = relevant_documents(suite)
    for spec in ("bm25", "dense?encoder=hashing"):
        found = mine(suite, spec, number=3, depth=10, margin=1.0)
        assert len(found.negatives) == len(suite.queries)
        assert found.without == sum(not row for row in found.negatives) < 36
        for row, known in zip(found.negatives, relevant, strict=True):
            assert len(row) <= 3
            assert not known & set(row)
