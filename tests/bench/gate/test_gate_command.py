"""`bench gate` and `bench baseline` as a user types them: exit codes, files, and mistakes."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main
from qrels.beir import write_corpus, write_queries

TOML = """
suites = ["toy"]
[[system]]
name = "mine"
retriever = "bm25"
params = { k1 = %s }
[gate]
margin = 0.05
"""


@pytest.fixture(autouse=True)
def quiet(tmp_path, monkeypatch):
    """A folder and a cache of its own, and no CI around."""
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def suite(tmp_path, toy_suite):
    """The toy suite as a BEIR folder, with an experiment beside it."""
    target = tmp_path / "toy"
    (target / "qrels").mkdir(parents=True)
    write_corpus(target / "corpus.jsonl", toy_suite.corpus)
    write_queries(target / "queries.jsonl", toy_suite.queries)
    rows = ["query-id\tcorpus-id\tscore", "q1\tcats\t2", "q1\tü/ß\t1", "q2\ttwin-a\t1"]
    (target / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "search.toml").write_text(TOML % 0.9)
    return target


@pytest.fixture
def results(make_result, accepted):
    """A baseline b.json, and results by the verdict that they get."""
    found = {
        "old": accepted,
        "same": accepted,
        "worse": accepted - np.linspace(0.1, 0.3, 40),
        "unclear": accepted + np.tile([0.2, -0.21], 20),
    }
    folders = {name: str(make_result(name, {"bm25": values})) for name, values in found.items()}
    assert main(["baseline", "save", folders["old"], "--out", "b.json"]) == 0
    return folders


@pytest.mark.parametrize(
    ("name", "options", "code"),
    [
        ("same", [], 0),
        ("worse", [], 1),
        ("worse", ["--inconclusive", "pass"], 1),
        ("worse", ["--margin", "0.5"], 0),
        ("worse", ["--margin", "nDCG@10=0.5"], 0),
        ("unclear", [], 3),
        ("unclear", ["--inconclusive", "pass"], 0),
        ("unclear", ["--inconclusive", "fail"], 1),
        ("unclear", ["--margin", "0.1"], 0),
        ("unclear", ["--margin", "0.1", "--floor", "nDCG@10=0.9"], 1),
        ("same", ["--exact"], 0),
        ("same", ["--measure", "RR@10", "--alpha", "0.01", "--power", "0.9"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_exit_codes(results, name, options, code):
    """0 no worse, 1 worse, 3 cannot tell, or what the job is told to make of it."""
    assert main(["gate", results[name], "--baseline", "b.json", *options]) == code


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("same", "No worse: nothing changed"),
        ("worse", "Worse: nDCG@10 of bm25 on toy lost 0.200"),
        ("unclear", "Cannot tell: nDCG@10 of bm25 on toy (40 queries) changed"),
    ],
)
def test_the_first_line_is_the_verdict(results, name, words, capsys):
    """Then what to do, then the figures; the last line of the terminal has it again."""
    capsys.readouterr()
    main(["gate", results[name], "--baseline", "b.json"])
    shown = capsys.readouterr()
    assert shown.out.startswith(f"**{words}")
    assert shown.err.startswith(f"bench gate: {words}")


def test_an_option_wins_over_the_file(results):
    """A plain --margin is for all measures, whatever the file says of one."""
    rules = '[gate]\ninconclusive = "pass"\nmargin = { "nDCG@10" = 0.001 }\n'
    Path("gate.toml").write_text(rules)
    gate = ["gate", results["unclear"], "--baseline", "b.json", "--rules", "gate.toml"]
    assert main(gate) == 0
    assert main([*gate, "--inconclusive", "fail"]) == 1
    assert main([*gate, "--inconclusive", "fail", "--margin", "0.1"]) == 0


def test_every_form_of_output_can_be_read(results, tmp_path, monkeypatch, capsys):
    """Markdown, JUnit XML, JSON, annotations and the summary of a GitHub job."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    files = ["--markdown", "out/g.md", "--junit", "out/g.xml", "--json", "out/g.json"]
    gate = ["gate", results["worse"], "--baseline", "b.json", *files]
    assert main(gate) == main(gate) == 1
    page = (tmp_path / "out/g.md").read_text()
    shown = capsys.readouterr().out
    assert shown.startswith(page)
    assert (tmp_path / "summary.md").read_text() == f"{page}\n" * 2
    assert "::error title=bench gate::Worse: nDCG@10 of bm25 on toy lost 0.200" in shown
    tests = ElementTree.parse(tmp_path / "out/g.xml").getroot()
    assert (tests.get("tests"), tests.get("failures")) == ("1", "1")
    assert json.loads((tmp_path / "out/g.json").read_text())["verdict"] == "worse"


def test_without_a_record_the_cells_are_run_again(suite, tmp_path, capsys):
    """The tree unchanged is no worse to the last ranking; a system broken on purpose is worse."""
    run = ["run", "--suite", "toy", "--system", "bm25", "--no-latency", "--depth", "3"]
    assert main([*run, "--out", "one", "--measure", "R@2", "--measure", "P@1"]) == 0
    assert main(["baseline", "save", "one", "--out", "b.json"]) == 0
    capsys.readouterr()
    gate = ["gate", "--baseline", "b.json", "--suite", "toy"]
    assert main([*gate, "--exact", "--measure", "P@1", "--floor", "AP=0.3"]) == 0
    shown = capsys.readouterr().out
    assert "| P@1 " in shown
    assert "AP of bm25 on toy is at least 0.3" in shown


def test_the_systems_of_an_experiment_are_gated_by_its_own_rules(suite, tmp_path, capsys):
    """The suite is found beside the file; changed parameters are said."""
    assert main(["run", "--experiment", "search.toml", "--no-latency", "--out", "one"]) == 0
    assert main(["baseline", "save", "one", "--out", "b.json"]) == 0
    (tmp_path / "search.toml").write_text(TOML % 1.4)
    capsys.readouterr()
    assert main(["gate", "--baseline", "b.json", "--experiment", "search.toml"]) in (0, 3)
    shown = capsys.readouterr().out
    assert "params.k1 0.9 → 1.4" in shown
    assert " 0.050 |" in shown


def test_only_the_cells_of_the_baseline_are_run(suite, tmp_path, capsys):
    """Two suites with a system each are two cells, not four."""
    (tmp_path / "toy" / "suite.toml").write_text('name = "little"\n')
    for name, system in (("toy", "bm25"), ("models", "bm25?k1=1.2")):
        run = ["run", "--suite", name, "--system", system, "--no-latency", "--out", f"of-{name}"]
        assert main(run) == 0
    assert main(["baseline", "save", "of-models", "--out", "b.json"]) == 0
    assert main(["baseline", "accept", "of-toy", "--baseline", "b.json"]) == 0
    capsys.readouterr()
    assert main(["gate", "--baseline", "b.json", "--suite", "toy"]) == 0
    shown = capsys.readouterr()
    assert "[2/2]" in shown.err
    assert "nothing changed in 2 cells" in shown.out


def test_baselines_are_shown_and_accepted(results, capsys):
    """Accepting shows each mean before and after; the gate passes from then on."""
    assert main(["gate", results["worse"], "--baseline", "b.json"]) == 1
    capsys.readouterr()
    assert main(["baseline", "accept", results["worse"], "--baseline", "b.json"]) == 0
    assert "nDCG@10            40   0.500  0.300" in capsys.readouterr().out
    assert main(["gate", results["worse"], "--baseline", "b.json", "--exact"]) == 0
    capsys.readouterr()
    assert main(["baseline", "show", "b.json"]) == 0
    assert "0.300" in capsys.readouterr().out


def test_accepting_keeps_to_the_measures_of_the_file(results, capsys):
    """A baseline of one measure stays one; naming a measure changes that."""
    accept = ["baseline", "accept", results["worse"], "--baseline", "one.json"]
    main(["baseline", "save", results["old"], "--out", "one.json", "--measure", "RR@10"])
    capsys.readouterr()
    assert main(accept) == 0
    assert "nDCG@10" not in capsys.readouterr().out
    assert main([*accept, "--measure", "nDCG@10"]) == 0
    assert "nDCG@10" in capsys.readouterr().out


def test_a_parameter_that_json_lacks_has_not_changed(suite, tmp_path, monkeypatch, capsys):
    """The candidate is read back from its record, as the baseline was."""
    (tmp_path / "plug.py").write_text(
        "from pathlib import Path\n"
        "from retrievers.bm25 import BM25\n"
        "class Mine(BM25):\n"
        "    def __init__(self, most=float('inf'), folder=Path('x'), pairs=((1, 2),)):\n"
        "        super().__init__()\n"
        "        self.most, self.folder, self.pairs = most, folder, pairs\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = ["run", "--suite", "toy", "--system", "plug:Mine", "--no-latency", "--out", "one"]
    assert main(run) == 0
    assert main(["baseline", "save", "one", "--out", "b.json"]) == 0
    capsys.readouterr()
    assert main(["gate", "--baseline", "b.json", "--suite", "toy"]) == 0
    assert "changed: params" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gate", "same"], "--baseline FILE"),
        (["gate", "same", "--baseline", "c.json"], "c.json"),
        (["gate", "nowhere", "--baseline", "b.json"], "nowhere"),
        (["gate", "same", "--baseline", "same/record.json"], "not a baseline"),
        (["gate", "same", "--baseline", "b.json", "--alpha", "0"], "alpha is a number"),
        (["gate", "same", "--baseline", "b.json", "--alpha", "nan"], "alpha is a number"),
        (["gate", "same", "--baseline", "b.json", "--margin", "-1"], "above 0"),
        (["gate", "same", "--baseline", "b.json", "--measure", "Judged@10"], "never gated"),
        (["gate", "same", "--baseline", "b.json", "--measure", "P@1"], "lacks P(rel=2)@1"),
        (["gate", "same", "--baseline", "b.json", "--system", "bm52"], "'bm52'"),
        (["gate", "--baseline", "b.json"], "toy"),
        (["gate", "--baseline", "b.json", "--suite", "tyo"], "tyo: no such folder"),
        (["gate", "--baseline", "b.json", "--system", "bm52"], "bm52"),
        (["baseline", "save", "same", "--out", "b.json"], "there already"),
        (["baseline", "accept", "same", "--baseline", "c.json"], "c.json"),
        (["baseline", "save", "nowhere", "--out", "c.json"], "nowhere"),
        (["baseline", "show", "same/record.json"], "not a baseline"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(results, arguments, message, capsys):
    """Never a pass, and no file is changed."""
    capsys.readouterr()
    before = Path("b.json").read_bytes()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert Path("b.json").read_bytes() == before


def test_the_committed_baseline_is_met(capsys):
    """The shipped suite's default BM25, run with the code of now."""
    path = Path(__file__).parents[3] / "baselines" / "models.json"
    assert main(["gate", "--baseline", str(path), "--system", "bm25", "--margin", "0.005"]) == 0
