"""How much of an answer the passages support: heuristics that see words and likeness, not truth."""

from collections import Counter
from itertools import accumulate, pairwise

import numpy as np

from bench.answers.data import Answered, Values
from bench.answers.text import units
from generators.base import Passage
from generators.sentences import sentences
from generators.similarity import similarities

ENCODER, THRESHOLD = "minilm", 0.6


def grounded_words(found: Answered) -> Values:
    """Share of the answer's words that the passages hold, titles included, each as often.

    After SQuAD's normalisation; each kana or Chinese character is a word. An answer that says
    nothing has 1. A word that is there by chance counts, and so does what the passages deny.
    Source: K-Precision, Adlakha et al. 2024, arXiv 2307.16877.
    """
    known: dict[str, Counter[str]] = {}  # passages are shared by many questions
    values = []
    for answer, given in zip(found.answers, found.contexts, strict=True):
        said = Counter(units(answer.text))
        held = [_counted(passage, known) for passage in given]
        kept = sum(min(n, sum(one[word] for one in held)) for word, n in said.items())
        values.append(kept / said.total() if said else 1.0)
    return np.array(values, np.float64)


def _counted(passage: Passage, known: dict[str, Counter[str]]) -> Counter[str]:
    text = f"{passage.title}\n{passage.text}"
    if text not in known:
        known[text] = Counter(units(text))
    return known[text]


def grounded_sentences(found: Answered) -> Values:
    """Share of the answer's sentences like one of the passages' by the cosine of ENCODER.

    Like means at least THRESHOLD. An answer that says nothing has 1. Made for whole sentences: of
    500 questions of SQuAD dev, the first half of the sentence with the answer is found like one of
    its own passage 97 times in 100 and like one of a passage nearby in the article 6 times; the
    question with its answer behind it 84 and 6 times; the bare answer, a few words, 23 and 2.
    """
    split: dict[str, list[str]] = {}
    said = [_sentences(answer.text, split) for answer in found.answers]
    held = [
        [each for passage in given for each in _sentences(passage.text, split)]
        for given in found.contexts
    ]
    flat = [(one, group) for own, group in zip(said, held, strict=True) for one in own]
    cosines = similarities(ENCODER, [one for one, _ in flat], [group for _, group in flat])
    like = [bool((each >= THRESHOLD).any()) for each in cosines]
    ends = [0, *accumulate(map(len, said))]
    return np.array([np.mean(like[a:b]) if b > a else 1.0 for a, b in pairwise(ends)], np.float64)


def _sentences(text: str, known: dict[str, list[str]]) -> list[str]:
    if text not in known:
        known[text] = [one.strip() for one in sentences(text) if one.strip()]
    return known[text]
