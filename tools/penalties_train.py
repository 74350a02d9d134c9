"""The recipe `cozyrag` trained with each form of its penalties, the same in everything else."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.penalties_data import KINDS, make_models, make_questions
from training.cozyrag import OPTIONS, make_task

MEASURES = ("EM", "F1", "repeats", "keywords", "short")
STRONG = 1.0
"""The larger weight; the smaller is the recipe's own."""


def weights(**some: float) -> dict[str, float]:
    """Options for the weights of the three, 0 where not named."""
    return {f"weight_{name}": some.get(name, 0.0) for name in MEASURES[2:]}


ALL = weights(repeats=STRONG, keywords=STRONG, short=STRONG)
NONE, ARGMAX = "none", f"argmax, {STRONG:g} each"
ARMS: Mapping[str, Mapping[str, Any]] = {  # options of the recipe
    NONE: {"penalties": "none"},
    ARGMAX: {"penalties": "argmax", **ALL},
    "expected, default": {"penalties": "expected"},
    f"expected, {STRONG:g} each": {"penalties": "expected", **ALL},
    f"expected, repeats {STRONG:g}": {"penalties": "expected", **weights(repeats=STRONG)},
    f"expected, keywords {STRONG:g}": {"penalties": "expected", **weights(keywords=STRONG)},
    f"expected, short {STRONG:g}": {"penalties": "expected", **weights(short=STRONG)},
}

NEVER = 1_000_000
"""Steps, more than there are."""

Say = Callable[[str], None]


class Plan(NamedTuple):
    """How much is trained.

    share: of the answers of a kind that are learnt, those with its fault; unseen: questions of
    each kind that are kept for measuring.
    """

    seeds: int
    epochs: int
    share: float = 0.65
    unseen: int = 12


class Saved(NamedTuple):
    """The weights of a model by name, and the SHA-256 of the file that they are in."""

    weights: Mapping[str, NDArray[np.float32]]
    digest: str

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(one.size for one in self.weights.values())


class Trained(NamedTuple):
    """What one training gave.

    values: float64 (n_kinds, n_measures), of unseen questions; loss: its mean over the steps of
    the generator, penalties included.
    """

    values: NDArray[np.float64]
    loss: float
    steps: int
    generator: Saved
    encoder: Saved


def options_of(plan: Plan) -> OPTIONS:
    """The recipe's own but for what such small models need, and without its data and models."""
    return OPTIONS(
        num_epochs=plan.epochs, learning_rate=6e-3, warmup_steps=4, batch_size=24, max_length=24,
        negatives=0, passages=2, sentences=2, context_encoder="hashing", max_new_tokens=10,
        precision="float32", device="cpu", measure_every=NEVER, save_every=NEVER, log_every=NEVER,
    )  # fmt: skip


def train_arms(plan: Plan, seed: int, folder: Path, say: Say) -> dict[str, Trained]:
    """Each of ARMS from the same models, on the same questions in the same batches."""
    rng = np.random.default_rng(seed)
    data = make_questions(folder / "data", plan.unseen, plan.share, rng)
    encoder, generator = make_models(folder / "models", seed)
    options = replace(
        options_of(plan), data=str(data.learnt), test=tuple(map(str, data.unseen)), seed=seed,
        model=str(encoder), generator=str(generator),
    )  # fmt: skip
    found = {}
    for number, (arm, changes) in enumerate(ARMS.items()):
        out = folder / f"trained-{number}"
        found[arm] = train_one(replace(options, out=str(out), **changes))
        say(f"seed {seed}, {arm}: EM {found[arm].values[:, 0].mean():.3f}")
    return found


def train_one(options: OPTIONS) -> Trained:
    """One training by the recipe's own task and loop."""
    from training.log import read_log
    from training.loop import begun, train

    with begun(options, lambda _: None) as tell:
        after = train(make_task(options, tell), options, tell).tests["after"]
    out = Path(options.out)
    rows = [row for row in read_log(out / "log.jsonl") if "cross-entropy" in row.get("parts", {})]
    return Trained(
        np.array([[after[f"{name}, {kind}"] for name in MEASURES] for kind in KINDS]),
        float(np.mean([row["loss"] for row in rows])),
        len(rows),
        saved(out / "model" / "generator" / "model.safetensors"),
        saved(out / "model" / "encoder" / "model.safetensors"),
    )


def saved(path: Path) -> Saved:
    from safetensors.numpy import load_file

    return Saved(load_file(path), hashlib.sha256(path.read_bytes()).hexdigest())


def largest_difference(a: Saved, b: Saved) -> float:
    """Of any weight of one from that of the other."""
    pairs = ((a.weights[name], b.weights[name]) for name in a.weights)
    return max(float(np.abs(one - other).max()) for one, other in pairs)
