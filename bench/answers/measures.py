"""The table of measures of answers, and a measure as a value."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from bench.answers import abstention, context, grounded, library, overlap
from bench.answers.data import Answered, Values
from qrels.errors import unknown


class Definition(NamedTuple):
    """A measure's function, what it needs beside the answers, and one line on it."""

    function: Callable[[Answered], Values]
    needs: str
    summary: str


GOLD, QRELS, PASSAGES = "gold answers", "qrels", "passages"

ANSWER_MEASURES: Mapping[str, Definition] = {
    "EM": Definition(overlap.exact_match, GOLD, "1 where it is a gold answer, as SQuAD compares"),
    "F1": Definition(overlap.f1, GOLD, "words shared with the best gold answer, as SQuAD counts"),
    "Containment": Definition(overlap.containment, GOLD, "1 where a gold answer stands in it"),
    "ROUGE-1": Definition(library.rouge("rouge1"), GOLD, "F of words, by rouge-score"),
    "ROUGE-2": Definition(library.rouge("rouge2"), GOLD, "F of pairs of words, by rouge-score"),
    "ROUGE-L": Definition(
        library.rouge("rougeL"), GOLD, "F of the longest common subsequence, by rouge-score"
    ),
    "BLEU": Definition(library.bleu, GOLD, "BLEU of one answer, by sacrebleu, from 0 to 1"),
    "Abstained": Definition(abstention.abstained, "nothing", "1 where it says nothing"),
    "AbstainedRightly": Definition(
        abstention.abstained_rightly,
        "which questions are unanswerable",
        "1 where it is silent on an unanswerable question or answers another",
    ),
    "ContextPrecision": Definition(
        context.context_precision, QRELS, "share of the passages given that is relevant"
    ),
    "ContextRecall": Definition(
        context.context_recall, QRELS, "share of the relevant passages that was given"
    ),
    "CitationPrecision": Definition(
        context.citation_precision, QRELS, "share of the cited passages that is relevant"
    ),
    "CitationRecall": Definition(
        context.citation_recall, QRELS, "share of the relevant passages that is cited"
    ),
    "GroundedWords": Definition(
        grounded.grounded_words, PASSAGES, "share of its words that the passages hold; a heuristic"
    ),
    "GroundedSentences": Definition(
        grounded.grounded_sentences,
        PASSAGES,
        "share of its sentences that are like one of the passages'; a heuristic",
    ),
}
"""Every measure by its name; all are from 0 to 1 and float64 (n_questions,)."""


class AnswerMeasure(NamedTuple):
    """A measure as a value; str gives its name."""

    name: str

    def values(self, found: Answered) -> Values:
        """float64 (n_questions,): the measure of each answer."""
        return ANSWER_MEASURES[self.name].function(found)

    def __str__(self) -> str:
        return self.name


def answer_measure(text: str) -> AnswerMeasure:
    """The measure called *text*, in upper or lower case; UsageError for an unknown name."""
    for name in ANSWER_MEASURES:
        if name.lower() == text.strip().lower():
            return AnswerMeasure(name)
    raise unknown("measure of answers", text, ANSWER_MEASURES)
