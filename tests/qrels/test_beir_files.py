"""BEIR corpora and queries: what is read, what is refused and where, and writing reads back."""

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qrels.beir import FieldSpec, read_corpus, read_queries, write_corpus, write_queries
from qrels.data import Corpus, Queries, Suite
from qrels.errors import DataError, UsageError
from qrels.files import read_objects

DOC = '{"_id": "d1", "title": "T", "text": "x", "metadata": {"tags": ["a", "b"], "n": 3}}'


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("corpus.jsonl", DOC.encode(), id="no-last-line-end"),
        pytest.param("corpus.jsonl", b"\xef\xbb\xbf" + DOC.encode() + b"\r\n\r\n", id="bom-crlf"),
        pytest.param("corpus.jsonl.gz", gzip.compress(DOC.encode()), id="gzip"),
    ],
)
def test_one_document_corpus(tmp_path: Path, name: str, content: bytes) -> None:
    """A corpus of one document is read from a folder or file, whatever its packing."""
    (tmp_path / name).write_bytes(content)
    for path in (tmp_path, tmp_path / name):
        corpus = read_corpus(path, columns={"n": "int"})
        assert corpus.doc_ids == ["d1"]
        assert corpus.fields == {"title": ["T"], "text": ["x"]}
        assert corpus.weights == {"title": 1.0, "text": 1.0}
        assert corpus.metadata["n"].values.tolist() == [3.0]


def test_default_fields(tmp_path: Path) -> None:
    """Without a single title there is no such field; a missing or null title and "" are empty."""
    plain = write(tmp_path / "a", {"_id": "1", "text": ""}, {"_id": "2", "text": "x", "title": ""})
    assert read_corpus(plain).fields == {"text": ["", "x"]}
    titled = write(
        tmp_path / "b",
        {"_id": "1", "text": "x", "title": None},
        {"_id": "2", "text": "", "title": "T"},
    )
    assert read_corpus(titled).fields == {"title": ["", "T"], "text": ["x", ""]}


def test_fields_from_metadata(tmp_path: Path) -> None:
    """A field may come from any key or metadata value; lists are joined, what is missing is ""."""
    path = write(
        tmp_path / "c",
        {"_id": "1", "text": "x", "author": "A", "metadata": {"tags": ["a", "b", 3], "n": 7}},
        {"_id": "2", "text": "y", "metadata": {"tags": None}},
        {"_id": "3", "text": "z", "metadata": None},
    )
    spec = {
        "tags": FieldSpec("metadata.tags", 2.0),
        "author": FieldSpec("author"),
        "n": FieldSpec("metadata.n", 0.0),
    }
    corpus = read_corpus(path, spec)
    assert corpus.fields == {
        "tags": ["a, b, 3", "", ""],
        "author": ["A", "", ""],
        "n": ["7", "", ""],
    }
    assert corpus.weights == {"tags": 2.0, "author": 1.0, "n": 0.0}


def test_ids_are_kept_as_given(tmp_path: Path) -> None:
    """Unicode, spaces, separators and normal forms of an id are not touched."""
    ids = ["é", "e\u0301", " a b ", "x\u2028y", "\ufeff", "org/name", "0"]
    path = tmp_path / "c"
    rows = (json.dumps({"_id": name, "text": ""}, ensure_ascii=False) for name in ids)
    path.write_text("\n".join(rows), encoding="utf-8")
    assert read_corpus(path).doc_ids == ids


def test_long_line(tmp_path: Path) -> None:
    """A document of 10 MB is read whole."""
    path = write(tmp_path / "c", {"_id": "1", "text": "ab " * 3_400_000})
    assert len(read_corpus(path).fields["text"][0]) == 10_200_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "c: the file is empty", id="empty"),
        pytest.param(b"\xef\xbb\xbf\r\n", "c: the file is empty", id="blank"),
        pytest.param(b'{"text": "x"}', "c:1: '_id' is missing", id="no-id"),
        pytest.param(b'\n{"_id": "1"}', "c:2: 'text' is missing", id="no-text"),
        pytest.param(
            b'{"_id": "1", "text": null}', "c:1: text = None; expected a string", id="null-text"
        ),
        pytest.param(
            b'{"_id": "1", "text": ["x"]}', "c:1: text = ['x']; expected a string", id="list-text"
        ),
        pytest.param(
            b'{"_id": "1", "text": "x", "title": 5}', "c:1: title = 5; expected", id="number-title"
        ),
        pytest.param(
            b'{"_id": 12, "text": "x"}',
            'c:1: id 12; expected a non-empty string; write it as "12"',
            id="number-id",
        ),
        pytest.param(b'{"_id": "", "text": "x"}', "c:1: id ''; expected", id="empty-id"),
        pytest.param(b'{"_id": null, "text": "x"}', "c:1: id None; expected", id="null-id"),
        pytest.param(
            b'{"_id": "1", "text": "x"}\n{"_id": "2", "text": "x"}\n{"_id": "1", "text": "y"}',
            "c:3: id '1' was already given at ",
            id="id-twice",
        ),
        pytest.param(b'{"_id": "1", "text": "x"', "c:1: not valid JSON: ", id="cut-off-json"),
        pytest.param(
            b'{"_id": "1", "text": "x"}\n[1]\n', "c:2: [1] is not a JSON object", id="not-an-object"
        ),
        pytest.param(
            b'{"_id": "1", "text": ' + b"[" * 200_000,
            "c:1: cannot read this JSON: nested too deep",
            id="nested-too-deep",
        ),
        pytest.param(
            b'{"_id": ' + b"1" * 5000 + b"}", "c:1: cannot read this JSON: ", id="endless-number"
        ),
        pytest.param(
            rb'{"_id": "1", "text": "\ud83d"}', "c:1: holds half a surrogate pair", id="surrogate"
        ),
        pytest.param(
            b'{"_id": "1", "text": "x"}\n{"_id": "2", "text": "caf\xe9"}',
            "c:2: byte 0xe9 is not valid UTF-8",
            id="latin-1",
        ),
        pytest.param(
            '{"_id": "1", "text": "x"}'.encode("utf-16"),
            "c:1: byte 0xff is not valid UTF-8",
            id="utf-16",
        ),
        pytest.param(gzip.compress(DOC.encode())[:40], "c: truncated or damaged gzip", id="gzip"),
    ],
)
def test_faults_of_json_lines(tmp_path: Path, content: bytes, message: str) -> None:
    """A corpus or query file with a fault is refused in one line naming file, line and value."""
    (tmp_path / "c").write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_corpus(tmp_path / "c")
    assert str(raised.value).startswith(f"{tmp_path}/{message}")
    if b"title" not in content:
        with pytest.raises(DataError) as raised:
            read_queries(tmp_path / "c")
        assert str(raised.value).startswith(f"{tmp_path}/{message}")


def test_id_twice_names_both_lines(tmp_path: Path) -> None:
    """The message for a repeated id names the line of either."""
    path = write(tmp_path / "c", *({"_id": name, "text": ""} for name in "abcb"))
    with pytest.raises(DataError, match=r"c:4: id 'b' was already given at .*c:2$"):
        read_corpus(path)


def test_folder_without_corpus(tmp_path: Path) -> None:
    """A folder that lacks the file is a DataError naming both."""
    with pytest.raises(DataError, match=r"has no corpus\.jsonl or corpus\.jsonl\.gz"):
        read_corpus(tmp_path)
    with pytest.raises(DataError, match="No such file"):
        read_corpus(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("str", "x", "x"),
        ("str", "", ""),
        ("str", None, None),
        ("int", 5, 5.0),
        ("int", None, np.nan),
        ("float", 5, 5.0),
        ("float", 0.5, 0.5),
        ("float", float("nan"), np.nan),
        ("date", "2024-02-29", np.datetime64("2024-02-29T00:00:00")),
        ("date", "2024-01-01T01:30:00+02:00", np.datetime64("2023-12-31T23:30:00")),
        ("date", "2024-01-01T00:00:00.123Z", np.datetime64("2024-01-01T00:00:00")),
        ("date", None, np.datetime64("NaT")),
        ("list", ["a", "b"], ("a", "b")),
        ("list", [], ()),
        ("list", None, ()),
    ],
)
def test_columns(tmp_path: Path, kind: Any, value: object, expected: object) -> None:
    """A value of each kind is read as the column's type has it; null and NaN are missing."""
    path = write(
        tmp_path / "c",
        {"_id": "1", "text": "", "metadata": {"m": value}},
        {"_id": "2", "text": "", "metadata": {}},
    )
    column = read_corpus(path, columns={"m": kind}).metadata["m"]
    assert column.kind == kind
    assert column.values.shape == (2,)
    np.testing.assert_equal(column.values[0], expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("str", 5),
        ("str", ["a"]),
        ("int", 1.0),
        ("int", True),
        ("int", "5"),
        ("int", 2**53 + 1),
        ("int", 10**400),
        ("float", "0.5"),
        ("float", False),
        ("float", float("inf")),
        ("date", "31.12.2024"),
        ("date", "2023-02-29"),
        ("date", 20240101),
        ("date", "0001-01-01T00:00:00+05:00"),
        ("list", "en"),
        ("list", ["a", 1]),
        ("list", {"a": 1}),
    ],
)
def test_values_of_a_wrong_kind(tmp_path: Path, kind: Any, value: object) -> None:
    """A metadata value of a wrong type is refused with file, line, column, value and kind."""
    path = write(
        tmp_path / "c",
        {"_id": "1", "text": ""},
        {"_id": "2", "text": "", "metadata": {"m": value}},
    )
    with pytest.raises(DataError) as raised:
        read_corpus(path, columns={"m": kind})
    message = str(raised.value)
    assert message.startswith(f"{path}:2: metadata.m = {repr(value)[:50]}")
    assert f"; expected {kind}, " in message
    assert len(message) < len(str(path)) + 160


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"columns": {"lang": "str"}},
            "unknown metadata column of .* 'lang'; did you mean 'language'",
        ),
        (
            {"fields": {"t": FieldSpec("metadata.tag")}},
            "unknown metadata column .* did you mean 'tags'",
        ),
        ({"fields": {"t": FieldSpec("txt")}}, "unknown field of .* 'txt'; did you mean 'text'"),
    ],
)
def test_sources_that_no_document_has(
    tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    """A field or column that is in no document is a slip of the pen, with a close match."""
    metadata = {"language": "en", "tags": ["a"]}
    path = write(tmp_path / "c", {"_id": "1", "text": "x", "metadata": metadata})
    with pytest.raises(UsageError, match=message):
        read_corpus(path, **arguments)


@pytest.mark.parametrize(
    ("metadata", "source"),
    [
        ({"m": {"a": 1}}, "metadata.m"),
        ({"m": True}, "metadata.m"),
        ({"m": [["a"]]}, "metadata.m"),
        ("x", "metadata.m"),
    ],
)
def test_fields_that_are_no_text(tmp_path: Path, metadata: object, source: str) -> None:
    """A field made of an object, a truth value or nested lists is refused with file and line."""
    path = write(tmp_path / "c", {"_id": "1", "text": "x", "metadata": metadata})
    with pytest.raises(DataError, match=r"c:1: metadata.* = .*; expected"):
        read_corpus(path, {"f": FieldSpec(source)})


def test_queries_keep_what_is_beside_them(tmp_path: Path) -> None:
    """Answers and other keys of a query go into its metadata, under the metadata's own."""
    path = write(
        tmp_path / "q",
        {"_id": "1", "text": "", "answers": ["a"], "kind": "x", "metadata": {"kind": "y"}},
        {"_id": "2", "text": "t"},
    )
    queries = read_queries(path)
    assert queries.query_ids == ["1", "2"]
    assert queries.texts == ["", "t"]
    assert queries.metadata == [{"answers": ["a"], "kind": "y"}, {}]
    assert queries.kinds == ["y", ""]
    with pytest.raises(DataError, match=r"q:1: metadata = 'x'; expected an object"):
        read_queries(write(tmp_path / "q", {"_id": "1", "text": "", "metadata": "x"}))


def test_corpus_round_trip(tmp_path: Path, toy_suite: Suite) -> None:
    """A written corpus with a column of every kind and gaps in each reads back the same."""
    corpus = toy_suite.corpus
    write_corpus(tmp_path / "c.jsonl.gz", corpus)
    kinds = {name: column.kind for name, column in corpus.metadata.items()}
    found = read_corpus(tmp_path / "c.jsonl.gz", columns=kinds)
    assert (found.doc_ids, found.fields, found.weights) == (
        corpus.doc_ids,
        corpus.fields,
        corpus.weights,
    )
    for name, column in corpus.metadata.items():
        np.testing.assert_array_equal(found.metadata[name].values, column.values, strict=True)


@given(
    st.lists(st.tuples(st.text(min_size=1), st.text()), min_size=1, unique_by=lambda row: row[0])
)
@settings(max_examples=60, deadline=None)
def test_any_text_round_trip(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> None:
    """Any Unicode in ids and texts survives the files, line separators and BOMs included."""
    folder = tmp_path_factory.mktemp("beir")
    ids, texts = map(list, zip(*rows, strict=True))
    write_corpus(folder / "c", Corpus(ids, {"text": texts}))
    write_queries(folder / "q", Queries(ids, texts, [{"answers": texts}] * len(ids)))
    corpus, queries = read_corpus(folder / "c"), read_queries(folder / "q")
    assert (corpus.doc_ids, corpus.fields["text"]) == (ids, texts)
    assert (queries.query_ids, queries.texts) == (ids, texts)
    assert queries.metadata == [{"answers": texts}] * len(ids)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever the bytes, reading gives objects or a DataError, never another exception."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert all(isinstance(item, dict) for _, item in read_objects(path))
