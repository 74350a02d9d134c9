"""Options of a recipe: a frozen dataclass, filled from a TOML file and the command line.

`Options` is what every recipe takes; a recipe's own class adds to it and may give other defaults.
Whatever a user writes is checked by the tables below before anything is loaded.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from qrels.errors import DataError, UsageError, unknown
from qrels.files import read_toml, shown

T = TypeVar("T")

Say = Callable[[str], None]


def option(
    default: Any,  # of the field's type
    about: str,
    least: float | None = None,
    choices: Sequence[str] = (),
) -> Any:  # what `dataclasses.field` gives
    """A field with what `--help` says of it and what it may hold."""
    return field(default=default, metadata={"about": about, "least": least, "choices": choices})


@dataclass(frozen=True)
class Options:
    """What every recipe takes."""

    out: str = option("trained", "folder of the log, the checkpoints and the model")
    seed: int = option(13, "decides batches, dropout and new weights", least=0)
    num_epochs: int = option(1, "passes over the data", least=1)
    max_steps: int = option(0, "steps at most; 0: as many as the epochs have", least=0)
    learning_rate: float = option(2e-5, "at the end of the warm-up", least=0)
    weight_decay: float = option(0.01, "of AdamW, on matrices only", least=0)
    warmup_steps: int = option(100, "steps over which the rate rises from 0", least=0)
    schedule: str = option(
        "linear", "how the rate falls after that", choices=("linear", "cosine", "constant")
    )
    batch_size: int = option(32, "rows a batch, over all processes", least=1)
    batch_tokens: int = option(
        0, "tokens a batch, about, with padding, over all processes; 0: no limit", least=0
    )
    accumulate: int = option(1, "batches a step", least=1)
    clip: float = option(1.0, "longest gradient; 0: any", least=0)
    precision: str = option(
        "auto",
        "what is computed in; auto: bf16 where the device has it, else fp16 on a GPU",
        choices=("auto", "float32", "bf16", "fp16"),
    )
    dropout: float = option(-1.0, "of every layer that drops out; below 0: the model's own")
    checkpointing: bool = option(False, "compute activations twice to hold fewer")
    device: str = option("auto", "cpu, cuda, cuda:1; auto: a GPU where there is one")
    measure_every: int = option(0, "steps between two measurings; 0: every epoch", least=0)
    patience: int = option(3, "measurings without a better one, then stop; 0: never", least=0)
    save_every: int = option(500, "steps between checkpoints at most; 0: at measurings", least=0)
    log_every: int = option(10, "steps between two lines of progress", least=1)
    resume: str = option(
        "auto",
        "where the folder holds checkpoints: auto: go on if the options are the same; "
        "changed: go on with these; never: begin anew",
        choices=("auto", "changed", "never"),
    )
    mlflow: str = option("", "URI of an MLflow tracking store, to log there too")


@dataclass(frozen=True)
class DataOptions(Options):
    """What every recipe takes that learns from a suite: which, and which to measure on."""

    data: str = option("", "a suite, a .json file of SQuAD's format, or .jsonl pairs")
    dataset_name: str = option("", "a SQuAD-format data set of the hub instead: squad, squad_v2")
    split: str = option("", "the split of it to train on")
    validate: str = option("", "a suite to measure on while training; none: no early stopping")
    test: tuple[str, ...] = option((), "suites to measure on before and after, with commas")


HARMLESS = frozenset({"out", "device", "log_every", "resume", "mlflow"})
"""Options that may differ where training goes on: they change neither batches nor weights."""


def read_options(
    kind: type[T], path: Path | None = None, written: Sequence[tuple[str, str]] = ()
) -> T:
    """The options of *kind* in a TOML file, changed by the *written* pairs of key and value.

    An unknown key, a value of another type or out of its range is one line: DataError for the
    file, UsageError for the command line.
    """
    table = {} if path is None else read_toml(path)
    specs = {spec.name: spec for spec in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}  # values of the fields' types
    for key, value in table.items():
        try:
            found[key] = _checked(key, value, specs, hints)
        except UsageError as error:
            raise DataError(f"{path}: {error}") from error
    for key, text in written:
        name = key.replace("-", "_")
        if name not in specs:
            raise unknown("option", key, specs)
        found[name] = _checked(name, _PARSE[hints[name]](text), specs, hints)
    return kind(**found)


def as_table(options: object) -> dict[str, Any]:  # JSON values
    """The options as JSON gives them back."""
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(options)))  # type: ignore[call-overload]  # a dataclass
    return found


def describe(kind: type[Any]) -> list[tuple[str, Any, str]]:
    """Name, default and explanation of each option."""
    return [
        (spec.name, spec.default, spec.metadata.get("about", "") + _allowed(spec))
        for spec in fields(kind)
    ]


def _allowed(spec: "dataclasses.Field[Any]") -> str:
    choices = spec.metadata.get("choices")
    return f" ({', '.join(choices)})" if choices else ""


def _checked(
    key: str,
    value: Any,  # a TOML value, or what a text was parsed to
    specs: Mapping[str, "dataclasses.Field[Any]"],
    hints: Mapping[str, Any],
) -> Any:
    if key not in specs:
        raise unknown("option", key, specs)
    fits, expected = _KINDS[hints[key]]
    if not fits(value):
        raise UsageError(f"{key} = {shown(value)}; expected {expected}")
    least, choices = (specs[key].metadata.get(name) for name in ("least", "choices"))
    if least is not None and value < least:
        raise UsageError(f"{key} = {shown(value)}; expected at least {least:g}")
    if choices and value not in choices:
        raise UsageError(f"{key} = {shown(value)}; expected one of {', '.join(choices)}")
    return _MAKE.get(hints[key], lambda same: same)(value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_int(value) or (isinstance(value, float) and math.isfinite(value))


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


_KINDS: Mapping[Any, tuple[Callable[[object], bool], str]] = {
    int: (_is_int, "a whole number"),
    float: (_is_number, "a number"),
    bool: (lambda value: isinstance(value, bool), "true or false"),
    str: (lambda value: isinstance(value, str), "a string"),
    tuple[str, ...]: (_are_texts, "a list of strings"),
}
_MAKE: Mapping[Any, Callable[[Any], Any]] = {float: float, tuple[str, ...]: tuple}


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text  # which is refused as of another type


_PARSE: Mapping[Any, Callable[[str], object]] = {
    int: _json,
    float: _json,
    bool: _json,
    str: str,
    tuple[str, ...]: lambda text: [part for part in text.split(",") if part],
}
"""How the text of the command line becomes a value."""
