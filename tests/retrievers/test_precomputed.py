"""Vectors from files: every format gives the same ranking, every fault one clear line."""

import csv
import gzip
import json

import numpy as np
import pytest

from qrels.data import Corpus
from qrels.errors import DataError, UsageError
from retrievers.precomputed import Precomputed

IDS = ["org/a", "b", "ü c"]
HASHING = "hashing?dimension=3"
VECTORS = [[1.0, 0.0, 0.0], [0.0, 0.5, 1e-3], [-1.0, 2.0, 3.0]]


@pytest.fixture
def corpus():
    return Corpus(IDS, {"text": ["one", "two", "three"]})


def as_csv(rows, header=("id", "name", "embeddings")):
    lines = [",".join(header)]
    for doc_id, vector in rows:
        text = vector if isinstance(vector, str) else json.dumps(vector)
        lines.append(f'{doc_id},"a, b","{text}"')
    return "\n".join(lines) + "\n"


ROWS = list(zip(IDS, VECTORS, strict=True))
SHUFFLED = [ROWS[2], ("elsewhere", [0, 0, 0]), ROWS[0], ROWS[1]]


def write_csv(path):
    path.write_text(as_csv(SHUFFLED), "utf-8")


def write_gzip(path):
    path.write_bytes(gzip.compress(("\ufeff" + as_csv(SHUFFLED)).encode()))


def write_jsonl(path):
    rows = [{"model_id": i, "embeddings": vector} for i, vector in SHUFFLED]
    path.write_text("\n".join(map(json.dumps, rows)), "utf-8")


def write_npy(path):
    np.save(path, np.array(VECTORS))


def write_half(path):
    np.save(path, np.array(VECTORS, np.float16))


def write_parquet(path):
    pyarrow = pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    ids, vectors = zip(*SHUFFLED, strict=True)
    parquet.write_table(pyarrow.table({"_id": ids, "embeddings": list(map(list, vectors))}), path)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("v.csv", write_csv), ("v.csv.gz", write_gzip), ("v.jsonl", write_jsonl),
        ("v.npy", write_npy), ("half.npy", write_half), ("v.parquet", write_parquet),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_scores(corpus, tmp_path, name, write):
    """By id in any order, other ids passed over; .npy in the corpus's order."""
    write(tmp_path / name)
    retriever = Precomputed(str(tmp_path / name), encoder=HASHING)
    retriever.index(corpus)
    query = np.array([[1.0, 2.0, 0.5]], np.float32)
    run = retriever.search_encoded(query, 3)
    assert run.docs.tolist() == [[2, 0, 1]] or run.docs.tolist() == [[2, 1, 0]]
    found = dict(zip(run.docs[0].tolist(), run.scores[0].tolist(), strict=True))
    assert [found[doc] for doc in range(3)] == pytest.approx([1.0, 1.0005, 4.5], rel=1e-3)


def test_columns_can_be_named(corpus, tmp_path):
    """column and id_column say where vectors and ids are."""
    path = tmp_path / "v.csv"
    path.write_text(as_csv(ROWS, ("key", "name", "vec")), "utf-8")
    Precomputed(str(path), "vec", "key", HASHING).index(corpus)
    with pytest.raises(UsageError, match=r"unknown column of .*v\.csv 'vecs'; did you mean 'vec'"):
        Precomputed(str(path), "vecs", "key", HASHING).index(corpus)
    with pytest.raises(DataError, match="no column of ids; expected one of _id, id"):
        Precomputed(str(path), "vec", None, HASHING).index(corpus)


def test_long_vectors_are_read(tmp_path):
    """A cell may be longer than the csv module's own limit, which is put back afterwards."""
    before = csv.field_size_limit()
    vector = [0.12345678901234567] * 10_000
    (tmp_path / "v.csv").write_text(as_csv([("a", vector)]))
    corpus = Corpus(["a"], {"text": ["x"]})
    Precomputed(str(tmp_path / "v.csv"), encoder="hashing?dimension=10000").index(corpus)
    assert csv.field_size_limit() == before < len(json.dumps(vector))


FAULTS = {
    "missing": (as_csv(ROWS[:1]), "2 documents have no row, the first is 'b'"),
    "twice": (as_csv([*ROWS, ROWS[1]]), "1 documents are there more than once, the first is 'b'"),
    "ragged": (as_csv([ROWS[0], ("b", [1, 2])]), r"v\.csv:3: 2 numbers; .* before have 3"),
    "dimension": (as_csv([(i, [1, 2]) for i in IDS]), "vectors have 2 numbers; .* gives 3"),
    "not-json": (as_csv([("b", "[1, 2")]), r"v\.csv:2: expected a list of numbers, got '\[1, 2'"),
    "code": (as_csv([("b", "__import__('os')")]), r"v\.csv:2: expected a list of numbers"),
    "text": (as_csv([("b", '[""1""]')]), r"v\.csv:2: expected a list of numbers"),
    "booleans": (as_csv([("b", "[true, 1]")]), r"v\.csv:2: expected a list of numbers"),
    "empty": (as_csv([("b", "[]")]), r"v\.csv:2: expected a list of numbers, got \[\]"),
    "nan": (as_csv([("b", "[1, NaN]")]), r"v\.csv:2: a number is not finite"),
    "overflow": (as_csv([("b", "[1, 1e39]")]), r"v\.csv:2: a number is not finite"),
    "huge": (as_csv([("b", "[1" + "0" * 400 + "]")]), r"v\.csv:2: a number is not finite"),
    "columns": (as_csv(ROWS) + "x,y\n", r"v\.csv:5: expected 3 columns, got 2"),
    "quotes": (as_csv(ROWS) + 'x,"y\n', r"v\.csv:5: not valid CSV"),
    "no-rows": (as_csv([]), "3 documents have no row"),
    "no-file": (None, "No such file"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_csv_is_a_data_error(corpus, tmp_path, text, message):
    """The message names the file, the line and what was expected."""
    path = tmp_path / "v.csv"
    if text is not None:
        path.write_text(text, "utf-8")
    with pytest.raises(DataError, match=message) as caught:
        Precomputed(str(path), encoder=HASHING).index(corpus)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 3)), r"holds float64 \(2, 3\); expected floats \(3, dimension\)"),
        (np.zeros(3), r"holds float64 \(3,\)"),
        (np.zeros((3, 3), np.int64), r"holds int64 \(3, 3\)"),
        (np.full((3, 3), [1, np.inf, 0]), "row 0 holds a number that is not finite"),
        (np.array([[{}]], object), "not an array that can be read"),
        (np.zeros((3, 4)), "vectors have 4 numbers; encoder .* gives 3"),
    ],
    ids=["rows", "flat", "integers", "infinite", "pickled", "dimension"],
)
def test_a_faulty_array_is_a_data_error(corpus, tmp_path, array, message):
    """Nothing is unpickled, nothing is guessed."""
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    with pytest.raises(DataError, match=message):
        Precomputed(str(tmp_path / "v.npy"), encoder=HASHING).index(corpus)


def test_a_damaged_parquet_file_is_a_data_error(corpus, tmp_path):
    """One line that names the file."""
    pytest.importorskip("pyarrow", reason="reading Parquet needs pyarrow")
    (tmp_path / "v.parquet").write_bytes(b"PAR1 not really PAR1")
    with pytest.raises(DataError, match=r"v\.parquet: not Parquet that can be read"):
        Precomputed(str(tmp_path / "v.parquet"), encoder=HASHING).index(corpus)


def test_an_unknown_format_is_a_usage_error(corpus):
    """The formats are listed."""
    with pytest.raises(UsageError, match=r"from '\.pkl'; allowed: \.csv, \.jsonl.*, \.npy"):
        Precomputed("vectors.pkl", encoder=HASHING).index(corpus)
