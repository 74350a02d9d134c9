"""ROUGE and BLEU, as the libraries rouge-score and sacrebleu give them."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from bench.answers.data import Answered, Values, against_gold, silent
from qrels.errors import MissingPackageError


def rouge(kind: str) -> Callable[[Answered], Values]:
    """The measure of that name in rouge-score ("rouge1", "rougeL"): its F of the best gold answer.

    Without stemming. The library reads a to z and 0 to 9 alone: an answer in Chinese scores 0.
    Source: Lin 2004, https://aclanthology.org/W04-1013.
    """

    def measure(found: Answered) -> Values:
        scorer = _library("rouge_score.rouge_scorer", "rouge-score").RougeScorer([kind])
        return against_gold(found, lambda said, golds: _f(scorer, kind, said, golds))

    return measure


def _f(scorer: Any, kind: str, said: str, golds: Sequence[str]) -> float:
    return float(max(scorer.score(gold, said)[kind].fmeasure for gold in golds))


def bleu(found: Answered) -> Values:
    """Sentence BLEU over all gold answers at once, from 0 to 1: sacrebleu's by 100.

    With exponential smoothing and the effective order, both for texts shorter than four words.
    Source: Post 2018, https://aclanthology.org/W18-6319.
    """
    scorer = _library("sacrebleu.metrics.bleu", "sacrebleu").BLEU(effective_order=True)

    def score(said: str, golds: Sequence[str]) -> float:
        return min(
            1.0, float(scorer.sentence_score(said, golds).score) / 100
        )  # rounding goes beyond

    return against_gold(found, score)


def corpus_bleu(found: Answered) -> float | None:
    """BLEU of all answers as one text, 0 to 1, over the questions that have a gold answer.

    No mean of the values per question, so no test can be made of it; None without such questions.
    """
    rows = zip(found.answers, found.golds, found.unanswerable.tolist(), strict=True)
    known = [
        ("" if silent(answer) else answer.text, golds) for answer, golds, none in rows
        if golds and not none
    ]  # fmt: skip
    if not known:
        return None
    most = max(len(golds) for _, golds in known)
    columns = [[golds[i] if i < len(golds) else None for _, golds in known] for i in range(most)]
    scorer = _library("sacrebleu.metrics.bleu", "sacrebleu").BLEU()
    return float(scorer.corpus_score([said for said, _ in known], columns).score) / 100


def _library(module: str, package: str) -> Any:  # neither has types
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"this measure needs {package}: pip install 'retrieval-bench[answers]'"
        ) from error
