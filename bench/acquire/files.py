"""The folder that comes of it: corpus.jsonl, items.parquet and suite.toml, each whole or not."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.acquire.items import Kind, document, item_id
from qrels.files import write_whole

_TOML = """\
name = {name}
version = "1.0"
description = "{kind} of a hub, with the prose of their READMEs"

[fields]
title = {{ weight = 1.0 }}
text = {{ weight = 2.0 }}
{fields}

[metadata]
{columns}

[systems]
default = ["bm25", "dense", "fielded", "hybrid"]
"""


def write_folder(
    out: Path, kind: Kind, listing: Sequence[Mapping[str, Any]], readmes: Mapping[str, str]
) -> int:
    """Write the items of *listing* that have a README in *readmes*, "" too; how many.

    In the order of the listing. A suite.toml that is there stays: it may be the user's.
    """
    items = [item for item in listing if item_id(item) in readmes]
    documents = [document(kind, item, readmes[item_id(item)]) for item in items]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in documents)
    write_whole(out / "corpus.jsonl", lines)
    _write_parquet(out / "items.parquet", kind, documents, readmes)
    if not (out / "suite.toml").exists():
        write_whole(out / "suite.toml", suite_toml(kind, out.resolve().name))
    return len(documents)


def suite_toml(kind: Kind, name: str) -> str:
    """suite.toml for the items: every column as metadata, those of text as fields too."""
    fields = (
        f'{key} = {{ from = "metadata.{key}", weight = {weight} }}'
        for key, weight in kind.weights.items()
    )
    return _TOML.format(
        name=json.dumps(name),
        kind=kind.name.capitalize(),
        fields="\n".join(fields),
        columns="\n".join(f'{key} = "{column}"' for key, column in kind.columns.items()),
    )


def _write_parquet(
    path: Path, kind: Kind, documents: Sequence[Mapping[str, Any]], readmes: Mapping[str, str]
) -> None:
    """A row an item: its id, metadata, README as it was, and its prose as `text`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {
        "str": pa.string(), "list": pa.list_(pa.string()), "int": pa.int64(),
        "date": pa.timestamp("ms", tz="UTC"),
    }  # fmt: skip
    columns = {kind.id_column: pa.array([row["_id"] for row in documents], pa.string())}
    for name, column in kind.columns.items():
        values = [row["metadata"][name] for row in documents]
        values = [_moment(value) for value in values] if column == "date" else values
        columns[name] = pa.array(values, types[column])
    columns["readme"] = pa.array([readmes[row["_id"]] for row in documents], pa.string())
    columns["text"] = pa.array([row["text"] for row in documents], pa.string())
    beside = path.with_name(f".{path.name}.{os.urandom(16).hex()}")
    try:
        pq.write_table(pa.table(columns), beside)
        os.replace(beside, path)  # noqa: PTH105  this name says that it replaces
    finally:
        beside.unlink(missing_ok=True)


def _moment(value: str | None) -> datetime | None:
    if value is None:
        return None
    found = datetime.fromisoformat(value)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
