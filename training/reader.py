"""Trains a reader that points at the answer in a passage, or at [CLS] where there is none.

questions with their relevant passages, and where the answers stand in these  gold.py
for some a passage of another system's ranking that holds no answer
windows of tokens, several for a long passage; like lengths come together      generators/spans.py
loss: all right spans of a window together; the null span where it has none
measured by answering the questions of another suite from their own passages  loop.py

Data that says what the answers are and not where, or has several answers to a question, has
several right spans: what is maximised is the sum of their probabilities, each the product of those
of its start and its end (Karpukhin et al. 2020, arXiv 2004.04906, section 6.1). Unanswerable
questions point at the first token (Devlin et al. 2019, arXiv 1810.04805, section 4.3); so do
passages that hold no answer, without which a reader could not tell the good one of several.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.config import DataOptions, Say, option
from training.heads import Headed

if TYPE_CHECKING:
    from torch import Tensor

    from generators.base import Passage
    from generators.spans import Limits, Window
    from qrels.data import Suite
    from training.gold import Example, Places
    from training.task import Batch, Loss, Task

SUMMARY = (
    "train a reader that quotes the answer from a passage, or finds none, on SQuAD-format data"
)


TESTED = ("EM", "F1")
"""What is measured on the suites to test on."""


@dataclass(frozen=True)
class OPTIONS(DataOptions):
    """What `reader` takes beside what every recipe does."""

    out: str = option("trained/reader", "folder of the log, the checkpoints and the model")
    learning_rate: float = option(1e-4, "at the end of the warm-up", least=0)
    batch_size: int = option(32, "windows a batch at most, over all processes", least=1)
    batch_tokens: int = option(
        4096, "tokens a batch at most, with padding, over all processes; 0: no limit", least=0
    )
    num_epochs: int = option(3, "passes over the data", least=1)
    model: str = option("minilm", "what to begin with: minilm, a BERT's folder or a hub id")
    data: str = option("", "a suite with answers, or a .json file of SQuAD's format")
    measure: str = option("F1", "the measure of answers for early stopping")
    measure_questions: int = option(0, "questions that are measured; 0: all", least=0)
    max_length: int = option(384, "tokens a window at most", least=16)
    stride: int = option(128, "tokens that two windows of a passage share", least=0)
    max_answer: int = option(30, "tokens of an answer at most, when measuring", least=1)
    threshold: float = option(0.0, "by how much null has to win, when measuring")
    negatives: float = option(
        0.3, "the share of questions that are read with a passage without answer too", least=0
    )
    negatives_from: str = option("bm25", "the system those come from: retriever[+reranker]")
    negatives_depth: int = option(20, "how deep in its ranking", least=1)


class Row(NamedTuple):
    """A window, and the tokens at which its right spans begin and end."""

    window: "Window"
    spans: "Places"


class Inputs(NamedTuple):
    """Windows as the model reads them, and what is right.

    allowed: bool (n_windows, longest), the tokens of the passage and [CLS]; spans: int64
    (n_windows, most, 2), repeated where a window has fewer; known: bool (n_windows, most).
    """

    windows: "dict[str, Tensor]"
    allowed: "Tensor"
    spans: "Tensor"
    known: "Tensor"


class Questions(NamedTuple):
    """A suite, and the passages that each of its questions is answered from."""

    suite: "Suite"
    contexts: list[list["Passage"]]


def main(options: OPTIONS, say: Say) -> None:
    """Train as *options* say."""
    from training.loop import run

    run(make_task, options, say)


def make_task(options: OPTIONS, say: Say) -> "Task":
    """The model, the data, and what the loop does with them."""
    from bench.answers import answer_measure
    from encoders.digests import folder_digest
    from training import heads
    from training.batching import epoch_batches
    from training.card import beside
    from training.data.sources import load
    from training.task import Task

    answer_measure(options.measure)
    limits(options).check()
    suite = load(options.data, options.split, options.dataset_name)
    validation = to_measure(options.validate, options) if options.validate else None
    tests = [to_measure(name, options) for name in options.test]
    headed = heads.load(options.model, "AutoModelForQuestionAnswering")
    heads.limit(headed, options.max_length)
    rows = make_rows(headed, make_examples(suite, options, say), options)
    lengths = [len(row.window.ids) for row in rows]

    def batches(epoch: int) -> list[list[int]]:
        return epoch_batches(lengths, options.batch_size, options.batch_tokens, options.seed, epoch)

    def test() -> dict[str, float]:
        values = [(each, measure(headed, each, TESTED, options)) for each in tests]
        return {f"{name}, {t.suite.name}": v for t, found in values for name, v in found.items()}

    def validated() -> float:
        assert validation is not None  # else it is not called
        return measure(headed, validation, [options.measure], options)[options.measure]

    return Task(
        name="reader",
        model=headed.model,
        batches=batches,
        collate=lambda chosen: collate(headed, [rows[number] for number in chosen]),
        loss=lambda inputs: loss_of(headed, inputs),
        save=lambda folder: heads.save(headed, folder),
        data_digest=suite.digest,
        measure_name=options.measure,
        measure=validated if validation else None,
        test=test if tests else None,
        card={
            "base model": f"{options.model}, SHA-256 {folder_digest(headed.folder)}",
            "data": f"{suite.name} ({suite.split}), {len(rows):,} windows of "
            f"{len(suite.queries):,} questions, {sum(row.spans == [(0, 0)] for row in rows):,} "
            "without an answer",
            "measured": "with the passages that are relevant, not with retrieved ones",
            "load": "`RETRIEVER+reader?generator.model=FOLDER`"
            + beside(
                generator__threshold=(options.threshold, 0.0),
                generator__max_length=(options.max_length, 384),
                generator__stride=(options.stride, 128),
                generator__max_answer=(options.max_answer, 30),
            ),
        },
    )


def limits(options: OPTIONS) -> "Limits":
    from generators.spans import Limits

    return Limits(options.max_length, options.stride, options.max_answer)


def ranking(suite: "Suite", options: OPTIONS) -> Callable[[], NDArray[np.int32]]:
    """What gives the positions that the system ranks first, (n_queries, depth), made once."""
    from bench.config import parse_system
    from bench.system import search_suite

    deep = replace(suite, depth=options.negatives_depth)
    return lru_cache(1)(lambda: search_suite(deep, parse_system(options.negatives_from)).docs)


def to_measure(name: str, options: OPTIONS) -> Questions:
    """The questions of a suite that have an answer or are known to have none, with passages."""
    from bench.answering import passage
    from qrels.answers import answers_of
    from training.data.sample import some_questions
    from training.data.sources import load
    from training.gold import passages_of

    suite = some_questions(answers_of(load(name)), options.measure_questions)
    contexts = passages_of(suite, ranking(suite, options))
    return Questions(
        suite, [[passage(suite.corpus, doc, 0.0) for doc in docs] for docs in contexts]
    )


def make_examples(suite: "Suite", options: OPTIONS, say: Say) -> "list[Example]":
    """Questions with their passages, and for some a passage that holds no answer."""
    from training.gold import examples, passages_of

    ranked = ranking(suite, options)
    contexts = passages_of(suite, ranked)
    found = examples(suite, contexts, say)
    return [*found, *negatives(suite, contexts, ranked, options)] if options.negatives else found


def negatives(
    suite: "Suite",
    contexts: Sequence[Sequence[int]],
    ranked: Callable[[], NDArray[np.int32]],
    options: OPTIONS,
) -> "list[Example]":
    """A share of the questions, each with a passage ranked high that holds none of its answers."""
    from bench.answering import passage
    from qrels.answers import gold_answers, unanswerable
    from training.gold import Example, holds

    generator = np.random.default_rng(options.seed)
    golds, none, found = gold_answers(suite.queries), unanswerable(suite.queries), []
    for row in np.flatnonzero(generator.random(len(golds)) < options.negatives).tolist():
        if not golds[row] and not none[row]:
            continue  # no answer is known: any passage may hold it
        docs = [doc for doc in ranked()[row].tolist() if doc >= 0 and doc not in contexts[row]]
        for doc in generator.permutation(docs).tolist():
            one = passage(suite.corpus, doc, 0.0)
            if not holds(one.text, golds[row]):
                found.append(Example(suite.queries.texts[row], one, []))
                break
    return found


def make_rows(headed: Headed, found: "Sequence[Example]", options: OPTIONS) -> list[Row]:
    """Each window of each example, with its right spans."""
    from generators.spans import windows
    from training.gold import target

    pairs = [(example.question, example.passage.text) for example in found]
    return [
        Row(window, target(window, found[window.pair].places))
        for window in windows(headed.tokenizer, pairs, limits(options))
    ]


def collate(headed: Headed, rows: Sequence[Row]) -> "Batch":
    """This process's windows, padded, and their right spans."""
    import torch

    from generators.spans import inputs
    from training.distributed import share
    from training.task import Batch

    own = share(rows)
    given = inputs(headed.tokenizer, [row.window for row in own])
    allowed = torch.zeros(given["input_ids"].shape, dtype=torch.bool)
    allowed[:, 0] = True
    most = max(len(row.spans) for row in own)
    spans = torch.zeros((len(own), most, 2), dtype=torch.int64)
    known = torch.zeros((len(own), most), dtype=torch.bool)
    for place, (window, right) in enumerate(own):
        allowed[place, window.first : window.first + len(window.places)] = True
        spans[place, : len(right)] = torch.tensor(right)
        known[place, : len(right)] = True
    return Batch(Inputs(given, allowed, spans, known), allowed.numel())


def loss_of(headed: Headed, inputs: Inputs) -> "Loss":
    """The sum over windows of -log of the probability of all right spans together."""
    import torch

    from training.task import Loss

    out = headed.model(**inputs.windows)
    starts, ends = (
        logits.float().masked_fill(~inputs.allowed, -torch.inf).log_softmax(dim=1)
        for logits in (out.start_logits, out.end_logits)
    )
    likely = starts.gather(1, inputs.spans[..., 0]) + ends.gather(1, inputs.spans[..., 1])
    total = -likely.masked_fill(~inputs.known, -torch.inf).logsumexp(dim=1).sum()
    best = torch.stack([starts.argmax(dim=1), ends.argmax(dim=1)], dim=1)
    right = ((inputs.spans == best[:, None]).all(dim=2) & inputs.known).any(dim=1).sum()
    return Loss(total, len(likely), {"accuracy": right})


def measure(
    headed: Headed, questions: Questions, names: Sequence[str], options: OPTIONS
) -> dict[str, float]:
    """The means of the harness's measures over the answers, each from its question's passages."""
    from bench.answering import Answers, answered
    from bench.answers import answer_measure
    from generators.reader import read

    suite, contexts = questions
    said = read(
        headed.model,
        headed.tokenizer,
        suite.queries.texts,
        contexts,
        limits(options),
        options.threshold,
    )
    found = answered(suite, Answers(contexts, said))
    return {name: float(answer_measure(name).values(found).mean()) for name in names}
