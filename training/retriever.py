"""Fine-tunes a bi-encoder on questions and the passages that answer them.

pairs of a question and one relevant passage, from a suite's judgements
hard negatives, from the ranking of another system                        mining.py
batches in which no other passage is relevant to any of the questions
loss: the question's own passage among all passages of the batch
measured on another suite after every epoch; the best is kept             loop.py

The loss is InfoNCE with in-batch negatives (van den Oord et al. 2018, arXiv 1807.03748; Henderson
et al. 2017, arXiv 1705.00652), symmetric in nothing: passages are ranked for a question.

sentence-transformers has a trainer of its own. It is not used here: it needs two packages more
(datasets, accelerate), its checkpoints are pickles that do not resume bit by bit, batches that
repeat no text can still hold another passage that is known to be relevant, and a recipe on it
would share nothing with the four that train no sentence-transformers model. Its models are used,
and what is saved here is one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qrels.errors import UsageError
from training.config import Say, option
from training.pairs import (
    Inputs,
    Pairs,
    RankingOptions,
    Texts,
    batch_inputs,
    make_pairs,
    pair_batches,
    row_lengths,
)

if TYPE_CHECKING:
    from torch import Tensor

    from qrels.data import Run, Suite
    from training.task import Batch, Loss, Task

SUMMARY = "fine-tune a bi-encoder on questions and the passages that answer them"

MODEL_FILES = ("*.json", "*.model", "*.safetensors", "*.txt")
"""What is taken from the hub: no weights in other formats."""

Model = Any  # sentence_transformers.SentenceTransformer, which types its own way


@dataclass(frozen=True)
class OPTIONS(RankingOptions):
    """What `retriever` takes beside what every recipe does."""

    out: str = option("trained/retriever", "folder of the log, the checkpoints and the model")
    model: str = option("minilm", "what to begin with: minilm, a folder or a hub id")
    query_prompt: str = option("", "goes before each question")
    passage_prompt: str = option("", "goes before each passage")
    max_length: int = option(0, "tokens a text at most; 0: the model's own limit", least=0)
    temperature: float = option(0.05, "of the cosines; smaller: harder", least=1e-4)


def main(options: OPTIONS, say: Say) -> None:
    """Train as *options* say."""
    from training.loop import run

    run(make_task, options, say)


def make_task(options: OPTIONS, say: Say) -> "Task":
    """The model, the data, and what the loop does with them."""
    from bench.metrics import parse_measure
    from encoders.digests import folder_digest
    from encoders.loading import loading
    from training.card import beside
    from training.data.sources import load
    from training.task import Task

    parse_measure(options.measure)
    suite = load(options.data, options.split, options.dataset_name)
    validation = load(options.validate) if options.validate else None
    tests = [load(name) for name in options.test]
    with loading("model", options.model):
        base = base_folder(options.model)
        model = load_model(base, options)
    pairs = make_pairs(suite, options, say, options.query_prompt)
    passages = passage_texts(suite, options)
    lengths = lengths_of(model, pairs, passages) if options.batch_tokens else []

    def test() -> dict[str, float]:
        return {f"{options.measure}, {s.name}": measure(model, s, options) for s in tests}

    return Task(
        name="retriever",
        model=model,
        batches=lambda epoch: pair_batches(pairs, lengths, options, epoch),
        collate=lambda rows: collate(model, pairs, passages, rows),
        loss=lambda inputs: loss_of(model, inputs, options.temperature),
        save=lambda folder: model.save_pretrained(str(folder), create_model_card=False),
        data_digest=suite.digest,
        measure_name=options.measure,
        measure=(lambda: measure(model, validation, options)) if validation else None,
        test=test if tests else None,
        card={
            "base model": f"{options.model}, SHA-256 {folder_digest(base)}",
            "data": f"{suite.name} ({suite.split}), {len(pairs.questions):,} pairs of "
            f"{len(suite.queries):,} questions, {len(suite.corpus):,} passages",
            "load": "`dense?encoder=FOLDER`, or SentenceTransformer(FOLDER)"
            + beside(
                query_prompt=(options.query_prompt, ""),
                passage_prompt=(options.passage_prompt, ""),
                fields=(options.fields, ()),
            ),
        },
    )


def base_folder(name: str) -> Path:
    """Where the files of the model called *name* are: a folder, or those of minilm or the hub."""
    from huggingface_hub import snapshot_download

    from encoders.minilm import find_model

    if name == "minilm":
        return find_model().folder
    if Path(name).is_dir():
        return Path(name)
    return Path(snapshot_download(name, allow_patterns=list(MODEL_FILES)))


def load_model(folder: Path, options: OPTIONS) -> Model:
    """The bi-encoder to begin with, in float32."""
    from sentence_transformers import SentenceTransformer

    from encoders.minilm import MAX_LENGTH
    from training.heads import check_length

    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
    )
    if not hasattr(model.tokenizer, "pad"):
        raise UsageError(f"model {options.model!r} has no tokenizer; take a transformer model")
    if options.max_length or options.model == "minilm":
        model.max_seq_length = options.max_length or MAX_LENGTH
        check_length(model[0].auto_model, model.max_seq_length)
    return model.float()


def passage_texts(suite: "Suite", options: OPTIONS) -> list[str]:
    """What the model reads of each document, as the retriever `dense` joins it."""
    texts = suite.corpus.joined(options.fields or None)
    return [options.passage_prompt + text for text in texts]


def lengths_of(model: Model, pairs: Pairs, passages: Sequence[str]) -> list[int]:
    """Tokens of each row, its question and its passages."""
    asked, long = (
        [len(ids) for ids in token_ids(model, texts)] for texts in (pairs.questions, passages)
    )
    return row_lengths(pairs, asked, long)


def token_ids(model: Model, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = model.tokenizer(
        list(texts), truncation=True, max_length=model.max_seq_length
    )["input_ids"]
    return found


def collate(model: Model, pairs: Pairs, passages: Sequence[str], rows: Sequence[int]) -> "Batch":
    """This process's questions and passages, padded."""
    from training.task import Batch

    inputs = batch_inputs(pairs, passages, rows, lambda texts, _: padded(model, texts))
    return Batch(inputs, inputs.tokens)


def padded(model: Model, texts: Sequence[str]) -> Texts:
    """Token ids and masks, int64 (n_texts, longest)."""
    return dict(
        model.tokenizer(
            list(texts),
            truncation=True,
            max_length=model.max_seq_length,
            padding=True,
            return_tensors="pt",
        )
    )


def loss_of(model: Model, inputs: Inputs, temperature: float) -> "Loss":
    """The sum over own questions of the cross-entropy of their passage among all passages."""
    import torch
    from torch.nn.functional import cross_entropy

    from training.distributed import gathered
    from training.task import Loss

    questions, own = (unit(model, texts) for texts in (inputs.questions, inputs.passages))
    passages = gathered(own)
    with torch.autocast(questions.device.type, enabled=False):  # cosines need more than 8 bits
        scores = questions @ passages.T / temperature
    total = cross_entropy(scores, inputs.targets, reduction="sum")
    right = (scores.argmax(dim=1) == inputs.targets).sum()
    return Loss(total, len(inputs.targets), {"accuracy": right})


def unit(model: Model, texts: "Mapping[str, Tensor]") -> "Tensor":
    """Vectors of length 1, float32 (n_texts, dimension)."""
    from torch.nn.functional import normalize

    found: Tensor = model(dict(texts))["sentence_embedding"]
    return normalize(found.float(), dim=1)


def measure(model: Model, suite: "Suite", options: OPTIONS) -> float:
    """The mean of the measure over a suite's queries, all of its documents ranked."""
    from training.measuring import means

    return means(suite, ranked(model, suite, options), [options.measure])[options.measure]


def ranked(model: Model, suite: "Suite", options: OPTIONS) -> "Run":
    """The suite's documents nearest to each of its questions."""
    from training.measuring import nearest

    def vectors(texts: Sequence[str]) -> Any:  # float32 (n_texts, dimension)
        return model.encode(
            list(texts), prompt="", normalize_embeddings=True, show_progress_bar=False
        )

    questions = vectors([options.query_prompt + text for text in suite.queries.texts])
    return nearest(questions, vectors(passage_texts(suite, options)), suite)
