"""Suites out of folders: splits, rules, suite.toml, the digest, and ir-datasets."""

import gzip
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from qrels.data import Rules, Suite
from qrels.errors import BenchError, DataError, MissingPackageError, UsageError
from qrels.suites import load_suite, shipped

DOCS = [
    {"_id": "d1", "title": "One", "text": "first", "metadata": {"n": 1, "tags": ["a"]}},
    {"_id": "d2", "title": "", "text": "", "metadata": {"n": None, "tags": ["b", "c"]}},
    {"_id": "d3", "title": "Three", "text": "third", "metadata": {}},
]
TOPICS = [
    {"_id": "q1", "text": "one", "metadata": {"kind": "k", "split": "dev"}},
    {"_id": "q2", "text": "", "metadata": {"split": "test"}},
    {"_id": "q3", "text": "three", "metadata": {"unanswerable": True}},
    {"_id": "q4", "text": "four"},
]
QRELS = [("q3", "gone", 1), ("q3", "d1", -1), ("q1", "d3", 2), ("q1", "d1", 0)]
TOML = """name = "mine"
version = "1.0"
description = "three documents"
measures = ["RR@5"]
depth = 7
exclude_self = true
relevance_level = 2
[fields]
text = {}
tags = { from = "metadata.tags", weight = 0.5 }
[metadata]
n = "int"
[systems]
default = ["bm25", "dense"]
"""


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def tsv(rows: list[tuple[str, str, int]]) -> str:
    return "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{g}\n" for q, d, g in rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A suite of three documents and four topics, its qrels in test.tsv, without suite.toml."""
    made = tmp_path / "small"
    (made / "qrels").mkdir(parents=True)
    (made / "corpus.jsonl").write_text(lines(DOCS))
    (made / "queries.jsonl").write_text(lines(TOPICS))
    (made / "qrels" / "test.tsv").write_text(tsv(QRELS))
    return made


def test_suite_by_hand(folder: Path) -> None:
    """Queries of a split come in file order: those judged and those that name the split."""
    suite = load_suite(folder)
    assert (suite.name, suite.split, suite.version) == ("small", "test", "")
    assert suite.folder == folder
    assert suite.queries.query_ids == ["q1", "q2", "q3"]
    assert suite.queries.texts == ["one", "", "three"]
    assert suite.queries.kinds == ["k", "", ""]
    assert suite.qrels.indptr.tolist() == [0, 2, 2, 4]
    assert suite.qrels.docs.tolist() == [0, 2, 0, 3]
    assert suite.qrels.grades.tolist() == [0, 2, -1, 1]
    assert suite.qrels.extra_doc_ids == ["gone"]
    assert list(suite.corpus.fields) == ["title", "text"]
    assert suite.rules == Rules()
    default = Suite("", "", "", suite.corpus, suite.queries, suite.qrels, "")
    assert (suite.measures, suite.depth, suite.systems) == (
        default.measures,
        default.depth,
        default.systems,
    )


def test_suite_file(folder: Path) -> None:
    """suite.toml sets names, defaults, rules, fields with weights, and columns."""
    (folder / "suite.toml").write_text(TOML)
    suite = load_suite(str(folder))
    assert (suite.name, suite.version, suite.description) == ("mine", "1.0", "three documents")
    assert (suite.measures, suite.depth, suite.systems) == (["RR@5"], 7, ["bm25", "dense"])
    assert suite.rules == Rules(exclude_self=True, relevance_level=2)
    assert suite.corpus.fields == {"text": ["first", "", "third"], "tags": ["a", "b, c", ""]}
    assert suite.corpus.weights == {"text": 1.0, "tags": 0.5}
    np.testing.assert_array_equal(suite.corpus.metadata["n"].values, [1, np.nan, np.nan])


def test_skip_unanswerable(folder: Path) -> None:
    """The rule leaves unanswerable queries out, with their judgements, and they are counted."""
    assert load_suite(folder).unanswerable_skipped == 0
    (folder / "suite.toml").write_text("skip_unanswerable = true")
    suite = load_suite(folder)
    assert suite.queries.query_ids == ["q1", "q2"]
    assert suite.unanswerable_skipped == 1
    assert suite.qrels.indptr.tolist() == [0, 2, 2]
    assert suite.qrels.extra_doc_ids == []
    topics = [{**TOPICS[0], "metadata": {"unanswerable": "no"}}, *TOPICS[1:]]
    (folder / "queries.jsonl").write_text(lines(topics))
    with pytest.raises(DataError, match=r"query 'q1': metadata.unanswerable = 'no'; expected true"):
        load_suite(folder)


@pytest.mark.parametrize(
    ("names", "toml", "asked", "expected"),
    [
        (["test.tsv", "dev.tsv"], "", None, "test"),
        (["test.tsv", "dev.tsv"], "", "dev", "dev"),
        (["test.tsv", "dev.tsv"], 'split = "dev"', None, "dev"),
        (["test.tsv", "dev.tsv"], 'split = "dev"', "test", "test"),
        (["dev.tsv"], "", None, "dev"),
        (["dev.qrels", "notes.md", "dev.tsv~"], "", None, "dev"),
        (["v1.2.tsv.gz"], "", None, "v1.2"),
    ],
)
def test_splits(folder: Path, names: list[str], toml: str, asked: Any, expected: str) -> None:
    """The split is the one asked for, else suite.toml's, else test, else the only one."""
    (folder / "qrels" / "test.tsv").unlink()
    for name in names:
        text = tsv(QRELS) if ".tsv" in name else "".join(f"{q} 0 {d} {g}\n" for q, d, g in QRELS)
        data = gzip.compress(text.encode()) if name.endswith(".gz") else text.encode()
        (folder / "qrels" / name).write_bytes(data)
    (folder / "suite.toml").write_text(toml)
    suite = load_suite(folder, asked)
    assert suite.split == expected
    assert len(suite.qrels.docs) == 4


def change(path: str, old: str, new: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new, 1))

    return apply


def put(path: str, text: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / path).write_text(text)

    return apply


@pytest.mark.parametrize(
    ("fault", "kind", "message"),
    [
        pytest.param(
            change("qrels/test.tsv", "q1\td3", "q11\td3"),
            DataError,
            r"test.tsv:4: there is no query 'q11'; did you mean 'q1'\?",
            id="query-that-there-is-not",
        ),
        pytest.param(
            lambda folder: (folder / "qrels/test.tsv").unlink(),
            DataError,
            r"qrels: no qrels; expected SPLIT.tsv",
            id="no-qrels",
        ),
        pytest.param(
            put("qrels/test.txt", "q1 0 d1 1"),
            DataError,
            r"test.txt: split 'test' is also in test.tsv",
            id="split-twice",
        ),
        pytest.param(
            put("suite.toml", 'split = "train"'),
            UsageError,
            r"no split 'train'; there are: test",
            id="unknown-split",
        ),
        pytest.param(
            lambda folder: (folder / "corpus.jsonl").unlink(),
            DataError,
            r"has no corpus.jsonl",
            id="no-corpus",
        ),
        pytest.param(put("suite.toml", "name =\n"), DataError, r"suite.toml: .*line 1", id="toml"),
        pytest.param(
            put("suite.toml", "deph = 5"),
            UsageError,
            r"suite.toml: unknown key 'deph'; did you mean 'depth'\?",
            id="unknown-key",
        ),
        pytest.param(
            put("suite.toml", "[fields]\ntext = { wieght = 1 }"),
            UsageError,
            r"suite.toml: \[fields\] text: unknown key 'wieght'; did you mean 'weight'\?",
            id="unknown-key-of-a-field",
        ),
        pytest.param(
            put("suite.toml", '[systems]\ndefaults = ["bm25"]'),
            UsageError,
            r"\[systems\]: unknown key 'defaults'; did you mean 'default'\?",
            id="unknown-key-of-systems",
        ),
        pytest.param(
            put("suite.toml", '[metadata]\nn = "integer"'),
            UsageError,
            r"\[metadata\] n = 'integer'; expected one of str, int, float, date, list",
            id="unknown-kind",
        ),
        pytest.param(
            put("suite.toml", '[metadata]\nm = "int"'),
            UsageError,
            r"unknown metadata column of .*corpus.jsonl 'm'",
            id="column-that-there-is-not",
        ),
        pytest.param(
            put("suite.toml", '[metadata]\ntags = "str"'),
            DataError,
            r"corpus.jsonl:1: metadata.tags = \['a'\]; expected str",
            id="column-of-another-kind",
        ),
        *(
            pytest.param(
                put("suite.toml", text), UsageError, f"suite.toml: .*{re.escape(expected)}", id=text
            )
            for text, expected in [
                ("depth = 0", "depth = 0; expected a whole number of at least 1"),
                ("depth = true", "depth = True; expected a whole number"),
                ("name = 5", "name = 5; expected a string"),
                ("version = 1.0", "version = 1.0; expected a string"),
                ("measures = 'nDCG'", "measures = 'nDCG'; expected a list of strings"),
                ("measures = [1]", "measures = [1]; expected a list of strings"),
                ("exclude_self = 1", "exclude_self = 1; expected true or false"),
                ("relevance_level = 1.5", "relevance_level = 1.5; expected a whole number"),
                ("fields = ['text']", "fields = ['text']; expected a table"),
                ("systems = ['bm25']", "systems = ['bm25']; expected a table"),
                ("[fields]\ntext = 1.0", "[fields] text = 1.0; expected { weight = 1.0"),
                ("[fields]\ntext = {weight = -1}", "weight = -1; expected a number of at least 0"),
                ("[fields]\ntext = {weight = nan}", "weight = nan; expected a number"),
                ("[fields]\ntext = {weight = true}", "weight = True; expected a number"),
            ]
        ),
    ],
)
def test_faults_of_suites(
    folder: Path, fault: Callable[[Path], None], kind: type[BenchError], message: str
) -> None:
    """A suite with a fault is refused in one line naming file, value and what is allowed."""
    fault(folder)
    with pytest.raises(kind, match=message) as raised:
        load_suite(folder)
    assert type(raised.value) is kind
    assert "\n" not in str(raised.value).replace("\\n", "")


def test_unknown_suites(tmp_path: Path) -> None:
    """A name that is no shipped suite and no folder is an error with what is allowed."""
    with pytest.raises(UsageError, match="unknown suite 'modles'"):
        load_suite("modles")
    with pytest.raises(DataError, match=r"none: no such folder"):
        load_suite(tmp_path / "none")


def test_split_without_queries(folder: Path) -> None:
    """A split whose queries the rules all leave out is an error."""
    (folder / "qrels" / "bad.tsv").write_text(tsv([("q3", "d1", 1)]))
    (folder / "suite.toml").write_text("skip_unanswerable = true")
    with pytest.raises(DataError, match="split 'bad' has no queries"):
        load_suite(folder, "bad")


def turned(row: dict[str, Any]) -> dict[str, Any]:
    """The object with its keys, and those of its metadata, in reverse order."""
    return {k: turned(v) if isinstance(v, dict) else v for k, v in reversed(row.items())}


def other_layout(folder: Path) -> None:
    """The same content: CRLF, BOM, gzip, key order, blank lines, qrels in TREC form and order."""
    (folder / "corpus.jsonl").unlink()
    text = "\n" + lines(list(map(turned, DOCS))).replace("\n", "\r\n\r\n")
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(b"\xef\xbb\xbf" + text.encode()))
    (folder / "queries.jsonl").write_text(lines(list(map(turned, TOPICS))))
    (folder / "qrels" / "test.tsv").unlink()
    rows = "".join(f"{q} 0 {d} {g}\r\n" for q, d, g in reversed([*QRELS, ("q3", "also", 0)]))
    (folder / "qrels" / "test.txt").write_text(rows)


def test_digest_is_of_the_content(folder: Path) -> None:
    """Line ends, BOM, packing, key order, row order of qrels, defaults do not change the digest."""
    (folder / "qrels" / "test.tsv").write_text(tsv([*QRELS, ("q3", "also", 0)]))
    (folder / "suite.toml").write_text(TOML)
    before = load_suite(folder).digest
    assert re.fullmatch("[0-9a-f]{64}", before)
    other_layout(folder)
    measures = TOML.replace("RR@5", "AP@9").replace("depth = 7", "depth = 9")
    (folder / "suite.toml").write_text(measures)
    assert load_suite(folder).digest == before


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(change("corpus.jsonl", '"d2"', '"d4"'), id="doc-id"),
        pytest.param(change("corpus.jsonl", "third", "thirD"), id="field-text"),
        pytest.param(change("corpus.jsonl", '["b", "c"]', '["b", "d"]'), id="field-of-metadata"),
        pytest.param(change("corpus.jsonl", '"n": 1', '"n": 2'), id="column-value"),
        pytest.param(change("corpus.jsonl", '"n": null', '"n": 0'), id="column-missing"),
        pytest.param(change("queries.jsonl", '"q2"', '"q5"'), id="query-id"),
        pytest.param(change("queries.jsonl", '"one"', '"One"'), id="query-text"),
        pytest.param(change("queries.jsonl", '"k"', '"l"'), id="query-kind"),
        pytest.param(change("qrels/test.tsv", "d3\t2", "d3\t3"), id="grade"),
        pytest.param(change("qrels/test.tsv", "q3\td1", "q3\td2"), id="judged-document"),
        pytest.param(change("qrels/test.tsv", "gone", "lost"), id="document-not-there"),
        pytest.param(change("qrels/test.tsv", "q1\td1", "q4\td1"), id="judged-query"),
        pytest.param(change("suite.toml", "exclude_self = true", ""), id="rule"),
        pytest.param(change("suite.toml", "weight = 0.5", "weight = 0.6"), id="weight"),
        pytest.param(change("suite.toml", "tags = {", "labels = {"), id="field-name"),
        pytest.param(change("suite.toml", 'n = "int"', 'n = "float"'), id="column-kind"),
    ],
)
def test_digest_changes_with_the_content(folder: Path, edit: Callable[[Path], None]) -> None:
    """Any change to what is measured on changes the digest."""
    (folder / "suite.toml").write_text(TOML)
    before = load_suite(folder).digest
    edit(folder)
    assert load_suite(folder).digest != before


@pytest.mark.parametrize("name", shipped())
def test_shipped_suites_load(name: str) -> None:
    """Every suite that comes with the package loads by its name."""
    suite = load_suite(name)
    assert suite.name == name
    assert len(suite.queries) > 0


@pytest.mark.parametrize(
    ("name", "split", "docs", "queries", "judgements"),
    [
        ("adi", None, 82, 35, 170),
        ("scifact", None, 5183, 300, 339),
        ("scifact", "train", 5183, 809, 919),
        ("cacm", None, 3204, 52, 796),
        ("nfcorpus-stripped", "test", 3395, 323, 12334),
    ],
)
def test_shared_suites(
    shared: Path, name: str, split: str | None, docs: int, queries: int, judgements: int
) -> None:
    """Shared sets load with the counts of their catalogue."""
    suite = load_suite(shared / name, split)
    assert (len(suite.corpus), len(suite.queries), len(suite.qrels.docs)) == (
        docs,
        queries,
        judgements,
    )
    assert suite.qrels.extra_doc_ids == []


class Doc(NamedTuple):
    doc_id: str
    title: str
    text: str


class Topic(NamedTuple):
    query_id: str
    title: str
    narrative: str

    def default_text(self) -> str:
        return self.title


class Judged(NamedTuple):
    query_id: str
    doc_id: str
    relevance: int
    iteration: str = "0"


class FakeDataset:
    """The part of an ir-datasets dataset that is used."""

    def __init__(self, qrels: list[Judged], has: bool = True) -> None:
        self.qrels = qrels
        self.has = has

    def docs_iter(self) -> list[Doc]:
        return [Doc("a", "A", "alpha"), Doc("b", "", "beta")]

    def queries_iter(self) -> list[Topic]:
        return [Topic("1", "first", "at length"), Topic("2", "second", "unjudged")]

    def qrels_iter(self) -> list[Judged]:
        return self.qrels

    def has_docs(self) -> bool:
        return True

    def has_queries(self) -> bool:
        return True

    def has_qrels(self) -> bool:
        return self.has


def test_ir_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    """irds:ID gives the judged queries, documents and qrels that ir-datasets has under the ID."""
    sets = {
        "beir/x/test": FakeDataset([Judged("1", "b", 2), Judged("1", "c", 1)]),
        "twice": FakeDataset([Judged("1", "b", 2), Judged("1", "b", 1)]),
        "bare": FakeDataset([], has=False),
    }
    fake = SimpleNamespace(load=sets.__getitem__)
    monkeypatch.setitem(sys.modules, "ir_datasets", fake)
    for suite in (load_suite("irds:beir/x/test"), load_suite("irds:beir/x", "test")):
        assert (suite.name, suite.split, suite.folder) == ("beir/x/test", "test", None)
        assert suite.corpus.fields == {"title": ["A", ""], "text": ["alpha", "beta"]}
        assert suite.queries.texts == ["first"]
        assert suite.qrels.docs.tolist() == [1, 2]
        assert suite.qrels.extra_doc_ids == ["c"]
    with pytest.raises(UsageError, match="ir-datasets has no dataset 'nothing'"):
        load_suite("irds:nothing")
    with pytest.raises(UsageError, match="'bare' has no qrels"):
        load_suite("irds:bare")
    with pytest.raises(DataError, match="twice:2: document 'b' was already given"):
        load_suite("irds:twice")


def test_ir_datasets_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the message says how to install it."""
    monkeypatch.setitem(sys.modules, "ir_datasets", None)
    with pytest.raises(MissingPackageError, match=r'pip install "retrieval-bench\[irds\]"'):
        load_suite("irds:beir/scifact/test")
