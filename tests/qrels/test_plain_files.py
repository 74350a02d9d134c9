"""A plain CSV or JSON lines file as a corpus: ids, fields and columns by what they hold."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from qrels.data import Corpus
from qrels.errors import DataError, UsageError
from qrels.plain import has_vectors, read_plain

CSV = """,model_id,readme,downloads,rating,created_at,tags,embeddings
0,org/a,"two
lines, one cell",10,0.5,2024-01-02,"['x', 'y']","[0.1, 0.2]"
1,org/b,,,,,,"[0.3, 0.4]"
2,org/c,plain,30,2,2024-01-03T04:05:06Z,"[""z""]",
"""
ROWS = [
    {"model_id": "org/a", "readme": "two\nlines, one cell", "downloads": 10, "rating": 0.5,
     "created_at": "2024-01-02", "tags": ["x", "y"], "embeddings": [0.1], "snapshots": {"a": 1}},
    {"model_id": "org/b", "readme": "", "downloads": None, "rating": float("nan"), "tags": "",
     "created_at": ""},
    {"model_id": "org/c", "readme": "plain", "metadata": {"downloads": 30, "rating": 2,
     "created_at": "2024-01-03T04:05:06Z", "tags": "z"}},
]  # fmt: skip


def check_models(corpus: Corpus) -> None:
    """The corpus of three models that CSV and ROWS both hold."""
    assert corpus.doc_ids == ["org/a", "org/b", "org/c"]
    assert corpus.fields == {
        "model_id": ["org/a", "org/b", "org/c"],
        "readme": ["two\nlines, one cell", "", "plain"],
        "tags": ["x, y", "", "z"],
    }
    assert corpus.weights == dict.fromkeys(corpus.fields, 1.0)
    kinds = {name: column.kind for name, column in corpus.metadata.items()}
    assert kinds == {
        "readme": "str",
        "downloads": "int",
        "rating": "float",
        "created_at": "date",
        "tags": "list",
    }
    values = {name: column.values for name, column in corpus.metadata.items()}
    np.testing.assert_array_equal(values["downloads"], [10.0, np.nan, 30.0])
    np.testing.assert_array_equal(values["rating"], [0.5, np.nan, 2.0])
    days = ["2024-01-02", "NaT", "2024-01-03T04:05:06"]
    np.testing.assert_array_equal(values["created_at"], np.array(days, "datetime64[s]"))
    assert values["tags"].tolist() == [("x", "y"), (), ("z",)]
    assert values["readme"].tolist() == ["two\nlines, one cell", None, "plain"]


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["models.csv", "models.csv.gz"])
def test_csv(tmp_path: Path, name: str, end: str, bom: bytes) -> None:
    """Columns of a CSV are typed by content; embeddings and unnamed columns are left out."""
    data = bom + CSV.replace("\n", end).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    corpus = read_plain(tmp_path / name)
    if end == "\r\n":  # the line end inside a cell belongs to the cell
        assert corpus.fields["readme"][0] == "two\r\nlines, one cell"
        return
    check_models(corpus)


@pytest.mark.parametrize("name", ["models.jsonl", "models.ndjson"])
def test_json_lines(tmp_path: Path, name: str) -> None:
    """JSON lines give the same corpus, flat or with keys under metadata; objects are left out."""
    (tmp_path / name).write_text("\n".join(map(json.dumps, ROWS)))
    check_models(read_plain(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("c.csv", CSV, True),
        ("c.csv", 'id,"embeddings",t\n1,2,x', True),
        ("c.csv", "id,t\n1,embeddings\n", False),
        ("c.jsonl", json.dumps(ROWS[0]), True),
        ("c.jsonl", json.dumps(ROWS[1]), False),
    ],
)
def test_has_vectors(tmp_path: Path, name: str, content: str, expected: bool) -> None:
    """A file has vectors where a column, or a key of its first row, is called embeddings."""
    (tmp_path / name).write_text(content)
    assert has_vectors(tmp_path / name) is expected


def test_beir_layout(tmp_path: Path) -> None:
    """BEIR's title and text are fields alone, the id no field, the metadata columns."""
    row = {"_id": "7", "title": "2024", "text": "9", "metadata": {"likes": 3, "ok": True}}
    (tmp_path / "c.jsonl").write_text(json.dumps(row))
    corpus = read_plain(tmp_path / "c.jsonl")
    assert corpus.doc_ids == ["7"]
    assert corpus.fields == {"title": ["2024"], "text": ["9"], "ok": ["True"]}
    assert {name: column.kind for name, column in corpus.metadata.items()} == {
        "likes": "int",
        "ok": "str",
    }


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", ""], "int"),
        (["1", "2.5", ""], "float"),
        (["1", "nan"], "float"),
        (["1_0", "2"], "str"),
        (["1", "two"], "str"),
        (["inf", "1"], "str"),
        (["1" * 400, "2"], "str"),
        ([str(2**53), "2"], "int"),
        ([str(2**53 + 1), "2"], "float"),
        (["٣", "2"], "str"),
        (["2024-01-01", ""], "date"),
        (["2024-01-01", "soon"], "str"),
        (["['a', 'b']", "[]"], "list"),
        (["['a', 'b'", "[]"], "str"),
        (["[__import__('os')]", "[]"], "str"),
        (["[" * 9999 + "]" * 9999, ""], "str"),
        (["True", "False"], "str"),
    ],
)
def test_kinds_by_content(tmp_path: Path, cells: list[str], kind: str) -> None:
    """A column is of a kind where all its cells are; nothing in it is ever evaluated."""
    with (tmp_path / "c.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text", "m"], *(["d" + c[:9], "x", c] for c in cells)])
    assert read_plain(tmp_path / "c.csv").metadata["m"].kind == kind


def test_large_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell beyond the csv module's limit is read, and the module's limit stays as it was."""
    monkeypatch.setattr("qrels.plain.CELL_LIMIT", 10**6)
    before = csv.field_size_limit()
    (tmp_path / "c.csv").write_text(
        f'id,text,embeddings\n1,{"ab " * 100_000},"[{"0.1," * 99_999}1]"'
    )
    assert len(read_plain(tmp_path / "c.csv").fields["text"][0]) == 300_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        pytest.param("c.csv", "", "c.csv: the file is empty", id="empty"),
        pytest.param("c.csv", "id,text\n", "c.csv: holds a header and no rows", id="no-rows"),
        pytest.param("c.csv", "name,text\na,b\n", "c.csv: no column of ids; expected", id="no-id"),
        pytest.param("c.csv", "id,n\na,1\n", "c.csv: no column of text", id="no-text"),
        pytest.param("c.csv", "id,t\na,b\nc\n", "c.csv:3: expected 2 columns, got 1", id="short"),
        pytest.param("c.csv", "id,t\na,b,c\n", "c.csv:2: expected 2 columns, got 3", id="long"),
        pytest.param("c.csv", "id,t,t\na,b,c\n", "c.csv:1: column 't' is there twice", id="twice"),
        pytest.param("c.csv", 'id,t\na,"b\n', "c.csv:2: not valid CSV: ", id="open-quote"),
        pytest.param("c.csv", "id,t\na,b\n,c\n", "c.csv:3: id ''; expected", id="empty-id"),
        pytest.param(
            "c.csv",
            'id,t\na,"b\nb"\n\na,c\n',
            "c.csv:5: id 'a' was already given at",
            id="id-twice",
        ),
        pytest.param("c.jsonl", '{"id": 5, "t": "x"}', "c.jsonl:1: id 5; expected", id="number-id"),
        pytest.param("c.jsonl", '{"t": "x"}', "c.jsonl: no column of ids", id="json-no-id"),
        pytest.param(
            "c.jsonl", '{"id": "a", "t": "x", "n": Infinity}', "c.jsonl:1: n = inf;", id="infinity"
        ),
    ],
)
def test_faults_of_plain_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    """A plain file with a fault is refused in one line naming file, line and value."""
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as raised:
        read_plain(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path}/{message}")


def test_unknown_ending(tmp_path: Path) -> None:
    """Another kind of file is refused with the endings that are read."""
    with pytest.raises(UsageError, match=r"cannot read '.xlsx'; allowed: .csv, .jsonl, .ndjson"):
        read_plain(tmp_path / "c.xlsx")


def test_shared_models(shared: Path) -> None:
    """The shared model listing is read as it is: 5,254 models with figures, dates and tags."""
    corpus = read_plain(shared / "hf_models" / "models.jsonl")
    assert len(corpus) == 5254
    kinds = {name: column.kind for name, column in corpus.metadata.items()}
    expected = {"downloads": "int", "likes": "int", "created_at": "date", "tags": "list"}
    assert expected.items() <= kinds.items()
    assert "snapshots" not in kinds
    listing = read_plain(shared / "hf_models" / "free2aitools_listing_2025-12-22.csv.gz")
    assert len(listing) == 17974
    assert listing.metadata["downloads"].kind == "int"
