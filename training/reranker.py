"""Trains a cross-encoder to put the passage that answers a question before those that do not.

pairs of a question and one relevant passage, from a suite's judgements
a pool of hard negatives a question, from the ranking of another system    mining.py
each epoch draws one or two of the pool
loss: the relevant passage among the candidates of its question
measured by reranking another system's rankings of another suite           loop.py

The loss is the cross-entropy of a softmax over a question's own candidates (Gao et al. 2021, arXiv
2101.08751), not a binary one for each pair: a reranker is used to order the candidates of one
question, and this loss asks for nothing else. A binary one also wants scores that compare between
questions, and a weight for having more negatives than positives, and spends capacity on both.
Passages of other questions of the batch are no candidates: each would be one more pair to read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.errors import DataError
from rerankers.models import Pair, PairReranker
from training.config import Say, option
from training.heads import Headed
from training.pairs import RankingOptions

if TYPE_CHECKING:
    from torch import Tensor

    from qrels.data import Run, Suite
    from training.task import Batch, Loss, Task

SUMMARY = "train a cross-encoder to rerank, on questions and the passages that answer them"


@dataclass(frozen=True)
class OPTIONS(RankingOptions):
    """What `reranker` takes beside what every recipe does."""

    out: str = option("trained/reranker", "folder of the log, the checkpoints and the model")
    learning_rate: float = option(5e-5, "at the end of the warm-up", least=0)
    batch_size: int = option(16, "questions a batch at most, over all processes", least=1)
    batch_tokens: int = option(
        8192, "tokens a batch at most, with padding, over all processes; 0: no limit", least=0
    )
    num_epochs: int = option(2, "passes over the data", least=1)
    model: str = option("minilm", "what to begin with: minilm, a BERT's folder or a hub id")
    measure_questions: int = option(100, "questions that are measured; 0: all", least=0)
    measure_depth: int = option(50, "how many passages a question are reranked", least=1)
    max_length: int = option(256, "tokens a question and a passage together at most", least=8)
    negatives: int = option(2, "hard negatives a question in an epoch", least=1)
    negatives_from: str = option(
        "bm25", "the system they come from, and whose rankings are reranked: retriever[+reranker]"
    )
    negatives_pool: int = option(20, "the first so many of those are drawn from", least=1)
    negatives_margin: float = option(
        2.0, "the share of the relevant passage's score that a negative has at most", least=0
    )


class Question(NamedTuple):
    """A question, one relevant passage's position, and those of its hard negatives."""

    text: str
    relevant: int
    pool: list[int]


class Row(NamedTuple):
    """What a step learns from: positions of a question's candidates, the relevant one first."""

    question: str
    candidates: list[int]


class Inputs(NamedTuple):
    """Pairs as the model reads them; places: int64 (n_pairs, 2), question and candidate of each."""

    pairs: "dict[str, Tensor]"
    places: "Tensor"


class First(NamedTuple):
    """A suite, and rankings of it to be reranked."""

    suite: "Suite"
    run: "Run"


class InTraining(PairReranker):
    """The model at hand as a reranker of the harness."""

    def __init__(self, headed: Headed, fields: Sequence[str] | None, batch_size: int = 64) -> None:
        self.headed = headed
        self.fields = fields
        self.batch_size = batch_size

    def _scores(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        """float32 (n_pairs,), from batches of like length."""
        import torch

        order = sorted(range(len(pairs)), key=lambda row: -sum(map(len, pairs[row])))
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            given = encoded(self.headed, [pairs[row] for row in rows])
            with torch.inference_mode():
                scores[rows] = scored(self.headed, given).cpu().numpy()
        return scores


def main(options: OPTIONS, say: Say) -> None:
    """Train as *options* say."""
    from training.loop import run

    run(make_task, options, say)


def make_task(options: OPTIONS, say: Say) -> "Task":
    """The model, the data, and what the loop does with them."""
    from bench.metrics import parse_measure
    from encoders.digests import folder_digest
    from training import heads
    from training.batching import epoch_batches
    from training.card import beside
    from training.data.sources import load
    from training.task import Task

    parse_measure(options.measure)
    suite = load(options.data, options.split, options.dataset_name)
    validation = first_stage(options.validate, options) if options.validate else None
    tests = [first_stage(name, options) for name in options.test]
    headed = load_model(options)
    passages = suite.corpus.joined(options.fields or None)
    questions = make_questions(suite, options, say)
    sizes = Sizes(headed, [question.text for question in questions], passages, options)

    def batches(epoch: int) -> list[list[Row]]:
        rows = drawn(questions, options.negatives, options.seed, epoch)
        lengths = [sizes.of(number, row.candidates) for number, row in enumerate(rows)]
        found = epoch_batches(
            lengths, options.batch_size, options.batch_tokens, options.seed, epoch
        )
        return [[rows[number] for number in batch] for batch in found]

    def test() -> dict[str, float]:
        return {f"{options.measure}, {t.suite.name}": measure(headed, t, options) for t in tests}

    return Task(
        name="reranker",
        model=headed.model,
        batches=batches,
        collate=lambda rows: collate(headed, passages, rows),
        loss=lambda inputs: loss_of(headed, inputs),
        save=lambda folder: heads.save(headed, folder),
        data_digest=suite.digest,
        measure_name=options.measure,
        measure=(lambda: measure(headed, validation, options)) if validation else None,
        test=test if tests else None,
        card={
            "base model": f"{options.model}, SHA-256 {folder_digest(headed.folder)}",
            "data": f"{suite.name} ({suite.split}), {len(questions):,} pairs, {options.negatives} "
            f"of {options.negatives_pool} hard negatives by {options.negatives_from} an epoch",
            "measured": f"the first {options.measure_depth} by {options.negatives_from} reranked, "
            + (f"{options.measure_questions} questions" if options.measure_questions else "all"),
            "load": "`RETRIEVER+cross-encoder?reranker.model=FOLDER`"
            + beside(reranker__fields=(options.fields, ())),
        },
    )


def load_model(options: OPTIONS) -> Headed:
    """What to begin with, with a head of one label."""
    from training import heads

    headed = heads.load(options.model, "AutoModelForSequenceClassification", num_labels=1)
    heads.limit(headed, options.max_length)
    return headed


def first_stage(name: str, options: OPTIONS) -> First:
    """A suite's questions to measure on, and what is to be reranked."""
    from bench.config import parse_system
    from bench.system import search_suite
    from training.data.sample import some_questions
    from training.data.sources import load

    suite = some_questions(load(name), options.measure_questions)
    suite = replace(suite, depth=options.measure_depth)
    return First(suite, search_suite(suite, parse_system(options.negatives_from)))


def make_questions(suite: "Suite", options: OPTIONS, say: Say) -> list[Question]:
    """A row for each judgement that calls a passage relevant and has hard negatives beside it."""
    from training.mining import mine, relevant_documents

    mined = mine(
        suite,
        options.negatives_from,
        options.negatives_pool,
        options.negatives_depth,
        options.negatives_margin,
    )
    rows = zip(suite.queries.texts, relevant_documents(suite), mined.negatives, strict=True)
    found = [Question(text, doc, pool) for text, docs, pool in rows if pool for doc in sorted(docs)]
    if not found:
        raise DataError(
            f"{suite.name} ({suite.split}): no question has a relevant passage and a hard negative "
            f"among the first {options.negatives_depth} of {options.negatives_from}"
        )
    if mined.without:
        say(
            f"{mined.without:,} of {len(suite.queries):,} questions have no relevant passage or no "
            f"hard negative by {options.negatives_from}, and are left out"
        )
    return found


def drawn(questions: Sequence[Question], number: int, seed: int, epoch: int) -> list[Row]:
    """Each question with so many of its hard negatives, others in another epoch."""
    generator = np.random.default_rng([seed, epoch])
    picks = (generator.permutation(len(question.pool))[:number].tolist() for question in questions)
    return [
        Row(question.text, [question.relevant, *(question.pool[place] for place in pick)])
        for question, pick in zip(questions, picks, strict=True)
    ]


class Sizes:
    """How many tokens rows have; 1 each where batches have no limit of them."""

    def __init__(
        self, headed: Headed, questions: Sequence[str], passages: Sequence[str], options: OPTIONS
    ) -> None:
        self.limited = bool(options.batch_tokens)
        self.most = options.max_length
        if self.limited:
            extra: int = headed.tokenizer.num_special_tokens_to_add(pair=True)
            self.asked = [length + extra for length in lengths(headed, questions)]
            self.long = lengths(headed, passages)

    def of(self, number: int, candidates: Sequence[int]) -> int:
        """The tokens of a question's candidates, each padded to the longest."""
        if not self.limited:
            return 1
        longest = self.asked[number] + max(self.long[doc] for doc in candidates)
        return len(candidates) * min(longest, self.most)


def lengths(headed: Headed, texts: Sequence[str]) -> list[int]:
    """Tokens of each text."""
    known = list(dict.fromkeys(texts))
    found = headed.tokenizer(known, add_special_tokens=False, verbose=False)["input_ids"]
    sizes = dict(zip(known, map(len, found), strict=True))
    return [sizes[text] for text in texts]


def collate(headed: Headed, passages: Sequence[str], rows: Sequence[Row]) -> "Batch":
    """This process's questions, each with all of its candidates."""
    import torch

    from training.distributed import share
    from training.task import Batch

    own = share(rows)
    pairs = [(row.question, passages[doc]) for row in own for doc in row.candidates]
    places = [(n, at) for n, row in enumerate(own) for at in range(len(row.candidates))]
    given = encoded(headed, pairs)
    return Batch(Inputs(given, torch.tensor(places)), given["input_ids"].numel())


def encoded(headed: Headed, pairs: Sequence[Pair]) -> "dict[str, Tensor]":
    """Token ids, types and masks as the cross-encoder will have them, int64 (n_pairs, longest)."""
    questions, texts = zip(*pairs, strict=True)
    return dict(
        headed.tokenizer(
            list(questions), list(texts), truncation=True, padding=True, return_tensors="pt"
        )
    )


def scored(headed: Headed, pairs: "dict[str, Tensor]") -> "Tensor":
    """The score of each pair, float32 (n_pairs,)."""
    model = headed.model
    logits: Tensor = model(**{k: v.to(model.device) for k, v in pairs.items()}).logits
    return logits.float().squeeze(1)


def loss_of(headed: Headed, inputs: Inputs) -> "Loss":
    """The sum over questions of the cross-entropy of the relevant candidate among its own."""
    import torch
    from torch.nn.functional import cross_entropy

    from training.task import Loss

    scores = scored(headed, inputs.pairs)
    rows, columns = inputs.places.T
    shape = [int(part.max()) + 1 for part in (rows, columns)]
    table = scores.new_full(shape, -torch.inf).index_put((rows, columns), scores)
    first = torch.zeros(len(table), dtype=torch.int64, device=table.device)
    right = (table.argmax(dim=1) == first).sum()
    return Loss(cross_entropy(table, first, reduction="sum"), len(table), {"accuracy": right})


def measure(headed: Headed, first: First, options: OPTIONS) -> float:
    """The mean of the measure over the reranked rankings."""
    from training.measuring import means

    suite, run = first
    reranker = InTraining(headed, options.fields or None)
    found = reranker.rerank(suite.queries.texts, run, suite.corpus, run.docs.shape[1])
    return means(suite, found, [options.measure])[options.measure]
