"""Trains a retriever and a generator by turns: one learns in an epoch, the other in the next.

first, third, ... epoch: the bi-encoder learns                            retriever.py
    loss: the question's own passage among all passages of the batch
second, fourth, ... epoch: the causal language model learns               causal.py
    passages found by the bi-encoder as it now is, their sentences most like the question
    loss: cross-entropy of the answer's tokens alone, behind the prompt
    and three penalties, each with a weight                               penalties.py
measured after each: validation questions found and answered by both

The penalties are taken from the likeliest tokens in the recipe that this one follows
(penalties=argmax), through which nothing is learnt: weights come out as with penalties=none, to
the bit. penalties=expected takes them from the probabilities. Two of them ask for no more than
the gold answer: keywords are its words, and what is as long as it is not too short.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from qrels.errors import DataError
from training import pairs, retriever
from training.config import Say, option

if TYPE_CHECKING:
    from qrels.data import Suite
    from training.causal import Inputs, Parts
    from training.task import Batch, Loss, Task

SUMMARY = "train a bi-encoder and a causal language model by turns, on questions and answers"


@dataclass(frozen=True)
class OPTIONS(retriever.OPTIONS):
    """What `cozyrag` takes beside what `retriever` does."""

    out: str = option("trained/cozyrag", "folder of the log, the checkpoints and the models")
    num_epochs: int = option(6, "passes over the data, retriever and generator by turns", least=1)
    learning_rate: float = option(5e-5, "at the end of the warm-up, for both", least=0)
    batch_size: int = option(16, "rows a batch, over all processes", least=1)
    patience: int = option(6, "measurings without a better one, then stop; 0: never", least=0)
    generator: str = option("distilbert/distilgpt2", "a causal model, a folder or a hub id")
    template: str = option("cozyrag", "of the prompt, a name of generators/prompts.py or a text")
    passages: int = option(5, "passages of a context", least=1)
    sentences: int = option(5, "of these the sentences most like the question; 0: all", least=0)
    context_encoder: str = option("minilm", "what finds these sentences; it does not learn")
    context_tokens: int = option(512, "tokens of a context at most; 0: the model's", least=0)
    gold_context: bool = option(True, "a relevant passage in each context that is learnt from")
    max_new_tokens: int = option(50, "tokens of an answer at most", least=2)
    penalties: str = option(
        "expected",
        "taken from probabilities, from the likeliest tokens, or not at all",
        choices=("expected", "argmax", "none"),
    )
    weight_repeats: float = option(0.1, "of n-grams that are said again", least=0)
    weight_keywords: float = option(0.1, "of keywords that are not said", least=0)
    weight_short: float = option(0.1, "of tokens that are missing", least=0)
    ngram: int = option(2, "tokens that make a repeat", least=1)
    keywords_of: str = option(
        "answer", "where keywords are taken from", choices=("answer", "question", "both")
    )
    least: int = option(3, "tokens that are not too short, where the gold one has them", least=1)
    answer_measure: str = option("F1", "of the validation's answers; the best is kept")
    validate_questions: int = option(200, "questions to validate with; 0: all", least=0)
    samples: int = option(5, "answers in the log after each measuring", least=0)


@dataclass(frozen=True)
class Lesson:
    """A batch of one of the two: its rows, and the epoch that they are learnt in."""

    rows: Sequence[int]
    epoch: int

    @property
    def of_retriever(self) -> bool:
        return self.epoch % 2 == 0

    def __len__(self) -> int:
        return len(self.rows)


def main(options: OPTIONS, say: Say) -> None:
    """Train as *options* say."""
    from training.loop import run

    run(make_task, options, say)


def make_task(options: OPTIONS, say: Say) -> "Task":
    """Both models, the data, and what the loop does with them."""
    from torch.nn import ModuleDict

    from bench.answers import answer_measure
    from encoders.digests import model_digest
    from qrels.answers import answers_of
    from training.batching import epoch_batches
    from training.card import beside
    from training.causal import about, load_parts, longest_prompts, measure, save_parts
    from training.data.sample import some_questions
    from training.data.sources import load
    from training.task import Task

    best = str(answer_measure(options.answer_measure))
    names = list(dict.fromkeys([best, "EM", "F1", options.measure]))
    first = retriever.make_task(replace(options, validate="", test=()), say)
    suite = answers_of(load(options.data, options.split, options.dataset_name))
    tests = [answers_of(load(name)) for name in options.test]
    parts = load_parts(suite, first.model, options)
    check_rows(parts, say)
    lengths = longest_prompts(parts) if options.batch_tokens else [1] * len(parts.rows)
    validation = None
    if options.validate:
        validation = some_questions(answers_of(load(options.validate)), options.validate_questions)

    def batches(epoch: int) -> list[Lesson]:
        turn, second = divmod(epoch, 2)
        chosen: Sequence[Any] = first.batches(turn)  # lists of rows
        if second:
            size, most = options.batch_size, options.batch_tokens
            chosen = epoch_batches(lengths, size, most, options.seed, epoch)
        return [Lesson(rows, epoch) for rows in chosen]

    def collate_of(lesson: Lesson) -> "Batch":
        return first.collate(lesson.rows) if lesson.of_retriever else prompted(parts, lesson)

    def loss(inputs: "pairs.Inputs | Inputs") -> "Loss":
        if isinstance(inputs, pairs.Inputs):
            return first.loss(inputs)
        return loss_of(parts, inputs)

    def validated(asked: "Suite") -> float:
        values = measure(parts, asked, names)
        say(about(values))
        return values[best]

    def test() -> dict[str, float]:
        found = {one.name: measure(parts, one, names) for one in tests}
        return {f"{key}, {name}": v for name, one in found.items() for key, v in one.items()}

    return Task(
        name="cozyrag",
        model=ModuleDict({"encoder": first.model, "generator": parts.model}),
        batches=batches,
        collate=collate_of,
        loss=loss,
        save=lambda folder: save_parts(parts, folder),
        data_digest=suite.digest,
        measure_name=best,
        measure=(lambda: validated(validation)) if validation else None,
        notes=lambda: parts.measured,
        test=test if tests else None,
        card={
            **first.card,
            "generator": model_digest("generator", options.generator, None),
            "answers": f"{len(parts.rows):,} questions, penalties {options.penalties}",
            "load": "`encoders.load('FOLDER/encoder')`, `causal?model=FOLDER/generator` with "
            f"template {options.template!r}"
            + beside(
                max_new_tokens=(options.max_new_tokens, None),
                context_tokens=(options.context_tokens or None, None),
                context__passages=(options.passages, None),
                context__sentences=(options.sentences or None, None),
            ),
        },
    )


def check_rows(parts: "Parts", say: Say) -> None:
    """DataError where no question has an answer; those that have none are counted aloud."""
    every, known = len(parts.suite.queries), len(parts.rows)
    if not known:
        raise DataError(f"{parts.suite.name}: no question has an answer to learn")
    if known < every:
        say(f"{every - known:,} of {every:,} questions have an empty answer and are left out")


def prompted(parts: "Parts", lesson: Lesson) -> "Batch":
    """This process's prompts and answers."""
    from training.causal import collate
    from training.distributed import share
    from training.task import Batch

    inputs = collate(parts, lesson.epoch, [parts.rows[row] for row in share(lesson.rows)])
    return Batch(inputs, inputs.ids.numel())


def loss_of(parts: "Parts", inputs: "Inputs") -> "Loss":
    """The sum over answer tokens of their cross-entropy and of their answer's penalties."""
    import torch
    from torch.nn.functional import cross_entropy

    from training.causal import answer_logits, wanted_of
    from training.marginal import IGNORED
    from training.penalties import MODES
    from training.task import Loss

    logits, wanted = answer_logits(parts.model, inputs), wanted_of(parts, inputs)
    lengths = wanted.mask.sum(dim=1)
    with torch.autocast(logits.device.type, enabled=False):  # chances need more than 8 bits
        total = cross_entropy(
            logits.flatten(0, 1), inputs.targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        found = {"cross-entropy": total.detach()}
        for name, values in MODES[parts.options.penalties](logits, wanted).items():
            value = (values * lengths).sum()
            total = total + getattr(parts.options, f"weight_{name}") * value
            found[name] = value.detach()
    return Loss(total, int(lengths.sum()), found)
