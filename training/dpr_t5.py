"""Trains retrieval and reading end to end: DPR finds passages, T5 answers from each of them.

rows: a question with a gold answer
for each batch
    the k passages of the index that are nearest to each question            collate
    T5 reads the question with each of them by itself
    loss: the answer's likelihood, marginal over which passage is right      marginal.py
    its gradient goes into T5 and, by the softmax of the scores, into the question encoder
    if wanted: the question's own passage among those of the batch           as `dpr`
measured by the generator and the encoder that `bench run` has               end_to_end.py

The context encoder stays as it is, and so does the index of its vectors. With train_context it
learns too: the loss takes the vectors that it gives now, while passages are found in the index,
which is made anew every `refresh` steps.
Source: Lewis et al. 2020, arXiv 2005.11401.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from qrels.errors import DataError
from training.config import DataOptions, Say, option
from training.dpr import loads

if TYPE_CHECKING:
    from torch import Tensor

    from qrels.data import Suite
    from training.dual import Tokens
    from training.end_to_end import Parts
    from training.task import Batch, Loss, Task

SUMMARY = "train DPR's question encoder and T5 together, on questions and answers"


@dataclass(frozen=True)
class OPTIONS(DataOptions):
    """What `dpr-t5` takes beside what every recipe does."""

    out: str = option("trained/dpr-t5", "folder of the log, the checkpoints and the model")
    num_epochs: int = option(3, "passes over the data", least=1)
    learning_rate: float = option(5e-5, "at the end of the warm-up", least=0)
    warmup_steps: int = option(500, "steps over which the rate rises from 0", least=0)
    batch_size: int = option(8, "questions a batch, over all processes", least=1)
    question: str = option(
        "facebook/dpr-question_encoder-single-nq-base",
        "the question encoder to begin with: a DPR encoder or a BERT, a folder, a hub id, minilm",
    )
    context: str = option(
        "facebook/dpr-ctx_encoder-single-nq-base", "the context encoder, likewise"
    )
    generator: str = option("google-t5/t5-small", "the encoder-decoder, a folder or a hub id")
    form: str = option(
        "seq2seq",
        "the generator whose form of input is learnt",
        choices=("seq2seq", "fusion-in-decoder"),
    )
    likelihood: str = option(
        "sequence", "one passage for an answer, or for each token", choices=("sequence", "token")
    )
    passages: int = option(5, "passages a question in training", least=1)
    retrieval_weight: float = option(
        0.0, "of the loss of finding the question's own passage; 0: none", least=0
    )
    train_context: bool = option(False, "let the context encoder learn too")
    refresh: int = option(0, "steps after which the index is made anew; 0: never", least=0)
    data: str = option("", "a suite with gold answers, or a .json file of SQuAD's format")
    dataset_name: str = option(
        "squad", "a SQuAD-format data set of the hub, where there is no data"
    )
    measure: str = option("EM", "what is measured of the answers")
    read: int = option(1, "passages that the generator gets where it is measured", least=1)
    fields: tuple[str, ...] = option((), "fields that the encoder reads; all, if none are named")
    max_length: int = option(256, "tokens that an encoder reads of a text at most", least=1)
    generator_length: int = option(
        0, "tokens that the generator reads at most; 0: as its form has it", least=0
    )
    max_answer: int = option(64, "tokens of an answer at most", least=2)


class Rows(NamedTuple):
    """Questions, the answer to learn, and positions of the relevant passages, one each."""

    questions: list[str]
    answers: list[str]
    relevant: list[frozenset[int]]


class Inputs(NamedTuple):
    """One process's share of a batch of n questions with k passages each.

    found: positions, int64 (n, k); passages: their tokens for the context encoder, where it
    learns; texts, mask: what the generator reads of them, int64 (n * k, length); labels: int64
    (n, T); right: bool (n,), whether a relevant passage was found. own: the own passage of each,
    as positions int64 (n,), or as tokens where the context encoder learns; targets, hidden: their
    place among those of all processes, and those among them that are relevant too.
    """

    questions: "Tokens"
    found: "Tensor"
    passages: "Tokens | None"
    texts: "Tensor"
    mask: "Tensor"
    labels: "Tensor"
    right: "Tensor"
    own: "Tensor | Tokens | None"
    targets: "Tensor | None"
    hidden: "Tensor | None"


def main(options: OPTIONS, say: Say) -> None:
    """Train as *options* say."""
    from training.loop import run

    run(make_task, options, say)


def make_task(options: OPTIONS, say: Say) -> "Task":
    """The models, the data, and what the loop does with them."""
    from bench.answers import answer_measure
    from qrels.answers import answers_of
    from training.batching import epoch_batches
    from training.card import beside
    from training.data.sources import load
    from training.dual import origin
    from training.end_to_end import load_parts, measured, save_parts
    from training.task import Task

    name = str(answer_measure(options.measure))
    dataset = "" if options.data else options.dataset_name
    suite = load(options.data, options.split, dataset)
    validation = answers_of(load(options.validate)) if options.validate else None
    tests = [answers_of(load(name)) for name in options.test]
    rows = make_rows(suite, options, say)
    parts = load_parts(suite, options)
    lengths = [parts.longest_row] * len(rows.questions)

    def test() -> dict[str, float]:
        return {
            f"{measure}, {each.name}": value
            for each in tests
            for measure, value in measured(parts, each, [*dict.fromkeys((name, *TESTED))]).items()
        }

    return Task(
        name="dpr-t5",
        model=parts.models,
        batches=lambda epoch: epoch_batches(
            lengths, options.batch_size, options.batch_tokens, options.seed, epoch
        ),
        collate=lambda chosen: collate(parts, rows, chosen),
        loss=lambda inputs: loss_of(parts, inputs),
        save=lambda folder: save_parts(parts, folder),
        data_digest=suite.digest,
        measure_name=name,
        measure=(lambda: measured(parts, validation, [name])[name]) if validation else None,
        test=test if tests else None,
        before_step=parts.before_step,
        card={
            "question encoder begun from": origin("encoder", options.question),
            "context encoder begun from": origin("encoder", options.context),
            "generator begun from": origin("generator", options.generator),
            "data": f"{suite.name} ({suite.split}), {len(rows.questions):,} questions, "
            f"{len(suite.corpus):,} passages",
            "load": f'{loads(options.max_length)}; `generator = "{options.form}"`, '
            '`generator_params = { model = "FOLDER/generator" }`, '
            f"`context = {{ passages = {options.read} }}`"
            + beside(
                generator__max_length=(options.generator_length or None, None),
                generator__max_new_tokens=(options.max_answer, 64),
            ),
        },
    )


TESTED = ("EM", "F1", "nDCG@10", "R@1")
"""What is measured of test suites beside the option `measure`."""


def make_rows(suite: "Suite", options: OPTIONS, say: Say) -> Rows:
    """A row for each question with a gold answer: the one given most often, the first of those.

    With a retrieval loss, questions without a relevant passage are left out too.
    """
    from qrels.answers import gold_answers
    from training.mining import relevant_documents

    golds = [[a for a in some if a.strip()] for some in gold_answers(suite.queries)]
    relevant = relevant_documents(suite)
    needs: dict[str, Sequence[Collection[object]]] = {
        "gold answer": golds,
        "relevant passage": relevant,
    }
    if not options.retrieval_weight:
        del needs["relevant passage"]
    for what, has in needs.items():
        if not any(has):
            raise DataError(f"{suite.name} ({suite.split}): no question has a {what}")
        if without := sum(not some for some in has):
            say(f"{without:,} of {len(golds):,} questions have no {what} and are left out")
    kept = [row for row in range(len(golds)) if all(has[row] for has in needs.values())]
    return Rows(
        [suite.queries.texts[row] for row in kept],
        [Counter(golds[row]).most_common(1)[0][0] for row in kept],
        [relevant[row] for row in kept],
    )


def collate(parts: "Parts", rows: Rows, chosen: Sequence[int]) -> "Batch":
    """This process's share of a batch: passages found, texts that the generator reads, labels."""
    import torch

    from generators.decoding import padded
    from training.distributed import share
    from training.dual import tokens
    from training.marginal import IGNORED
    from training.task import Batch

    mine = share(chosen)
    asked = [rows.questions[row] for row in mine]
    found = parts.nearest(asked)
    pairs = [(one, doc) for one, docs in zip(asked, found.tolist(), strict=True) for doc in docs]
    texts, mask = padded([parts.prompt(*pair) for pair in pairs], parts.pad, "cpu")
    labels, _ = padded([parts.answer(rows.answers[row]) for row in mine], IGNORED, "cpu")
    right = [
        bool(rows.relevant[row] & set(docs)) for row, docs in zip(mine, found.tolist(), strict=True)
    ]
    passages = None
    if parts.options.train_context:
        passages = tokens(parts.dual, [parts.texts[doc] for _, doc in pairs], "passage")
    questions = tokens(parts.dual, asked, "query")
    inputs = Inputs(
        questions, found, passages, texts, mask, labels, torch.tensor(right),
        *own_passages(parts, rows, chosen),
    )  # fmt: skip
    size = questions["input_ids"].numel() + texts.numel() + labels.numel()
    return Batch(inputs, size + (passages["input_ids"].numel() if passages else 0))


def own_passages(
    parts: "Parts", rows: Rows, chosen: Sequence[int]
) -> "tuple[Tensor | Tokens | None, Tensor | None, Tensor | None]":
    """Own, targets and hidden of `Inputs`; None without a retrieval loss."""
    import torch

    from training.distributed import offset, share
    from training.dual import tokens

    if not parts.options.retrieval_weight:
        return None, None, None
    every = [min(rows.relevant[row]) for row in chosen]
    start, mine = offset(len(chosen)), share(chosen)
    targets = torch.arange(start, start + len(mine))
    hidden = torch.tensor([[doc in rows.relevant[row] for doc in every] for row in mine])
    hidden[torch.arange(len(mine)), targets] = False
    own = share(every)
    if parts.options.train_context:
        return tokens(parts.dual, [parts.texts[doc] for doc in own], "passage"), targets, hidden
    return torch.tensor(own), targets, hidden


def loss_of(parts: "Parts", inputs: Inputs) -> "Loss":
    """Minus the log-likelihood of the answers, and the retrieval loss, over the answers' tokens."""
    from training.distributed import gathered
    from training.dual import contrast, vectors
    from training.marginal import IGNORED, LIKELIHOODS, answer_tokens
    from training.task import Loss

    options, models = parts.options, parts.models
    questions = vectors(models["question"], inputs.questions)
    passages = parts.vectors(inputs.found if inputs.passages is None else inputs.passages)
    priors = log_priors(questions, passages.view(*inputs.found.shape, -1))
    real = inputs.labels != IGNORED
    tokens = answer_tokens(models["generator"], inputs.texts, inputs.mask, inputs.labels)
    answers = -LIKELIHOODS[options.likelihood](priors, tokens, real).sum()
    count = int(real.sum())
    sums = {"found": (real.sum(dim=1) * inputs.right).sum()}
    if inputs.own is None:
        return Loss(answers, count, sums)
    assert inputs.targets is not None  # it is there where `own` is
    every = gathered(parts.vectors(inputs.own))
    retrieval = contrast(questions, every, inputs.targets, inputs.hidden)
    sums |= {"answers": answers.detach(), "retrieval": retrieval.detach()}
    return Loss(answers + options.retrieval_weight * retrieval, count, sums)


def log_priors(questions: "Tensor", passages: "Tensor") -> "Tensor":
    """log p(passage | question), (n, k), of vectors (n, dimension) and (n, k, dimension)."""
    import torch

    with torch.autocast(questions.device.type, enabled=False):  # scores need more than 8 bits
        return (questions[:, None] * passages).sum(dim=2).log_softmax(dim=1)
