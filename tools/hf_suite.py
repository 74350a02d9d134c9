"""A file of hub items with their READMEs as a suite, with the judgements that are shipped.

    python -m tools.hf_suite ../shared/data/hf_models/models.jsonl --out FOLDER

FILE has a JSON object a line, as `models.jsonl` and `datasets.jsonl` of the shared data:
`model_id` or `dataset_id`, the hub's metadata under the names of its cards, and `readme` or, where
that is missing, `description`. FOLDER gets what `bench acquire` writes, and queries and qrels of
the shipped suite `models` or `datasets`; documents that nobody judged there are unjudged here.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.acquire.files import suite_toml, write_folder
from bench.acquire.items import KINDS
from qrels.beir import check_ids
from qrels.errors import BenchError, DataError
from qrels.files import read_objects, write_whole
from qrels.suite_file import read_suite_file
from qrels.suites import SETS

GIT_DATE = "%a %b %d %H:%M:%S %Y %z"
"""How git writes a moment, and some dumps do."""


def make(path: Path, out: Path) -> int:
    """Write the items of *path* as a suite into *out*; how many. DataError for a wrong file."""
    lines, rows = zip(*read_objects(path), strict=True)
    kind = next((kind for kind in KINDS.values() if kind.id_column in rows[0]), None)
    if kind is None:
        allowed = " or ".join(kind.id_column for kind in KINDS.values())
        raise DataError(f"{path}:1: no {allowed}")
    names = [row.get(kind.id_column) for row in rows]
    check_ids(names, lambda i: f"{path}:{lines[i]}")
    texts = [row.get("readme") or row.get("description") or "" for row in rows]
    judged = SETS / kind.name
    for file in (judged / "queries.jsonl", *(judged / "qrels").iterdir()):
        write_whole(out / file.relative_to(judged), file.read_text(encoding="utf-8"))
    level = read_suite_file(judged).rules.relevance_level
    head = f'split = "test"\nrelevance_level = {level}\n'
    write_whole(out / "suite.toml", head + suite_toml(kind, out.resolve().name))
    listing = [listed(row, kind.id_column) for row in rows]
    return write_folder(out, kind, listing, dict(zip(names, texts, strict=True)))


def listed(row: Mapping[str, Any], id_column: str) -> dict[str, Any]:  # JSON
    """The row as the hub's own list would have it."""
    return {**row, "id": row[id_column], "createdAt": iso(row.get("created_at")), "cardData": row}


def iso(moment: str | None) -> str | None:
    """A moment as ISO has it, also one in git's words."""
    try:
        return datetime.strptime(moment or "", GIT_DATE).isoformat()
    except ValueError:
        return moment


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where the suite was written, else 2 and a line that says why not."""
    parser = argparse.ArgumentParser(prog="tools.hf_suite", description=__doc__)
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    options = parser.parse_args(arguments)
    try:
        count = make(options.file, options.out)
    except BenchError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{count:,} items in {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
