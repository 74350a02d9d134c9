"""Qrels and runs as files: what is read, what is refused and where, and that writing reads back."""

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qrels.data import ABSENT, Corpus, Run, Suite
from qrels.errors import DataError
from qrels.ranking import order_ties
from qrels.trec import align, read_judgements, read_run, write_qrels, write_run

BEIR = b"query-id\tcorpus-id\tscore\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        pytest.param("q.txt", b"q1 0 d1 2\nq1 0 d2 -1\nq2 0 d1 0\n", id="trec"),
        pytest.param("q.txt", b"q1\t0\td1\t2\nq1\t0\td2\t-1\nq2\t0\td1\t0", id="trec-tabs"),
        pytest.param(
            "q.txt", b"\xef\xbb\xbfq1 0 d1 2\r\nq1 0 d2 -1\r\nq2 0 d1 0\r\n", id="bom-crlf"
        ),
        pytest.param("q.txt", b"\nq1 0 d1 +2\n\n  q1  x  d2  -1\nq2 0 d1 00\n\n", id="blanks"),
        pytest.param("q.tsv", BEIR + b"q1\td1\t2\nq1\td2\t-1\nq2\td1\t0\n", id="beir"),
        pytest.param(
            "q.tsv",
            b"\xef\xbb\xbf"
            + (BEIR + b"q1\td1\t2\nq1\td2\t-1\nq2\td1\t0\n").replace(b"\n", b"\r\n"),
            id="beir-bom-crlf",
        ),
        pytest.param("q.gz", gzip.compress(b"q1 0 d1 2\nq1 0 d2 -1\nq2 0 d1 0\n"), id="gzip"),
    ],
)
def test_forms_of_qrels(tmp_path: Path, name: str, content: bytes) -> None:
    """The same judgements are read from either form, whatever the line ends, BOM or packing."""
    (tmp_path / name).write_bytes(content)
    found = read_judgements(tmp_path / name)
    assert found.query_ids == ["q1", "q1", "q2"]
    assert found.doc_ids == ["d1", "d2", "d1"]
    assert found.grades.tolist() == [2, -1, 0]
    assert found.grades.dtype == np.int16


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "f: the file is empty", id="empty"),
        pytest.param(b"\xef\xbb\xbf\n \n", "f: the file is empty", id="only-bom-and-blanks"),
        pytest.param(BEIR, "f: holds a header and no judgements", id="only-header"),
        pytest.param(
            b"q 0 d 1\nq 0 d2\n",
            r"f:2: expected 4 columns, query_id 0 doc_id grade; got 3; "
            r"BEIR's form needs the header query-id\tcorpus-id\tscore",
            id="three-columns",
        ),
        pytest.param(
            b"q 0 d 1 x\n",
            "f:1: expected 4 columns, query_id 0 doc_id grade; got 5",
            id="five-columns",
        ),
        pytest.param(
            BEIR + b"q\td\n",
            r"f:2: expected 3 columns, query-id\tcorpus-id\tscore; got 2",
            id="beir-two-columns",
        ),
        pytest.param(
            b"q 0 a 1\n\nq 0 d 1.0\n",
            "f:3: grade '1.0'; expected an integer from -32767 to 32767",
            id="float-grade-after-a-blank-line",
        ),
        pytest.param(BEIR + b"q\td\t1_0\n", "f:2: grade '1_0'; expected", id="underscore-grade"),
        pytest.param(BEIR + b"q\td\t\n", "f:2: grade ''; expected", id="empty-grade"),
        pytest.param(b"q 0 d 32768\n", "f:1: grade '32768'; expected", id="grade-too-large"),
        pytest.param(b"q 0 d -32768\n", "f:1: grade '-32768'; expected", id="grade-means-unjudged"),
        pytest.param(
            b"q 0 d 1\nr 0 d 1\nq 0 d 2\n",
            "f:3: document 'd' was already given for query 'q' on line 1",
            id="twice-with-other-grades",
        ),
        pytest.param(
            BEIR + b"q\td\t1\nq\td\t1\n",
            "f:3: document 'd' was already given for query 'q' on line 2",
            id="twice-with-the-same-grade",
        ),
        pytest.param(BEIR + b"\td\t1\n", "f:2: an id is empty", id="empty-query-id"),
        pytest.param(BEIR + b"q\td\t1\nq\t\t1\n", "f:3: an id is empty", id="empty-doc-id"),
        pytest.param(b"q 0 d 1\nq 0 \xff 1\n", "f:2: byte 0xff is not valid UTF-8", id="not-utf-8"),
        pytest.param(
            gzip.compress(b"q 0 d 1\n" * 99)[:-9], "f: truncated or damaged gzip", id="cut-off-gzip"
        ),
    ],
)
def test_faults_of_qrels(tmp_path: Path, content: bytes, message: str) -> None:
    """A qrels file with a fault is refused in one line: file, line, value, what is allowed."""
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(DataError) as raised:
        read_judgements(tmp_path / "f")
    assert str(raised.value).startswith(f"{tmp_path}/{message}")
    assert "\n" not in str(raised.value)


def test_run_columns(tmp_path: Path) -> None:
    """A run's rank and second column are ignored, its scores are float32, its tag the first's."""
    (tmp_path / "r").write_bytes(b"q2 Q0 b 9 1e-3 tag\r\n\r\nq1\tx\ta\t1\t-0.1\tother\r\n")
    found = read_run(tmp_path / "r")
    assert found.query_ids == ["q2", "q1"]
    assert found.doc_ids == ["b", "a"]
    assert found.scores.dtype == np.float32
    assert found.scores.tolist() == [np.float32(0.001), np.float32(-0.1)]
    assert found.tag == "tag"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("", "r: the file is empty", id="empty"),
        pytest.param("q Q0 d 1 nan t\n", "r:1: score 'nan'; expected a finite", id="nan"),
        pytest.param("q Q0 a 1 2 t\nq Q0 d 1 -inf t\n", "r:2: score '-inf'; expected", id="inf"),
        pytest.param("q Q0 d 1 1e39 t\n", "r:1: score '1e39'; expected", id="beyond-float32"),
        pytest.param("q Q0 d 1 high t\n", "r:1: score 'high'; expected", id="not-a-number"),
        pytest.param("q Q0 d 1 1_0 t\n", "r:1: score '1_0'; expected", id="underscore"),
        pytest.param(
            "q Q0 d 1 0.5\n",
            "r:1: expected 6 columns, query_id Q0 doc_id rank score tag; got 5",
            id="no-tag",
        ),
        pytest.param("q Q0 d 1 1 a tag\n", "r:1: expected 6 columns", id="tag-with-space"),
        pytest.param(
            "q Q0 d 1 2 t\np Q0 d 1 2 t\nq Q0 e 2 1 t\nq Q0 d 3 0 t\nq Q0 e 4 0 t\n",
            "r:4: document 'd' was already given for query 'q' on line 1",
            id="document-twice-in-a-ranking",
        ),
    ],
)
def test_faults_of_runs(tmp_path: Path, content: str, message: str) -> None:
    """A run file with a fault is refused in one line naming file, line, value, what is allowed."""
    (tmp_path / "r").write_text(content)
    with pytest.raises(DataError) as raised:
        read_run(tmp_path / "r")
    assert str(raised.value).startswith(f"{tmp_path}/{message}")


def test_missing_file(tmp_path: Path) -> None:
    """A file that is not there, and a folder in its place, are DataErrors naming the path."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match=str(path)):
            read_run(path)


def test_align_by_hand(tmp_path: Path) -> None:
    """Queries are the qrels' in file order, documents the union; ties go by document id down."""
    (tmp_path / "q").write_text("q2 0 b 1\nq1 0 z 2\nq2 0 a -1\nq3 0 a 1\n")
    (tmp_path / "r").write_text(
        "q1 Q0 a 1 0.5 t\nq1 Q0 c 2 0.5 t\nq1 Q0 b 3 0.7 t\nq9 Q0 a 1 1 t\nq2 Q0 é 1 1 t\n"
        "q2 Q0 z 2 1.00000001 t\n"  # the same float32 as 1
    )
    found = align(read_judgements(tmp_path / "q"), read_run(tmp_path / "r"))
    assert found.query_ids == ["q2", "q1", "q3"]
    assert found.doc_ids == ["b", "z", "a", "c", "é"]
    assert found.extra_queries == 1
    assert found.qrels.indptr.tolist() == [0, 2, 3, 4]
    assert found.qrels.docs.tolist() == [0, 2, 1, 2]
    assert found.qrels.grades.tolist() == [1, -1, 2, 1]
    assert found.run.docs.tolist() == [[4, 1, -1], [0, 3, 2], [-1, -1, -1]]
    assert found.run.scores[0].tolist() == [1.0, 1.0, -np.inf]
    types = [array.dtype for array in (*found.run, found.qrels.docs, found.qrels.grades)]
    assert types == [np.int32, np.float32, np.int32, np.int16]


def test_align_without_common_queries(tmp_path: Path) -> None:
    """A run that answers none of the qrels' queries gives them empty rankings, one place deep."""
    (tmp_path / "q").write_text("q1 0 a 1\n")
    (tmp_path / "r").write_text("q9 Q0 a 1 1 t\n")
    found = align(read_judgements(tmp_path / "q"), read_run(tmp_path / "r"))
    assert found.run.docs.tolist() == [[-1]]
    assert found.extra_queries == 1


IDS = st.text(min_size=1, max_size=6).filter(
    lambda text: not set(text) & set(" \t\n\v\f\r") and not text.startswith("\ufeff")
)
FINITE = st.floats(width=32, allow_nan=False, allow_infinity=False)


@st.composite
def rankings(draw: st.DrawFn) -> tuple[list[str], list[str], Run]:
    """Ids and a Run over them in the one order; every query has at least one document."""
    queries = draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    docs = draw(st.lists(IDS, min_size=1, max_size=5, unique=True))
    shape = (len(queries), len(docs))
    scores = draw(arrays.arrays(np.float32, shape, elements=FINITE))
    lengths = draw(st.lists(st.integers(1, len(docs)), min_size=shape[0], max_size=shape[0]))
    lengths[0] = len(docs)
    kept = np.arange(len(docs)) < np.array(lengths)[:, None]
    run = Run(np.where(kept, np.arange(len(docs)), ABSENT).astype(np.int32), scores)
    return queries, docs, order_ties(run, Corpus(docs, {}).tie_order)


@given(rankings())
@settings(max_examples=60, deadline=None)
def test_run_round_trip(given_run: tuple[list[str], list[str], Run]) -> None:
    """A written run reads back as the same rankings, scores bit for bit, whatever its ids."""
    queries, docs, run = given_run
    with tempfile.TemporaryDirectory() as folder:
        write_run(Path(folder) / "r.gz", queries, docs, run, "täg")
        write_qrels(Path(folder) / "q", queries, [docs[0]] * len(queries), [1] * len(queries))
        rows = read_run(Path(folder) / "r.gz")
        found = align(read_judgements(Path(folder) / "q"), rows)
    assert rows.tag == "täg"
    assert found.query_ids == queries
    assert [[found.doc_ids[d] for d in row if d >= 0] for row in found.run.docs.tolist()] == [
        [docs[d] for d in row if d >= 0] for row in run.docs.tolist()
    ]
    assert found.run.scores.tobytes() == run.scores.tobytes()


TAB_IDS = st.text(min_size=1, max_size=6).filter(lambda text: not set(text) & set("\t\n\r"))


@given(st.dictionaries(st.tuples(TAB_IDS, TAB_IDS), st.integers(-32767, 32767), min_size=1))
@settings(max_examples=60, deadline=None)
def test_qrels_round_trip(rows: dict[tuple[str, str], int]) -> None:
    """Written qrels in BEIR's form read back the same, ids with spaces included."""
    queries, docs = zip(*rows, strict=True)
    with tempfile.TemporaryDirectory() as folder:
        write_qrels(Path(folder) / "test.tsv.gz", queries, docs, rows.values())
        found = read_judgements(Path(folder) / "test.tsv.gz")
    assert list(zip(found.query_ids, found.doc_ids, strict=True)) == list(rows)
    assert found.grades.tolist() == list(rows.values())


@pytest.mark.parametrize("name", ["", "a b", "a\tb", "a\nb", "\ufeffa", "a\r"])
def test_ids_that_trec_cannot_carry(tmp_path: Path, name: str) -> None:
    """An id that six columns cannot carry is refused by name, and no file appears."""
    run = Run(np.array([[0]], np.int32), np.array([[1.0]], np.float32))
    for queries, docs, tag in (([name], ["d"], "t"), (["q"], [name], "t"), (["q"], ["d"], name)):
        with pytest.raises(DataError) as raised:
            write_run(tmp_path / "r", queries, docs, run, tag)
        assert repr(name) in str(raised.value)
    with pytest.raises(DataError):
        write_qrels(tmp_path / "q", [name], ["d"], [1])
    assert list(tmp_path.iterdir()) == []


def test_odd_id_that_is_not_retrieved(tmp_path: Path) -> None:
    """A document whose id the format cannot carry does no harm where no ranking holds it."""
    run = Run(np.array([[0, -1]], np.int32), np.array([[1.0, -np.inf]], np.float32))
    write_run(tmp_path / "r", ["q"], ["d", "a b"], run, "t")
    assert (tmp_path / "r").read_text() == "q Q0 d 1 1 t\n"


def test_written_form(tmp_path: Path) -> None:
    """Ranks count from 1, scores have nine digits, padding is left out; gzip has no clock in it."""
    docs = np.array([[1, 0], [0, -1]], np.int32)
    scores = np.array([[1 / 3, -2.0], [1e-20, -np.inf]], np.float32)
    for name in ("r.gz", "s.gz", "r"):
        write_run(tmp_path / name, ["q1", "q2"], ["a", "b"], Run(docs, scores), "bm25")
    expected = "q1 Q0 b 1 0.333333343 bm25\nq1 Q0 a 2 -2 bm25\nq2 Q0 a 1 9.99999968e-21 bm25\n"
    assert (tmp_path / "r").read_text() == expected
    packed = (tmp_path / "r.gz").read_bytes()
    assert gzip.decompress(packed).decode() == expected
    assert packed == (tmp_path / "s.gz").read_bytes()
    assert packed[4:8] == bytes(4)


def test_write_makes_its_folder_and_replaces(tmp_path: Path) -> None:
    """Writing makes the folder, replaces what is there and leaves nothing else beside it."""
    path = tmp_path / "runs" / "x.qrels"
    write_qrels(path, ["old"], ["d"], [1])
    write_qrels(path, ["new"], ["d"], [1])
    assert path.read_text() == "new 0 d 1\n"
    assert list(path.parent.iterdir()) == [path]


def test_toy_run_round_trip(tmp_path: Path, toy_suite: Suite) -> None:
    """Ids outside ASCII with a slash, and a query without documents, survive the files."""
    docs = np.array([[0, 4, -1], [3, 2, 1], [-1, -1, -1]], np.int32)
    scores = np.array([[2, 1, -np.inf], [1, 1, 0.5], [-np.inf] * 3], np.float32)
    ids = toy_suite.corpus.doc_ids
    write_run(tmp_path / "r", toy_suite.queries.query_ids, ids, Run(docs, scores), "t")
    write_qrels(tmp_path / "q", ["q1", "q2", "q3"], ["cats", "cats", "cats"], [1, 0, 0])
    found = align(read_judgements(tmp_path / "q"), read_run(tmp_path / "r"))
    named = [[found.doc_ids[d] for d in row if d >= 0] for row in found.run.docs.tolist()]
    assert named == [["cats", "ü/ß"], ["twin-b", "twin-a", "dogs"], []]


def test_shared_runs(shared: Path) -> None:
    """The shared runs join the full qrels: 43 queries, 100 deep, 9,260 judgements."""
    judgements = read_judgements(shared / "trec-dl19-pool" / "qrels" / "test_full.tsv")
    files = sorted((shared / "trec-dl19-pool" / "runs").glob("*.trec"))
    assert len(files) == 6
    for path in files:
        found = align(judgements, read_run(path))
        assert len(found.query_ids) == 43
        assert len(found.qrels.docs) == 9260
        assert found.run.docs.shape == (43, 100)
        assert (np.diff(found.run.scores, axis=1) <= 0).all()
