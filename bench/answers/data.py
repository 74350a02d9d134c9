"""What is measured of answers: the questions, what was said, and what is known of them."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.answers.text import normalised
from generators.base import Answer, Passage
from qrels.errors import UsageError

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Answered:
    """A system's answers, a row for each question in all fields.

    golds: the right answers of each, any of which will do; unanswerable: bool (n_questions,).
    contexts: the passages that the generator saw; relevant: doc_ids of all relevant passages,
    None where there are no qrels.
    """

    questions: Sequence[str]
    answers: Sequence[Answer]
    golds: Sequence[Sequence[str]]
    unanswerable: NDArray[np.bool_]
    contexts: Sequence[Sequence[Passage]]
    relevant: Sequence[Set[str]] | None = None

    def __len__(self) -> int:
        return len(self.questions)


def silent(answer: Answer) -> bool:
    """Whether an answer says nothing: no word is left once it is normalised."""
    return answer.abstained or not normalised(answer.text)


def against_gold(found: Answered, score: Callable[[str, Sequence[str]], float]) -> Values:
    """The score of each answer against its gold answers, float64 (n_questions,).

    SQuAD 2.0's rule: an unanswerable question scores 1 where the answer is silent, else 0; gold
    answers of which normalising leaves nothing do not count, and where no other is there the
    question is unanswerable. A silent answer to an answerable question scores 0, and so does any
    answer to a question of which no gold answer is known.
    """

    def value(answer: Answer, golds: Sequence[str], unanswerable: bool) -> float:
        known = [gold for gold in golds if normalised(gold)]
        if unanswerable or (golds and not known):
            return float(silent(answer))
        return score(answer.text, known) if known and not silent(answer) else 0.0

    rows = zip(found.answers, found.golds, found.unanswerable.tolist(), strict=True)
    return np.array([value(*row) for row in rows], np.float64)


def relevant_ids(found: Answered) -> Sequence[Set[str]]:
    """The relevant passages of each question; UsageError where there are no qrels."""
    if found.relevant is None:
        raise UsageError("measures of contexts and citations need qrels, which these answers lack")
    return found.relevant
