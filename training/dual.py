"""DPR's pair of encoders while they are trained: loading, vectors, the loss, saving.

The encoder is that of `encoders.dpr`, at work on the very models that are trained, so that what
is measured in between is what the saved folders give.
Source: Karpukhin et al. 2020, doi 10.18653/v1/2020.emnlp-main.550.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from encoders.base import Side
from encoders.digests import model_digest
from encoders.dpr import DPR, KIND, SIDES
from encoders.language import load_language, load_tokenizer
from encoders.loading import loading, source
from encoders.minilm import find_model
from qrels.errors import UsageError
from training.heads import check_length, evaluating, unsaid

Tokens = Mapping[str, Tensor]

BOTH: tuple[Side, Side] = ("query", "passage")


class Dual(NamedTuple):
    """Both encoders: models, by their names "question" and "context", and tokenizers alike."""

    encoder: DPR
    models: torch.nn.ModuleDict
    tokenizers: Mapping[str, Any]  # transformers' own class


def load_dual(question: str, context: str, max_length: int) -> Dual:
    """The encoders of these folders or hub ids, float32, on the CPU.

    Either may be a DPR encoder, or a plain BERT to begin from, "minilm" among them. DataError
    where one cannot be loaded, UsageError where the two do not fit one another.
    """
    names = {"question": question, "context": context}
    loaded = {
        side: load_side(str(find_model().folder) if name == "minilm" else name, wanted)
        for wanted, side in SIDES.values()
        for name in [names[side]]
    }
    encoder = DPR(question, context, max_length=max_length)
    vars(encoder).update(_queries=loaded["question"], _passages=loaded["context"])
    models = torch.nn.ModuleDict({side: model for side, (_, model) in loaded.items()})
    dual = Dual(encoder, models, {side: tokenizer for side, (tokenizer, _) in loaded.items()})
    for model in models.values():
        check_length(model, max_length)
    asked, told = (encode(dual, [""], side).shape[1] for side in BOTH)
    if asked != told:
        raise UsageError(f"question gives vectors of {asked} numbers, context of {told}")
    return dual


def load_side(name: str, wanted: str) -> tuple[Any, Any]:  # transformers' own classes
    """The tokenizer and the model of one side. wanted: transformers' class."""
    import transformers

    where = source(name, None, False)
    with loading(KIND, name):
        kind = transformers.AutoConfig.from_pretrained(name, **where).model_type
    tokenizer = load_tokenizer(KIND, name, **where)
    with unsaid():
        if kind != "bert":
            return tokenizer, load_language(KIND, name, wanted, "float32", "cpu", **where)
        where["add_pooling_layer"] = False
        bert = load_language(KIND, name, "BertModel", "float32", "cpu", **where)
    made = getattr(transformers, wanted)(transformers.DPRConfig(**bert.config.to_dict()))
    made.base_model.bert_model.load_state_dict(bert.state_dict())
    return tokenizer, made.eval()


def origin(kind: str, name: str) -> str:
    """What a model that training began with is, for the card: its name and content.

    kind: the word for it in messages.
    """
    folder = str(find_model().folder) if name == "minilm" else name
    return f"{name}, {model_digest(kind, folder, None)}"


def encode(dual: Dual, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
    """float32 (n_texts, dimension), without gradients or dropout."""
    with evaluating(dual.models[SIDES[side][1]]):
        return dual.encoder.encode(list(texts), side)


def tokens(dual: Dual, texts: Sequence[str], side: Side) -> Tokens:
    """Token ids and masks, int64 (n_texts, longest), as the encoder reads them."""
    return dict(
        dual.tokenizers[SIDES[side][1]](
            list(texts),
            truncation=True,
            max_length=dual.encoder.max_length,
            padding=True,
            return_tensors="pt",
        )
    )


def lengths(dual: Dual, texts: Sequence[str], side: Side) -> list[int]:
    """How many tokens the encoder reads of each text."""
    tokenizer = dual.tokenizers[SIDES[side][1]]
    found = tokenizer(list(texts), truncation=True, max_length=dual.encoder.max_length)
    return [len(ids) for ids in found["input_ids"]]


def vectors(model: torch.nn.Module, texts: Tokens) -> Tensor:
    """float32 (n_texts, dimension), with gradients."""
    found: Tensor = model(**texts).pooler_output
    return found.float()


def contrast(
    questions: Tensor, passages: Tensor, targets: Tensor, hidden: Tensor | None = None
) -> Tensor:
    """The sum over questions of the cross-entropy of their passage among all passages.

    questions: (n, dimension), passages: (m, dimension), targets: int64 (n,). hidden: bool (n, m),
    passages that do not count for a question, relevant to it themselves say.
    """
    with torch.autocast(questions.device.type, enabled=False):  # scores need more than 8 bits
        scores = questions @ passages.T
        if hidden is not None:
            scores = scores.masked_fill(hidden, -torch.inf)
        return cross_entropy(scores, targets, reduction="sum")


def save_dual(dual: Dual, folder: Path) -> None:
    """Write folder/question and folder/context, which `dpr?question=...&context=...` takes."""
    for side, model in dual.models.items():
        model.save_pretrained(folder / side)  # type: ignore[operator]  # transformers' own
        dual.tokenizers[side].save_pretrained(folder / side)
