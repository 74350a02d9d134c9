"""Trains DPR's pair of encoders on questions and the passages that answer them.

rows: a question and one relevant passage, hard negatives of another system    as `retriever`
loss: the question's own passage among all passages of the batch, by dot product
measured on another suite after every epoch; the best is kept                  loop.py

Source: Karpukhin et al. 2020, doi 10.18653/v1/2020.emnlp-main.550: two BERTs, the state of the
first token, in-batch negatives and one hard negative of BM25.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.config import Say, option
from training.pairs import (
    Inputs,
    Pairs,
    RankingOptions,
    batch_inputs,
    make_pairs,
    pair_batches,
    row_lengths,
)

if TYPE_CHECKING:
    from qrels.data import Suite
    from training.dual import Dual
    from training.task import Batch, Loss, Task

SUMMARY = "train DPR's question and context encoder on questions and passages"


@dataclass(frozen=True)
class OPTIONS(RankingOptions):
    """What `dpr` takes beside what every recipe does."""

    out: str = option("trained/dpr", "folder of the log, the checkpoints and the model")
    question: str = option(
        "google-bert/bert-base-uncased",
        "the question encoder to begin with: a DPR encoder or a BERT, a folder, a hub id, minilm",
    )
    context: str = option("google-bert/bert-base-uncased", "the context encoder, likewise")
    max_length: int = option(256, "tokens a text at most", least=1)


def main(options: OPTIONS, say: Say) -> None:
    """Train as *options* say."""
    from training.loop import run

    run(make_task, options, say)


def make_task(options: OPTIONS, say: Say) -> "Task":
    """The encoders, the data, and what the loop does with them."""
    from bench.metrics import parse_measure
    from training.data.sources import load
    from training.dual import load_dual, origin, save_dual
    from training.task import Task

    parse_measure(options.measure)
    suite = load(options.data, options.split, options.dataset_name)
    validation = load(options.validate) if options.validate else None
    tests = [load(name) for name in options.test]
    dual = load_dual(options.question, options.context, options.max_length)
    pairs = make_pairs(suite, options, say)
    passages = suite.corpus.joined(options.fields or None)
    lengths = lengths_of(dual, pairs, passages) if options.batch_tokens else []

    def test() -> dict[str, float]:
        return {f"{options.measure}, {s.name}": measure(dual, s, options) for s in tests}

    return Task(
        name="dpr",
        model=dual.models,
        batches=lambda epoch: pair_batches(pairs, lengths, options, epoch),
        collate=lambda rows: collate(dual, pairs, passages, rows),
        loss=lambda inputs: loss_of(dual, inputs),
        save=lambda folder: save_dual(dual, folder),
        data_digest=suite.digest,
        measure_name=options.measure,
        measure=(lambda: measure(dual, validation, options)) if validation else None,
        test=test if tests else None,
        card={
            "question encoder begun from": origin("encoder", options.question),
            "context encoder begun from": origin("encoder", options.context),
            "data": f"{suite.name} ({suite.split}), {len(pairs.questions):,} pairs of "
            f"{len(suite.queries):,} questions, {len(suite.corpus):,} passages",
            "load": loads(options.max_length),
        },
    )


def loads(max_length: int) -> str:
    """How to name the trained encoders, as FOLDER."""
    most = f"&max_length={max_length}" if max_length != 256 else ""
    return (
        f'`encoder = "dpr?question=FOLDER/question&context=FOLDER/context{most}"`, '
        '`similarity = "dot"` of the retrievers `dense` and `faiss`'
    )


def lengths_of(dual: "Dual", pairs: Pairs, passages: Sequence[str]) -> list[int]:
    """Tokens of each row, its question and its passages."""
    from training.dual import lengths

    asked, long = lengths(dual, pairs.questions, "query"), lengths(dual, passages, "passage")
    return row_lengths(pairs, asked, long)


def collate(dual: "Dual", pairs: Pairs, passages: Sequence[str], rows: Sequence[int]) -> "Batch":
    """This process's questions and passages, padded."""
    from training.dual import tokens
    from training.task import Batch

    inputs = batch_inputs(pairs, passages, rows, lambda texts, side: tokens(dual, texts, side))
    return Batch(inputs, inputs.tokens)


def loss_of(dual: "Dual", inputs: Inputs) -> "Loss":
    """The sum over own questions of the cross-entropy of their passage among all passages."""
    from training.distributed import gathered
    from training.dual import contrast, vectors
    from training.task import Loss

    questions = vectors(dual.models["question"], inputs.questions)
    passages = gathered(vectors(dual.models["context"], inputs.passages))
    return Loss(contrast(questions, passages, inputs.targets), len(inputs.targets))


def measure(dual: "Dual", suite: "Suite", options: OPTIONS) -> float:
    """The mean of the measure over a suite's queries, all of its documents ranked."""
    from training.dual import encode
    from training.measuring import means, nearest

    passages = encode(dual, suite.corpus.joined(options.fields or None), "passage")
    run = nearest(encode(dual, suite.queries.texts, "query"), passages, suite)
    return means(suite, run, [options.measure])[options.measure]
