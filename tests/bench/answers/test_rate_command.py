"""`bench rate` from the command line."""

import csv
import io
import json

import pytest

from bench.answers.files import AnswerRow, write_answers
from bench.cli import main


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the command runs: answers of two systems to eight questions in two files."""
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second"):
        rows = [
            AnswerRow(name, f"q{q}", f"Question {q}?", f"{name} says {q}", gold=(f"says {q}",))
            for q in range(8)
        ]
        write_answers(tmp_path / f"{name}.jsonl", rows)
    return tmp_path


def run(*words):
    return main(["rate", *words])


def fill(path, out, value):
    """Rate every item by value(answer), as a person would in a spreadsheet."""
    rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"))))
    for row in rows[1:]:
        row[4] = value(row[3])
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=";").writerows(rows)


def test_from_answers_to_a_comparison(folder, capsys):
    """make, two people rate, read, and `bench compare` takes what came out."""
    assert run("make", "first.jsonl", "second.jsonl", "--out", "s.csv") == 0
    assert "16 answers to rate in s.csv; keep s.key.json" in capsys.readouterr().err
    fill(folder / "s.csv", folder / "ann.csv", lambda said: 5 if "first" in said else 2)
    fill(folder / "s.csv", folder / "bob.csv", lambda said: 4 if "first" in said else 2)
    assert run("read", "ann.csv", "bob.csv", "--key", "s.key.json", "--out", "ratings") == 0
    page = capsys.readouterr().out
    assert "16 answers rated from 1 to 5 by 2 raters" in page
    assert "first         4.500  [4.500, 4.500]" in page
    assert "ann    bob       16  0.500" in page
    assert main(["compare", "ratings", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["comparisons"][0]["pairs"][0]["difference"] == 2.5
    assert found["comparisons"][0]["measure"] == "Rating"


def test_ratings_are_never_overwritten(folder, capsys):
    """Neither a sheet nor a key, nor what a judge would fill in."""
    assert run("make", "first.jsonl", "--out", "s.csv") == 0
    before = (folder / "s.csv").read_bytes()
    for words in (["make", "first.jsonl", "--out", "s.csv", "--seed", "1"],
                  ["make", "first.jsonl", "--out", "t.csv", "--key", "s.key.json"],
                  ["judge", "s.csv", "--key", "s.key.json", "--judge", "extractive", "--out",
                   "s.csv"]):  # fmt: skip
        assert run(*words) == 2
        assert "exists and may hold ratings" in capsys.readouterr().err
    assert (folder / "s.csv").read_bytes() == before


def test_some_systems_and_questions_on_another_scale(folder, capsys):
    """--system, --n and --scale; the key holds the scale."""
    words = ["first.jsonl", "second.jsonl", "--system", "second", "--n", "3", "--scale", "0-1"]
    assert run("make", *words, "--out", "s.csv") == 0
    key = json.loads((folder / "s.key.json").read_text())
    assert (key["low"], key["high"], len(key["items"])) == (0, 1, 3)
    assert "first" not in (folder / "s.csv").read_text()
    fill(folder / "s.csv", folder / "ann.csv", lambda _: 2)
    assert run("read", "ann.csv", "--key", "s.key.json") == 2
    assert "ann.csv:2: rating '2'; expected a whole number from 0 to 1" in capsys.readouterr().err


WRONG = {
    "system": (["make", "first.jsonl", "--system", "frist", "--out", "s.csv"],
               "unknown system 'frist'; did you mean 'first'?"),
    "two-sources": (["make", ".", "first.jsonl", "--out", "s.csv"],
                    "give one result folder, or files of answers"),
    "no-file": (["make", "none.jsonl", "--out", "s.csv"], "none.jsonl: No such file"),
    "same-file": (["make", "first.jsonl", "--out", "s.csv", "--key", "s.csv"],
                  "s.csv cannot be both the sheet and the key"),
    "no-key": (["read", "s.csv", "--key", "none.json"], "none.json: No such file"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_one_line(words, message, folder, capsys):
    """Exit code 2, and nothing is written."""
    assert run(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["first.jsonl", "second.jsonl"]


def test_a_sheet_given_twice_is_an_error(folder, capsys):
    """It would count as two raters who agree."""
    run("make", "first.jsonl", "--out", "s.csv")
    assert run("read", "s.csv", "s.csv", "--key", "s.key.json") == 2
    assert "a sheet is given twice" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["5-1", "1-1", "a-b", "5", "1-5-9"])
def test_a_scale_has_two_ends(text, folder, capsys):
    """The lower one first."""
    with pytest.raises(SystemExit):
        run("make", "first.jsonl", "--out", "s.csv", "--scale", text)
    assert "is not a scale; expected LOW-HIGH" in capsys.readouterr().err


JUDGE = '''
from generators.base import Answer

class Judge:
    """Thinks that what is from the first system is right, and has no word on question 7."""

    def generate(self, questions, contexts):
        said = [passages[0].text for passages in contexts]
        return [Answer("hm" if "7" in one else f"VERDICT: {5 if 'first' in one else 1}")
                for one in said]
'''


def test_a_judge_fills_in_a_sheet_as_a_person_does(folder, capsys, monkeypatch):
    """Any generator by its name; its agreement with the gold labels is said, and it can be read."""
    (folder / "a_judge_of_answers.py").write_text(JUDGE)
    monkeypatch.syspath_prepend(folder)
    run("make", "first.jsonl", "second.jsonl", "--out", "s.csv")
    words = ["--key", "s.key.json", "--judge", "a_judge_of_answers:Judge", "--out", "judge.csv"]
    assert run("judge", "s.csv", *words) == 0
    said = capsys.readouterr().out
    assert "14 of 16 answers rated; the other replies could not be read" in said
    assert "against the gold labels: 0.500 the same, kappa 0.000, over 14 answers" in said
    assert run("read", "judge.csv", "--key", "s.key.json") == 0
    page = capsys.readouterr().out
    assert "7 questions; 1 left out" in page
    assert "first         5.000" in page
