"""`bench compare --queries`, by hand on a suite of a few documents; and which sources are taken."""

import json
import shutil
from dataclasses import replace

import pytest

from bench.cli import main
from bench.config import Experiment, parse_system
from bench.runner import Options, run_experiment
from bench.sources import loadable, sources
from qrels.suites import load_suite
from reports.record import load, save

DOCS = "abcdefghijkl"


@pytest.fixture
def folder(tmp_path):
    """A suite of twelve documents and two queries, in dev and test."""
    place = tmp_path / "few"
    (place / "qrels").mkdir(parents=True)
    rows = [{"_id": d, "title": "" if d == "a" else f"T|{d}", "text": f"of {d}"} for d in DOCS]
    queries = [{"_id": "q", "text": "what | <b>"}, {"_id": "r", "text": "same"}]
    for name, lines in (("corpus", rows), ("queries", queries)):
        (place / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    for split in ("dev", "test"):
        (place / "qrels" / f"{split}.tsv").write_text(
            "query-id\tcorpus-id\tscore\nq\ta\t1\nq\tb\t0\nr\ta\t1\n"
        )
    (place / "suite.toml").write_text('measures = ["RR@20", "Judged@20"]\n')
    return place


@pytest.fixture
def runs(tmp_path):
    """Two run files: on q the first has a at 1 and the second a at 12; on r they are the same."""
    orders = {"x": DOCS, "y": "bcdefghijkl" + "a"}
    for name, order in orders.items():
        lines = [f"q Q0 {doc} 0 {20 - rank} t\n" for rank, doc in enumerate(order)]
        (tmp_path / name).write_text("".join(lines) + "r Q0 a 0 1 t\n")
    return [str(tmp_path / name) for name in orders]


def test_queries_and_their_rankings_by_hand(folder, runs, capsys):
    """Share and sign, grades, titles, and what moved up, down, in and out."""
    arguments = ["compare", *runs, "--suite", str(folder), "--queries"]
    assert main([*arguments, "--format", "json"]) == 0
    (query,) = json.loads(capsys.readouterr().out)["queries"]
    assert query["values"] == [1.0, pytest.approx(1 / 12)]
    assert query["share"] == pytest.approx((1 - 1 / 12) / 2)
    first, second = (one[:3] for one in query["rankings"])
    assert [place["grade"] for place in first] == [1, 0, None]
    assert [place["title"] for place in first] == ["of a", "T|b", "T|c"]
    assert [place["other_rank"] for place in first] == [12, 1, 2]
    assert [place["other_rank"] for place in second] == [2, 3, 4]
    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("**q**: what \\| &lt;b&gt; — 1.000 and 0.083, +0.458") for line in lines
    )
    cells = [line for line in lines if line.startswith(("|   1 |", "|  10 |"))]
    assert [" ".join(line.split()) for line in cells] == [
        "| 1 | a, of a (1) **out** | b, T\\|b (0) up 1 |",
        "| 10 | j, T\\|j (–) down 1 | k, T\\|k (–) **in** |",
    ]
    assert "**Judged@20**" not in lines


def test_equal_systems_have_no_queries_behind_them(folder, runs, capsys):
    """Where every query has the same value the page says so."""
    copy = shutil.copy(runs[0], runs[0] + "2")
    assert main(["compare", runs[0], copy, "--suite", str(folder), "--queries"]) == 0
    assert "have the same MRR@20 on every query" in capsys.readouterr().out


def test_a_run_of_other_queries_is_refused(folder, runs, tmp_path, capsys):
    """A run file with none of the suite's queries is one line, not a system that scores 0."""
    (tmp_path / "z").write_text("nobody Q0 a 1 1 t\n")
    assert main(["compare", runs[0], str(tmp_path / "z"), "--suite", str(folder)]) == 2
    assert "none of its queries is in few" in capsys.readouterr().err


@pytest.fixture
def both(folder, tmp_path):
    """A result folder of two systems on both splits."""
    target = tmp_path / "result"
    target.mkdir()
    suites = [load_suite(folder, split) for split in ("dev", "test")]
    systems = [parse_system(name) for name in ("bm25", "bm25?k1=2")]
    save(run_experiment(Experiment(suites, systems), target, Options(protocol=None)), target)
    return target


def test_suite_and_split_choose_among_those_of_a_record(both):
    """All by default; --split and --suite leave only theirs."""
    splits = [source.suite.split for source in sources([str(both)])]
    assert sorted(splits) == ["dev", "dev", "test", "test"]
    assert {source.suite.split for source in sources([str(both)], split="dev")} == {"dev"}
    assert len(sources([str(both)], suite="few")) == 4
    assert sources([str(both)], suite="other") == []


def test_a_suite_is_at_hand_only_where_it_is_the_same(both, folder):
    """Another digest under a shipped name is no suite to take grades from; given, it is refused."""
    info = load(both).suites[0]
    assert loadable(info) is None
    assert loadable(info, str(folder)).digest == info.digest
    assert loadable(replace(info, name="models")) is None
    shipped = load_suite("datasets", "dev")
    assert loadable(replace(info, name="datasets", digest=shipped.digest)).name == "datasets"
