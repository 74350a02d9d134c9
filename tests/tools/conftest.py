"""The scripts of tools/, which no wheel holds, and a small suite in a checkout of its own."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tool():
    """tool(name) imports tools/NAME.py of the checkout; all else comes from where it is installed.

    The scripts import each other as `tools.NAME`. A package made by hand gives them that name
    without the checkout on sys.path, where it would hide the installed wheel.
    """
    with pytest.MonkeyPatch.context() as patch:
        package = ModuleType("tools")
        package.__path__ = [str(ROOT / "tools")]
        patch.setitem(sys.modules, "tools", package)
        yield lambda name: importlib.import_module(f"tools.{name}")


DOCS = [
    ("d1", "one two three", {"author": "x", "task": "a", "language": ["en", "de"], "same": "s"}),
    ("d2", "", {"author": "y", "task": "a", "language": ["en"], "same": "s"}),
    ("d3", "one", {"author": "z", "task": "<b>|", "same": "s"}),
    ("d4", "one two", {"author": "x", "language": ["fr"]}),
]
QUERIES = [
    ("q1", "what is a", {"kind": "easy", "split": "dev", "language": "en"}, ["a", "an a"]),
    ("q2", "b", {"kind": "easy", "split": "test", "language": "de"}, ["b"]),
    ("q3", "c d", {"kind": "hard", "split": "test", "language": "en"}, ["c"]),
    ("q4", "none", {"kind": "none", "split": "test", "language": "en", "unanswerable": True}, []),
]
LOG = [
    ("q1", "d1", 1, 3), ("q1", "d2", 1, 2), ("q1", "d3", 1, 0), ("q2", "d1", 1, 0),
    ("q2", "d3", 1, 3), ("q3", "d4", 1, 2), ("q3", "d1", 1, 1), ("q4", "d4", 1, 0),
    ("q3", "d4", 2, 0), ("q3", "d4", 3, 3),
]  # fmt: skip
TOML = """name = "small"
split = "test"
relevance_level = 2
skip_unanswerable = true
[metadata]
author = "str"
task = "str"
language = "list"
same = "str"
"""
README = """# small
<!-- figures of the log -->
<!-- end of figures -->
between
<!-- distributions -->
old
<!-- end of distributions -->
end
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A root with qrels/sets/small, as the current folder; its qrels and README are not made."""
    folder = tmp_path / "qrels" / "sets" / "small"
    (folder / "qrels").mkdir(parents=True)
    docs = [{"_id": i, "text": text, "metadata": found} for i, text, found in DOCS]
    queries = [
        {"_id": i, "text": text, "metadata": found, "answers": answers}
        for i, text, found, answers in QUERIES
    ]
    for name, rows in {"corpus": docs, "queries": queries}.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_log(folder, LOG)
    for split in ("dev", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text("")
    (folder / "suite.toml").write_text(TOML)
    (folder / "README.md").write_text(README)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_log(folder: Path, rows: list[tuple[str, str, int, int]]) -> None:
    lines = ["query_id\tdoc_id\tpass\tgrade\tbasis\treason"]
    lines += [f"{q}\t{d}\t{number}\t{grade}\tread\tbecause" for q, d, number, grade in rows]
    (folder / "judgements.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def suite(checkout, tool):
    """The folder of the small suite, its qrels and the figures of its log made."""
    folder = checkout / "qrels" / "sets" / "small"
    assert tool("judgements").main([str(folder)]) == 0
    return folder
