"""A BERT folder as sentence-transformers lays it out: what it says of pooling and length."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qrels.errors import UsageError

FILES = ("config.json", "model.safetensors", "tokenizer.json")
EXPECTED = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
MODULES = frozenset({"Transformer", "Pooling", "Normalize"})
POOLINGS = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


@dataclass(frozen=True)
class BertFolder:
    """A BERT on disk. digest: what decides its vectors; max_length: tokens a text."""

    folder: Path
    digest: str
    max_length: int
    pooling: str = "mean"

    def config(self) -> dict[str, Any]:
        """transformers' own."""
        found: dict[str, Any] = _json(self.folder / "config.json")
        return found


def bert_folder(folder: Path, digest: str, max_length: int | None = None) -> BertFolder:
    """The folder as its files describe it; UsageError where they describe anything else.

    max_length: the model's own by default.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise _not_bert(folder, f"it has no {name}")
    config = _json(folder / "config.json")
    for key, expected in EXPECTED.items():
        if (found := config.get(key, EXPECTED[key])) != expected:
            raise _not_bert(folder, f"its {key} is {found!r}, expected {expected!r}")
    length = max_length or _own_length(folder, config)
    return BertFolder(folder, digest, length, _pooling(folder))


def _pooling(folder: Path) -> str:
    """ "mean" or "cls"; mean where the folder names no modules, as sentence-transformers has it."""
    if not (folder / "modules.json").is_file():
        return "mean"
    modules = {each["type"].rpartition(".")[2]: each for each in _json(folder / "modules.json")}
    if other := sorted(modules.keys() - MODULES):
        raise _not_bert(folder, f"it has a module {other[0]!r}, allowed: {sorted(MODULES)}")
    about = _json(folder / modules["Pooling"]["path"] / "config.json")
    named = [about["pooling_mode"]] if isinstance(about.get("pooling_mode"), str) else []
    chosen = named or [key for key, on in about.items() if key.startswith("pooling_mode") and on]
    found: list[str] = [POOLINGS.get(name, name) for name in chosen]
    if len(found) != 1 or found[0] not in POOLINGS.values():
        raise _not_bert(folder, f"its pooling is {found}, allowed: {sorted(POOLINGS.values())}")
    return found[0]


def _own_length(folder: Path, config: dict[str, Any]) -> int:
    """What the model's files allow, at most its places."""
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        if (folder / name).is_file() and (length := _json(folder / name).get(key)):
            return int(min(length, config["max_position_embeddings"]))
    return int(config["max_position_embeddings"])


def _not_bert(folder: Path, reason: str) -> UsageError:
    return UsageError(f"{folder.name} cannot be exported: {reason}; take backend=torch")


def _json(path: Path) -> Any:  # a JSON value
    return json.loads(path.read_text("utf-8"))
