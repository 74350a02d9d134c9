"""What is kept of one item of the hub, out of its listing and, where that is silent, its README."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bench.acquire.clean import clean_readme, split
from qrels.columns import EXACT

Json = Mapping[str, Any]  # a JSON object of the hub's


@dataclass(frozen=True)
class Kind:
    """Models or datasets: the hub's words for them, and the columns of their metadata."""

    name: str
    id_column: str
    folder: str  # before the id in the address of a file
    expand: Sequence[str]
    columns: Mapping[str, str]  # name to kind of qrels.data.Column
    weights: Mapping[str, float]


_COMMON = ("author", "cardData", "createdAt", "downloads", "likes", "tags")
KINDS = {
    "models": Kind(
        "models", "model_id", "", (*_COMMON, "library_name", "pipeline_tag"),
        {"author": "str", "base_model": "list", "license": "str", "language": "list",
         "tags": "list", "pipeline_tag": "str", "library_name": "str", "downloads": "int",
         "likes": "int", "created_at": "date"},
        {"pipeline_tag": 1.0, "tags": 1.0, "language": 0.5, "license": 0.25, "base_model": 0.25,
         "author": 0.25, "library_name": 0.25},
    ),
    "datasets": Kind(
        "datasets", "dataset_id", "datasets/", _COMMON,
        {"author": "str", "license": "list", "language": "list", "tags": "list",
         "task_categories": "list", "downloads": "int", "likes": "int", "created_at": "date"},
        {"task_categories": 1.0, "tags": 1.0, "language": 0.5, "license": 0.25, "author": 0.25},
    ),
}  # fmt: skip


def item_id(listed: Json) -> str:
    """The id of a listed item, "" where it has none."""
    found = listed.get("id") or listed.get("modelId")
    return found if isinstance(found, str) else ""


def document(kind: Kind, listed: Json, readme: str) -> dict[str, Any]:
    """The item as a line of corpus.jsonl: _id, title, text, metadata; null where unknown.

    What the card says goes before the tags of the hub, as `license:mit`; the card is the listing's,
    else the README's front matter.
    """
    card = listed.get("cardData") or split(readme).front
    card = card if isinstance(card, dict) else {}
    name, tags = item_id(listed), _texts(listed.get("tags"))
    owner, _, last = name.rpartition("/")
    known = {
        "author": listed.get("author") or owner,
        "tags": tags or card.get("tags"),
        "pipeline_tag": listed.get("pipeline_tag") or card.get("pipeline_tag"),
        "library_name": listed.get("library_name") or card.get("library_name"),
        "downloads": listed.get("downloads"),
        "likes": listed.get("likes"),
        "created_at": listed.get("createdAt"),
    }
    metadata = {
        key: _CONVERT[column](known[key] if key in known else card.get(key) or _tagged(key, tags))
        for key, column in kind.columns.items()
    }
    return {"_id": name, "title": last, "text": clean_readme(readme), "metadata": metadata}


def _tagged(key: str, tags: Sequence[str]) -> list[str]:
    """The values of the tags `key:value`, not of those that say more, as `key:how:value` do."""
    values = (tag.removeprefix(f"{key}:") for tag in tags if tag.startswith(f"{key}:"))
    return [value for value in values if ":" not in value]


def _texts(value: object) -> list[str]:
    """The strings of *value*, a string or a list; others are no values."""
    values = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(text for item in values if (text := _text(item))))


def _text(value: object) -> str | None:
    """A string without half surrogate pairs, which no UTF-8 file can hold; None for "" too."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode().strip() or None


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= EXACT else None


def _date(value: object) -> str | None:
    try:
        return value if isinstance(value, str) and datetime.fromisoformat(value) else None
    except ValueError:
        return None


_CONVERT: Mapping[str, Callable[[object], object]] = {
    "str": lambda value: next(iter(_texts(value)), None),
    "list": lambda value: _texts(value) or None,
    "int": _count,
    "date": _date,
}
"""From what the hub has to what a column of that kind holds, None where that is not possible."""
