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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qrels.errors import DataError, UsageError
from training.config import Options, option

if TYPE_CHECKING:
    from torch import Tensor

    from qrels.data import Suite
    from training.task import Batch, Loss, Task

SUMMARY = "fine-tune a bi-encoder on questions and the passages that answer them"

LEAST = 4
"""Questions a batch at least; the few left at an epoch's end would have few passages to tell from,
and are in other batches in other epochs."""

MODEL_FILES = ("*.json", "*.model", "*.safetensors", "*.txt")
"""What is taken from the hub: no weights in other formats."""

Say = Callable[[str], None]
Model = Any  # sentence_transformers.SentenceTransformer, which types its own way


@dataclass(frozen=True)
class OPTIONS(Options):
    """What `retriever` takes beside what every recipe does."""

    out: str = option("trained/retriever", "folder of the log, the checkpoints and the model")
    model: str = option("minilm", "what to begin with: minilm, a folder or a hub id")
    data: str = option("", "a suite, a .json file of SQuAD's format, or .jsonl pairs")
    dataset_name: str = option("", "a SQuAD-format data set of the hub instead: squad, squad_v2")
    split: str = option("", "the split of it to train on")
    validate: str = option("", "a suite to measure on while training; none: no early stopping")
    test: tuple[str, ...] = option((), "suites to measure on before and after, with commas")
    measure: str = option("nDCG@10", "what is measured")
    fields: tuple[str, ...] = option((), "fields that make a passage; all, if none are named")
    query_prompt: str = option("", "goes before each question")
    passage_prompt: str = option("", "goes before each passage")
    max_length: int = option(0, "tokens a text at most; 0: the model's own limit", least=0)
    temperature: float = option(0.05, "of the cosines; smaller: harder", least=1e-4)
    negatives: int = option(1, "hard negatives a question", least=0)
    negatives_from: str = option("bm25", "the system they come from: retriever[+reranker]")
    negatives_depth: int = option(50, "how deep in its ranking", least=1)
    negatives_margin: float = option(
        0.95, "the share of the relevant passage's score that a negative has at most", least=0
    )


class Pairs(NamedTuple):
    """Rows to train on: questions and positions of passages, one each.

    relevant: all passages that are relevant to the question; negatives: hard ones, of no
    question's relevant ones.
    """

    questions: list[str]
    positives: list[int]
    relevant: list[frozenset[int]]
    negatives: list[list[int]]


class Inputs(NamedTuple):
    """One process's share of a batch, and the place of each question's passage in all of it."""

    questions: "Mapping[str, Tensor]"
    passages: "Mapping[str, Tensor]"
    targets: "Tensor"


def main(options: OPTIONS, say: Say) -> None:
    """Train as *options* say."""
    from training.loop import begun, train

    with begun(options, say) as tell:
        train(make_task(options, tell), options, tell)


def make_task(options: OPTIONS, say: Say) -> "Task":
    """The model, the data, and what the loop does with them."""
    from bench.metrics import parse_measure
    from encoders.digests import folder_digest
    from encoders.loading import loading
    from training.batching import epoch_batches
    from training.data.sources import load
    from training.task import Task

    parse_measure(options.measure)
    suite = load(options.data, options.split, options.dataset_name)
    validation = load(options.validate) if options.validate else None
    tests = [load(name) for name in options.test]
    with loading("model", options.model):
        base = base_folder(options.model)
        model = load_model(base, options)
    pairs = make_pairs(suite, options, say)
    passages = passage_texts(suite, options)
    lengths = row_lengths(model, pairs, passages, options)

    def batches(epoch: int) -> list[list[int]]:
        found = epoch_batches(
            lengths, options.batch_size, options.batch_tokens, options.seed, epoch, clash
        )
        least = min(LEAST, options.batch_size, len(pairs.questions))
        return [batch for batch in found if len(batch) >= least]

    def clash(row: int, batch: list[int]) -> bool:
        own, target = pairs.relevant[row], pairs.positives[row]
        return any(target in pairs.relevant[r] or pairs.positives[r] in own for r in batch)

    def test() -> dict[str, float]:
        return {f"{options.measure}, {s.name}": measure(model, s, options) for s in tests}

    return Task(
        name="retriever",
        model=model,
        batches=batches,
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
            "load": "`dense?encoder=FOLDER`, or SentenceTransformer(FOLDER)",
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

    model = SentenceTransformer(
        str(folder), device="cpu", local_files_only=True, model_kwargs={"use_safetensors": True}
    )
    if not hasattr(model.tokenizer, "pad"):
        raise UsageError(f"model {options.model!r} has no tokenizer; take a transformer model")
    if options.max_length or options.model == "minilm":
        model.max_seq_length = options.max_length or MAX_LENGTH
    return model.float()


def make_pairs(suite: "Suite", options: OPTIONS, say: Say) -> Pairs:
    """A row for each judgement that calls a passage relevant, with its hard negatives."""
    from training.mining import mine, relevant_documents

    relevant = relevant_documents(suite)
    rows = [(query, doc) for query, docs in enumerate(relevant) for doc in sorted(docs)]
    if not rows:
        raise DataError(f"{suite.name} ({suite.split}): no question has a relevant passage")
    if without := sum(not docs for docs in relevant):
        say(f"{without:,} of {len(relevant):,} questions have no relevant passage and are left out")
    negatives: Sequence[list[int]] = [[] for _ in relevant]
    if options.negatives:
        mined = mine(
            suite,
            options.negatives_from,
            options.negatives,
            options.negatives_depth,
            options.negatives_margin,
        )
        negatives = mined.negatives
        say(f"hard negatives by {options.negatives_from}: {mined.without:,} questions have none")
    return Pairs(
        [options.query_prompt + suite.queries.texts[query] for query, _ in rows],
        [doc for _, doc in rows],
        [relevant[query] for query, _ in rows],
        [negatives[query] for query, _ in rows],
    )


def passage_texts(suite: "Suite", options: OPTIONS) -> list[str]:
    """What the model reads of each document, as the retriever `dense` joins it."""
    texts = suite.corpus.joined(options.fields or None)
    return [options.passage_prompt + text for text in texts]


def row_lengths(model: Model, pairs: Pairs, passages: Sequence[str], options: OPTIONS) -> list[int]:
    """Tokens of each row, its question and its passages; 1 where batches have no limit of them."""
    if not options.batch_tokens:
        return [1] * len(pairs.questions)
    long = [len(ids) for ids in token_ids(model, passages)]
    asked = [len(ids) for ids in token_ids(model, pairs.questions)]
    rows = zip(asked, pairs.positives, pairs.negatives, strict=True)
    return [length + sum(long[doc] for doc in (own, *others)) for length, own, others in rows]


def token_ids(model: Model, texts: Sequence[str]) -> list[list[int]]:
    found: list[list[int]] = model.tokenizer(
        list(texts), truncation=True, max_length=model.max_seq_length
    )["input_ids"]
    return found


def collate(model: Model, pairs: Pairs, passages: Sequence[str], rows: Sequence[int]) -> "Batch":
    """This process's questions and passages, padded.

    The passages of the whole batch are the questions' own, then their hard negatives, none twice
    and none that is relevant to any question of the batch.
    """
    import torch

    from training.distributed import offset, share
    from training.task import Batch

    every = batch_passages(pairs, rows)
    questions = padded(model, [pairs.questions[row] for row in share(rows)])
    documents = padded(model, [passages[doc] for doc in share(every)])
    start = offset(len(rows))
    targets = torch.arange(start, start + len(share(rows)))
    tokens = questions["input_ids"].numel() + documents["input_ids"].numel()
    return Batch(Inputs(questions, documents, targets), tokens)


def batch_passages(pairs: Pairs, rows: Sequence[int]) -> list[int]:
    """The passages of a batch: the questions' own in their order, then the hard negatives."""
    own = [pairs.positives[row] for row in rows]
    relevant = frozenset().union(*(pairs.relevant[row] for row in rows))
    hard = dict.fromkeys(doc for row in rows for doc in pairs.negatives[row])
    return [*own, *(doc for doc in hard if doc not in relevant)]


def padded(model: Model, texts: Sequence[str]) -> dict[str, "Tensor"]:
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
    from training.measuring import means, nearest

    def vectors(texts: Sequence[str]) -> Any:  # float32 (n_texts, dimension)
        return model.encode(
            list(texts), prompt="", normalize_embeddings=True, show_progress_bar=False
        )

    questions = vectors([options.query_prompt + text for text in suite.queries.texts])
    run = nearest(questions, vectors(passage_texts(suite, options)), suite)
    return means(suite, run, [options.measure])[options.measure]
