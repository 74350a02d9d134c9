"""`bench choose` from the command line: records, experiments, exit codes, files."""

import json
from xml.etree import ElementTree

import pytest

from bench import runner
from bench.choose.budget import parse_budget
from bench.choose.experiment import enough
from bench.choose.report import Rule
from bench.cli import main
from bench.latency import Protocol
from reports.record import load, save


@pytest.fixture
def saved(record, tmp_path):
    save(record, tmp_path / "in")
    return str(tmp_path / "in")


def test_a_record_becomes_page_plot_and_json(saved, tmp_path, capsys):
    """choice.md shows its picture, choice.json the same in figures; stdout has no picture."""
    out = tmp_path / "out"
    assert main(["choose", saved, "--budget", "p50<=13ms", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Ship **dense**")
    assert "![" not in printed
    page = (out / "choice.md").read_text("utf-8")
    assert "](plots/choice-models-test.svg)" in page
    svg = ElementTree.parse(out / "plots" / "choice-models-test.svg").getroot()
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    (found,) = json.loads((out / "choice.json").read_text())
    assert (found["chosen"], found["limit"]) == ("dense", 13)
    assert found["considered"][0]["amounts"]["p50"]["unit"] == "ms"


def test_a_page_repeats(saved, capsys):
    """The same record and seed give the same page; another seed moves the intervals."""
    pages = []
    for seed in ("1", "1", "2"):
        assert main(["choose", saved, "--seed", seed]) == 0
        pages.append(capsys.readouterr().out)
    assert pages[0] == pages[1] != pages[2]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["--budget", "p50<=1us"], 1, ""),
        (["--budget", "p51<=1us"], 2, "did you mean"),
        (["--suite", "qa"], 2, "no suite 'qa'; there are: models"),
        (["--measure", "nDCG@7"], 2, "nDCG@7 was not measured"),
        (["--measure", "quality"], 2, "quality"),
        (["--seed", "-1"], 2, "expected 0 or more"),
    ],
    ids=["nothing-keeps", "quantity", "suite", "measure", "no-measure", "seed"],
)
def test_exit_codes(saved, capsys, options, code, says):
    """1 where nothing keeps to the budget, 2 with one line for what is wrong."""
    assert main(["choose", saved, *options]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == (code == 2)


def test_no_record_is_one_line(tmp_path, capsys):
    """A folder without a record, or none at all."""
    assert main(["choose", str(tmp_path)]) == 2
    assert "record.json" in capsys.readouterr().err


def test_another_record_confirms(saved, record, tmp_path, capsys):
    """--confirm wants one other split of the suite."""
    from dataclasses import replace

    other = replace(
        record,
        suites=tuple(replace(suite, split="held") for suite in record.suites),
        cells=tuple(replace(cell, split="held") for cell in record.cells),
        comparisons=(),
        examples=(),
    )
    save(other, tmp_path / "other")
    assert main(["choose", saved, "--confirm", str(tmp_path / "other")]) == 0
    assert "The choice holds on models (held)" in capsys.readouterr().out
    assert main(["choose", saved, "--confirm", saved]) == 2
    assert "expected one split of models other than test, got 0" in capsys.readouterr().err


def test_costs_of_nothing_are_drawn(record, tmp_path, capsys):
    """A cost of 0 has no place on a logarithmic axis; the picture is linear then."""
    save(record, tmp_path / "in")
    arguments = ["choose", str(tmp_path / "in"), "--budget", "encode_s<=30"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "plots" / "choice-models-test.svg").exists()


TOML = """
suites = ["datasets"]
[[system]]
retriever = "bm25"
[[system]]
name = "b0"
retriever = "bm25"
params = { b = 0.0 }
[[system]]
name = "bad"
retriever = "bm25"
params = { k1 = 0.0 }
"""


@pytest.fixture
def asked(monkeypatch, request):
    """What was run: split, systems and whether with cost; cost itself is left out for speed."""
    found = []
    real = runner.measure_cost

    def measure(suite, system, protocol, deadline):
        found.append((suite.split, system.name))
        return real(suite, system, Protocol(queries=2, rounds=1, warmup=0, threads=1))

    monkeypatch.setattr("bench.runner.measure_cost", measure)
    return found


def experiment(tmp_path, text=TOML):
    path = tmp_path / "x.toml"
    path.write_text(text)
    return str(path)


def test_an_experiment_chooses_on_dev_and_confirms_on_test(tmp_path, capsys, asked):
    """Every system on dev with its cost, the contenders on test without; the record is kept."""
    out = tmp_path / "out"
    arguments = ["choose", experiment(tmp_path), "--out", str(out), "--measure", "P@3"]
    assert main(arguments) == 0
    assert asked == [("dev", "bm25"), ("dev", "b0"), ("dev", "bad")]
    page = capsys.readouterr().out
    assert "holds on datasets (test)" in page or "does not hold on datasets (test)" in page
    record = load(out / "record")
    assert [suite.split for suite in record.suites] == ["dev", "test"]
    assert "P(rel=2)@3" in record.suites[1].measures
    assert all(cell.cost is None for cell in record.cells if cell.split == "test")
    assert all(cell.ceiling for cell in record.cells)
    assert main(["choose", str(out / "record"), "--measure", "P@3"]) == 0
    again = capsys.readouterr().out
    assert again.partition("\n")[0] == page.partition("\n")[0]


def test_an_experiment_on_a_split_of_its_own_is_cross_validated(tmp_path, capsys, asked):
    """Where it names test, it is run there alone."""
    text = 'split = "test"\n' + TOML.partition('[[system]]\nname = "bad"')[0]
    assert main(["choose", experiment(tmp_path, text)]) == 0
    assert {split for split, _ in asked} == {"test"}
    assert "There is no other split to confirm on" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [(["--suite", "models"], "has no suite 'models'"), (["--confirm", "x"], "both splits")],
)
def test_options_that_do_not_fit_an_experiment(tmp_path, capsys, options, says):
    """They are refused before anything is run."""
    assert main(["choose", experiment(tmp_path), *options]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("budget", "queries", "rounds"),
    [("p50<=1ms", 50, 3), ("p95<=1ms", 200, 3), ("p95<=1ms", 20, 5), ("p99<=1ms", 50, 10)],
)
def test_rounds_are_enough_for_the_percentile(budget, queries, rounds):
    """As many as its samples take, at least those of the protocol."""
    rule = Rule([parse_budget(budget)])
    assert enough(Protocol(), rule, queries).rounds == rounds
