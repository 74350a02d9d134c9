"""`bench lint` tells a run file, a record and a suite apart, and says what to do."""

import pytest

from bench.cli import main
from bench.lint import ALL
from qrels.suites import shipped

PUBLISHED = ("models", "datasets", "qa")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "x.trec"
    path.write_text("q1 Q0 a 1 2 t\nq1 Q0 b 2 nan t\n")
    return path


def test_a_run_file_with_an_error_gives_exit_code_2(run, capsys):
    """The finding, its remedy beneath, and the count."""
    assert main(["lint", str(run)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("F2 error: x.trec: 1 scores")
    assert lines[1] == f"   {ALL['F2'].remedy}"
    assert lines[-1].endswith("x.trec: errors 1, warnings 1")  # it is short, too


def test_a_run_file_may_come_with_qrels_or_a_suite(run, tmp_path, capsys):
    """Each brings its own checks; both at once are refused."""
    (tmp_path / "qrels").write_text("q2 0 a 1\n")
    assert main(["lint", str(run), "--qrels", str(tmp_path / "qrels")]) == 2
    assert "F6 error" in capsys.readouterr().out
    assert main(["lint", str(run), "--suite", "models"]) == 2
    assert "F5 error" in capsys.readouterr().out
    assert main(["lint", str(run), "--suite", "models", "--qrels", "x"]) == 2
    assert "not both" in capsys.readouterr().err


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_records_have_no_error(name, capsys):
    """With all their run files and the suite as it is now."""
    from pathlib import Path

    folder = Path(__file__).parents[2] / "reports" / "published" / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    assert name in shipped()
    assert main(["lint", str(folder)]) == 0
    assert "errors 0" in capsys.readouterr().out


def test_a_suite_is_checked_split_by_split(capsys):
    """With the systems named, instead of its own."""
    main(["lint", "models", "--system", "bm25"])
    out = capsys.readouterr().out
    assert "models (dev): errors 0" in out
    assert "models (test): errors 0" in out


def test_a_record_that_is_damaged_is_a_finding(tmp_path, capsys):
    """Not an exception, and not a usage error."""
    (tmp_path / "record.json").write_text("{")
    assert main(["lint", str(tmp_path)]) == 2
    assert "V1 error" in capsys.readouterr().out


def test_ids_cannot_steer_a_terminal(tmp_path, capsys):
    """Escape sequences in an id are dropped."""
    path = tmp_path / "x"
    path.write_text("q\x1b[31m Q0 a 1 2 t\nq\x1b[31m Q0 a 2 1 t\n")
    main(["lint", str(path)])
    assert "\x1b" not in capsys.readouterr().out


def test_of_many_findings_of_a_kind_the_first_are_shown(capsys):
    """And the others are counted."""
    from bench.lint import Finding, summary

    text = summary("s", [Finding("S4", "error", f"m{i}", "do it") for i in range(9)])
    assert text.splitlines()[:2] == ["S4 error: m0", "   do it"]
    assert text.count("do it") == 1
    assert "S4 error: 4 more of these" in text
    assert text.endswith("errors 9, warnings 0")


def test_explain_shows_one_check_or_all(capsys):
    """Codes in upper or lower case; an unknown one is an error."""
    assert main(["lint", "--explain", "r3"]) == 0
    assert capsys.readouterr().out.startswith(f"R3   {ALL['R3'].title}")
    assert main(["lint", "--explain"]) == 0
    assert capsys.readouterr().out.count("\n") == 2 * len(ALL)
    assert main(["lint", "--explain", "Q1"]) == 2
    assert main(["lint"]) == 2
