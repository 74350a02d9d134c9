"""`bench compare`: from the arguments to the page."""

import gzip
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from bench.cli import main
from bench.compare import combined, labels
from bench.config import Experiment
from bench.runner import Options, run_experiment
from bench.sources import sources, split_argument
from qrels.errors import DataError, UsageError
from reports.record import load, save

SYSTEMS = ("bm25", "bm25?k1=0.1", "bm25?b=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A result folder of three systems on the shipped `datasets`, with run files."""
    from bench.config import parse_system

    target = tmp_path_factory.mktemp("results") / "one"
    target.mkdir()
    experiment = Experiment(["datasets"], [parse_system(name) for name in SYSTEMS])
    save(run_experiment(experiment, target, Options(protocol=None)), target)
    return target


@pytest.fixture
def other(folder, tmp_path):
    """A copy of the folder to be changed."""
    return shutil.copytree(folder, tmp_path / "two")


def changed(folder, **changes):
    """The record of *folder* saved again with its suite changed."""
    record = load(folder)
    save(replace(record, suites=(replace(record.suites[0], **changes),)), folder)


def test_systems_of_one_record_are_compared_as_in_its_report(folder):
    """The comparison of a whole record is what the run found, with the same p and letters."""
    record, _ = combined(sources([str(folder)]))
    saved = load(folder)
    assert [c.pairs for c in record.comparisons] == [c.pairs for c in saved.comparisons]
    assert record.comparisons[0].letters == saved.comparisons[0].letters
    assert record.cells[0].means == saved.cells[0].means


def test_two_systems_are_chosen_by_name(folder, capsys):
    """DIR:SYSTEM names one system, whose name may hold any character."""
    assert main(["compare", f"{folder}:bm25", f"{folder}:bm25?k1=0.1"]) == 0
    out = capsys.readouterr().out
    assert "bm25?k1=0.1" in out
    assert "bm25?b=0" not in out
    assert "MRR" in out


def test_a_run_file_scores_as_the_record_says(folder):
    """A record's own run file, measured on the suite, gives the record's values."""
    run = folder / load(folder).cells[1].run_file
    found = sources([str(folder), str(run)], suite="datasets")
    assert found[-1].cell.values == load(folder).cells[1].values
    record, _ = combined(found)
    assert len(record.cells) == 4


def test_run_files_are_measured_on_a_qrels_file(tmp_path, capsys):
    """Without a suite, --qrels is enough: RR of 1 and of 1/2, one query."""
    (tmp_path / "qrels").write_text("q 0 a 1\nq 0 b 0\n")
    (tmp_path / "x.trec").write_text("q Q0 a 1 2 t\nq Q0 b 2 1 t\n")
    with gzip.open(tmp_path / "y.run.gz", "wt") as file:
        file.write("q Q0 b 1 2 t\nq Q0 a 2 1 t\n")
    files = [str(tmp_path / "x.trec"), str(tmp_path / "y.run.gz")]
    arguments = ["compare", *files, "--qrels", str(tmp_path / "qrels"), "--format", "json"]
    assert main([*arguments, "--measure", "RR", "--queries"]) == 0
    found = json.loads(capsys.readouterr().out)
    means = {cell["system"]: cell["means"]["RR"]["mean"] for cell in found["cells"]}
    assert means == {"x": 1.0, "y": 0.5}
    (query,) = found["queries"]
    assert query["values"] == [1.0, 0.5]
    assert [place["other_rank"] for place in query["rankings"][0]] == [2, 1]


def test_run_files_of_one_name_get_their_folders(tmp_path):
    """The folder goes before the name, and the path where that does not tell them apart."""
    (tmp_path / "qrels").write_text("q 0 a 1\n")
    files = [tmp_path / name for name in ("a/x.trec", "b/x.trec", "b/x.run")]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.write_text("q Q0 a 1 2 t\n")
    found = sources([str(path) for path in files], qrels=tmp_path / "qrels")
    assert labels(found[:2]) == ["a:x", "b:x"]
    assert labels(found) == list(map(str, files))


def test_a_qrels_file_has_no_split_to_show(tmp_path, capsys):
    """Nothing stands in brackets behind the name of a qrels file."""
    (tmp_path / "qrels").write_text("q 0 a 1\n")
    (tmp_path / "x").write_text("q Q0 a 1 2 t\n")
    (tmp_path / "y").write_text("q Q0 b 1 2 t\n")
    files = [str(tmp_path / name) for name in "xy"]
    assert main(["compare", *files, "--qrels", str(tmp_path / "qrels"), "--queries"]) == 0
    out = capsys.readouterr().out
    assert "on qrels, 1 query" in out
    assert "on qrels: 1 query, the largest first" in out


@pytest.mark.parametrize("seed", ["-1", "x"])
def test_seeds_are_whole_numbers(folder, capsys, seed):
    """What no generator takes as a seed is refused."""
    with pytest.raises(SystemExit) as caught:
        main(["compare", str(folder), "--seed", seed])
    assert caught.value.code == 2
    assert "is not an integer of at least 0" in capsys.readouterr().err


def test_a_run_file_is_ranked_by_its_scores(tmp_path, capsys):
    """Lines in another order than their scores are listed by score, as they are measured."""
    (tmp_path / "qrels").write_text("q 0 a 1\n")
    (tmp_path / "x.trec").write_text("q Q0 b 2 1 t\nq Q0 a 1 2 t\n")
    (tmp_path / "y.trec").write_text("q Q0 b 1 2 t\nq Q0 a 2 1 t\n")
    files = [str(tmp_path / name) for name in ("x.trec", "y.trec")]
    arguments = ["compare", *files, "--qrels", str(tmp_path / "qrels"), "--format", "json"]
    assert main([*arguments, "--queries"]) == 0
    (query,) = json.loads(capsys.readouterr().out)["queries"]
    assert [[place["doc_id"] for place in one] for one in query["rankings"]] == [
        ["a", "b"], ["b", "a"],
    ]  # fmt: skip


def test_run_files_need_not_be_as_deep(tmp_path, capsys):
    """How many documents a run file happens to have is no depth that it was searched to."""
    (tmp_path / "qrels").write_text("q 0 a 1\nr 0 a 1\n")
    (tmp_path / "x.trec").write_text("q Q0 a 1 2 t\nq Q0 b 2 1 t\nelse Q0 a 1 1 t\n")
    (tmp_path / "y.trec").write_text("q Q0 b 1 2 t\n")
    files = [str(tmp_path / name) for name in ("x.trec", "y.trec")]
    arguments = ["compare", *files, "--qrels", str(tmp_path / "qrels"), "--measure", "RR"]
    assert main([*arguments, "--format", "json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [cell["means"]["RR"]["mean"] for cell in cells] == [0.5, 0.0]


def test_a_run_file_keeps_to_the_rules_of_the_suite(tmp_path):
    """Under exclude_self the query's own document is taken out before the ranking is cut."""
    (tmp_path / "qrels").mkdir()
    docs = ("a", "b", "c")
    lines = [json.dumps({"_id": name, "text": name}) + "\n" for name in docs]
    (tmp_path / "corpus.jsonl").write_text("".join(lines))
    (tmp_path / "queries.jsonl").write_text(lines[0])
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\na\tb\t1\n")
    rules = 'depth = 2\nexclude_self = true\nmeasures = ["RR@10"]\n'
    (tmp_path / "suite.toml").write_text(rules)
    run = tmp_path / "x.trec"
    run.write_text("".join(f"a Q0 {name} {i} {9 - i} t\n" for i, name in enumerate(docs, 1)))
    (found,) = sources([str(run)], suite=str(tmp_path))
    assert found.cell.values["RR@10"] == (1.0,)
    assert found.rankings()["a"] == ["b", "c"]


@pytest.mark.parametrize("measure", ["RR@10", "mrr_at_10", "RR(rel=2)@10"])
def test_a_measure_without_a_level_has_that_of_the_suite(folder, capsys, measure):
    """RR@10 finds RR(rel=2)@10 on a suite whose level is 2, in records and of run files."""
    run = folder / load(folder).cells[1].run_file
    arguments = ["compare", f"{folder}:bm25", str(run), "--suite", "datasets"]
    assert main([*arguments, "--measure", measure, "--format", "json"]) == 0
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [list(cell["means"]) for cell in cells] == [["RR(rel=2)@10"]] * 2


def test_a_suite_may_be_named_that_is_not_at_hand(folder, other, capsys):
    """--suite chooses among a record's by name; without the suite there are no grades."""
    record = load(other)
    suites = (replace(record.suites[0], name="elsewhere"),)
    cells = tuple(replace(cell, suite="elsewhere") for cell in record.cells)
    save(replace(record, suites=suites, cells=cells, comparisons=(), examples=()), other)
    arguments = ["compare", str(other), "--suite", "elsewhere", "--queries", "--format", "json"]
    assert main(arguments) == 0
    query = json.loads(capsys.readouterr().out)["queries"][0]
    assert {place["grade"] for place in query["rankings"][0]} == {None}


def test_a_failed_system_is_left_out_but_not_in_silence(folder, other, capsys):
    """Of a whole record the others are compared; named, it is one line that says why it failed."""
    record = load(other)
    first = replace(record.cells[0], status="failed", error="no memory")
    save(replace(record, cells=(first, *record.cells[1:])), other)
    assert len(sources([str(other)])) == len(SYSTEMS) - 1
    assert main(["compare", f"{other}:bm25", str(folder)]) == 2
    assert "'bm25' failed on datasets: no memory" in capsys.readouterr().err


def test_the_page_says_what_the_groups_were_made_with(folder, capsys):
    """--alpha is in the note on letters."""
    for given, shown in (([], "5 %"), (["--alpha", "0.1"], "10 %")):
        assert main(["compare", str(folder), *given]) == 0
        assert f"Holm over all pairs, {shown})" in capsys.readouterr().out


def test_queries_are_listed_by_their_share(folder, capsys):
    """The largest difference comes first, with its text, both rankings, grades and moves."""
    pair = [f"{folder}:bm25", f"{folder}:bm25?k1=0.1"]
    assert main(["compare", *pair, "--queries", "2", "--format", "json"]) == 0
    queries = json.loads(capsys.readouterr().out)["queries"]
    cells = {cell.system: cell for cell in load(folder).cells}
    a, b = (np.array(cells[name].values["nDCG@10"]) for name in SYSTEMS[:2])
    assert abs(queries[0]["share"]) == pytest.approx(np.abs(a - b).max() / len(a))
    assert abs(queries[0]["share"]) >= abs(queries[1]["share"])
    assert queries[0]["text"]
    assert any(place["grade"] is not None for place in queries[0]["rankings"][0])
    assert main(["compare", *pair, "--queries", "1"]) == 0
    page = capsys.readouterr().out
    assert "1 query, the largest first" in page
    assert "up " in page or "down " in page or "**in**" in page


def test_the_page_is_written(folder, tmp_path, capsys):
    """--out writes what is printed."""
    assert main(["compare", str(folder), "--out", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text("utf-8") == capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"digest": "x"}, "labels or corpus"),
        ({"depth": 7}, "other depth: 100 and 7"),
        ({"relevance_level": 1}, "relevance level: 2 and 1"),
        ({"exclude_self": True}, "rule on the own document"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_was_measured_otherwise_is_not_compared(folder, other, change, words):
    """The same suite with other labels, depth or rules is refused, naming both and what differs."""
    changed(other, **change)
    with pytest.raises(DataError, match=words) as caught:
        combined(sources([str(folder), str(other)]))
    assert str(folder) in str(caught.value)
    assert str(other) in str(caught.value)


def test_two_folders_with_the_same_systems_get_labels(folder, other):
    """Where names would clash the folder's name goes before them."""
    found = sources([f"{folder}:bm25", f"{other}:bm25"])
    assert labels(found) == ["one:bm25", "two:bm25"]
    record, _ = combined(found)
    assert record.comparisons[0].pairs[0].p == 1.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}:bm25"], "at least two systems"),
        (["{folder}:bm26", "{folder}"], "did you mean 'bm25'"),
        (["nowhere"], "no such file or folder"),
        (["{folder}", "--measure", "P@3"], "P(rel=2)@3 is not among the measures"),
        (["{run}", "{run}"], "give --qrels FILE or --suite NAME"),
        (["{run}", "--suite", "dataset"], "unknown suite 'dataset'; did you mean 'datasets'?"),
        (["{folder}:bm25", "{folder}:bm25"], "given twice"),
        (["{folder}", "--alpha", "2"], "between 0 and 1"),
        (["{folder}", "--suite", "datasets", "--qrels", "x"], "not both"),
    ],
    ids=["one", "unknown", "nowhere", "measure", "run", "suite", "twice", "alpha", "both"],
)
def test_wrong_arguments_are_one_line(folder, capsys, arguments, words):
    """What cannot be compared exits with 2 and says why in one line."""
    names = {"folder": folder, "run": folder / load(folder).cells[0].run_file}
    assert main(["compare", *(word.format(**names) for word in arguments)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_changed_run_file_is_refused(other, capsys):
    """Rankings come only from the run file that the record describes."""
    path = other / load(other).cells[0].run_file
    path.write_bytes(gzip.compress(b"q Q0 a 1 1 t\n"))
    assert main(["compare", str(other), "--queries"]) == 2
    assert "its SHA-256 is not the one in the record" in capsys.readouterr().err


def test_arguments_split_behind_an_existing_path(tmp_path):
    """The system is what follows the first colon behind a path that exists."""
    (tmp_path / "a:b").mkdir()
    assert split_argument(str(tmp_path / "a:b")) == (tmp_path / "a:b", None)
    assert split_argument(f"{tmp_path}/a:b:my.module:Class") == (
        tmp_path / "a:b", "my.module:Class",
    )  # fmt: skip
    with pytest.raises(UsageError):
        split_argument(":x")
