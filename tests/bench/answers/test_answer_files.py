"""Files of answers, read and written."""

import json
import os
from dataclasses import replace

import pytest

from bench.answers.files import AnswerRow, answers_of_record, read_answers, write_answers
from qrels.errors import DataError, UsageError
from reports.record import save

ROW = AnswerRow("one", "q1", "Who?", "Bob [1]\nor “Ann”", citations=("d",), contexts=("d", "e"),
                gold=("Bob",))  # fmt: skip
SILENT = AnswerRow("one", "q2", "Where?", "", suite="models", split="dev", abstained=True)
LEAST = {"system": "s", "query_id": "q", "question": "?", "answer": "a"}

WRONG = {  # changes of LEAST, what is said of it
    "missing": ({"question": None}, "has no 'question'"),
    "unknown": ({"answr": "x"}, "unknown key 'answr'; did you mean 'answer'?"),
    "number": ({"answer": 4}, "answer = 4; expected text"),
    "texts": ({"gold": ["x", 1]}, r"gold = \['x', 1\]; expected a list of texts"),
    "text-for-texts": ({"citations": "d"}, "citations = 'd'; expected a list of texts"),
    "yes": ({"abstained": 1}, "abstained = 1; expected true or false"),
    "abstained": ({"abstained": True}, "abstained, but answer = 'a'; expected ''"),
    "empty-id": ({"query_id": " "}, "query_id is empty"),
}


def lines(*objects):
    return "".join(json.dumps(one) + "\n" for one in objects)


def test_what_is_written_is_read(tmp_path):
    """Every value of every row, gzipped or not."""
    for name in ("a.jsonl", "a.jsonl.gz"):
        write_answers(tmp_path / name, [ROW, SILENT])
        assert read_answers(tmp_path / name) == [ROW, SILENT]


def test_what_has_a_default_may_be_missing(tmp_path):
    """System, query, question and answer make a row."""
    (tmp_path / "a.jsonl").write_text(lines(LEAST))
    assert read_answers(tmp_path / "a.jsonl") == [AnswerRow("s", "q", "?", "a")]


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_a_row_that_does_not_fit_is_one_line(change, message, tmp_path):
    """It names file, line and value."""
    path = tmp_path / "a.jsonl"
    changed = {k: v for k, v in {**LEAST, **change}.items() if v is not None}
    path.write_text(lines({**LEAST, "query_id": "other"}, changed))
    with pytest.raises(DataError, match=rf"a\.jsonl:2: {message}"):
        read_answers(path)


def test_a_question_answered_twice_is_an_error(tmp_path):
    """Both lines are named; another system, split or suite is another answer."""
    path = tmp_path / "a.jsonl"
    others = [{**LEAST, key: "other"} for key in ("system", "split", "suite", "query_id")]
    path.write_text(lines(LEAST, *others))
    assert len(read_answers(path)) == 5
    path.write_text(lines(LEAST, *others, LEAST))
    with pytest.raises(DataError, match=r"a\.jsonl:6: 's' answers query 'q' .* in line 1 already"):
        read_answers(path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    """What fails on the way leaves the old file and nothing else."""
    path = tmp_path / "a.jsonl"
    write_answers(path, [ROW])

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        write_answers(path, [SILENT])
    assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]
    assert read_answers(path) == [ROW]


@pytest.fixture
def saved(record, tmp_path):
    """A folder with a record whose first two systems have answers, the second being a floor."""
    import hashlib

    digests = []
    for name in ("hybrid", "dense"):
        path = tmp_path / "answers" / f"{name}.jsonl"
        write_answers(path, [replace(ROW, system=name, suite="models")])
        digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
    first, second, *rest = record.cells
    first = replace(first, answers_file="answers/hybrid.jsonl", answers_digest=digests[0])
    second = replace(
        second, answers_file="answers/dense.jsonl", answers_digest=digests[1], bound="floor"
    )
    save(replace(record, cells=(first, second, *rest)), tmp_path)
    return tmp_path


def test_the_answers_of_a_record_leave_bounds_out(saved):
    """A floor's answers are read only where they are asked for."""
    _, rows = answers_of_record(saved)
    assert [row.system for row in rows] == ["hybrid"]
    found, rows = answers_of_record(saved / "record.json", ["dense"])
    assert [row.system for row in rows] == ["dense"]
    assert found.suites[0].name == "models"


def test_a_system_without_answers_is_an_error(saved, record, tmp_path):
    """Asked for by name, or when no system has any."""
    with pytest.raises(UsageError, match="unknown system with answers 'bm25'"):
        answers_of_record(saved, ["bm25"])
    save(record, tmp_path / "other")
    with pytest.raises(UsageError, match="other holds no answers"):
        answers_of_record(tmp_path / "other")


def test_answers_that_are_not_those_saved_are_refused(saved):
    """A file that was changed since, or is gone."""
    path = saved / "answers" / "hybrid.jsonl"
    write_answers(path, [replace(ROW, answer="better")])
    with pytest.raises(DataError, match=r"hybrid\.jsonl: is not what the record describes"):
        answers_of_record(saved)
    path.unlink()
    with pytest.raises(DataError, match=r"hybrid\.jsonl: No such file"):
        answers_of_record(saved)
