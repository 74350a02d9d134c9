"""A transformer with a head on top, to train further: what it begins with, how it is saved."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from qrels.errors import UsageError


class Headed(NamedTuple):
    """A model and its fast tokenizer, of transformers' own classes; folder: where they are from."""

    model: Any
    tokenizer: Any
    folder: Path


def load(name: str, wanted: str, **options: Any) -> Headed:
    """The model called *name*, in float32, with a head: its own, or a new one by the seed.

    name: minilm, a folder, or a hub id. wanted: a class of transformers, "AutoModelFor...";
    options: more arguments of its `from_pretrained`. Weights are read from safetensors only.
    DataError where it cannot be loaded.
    """
    import torch
    import transformers

    from encoders.language import load_tokenizer
    from encoders.loading import loading
    from training.retriever import base_folder

    with loading("model", name), unsaid():
        folder = base_folder(name)
        model = getattr(transformers, wanted).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, **options
        )
    return Headed(model, load_tokenizer("model", str(folder), local_files_only=True), folder)


@contextmanager
def unsaid() -> Iterator[None]:
    """Without transformers' report of weights that are new or not needed: a head, a pooler."""
    from transformers import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def evaluating(model: Any) -> Iterator[None]:  # model: torch's own class
    """The model in evaluation mode, and afterwards in the mode that it had."""
    before = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(before)


def limit(headed: Headed, max_length: int) -> None:
    """Let the tokenizer remember how many tokens are read; UsageError where it is too many."""
    check_length(headed.model, max_length)
    headed.tokenizer.model_max_length = max_length


def check_length(model: Any, max_length: int) -> None:  # model: transformers' own class
    """UsageError where *max_length* tokens are more than the model has positions for."""
    from encoders.language import positions_of

    most = positions_of(model) or max_length
    if max_length > most:
        raise UsageError(f"max_length = {max_length}; the model has positions for {most} tokens")


def save(headed: Headed, folder: Path) -> None:
    """Write a folder that loads by path."""
    headed.model.save_pretrained(folder)
    headed.tokenizer.save_pretrained(folder)
