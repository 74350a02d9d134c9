"""Answers to measure, made from a few words each."""

import numpy as np
import pytest

from bench.answers import Answered
from generators.base import Answer, Passage


def make_answered(
    texts, golds, unanswerable=None, contexts=None, relevant=None, citations=None, abstained=None
):
    """A row for each text; contexts: doc_ids to texts. Without more nothing is known."""
    n = len(texts)
    said = zip(texts, citations or [()] * n, abstained or [not text for text in texts], strict=True)
    return Answered(
        questions=[f"question {row}" for row in range(n)],
        answers=[Answer(text, tuple(cited), quiet) for text, cited, quiet in said],
        golds=golds,
        unanswerable=np.array(unanswerable or [False] * n, np.bool_),
        contexts=[
            [Passage(name, text) for name, text in given.items()] for given in contexts or [{}] * n
        ],
        relevant=relevant,
    )


@pytest.fixture
def answered():
    return make_answered
