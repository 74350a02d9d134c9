"""Checkpoints: folders that are there whole or not at all, of safetensors and JSON, never pickle.

A folder step-00000120 holds model.safetensors, optimiser.safetensors and state.json with all the
rest: progress, options, scaler, random generators of every process, and the checksums of the
files and of itself. What is damaged is refused, never trained on.
"""

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from qrels.content import sha256
from qrels.errors import DataError
from qrels.saved import with_file

MODEL, OPTIMISER, STATE = "model.safetensors", "optimiser.safetensors", "state.json"
NAME = re.compile(r"step-(\d{8})")
DRAFT = ".draft-"

State = dict[str, Any]  # JSON values


def write_checkpoint(
    folder: Path,
    step: int,
    model: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    state: Mapping[str, Any],  # JSON values
) -> Path:
    """Write a checkpoint below *folder*; its own folder, which appears when it is whole."""
    target = folder / f"step-{step:08d}"
    draft = folder / f"{DRAFT}{target.name}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    save_file(distinct(model), draft / MODEL)
    save_file(optimiser_tensors(optimiser), draft / OPTIMISER)
    about = {**state, "files": {name: sha256(draft / name) for name in (MODEL, OPTIMISER)}}
    text = json.dumps({"sha256": _checksum(about), **about})
    with_file(draft / STATE, lambda file: file.write(text.encode()))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(draft, target)  # noqa: PTH105  this name says that it replaces
    return target


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints below *folder*, oldest first."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if NAME.fullmatch(path.name))


def keep_only(folder: Path, steps: set[int]) -> None:
    """Remove the checkpoints of all other steps, and drafts that a killed process left."""
    for path in checkpoints(folder):
        if int(path.name.removeprefix("step-")) not in steps:
            shutil.rmtree(path)
    for path in folder.glob(f"{DRAFT}*"):
        shutil.rmtree(path, ignore_errors=True)


def read_state(checkpoint: Path) -> State:
    """What state.json says, all checksums verified; DataError where one does not hold."""
    try:
        about: State = json.loads((checkpoint / STATE).read_text(encoding="utf-8"))
        if about.pop("sha256") != _checksum(about):
            raise _damaged(checkpoint, STATE)
        for name, expected in about["files"].items():
            if sha256(checkpoint / name) != expected:
                raise _damaged(checkpoint, name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(checkpoint, STATE) from error
    return about


def _damaged(checkpoint: Path, name: str) -> DataError:
    earlier = [path for path in checkpoints(checkpoint.parent) if path < checkpoint]
    back = f"from {earlier[-1].name}" if earlier else "from the beginning"
    return DataError(
        f"{checkpoint / name}: damaged: the checksum does not hold; delete the folder "
        f"{checkpoint.name} to go on {back}"
    )


def _checksum(about: Mapping[str, Any]) -> str:  # JSON values
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()


def distinct(model: torch.nn.Module) -> dict[str, Tensor]:
    """The state of *model* on the CPU, tensors that are one in memory once."""
    found: dict[tuple[Any, ...], tuple[str, Tensor]] = {}
    for name, value in model.state_dict().items():
        place = (value.data_ptr(), value.shape, value.stride()) if value.numel() else name
        found.setdefault((place,), (name, value))
    return {name: value.detach().cpu().contiguous() for name, value in found.values()}


def load_weights(model: torch.nn.Module, checkpoint: Path) -> None:
    """Put the weights of a checkpoint into *model*; DataError where it is another model's."""
    expected, found = distinct(model), load_file(checkpoint / MODEL)
    if {name: value.shape for name, value in expected.items()} != {
        name: value.shape for name, value in found.items()
    }:
        raise DataError(f"{checkpoint / MODEL}: the weights of another model")
    model.load_state_dict(found, strict=False)  # what is one in memory is there once


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors, named NUMBER.NAME after the number of their weight."""
    return {
        f"{number}.{name}": value.detach().cpu().contiguous()
        for number, values in optimiser.state_dict()["state"].items()
        for name, value in values.items()
    }


def load_optimiser(optimiser: torch.optim.Optimizer, checkpoint: Path) -> None:
    """Put the optimiser's tensors of a checkpoint into *optimiser*, whose groups stay."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in load_file(checkpoint / OPTIMISER).items():
        number, _, key = name.partition(".")
        state.setdefault(int(number), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def random_state(device: torch.device) -> str:
    """The random generators of this process (python, numpy, torch) as JSON."""
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002  libraries draw from it
    found = {
        "python": random.getstate(),
        "numpy": numpy_state,
        "torch": bytes(torch.get_rng_state().tolist()).hex(),
    }
    if device.type == "cuda":
        found["cuda"] = bytes(torch.cuda.get_rng_state(device).tolist()).hex()
    return json.dumps(found, default=lambda array: array.tolist())


def set_random_state(text: str, device: torch.device) -> None:
    """The opposite of `random_state`."""
    found = json.loads(text)
    version, numbers, gauss = found["python"]
    random.setstate((version, tuple(numbers), gauss))
    np.random.set_state(found["numpy"])  # noqa: NPY002  the same
    torch.set_rng_state(_bytes(found["torch"]))
    if device.type == "cuda" and "cuda" in found:
        torch.cuda.set_rng_state(_bytes(found["cuda"]), device)


def _bytes(text: str) -> Tensor:
    return torch.tensor(list(bytes.fromhex(text)), dtype=torch.uint8)


def set_seeds(seed: int) -> None:
    """Seed the generators of python, numpy and torch."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  libraries draw from it
    torch.manual_seed(seed)
