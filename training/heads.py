"""A transformer with a head on top, to train further: what it begins with, how it is saved."""

import logging
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

    before = transformers.logging.get_verbosity()
    with loading("model", name):
        folder = base_folder(name)
        transformers.logging.set_verbosity(logging.ERROR)  # the head is to be new
        try:
            model = getattr(transformers, wanted).from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32, **options
            )
        finally:
            transformers.logging.set_verbosity(before)
    return Headed(model, load_tokenizer("model", str(folder), local_files_only=True), folder)


def limit(headed: Headed, max_length: int) -> None:
    """Let the tokenizer remember how many tokens are read; UsageError where it is too many."""
    from encoders.language import positions_of

    most = positions_of(headed.model) or max_length
    if max_length > most:
        raise UsageError(f"max_length = {max_length}; the model has positions for {most} tokens")
    headed.tokenizer.model_max_length = max_length


def save(headed: Headed, folder: Path) -> None:
    """Write a folder that loads by path."""
    headed.model.save_pretrained(folder)
    headed.tokenizer.save_pretrained(folder)
