"""How an answer and the gold answers overlap, word by word: EM, F1, containment."""

from collections import Counter
from collections.abc import Sequence

from bench.answers.data import Answered, Values, against_gold
from bench.answers.text import normalised, units, words


def exact_match(found: Answered) -> Values:
    """1 where the normalised answer is that of a gold answer.

    Source: SQuAD's definition, Rajpurkar et al. 2016 and, of unanswerable questions, 2018, arXiv
    1806.03822.
    """
    return against_gold(
        found, lambda said, golds: float(normalised(said) in map(normalised, golds))
    )


def f1(found: Answered) -> Values:
    """The best harmonic mean of precision and recall in words over the gold answers.

    A word counts as often as both have it. Source: as for EM.
    """
    return against_gold(found, lambda said, golds: max(word_f1(said, gold) for gold in golds))


def word_f1(said: str, gold: str) -> float:
    """The F1 of two texts that have words; 0 where they share none."""
    ours, theirs = words(said), words(gold)
    shared = sum((Counter(ours) & Counter(theirs)).values())
    if shared == 0:
        return 0.0
    precision, recall = shared / len(ours), shared / len(theirs)
    return 2 * precision * recall / (precision + recall)


def containment(found: Answered) -> Values:
    """1 where the words of a gold answer stand in the answer, in order and next to each other.

    After SQuAD's normalisation; each kana or Chinese character is a word.
    """
    return against_gold(found, lambda said, golds: float(_holds(units(said), map(units, golds))))


def _holds(said: Sequence[str], golds: "map[list[str]]") -> bool:
    text = f" {' '.join(said)} "
    return any(f" {' '.join(gold)} " in text for gold in golds)
