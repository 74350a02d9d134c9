"""What to judge next, and how the grades come back."""

import numpy as np
import pytest

from bench.bounds import difference_bounds
from bench.cli import main
from bench.judge_next import Hole, judge_next, sheet
from bench.merge_grades import merge
from bench.metrics import parse_measure
from qrels.beir import write_corpus, write_queries
from qrels.data import ABSENT, Qrels, Run
from qrels.errors import DataError
from qrels.trec import read_judgements

MEASURE = parse_measure("nDCG@2")


def run_of(*rows, depth=3):
    docs = np.array([[*row, *[ABSENT] * (depth - len(row))] for row in rows], np.int32)
    return Run(docs, np.where(docs == ABSENT, -np.inf, -np.arange(depth)).astype(np.float32))


def one_relevant(n_queries=1):
    """Document 0 has grade 1 for every query, and nothing else is judged."""
    steps = np.arange(n_queries + 1, dtype=np.int64)
    return Qrels(steps, np.zeros(n_queries, np.int32), np.ones(n_queries, np.int16))


def places(found):
    return [(hole.query, hole.doc) for hole in found.holes]


def test_a_document_that_both_return_alike_comes_last():
    """5 is second in both and settles little; 7 and 8 are first in one each."""
    found = judge_next({"a": run_of([7, 5]), "b": run_of([8, 5])}, one_relevant(), MEASURE)
    assert [doc for _, doc in places(found)] == [7, 8, 5]
    assert (found.pairs, found.open_pairs) == (1, [("a", "b")])


def test_a_pair_that_is_settled_weighs_nothing():
    """a and b cannot change places; only the holes of c, which can be ahead, are listed."""
    settled = {"a": run_of([0]), "b": run_of([])}
    assert judge_next(settled, one_relevant(), MEASURE).open_pairs == []
    found = judge_next({**settled, "c": run_of([9, 0])}, one_relevant(), MEASURE)
    assert ("a", "b") not in found.open_pairs
    assert places(found) == [(0, 9)]


def test_documents_beyond_the_cutoff_are_not_listed():
    """They change nothing, nor does what is judged."""
    found = judge_next({"a": run_of([0, 1, 2])}, one_relevant(), MEASURE)
    assert places(found) == [(0, 1)]


def test_what_is_fully_judged_needs_no_judgement():
    """No hole, no document."""
    found = judge_next({"a": run_of([0]), "b": run_of([0])}, one_relevant(), MEASURE)
    assert found.holes == []


def test_equal_weights_keep_the_order_of_queries():
    """The same input gives the same sheet, and rounding does not shuffle it."""
    runs = {"a": run_of(*[[7]] * 5), "b": run_of(*[[8]] * 5)}
    found = judge_next(runs, one_relevant(5), MEASURE)
    assert [hole.query for hole in found.holes if hole.doc == 7] == [0, 1, 2, 3, 4]


def test_parts_of_the_work_give_the_same_weights(monkeypatch):
    """However many holes are weighed at a time."""
    runs = {"a": run_of([7, 5], [1, 2]), "b": run_of([8, 5], [2, 3])}
    whole = judge_next(runs, one_relevant(2), MEASURE)
    monkeypatch.setattr("bench.judge_next.STEP", 1)
    assert judge_next(runs, one_relevant(2), MEASURE) == whole


def test_a_weight_is_what_the_grade_takes_off_the_bounds():
    """The width now less that under the qrels with the lowest and the highest grade, averaged."""
    runs = {"a": run_of([7, 5]), "b": run_of([6, 7])}

    def width(**graded):
        pairs = sorted({0: 1, **{int(doc[1:]): grade for doc, grade in graded.items()}}.items())
        docs, grades = (np.array(column) for column in zip(*pairs, strict=True))
        indptr = np.array([0, len(pairs)], np.int64)
        qrels = Qrels(indptr, docs.astype(np.int32), grades.astype(np.int16))
        low, high = difference_bounds(runs["a"], runs["b"], qrels, MEASURE).mean
        return high - low

    found = judge_next(runs, one_relevant(), MEASURE)
    assert len(found.holes) == 3
    for hole in found.holes:
        left = [width(**{f"d{hole.doc}": grade}) for grade in (0, 1)]
        assert hole.weight == pytest.approx(width() - np.mean(left))
    assert [hole.weight for hole in found.holes] == sorted(h.weight for h in found.holes)[::-1]


def test_the_sheet_has_what_a_person_needs_and_is_inert(toy_suite):
    """One line a document, texts on one line, and nothing that a spreadsheet would run."""
    from dataclasses import replace

    queries = replace(toy_suite.queries, texts=["=1+1\tx\ny", "b", "c"])
    suite = replace(toy_suite, queries=queries)
    lines = sheet(suite, [Hole(0, 4, 1.0), Hole(1, 6, 0.5)]).splitlines()
    assert lines == [
        "query_id\tquery\tdoc_id\ttitle\tgrade",
        "q1\t'=1+1 x y\tü/ß\tKatzen\t",
        "q2\tb\tgone\t\t",
    ]


@pytest.fixture
def qrels(tmp_path):
    path = tmp_path / "qrels.tsv"
    path.write_text("query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tb\t0\nq2\ta\t1\n")
    return path


def write_sheet(tmp_path, *rows):
    path = tmp_path / "sheet.tsv"
    path.write_text("\n".join(["query_id\tquery\tdoc_id\ttitle\tgrade", *rows]) + "\n")
    return path


def test_grades_are_added_behind_those_there(tmp_path, qrels):
    """File order is kept; rows without a grade are counted, one that agrees changes nothing."""
    path = write_sheet(tmp_path, "q2\tx\tc\tC\t 2 ", "q1\tx\tc\tC\t", "q1\tx\ta\tA\t2")
    found = merge(path, read_judgements(qrels))
    assert (found.added, found.replaced, found.empty) == (1, 0, 1)
    found.write(qrels)
    assert qrels.read_text().splitlines()[1:] == ["q1\ta\t2", "q1\tb\t0", "q2\ta\t1", "q2\tc\t2"]


def test_another_grade_is_taken_only_when_asked(tmp_path, qrels):
    """Without --replace the line names both grades."""
    path = write_sheet(tmp_path, "q1\tx\tb\tB\t1")
    with pytest.raises(DataError, match=r"sheet.tsv:2: grade 1 of 'b' .* has 0; --replace"):
        merge(path, read_judgements(qrels))
    found = merge(path, read_judgements(qrels), replace=True)
    assert (found.grades["q1", "b"], found.replaced) == (1, 1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["q1\tx\tc\tC\t3"], r":2: grade '3'; expected a whole number from 0 to 2"),
        (["q1\tx\tc\tC\t-1"], "from 0 to 2"),
        (["q1\tx\tc\tC\t1.0"], "grade '1.0'"),
        (["q1\tx\tc\tC\t١"], "expected a whole number"),
        (["q9\tx\tc\tC\t1"], ":2: query 'q9' is not known"),
        (["q1\tx\tz\tC\t1"], ":2: document 'z' is not in the corpus"),
        (["q1\tx\tc\tC"], ":2: 4 columns; expected 5"),
        (["q1\tx\tc\tC\t1", "q1\tx\tc\tC\t2"], ":3: grade 2 of 'c' .* line 2 has 1"),
    ],
)
def test_a_sheet_that_does_not_fit_is_refused(tmp_path, qrels, rows, message):
    """The line, the value and what is allowed."""
    with pytest.raises(DataError, match=message):
        merge(write_sheet(tmp_path, *rows), read_judgements(qrels), known_docs=["a", "b", "c"])


def test_another_table_is_refused(tmp_path, qrels):
    """By its header."""
    (tmp_path / "x.tsv").write_text("a\tb\n")
    with pytest.raises(DataError, match=r"x\.tsv:1: header"):
        merge(tmp_path / "x.tsv", read_judgements(qrels))


def test_a_larger_grade_may_be_allowed(tmp_path, qrels):
    """Where the qrels do not hold the largest grade yet."""
    path = write_sheet(tmp_path, "q1\tx\tc\tC\t3")
    assert merge(path, read_judgements(qrels), max_grade=3).grades["q1", "c"] == 3


@pytest.fixture
def folder(tmp_path, toy_suite, monkeypatch):
    """The toy suite as a folder, with one judgement a query."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    target = tmp_path / "toy"
    (target / "qrels").mkdir(parents=True)
    write_corpus(target / "corpus.jsonl", toy_suite.corpus)
    write_queries(target / "queries.jsonl", toy_suite.queries)
    rows = ["query-id\tcorpus-id\tscore", "q1\tcats\t2", "q2\ttwin-a\t1"]
    (target / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return target


def test_from_a_result_to_a_sheet_and_back(folder, tmp_path, capsys):
    """Run, ask, fill in, merge: then the same question has fewer answers."""
    out, path = tmp_path / "out", tmp_path / "next.tsv"
    systems = ["--system", "bm25", "--system", "lsa?dimensions=2"]
    run = ["run", "--suite", str(folder), "--out", str(out), "--no-latency", *systems]
    assert main(run) == 0
    ask = ["judge-next", str(out), "--suite", str(folder), "--n", "3", "--out", str(path)]
    assert main(ask) == 0
    assert "could still change places on nDCG@10" in capsys.readouterr().err
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 4
    path.write_text("\n".join([lines[0], *(line + "1" for line in lines[1:])]), encoding="utf-8")
    file = folder / "qrels" / "test.tsv"
    assert main(["judge-next", "--merge", str(path), "--qrels", str(file)]) == 0
    assert "3 judgements added, 0 replaced" in capsys.readouterr().out
    assert len(file.read_text(encoding="utf-8").splitlines()) == 6
    assert main(ask) == 2
    assert "is not the suite that was measured" in capsys.readouterr().err
    assert main(["judge-next", str(out)]) == 2
    assert "toy is not a shipped suite; give its folder" in capsys.readouterr().err
    again = sorted(map(str, (out / "runs").iterdir()))
    assert main(["judge-next", *again, "--suite", str(folder)]) == 0
    assert not set(lines[1:]) & set(capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "whose documents"),
        (["run.trec"], "--suite"),
        (["--merge", "sheet.tsv"], "--qrels"),
        (["run.trec", "--suite", "TOY", "--measure", "RR@10"], "expected an nDCG"),
        (["run.trec", "--suite", "TOY"], "document 'nine' is not in the suite 'toy'"),
    ],
)
def test_a_mistake_is_one_line(folder, tmp_path, capsys, monkeypatch, arguments, message):
    """And exit code 2."""
    monkeypatch.chdir(tmp_path)
    doc = "cats" if "RR@10" in arguments else "nine"
    (tmp_path / "run.trec").write_text(f"q1 Q0 {doc} 1 1 t\n")
    assert main(["judge-next", *(word.replace("TOY", str(folder)) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_refused_merge_leaves_the_qrels_as_they_were(folder, tmp_path, capsys):
    """Documents are looked up in the suite beside the qrels."""
    file = folder / "qrels" / "test.tsv"
    before = file.read_bytes()
    path = write_sheet(tmp_path, "q1\tx\tdogs\tD\t1", "q1\tx\tnine\tN\t1")
    assert main(["judge-next", "--merge", str(path), "--qrels", str(file)]) == 2
    assert "'nine'" in capsys.readouterr().err
    assert file.read_bytes() == before
