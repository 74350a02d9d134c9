"""The fast reader of runs gives what the exact one gives, and refuses the rest."""

import gzip
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qrels import fast_corpus, fast_run, trec
from qrels.coded import Coded
from qrels.errors import BenchError
from qrels.fast_corpus import Refused
from qrels.positions import positions
from qrels.text_column import TextColumn
from qrels.trec import align, read_judgements, read_run


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """No file is too small."""
    monkeypatch.setattr(trec, "FAST_FROM", 0)


def exact(monkeypatch, path):
    with monkeypatch.context() as patch:
        patch.setattr(trec, "FAST_FROM", 1 << 60)
        return outcome(path)


def outcome(path):
    """The rows, or the message."""
    try:
        rows = read_run(path)
    except BenchError as error:
        return str(error)
    return list(rows.query_ids), list(rows.doc_ids), rows.scores.tobytes(), rows.tag


CASES = {
    "plain": "q 0 a 1 2.5 t\nq 0 b 2 1.5 t\nr 0 a 1 9 t\n",
    "tabs": "q\t0\ta\t1\t2.5\tt\n",
    "no-end": "q 0 a 1 2.5 t",
    "carriage-returns": "q 0 a 1 2.5 t\r\nq 0 b 1 2.5 t\r\n",
    "blank-lines": "\nq 0 a 1 2.5 t\n\nq 0 b 2 1 u\n",
    "spaces": "q  0 a 1 2.5 t\n q 0 b 1 1 t \n",
    "queries-return": "q 0 a 1 2 t\nr 0 a 1 2 t\nq 0 b 1 2 t\n",
    "other-characters": "é 0 中\x00 1 2.5 ü\nq 0 \x1c 1 1 t\n",
    "tails": "q 0 a 1 2 t\nq 0 a\x00 1 2 t\nq 0 "
    + "x" * 16
    + " 1 2 t\nq 0 "
    + "x" * 17
    + " 1 2 t\n",
    "document-twice": "q 0 a 1 2 t\nq 0 b 1 2 t\nq 0 a 1 1 t\n",
    "document-twice-apart": "q 0 a 1 2 t\nr 0 a 1 2 t\nq 0 a 1 1 t\n",
    "five-columns": "q 0 a 1 2.5\n",
    "seven-columns": "q 0 a 1 2.5 t u\n",
    "no-number": "q 0 a 1 two t\n",
    "underscore": "q 0 a 1 1_0 t\n",
    "infinite": "q 0 a 1 inf t\n",
    "nan": "q 0 a 1 nan t\n",
    "too-large": "q 0 a 1 1e39 t\n",
    "empty": "\n",
}


@pytest.mark.parametrize("text", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_each_case_comes_out_as_from_the_exact_reader(tmp_path, monkeypatch, text, packed):
    """The rows or the message are the exact reader's."""
    path = tmp_path / "run.txt"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert outcome(path) == exact(monkeypatch, path)


@pytest.mark.parametrize(("name", "taken"), [("plain", True), ("tails", True), ("spaces", False)])
def test_what_is_regular_is_not_refused(tmp_path, name, taken):
    """The fast reader is in use at all, and refuses what it should."""
    path = tmp_path / "run.txt"
    path.write_text(CASES[name])
    try:
        assert (len(fast_run.fast_run(path).scores) > 0) is taken
    except Refused:
        assert not taken


SCORES = [
    "0", "-0", "+1.5", "1.", ".5", "-.5e1", "1e-45", "1e-46", "3.4028235e38", "3.4028236e38",
    "16777217", "16777216.999999999", "0.1", "1e22", "1e23", "123456789012345678", "1" * 30,
    "12345678901234567e-17", "9007199254740993", "1.000000059604644775390625", "1e-400", "1E+05",
    "1.00000005960464478", "1.00000005960464477", "000000000000000000000001.5", "1e0000001",
    "0x1p3",
]  # fmt: skip


@pytest.mark.parametrize("score", SCORES)
def test_a_score_is_rounded_as_by_way_of_float64(tmp_path, monkeypatch, score):
    """Bit for bit, at the middle between two numbers too, and where it does not fit."""
    path = tmp_path / "run.txt"
    path.write_text(f"q 0 a 1 {score} t\n")
    assert outcome(path) == exact(monkeypatch, path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from("qrs"),
            st.sampled_from(["a", "b", "é", "a\0", "x" * 15, "x" * 16, "x" * 17]),
            st.floats(width=64) | st.integers() | st.text("0123456789.eE+-", max_size=25),
            st.sampled_from([" ", "\t", "  "]),
            st.sampled_from(["\n", "\r\n", "\n\n", " \n"]),
        ),
        max_size=6,
    ),
)
def test_any_run_comes_out_as_from_the_exact_reader(tmp_path, monkeypatch, rows):
    """Any scores, few ids that are often the same, odd spaces and ends of lines."""
    text = "".join(sep.join([q, "0", d, "1", str(s), "t"]) + end for q, d, s, sep, end in rows)
    path = tmp_path / "run.txt"
    path.write_text(text, encoding="utf-8", newline="")
    assert outcome(path) == exact(monkeypatch, path)


@pytest.mark.parametrize("block", [64, 500, 5000])
def test_lines_and_names_go_on_from_block_to_block(tmp_path, monkeypatch, block):
    """Names outgrow their table, and the file is cut anywhere."""
    for module in (fast_corpus, fast_run):
        monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(fast_run, "ROWS", 2 * block // fast_run.SHORTEST_LINE)
    rng = random.Random(1)
    lines = [
        f"q{q} 0 doc{d} 1 {rng.gauss(0, 9)!r} t"
        for q in range(20)
        for d in rng.sample(range(10**5), 300)
    ]
    path = tmp_path / "run.txt"
    path.write_text("\n".join(lines))
    assert outcome(path) == exact(monkeypatch, path)


@pytest.mark.parametrize("shuffled", [False, True], ids=["in-order", "shuffled"])
def test_what_is_joined_with_qrels_is_the_same(tmp_path, monkeypatch, shuffled):
    """Positions, rankings and counts are those of the exact reader."""
    rng = random.Random(2)
    lines = [f"q{q} 0 d{d} 1 {d % 5} t" for q in range(9) for d in rng.sample(range(99), 20)]
    if shuffled:
        rng.shuffle(lines)
    path = tmp_path / "run.txt"
    path.write_text("\n".join(lines))
    (tmp_path / "qrels").write_text("q1 0 d1 1\nq8 0 zz 2\nnone 0 d5 1\nq3 0 d1 0\n")
    judged = read_judgements(tmp_path / "qrels")
    found = align(judged, read_run(path))
    monkeypatch.setattr(trec, "FAST_FROM", 1 << 60)
    expected = align(judged, read_run(path))
    for mine, theirs in ((found.run, expected.run), (found.qrels, expected.qrels)):
        assert mine.docs.tolist() == theirs.docs.tolist()
    assert found.run.scores.tolist() == expected.run.scores.tolist()
    assert found.query_ids == expected.query_ids
    assert found.doc_ids == expected.doc_ids
    assert found.extra_queries == expected.extra_queries == 6


def test_coded_ids_are_a_sequence_of_strings():
    """Items, slices, iteration and equality are those of the strings; positions are their codes."""
    ids = ["a", "b", "a", "c", "b"]
    coded = Coded(TextColumn.of("abc"), np.array([0, 1, 0, 2, 1], np.int32))
    assert list(coded) == ids == coded[:]
    assert coded == ids
    assert coded[-1] == "b"
    assert len(coded) == 5
    assert coded != ids[1:]
    assert coded[1:4] == ids[1:4]
    for first in ((), ["x", "b"]):
        names, which = positions(coded, first)
        expected, places = positions(ids, first)
        assert names == expected
        assert which.tolist() == places.tolist()
        assert [names[i] for i in which] == ids
        assert names[: len(first)] == list(first)
