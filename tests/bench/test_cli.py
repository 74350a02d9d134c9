"""The commands as a user types them: exit code, output, and one clear line for every mistake."""

import gzip
import json

import numpy as np
import pytest

from bench.cli import main
from qrels.beir import write_corpus, write_queries


@pytest.fixture
def folder(tmp_path, toy_suite):
    """The toy suite as a BEIR folder."""
    target = tmp_path / "toy"
    (target / "qrels").mkdir(parents=True)
    write_corpus(target / "corpus.jsonl", toy_suite.corpus)
    write_queries(target / "queries.jsonl", toy_suite.queries)
    rows = ["query-id\tcorpus-id\tscore", "q1\tcats\t2", "q1\tü/ß\t1", "q2\ttwin-a\t1"]
    (target / "qrels" / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return target


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def names(path):
    return sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())


def run(folder, out, *more):
    return main(["run", "--suite", str(folder), "--out", str(out), "--no-latency", *more])


def test_run_writes_record_report_plots_and_runs(folder, tmp_path, capsys):
    """One command on a BEIR folder gives everything, and shows the table."""
    out = tmp_path / "out"
    assert run(folder, out, "--system", "bm25", "--system", "lsa") == 0
    files = names(out)
    for name in ("record.json", "report.md", "per_query.csv", "runs/toy.test.bm25.trec.gz"):
        assert name in files
    assert any(name.endswith(".svg") for name in files)
    assert "bm25" in capsys.readouterr().out
    record = json.loads((out / "record.json").read_text())
    assert (record["schema"], record["status"]) == (1, "complete")
    assert record["command"].startswith("python -m bench run --suite")


def test_report_renders_again_from_the_record(folder, tmp_path):
    """The same record gives the same report, with no retriever loaded."""
    out = tmp_path / "out"
    run(folder, out, "--system", "bm25")
    before = (out / "report.md").read_text()
    (out / "report.md").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.md").read_text() == before


def test_evaluate_prints_what_run_recorded(folder, tmp_path, capsys):
    """The exported run file, measured on its own, has the record's means."""
    out = tmp_path / "out"
    run(folder, out, "--system", "bm25", "--measure", "nDCG@10", "--measure", "R@100")
    mean = json.loads((out / "record.json").read_text())["cells"][0]["means"]["nDCG@10"]["mean"]
    capsys.readouterr()
    path = out / "runs" / "toy.test.bm25.trec.gz"
    assert main(["evaluate", str(folder / "qrels" / "test.tsv"), str(path), "nDCG@10"]) == 0
    assert f"{mean:.4f}" in capsys.readouterr().out
    assert gzip.decompress(path.read_bytes()).count(b"\n") > 0


def test_dry_run_runs_nothing(folder, tmp_path, capsys):
    """The plan is shown and nothing is written."""
    assert run(folder, tmp_path / "out", "--dry-run", "--system", "bm25") == 0
    assert "bm25" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_failed_system_gives_exit_code_4(folder, tmp_path, capsys):
    """The others finish, and the report names the reason."""
    (tmp_path / "vectors.csv").write_text("id,embeddings\ncats,[1]\n")
    bad = f"precomputed?path={tmp_path / 'vectors.csv'}&encoder=hashing"
    assert run(folder, tmp_path / "out", "--system", "bm25", "--system", bad) == 4
    assert "vectors.csv" in (tmp_path / "out" / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "--suite"),
        (["run", "--suite", "modles"], "did you mean 'models'"),
        (["run", "--suite", "models", "--system", "bm52"], "did you mean 'bm25'"),
        (["run", "--suite", "models", "--measure", "nDGC@10"], "did you mean 'nDCG'"),
        (["run", "--suite", "models", "--split", "tset"], "test"),
        (["evaluate", "no-qrels", "no-run"], "no-qrels"),
        (["report", "nowhere"], "nowhere"),
        (["search", "x", "--suite", "models", "--filter", "downlods>=1"], "'downloads'"),
        (["search", "x", "--suite", "models", "--filter", "downloads>=many"], "many"),
        (["search", "x", "--suite", "models", "--sort", "licence"], "license"),
        (["search", "x", "--suite", "models", "--sort", "license"], "numbers and dates"),
        (["run", "--suite", "models", "--device", "cuda"], "no CUDA device"),
    ],
    ids=lambda value: "_".join(value[:1] + value[-1:]) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, capsys):
    """The line names the value and what is allowed; there is no traceback."""
    if "search" in arguments:
        arguments = [*arguments, "--system", "bm25"]
    if "cuda" in arguments and cuda():
        pytest.skip("a CUDA device is here")
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert error.startswith("bench: ")


def cuda():
    import torch

    return torch.cuda.is_available()


def test_list_names_everything(capsys):
    """Names, parameters with defaults, a line each."""
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for word in ("models", "bm25f", "late-interaction", "nDCG", "k1=0.9", "rrf"):
        assert word in shown


def test_search_shows_why_and_filters_exactly(capsys):
    """Ids with scores, matching fields and a snippet; every hit meets the conditions."""
    question = ["search", "speech recognition", "--suite", "models", "--system", "bm25"]
    assert main([*question, "--k", "5", "--filter", "license=mit"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("license: mit") == 5
    assert "matched in" in shown


def test_sorting_reorders_the_best_by_relevance(capsys):
    """--sort downloads shows the most downloaded among the best --depth."""
    question = ["search", "speech recognition", "--suite", "models", "--system", "bm25"]
    assert main([*question, "--sort", "downloads", "--depth", "30"]) == 0
    lines = capsys.readouterr().out.splitlines()
    numbers = [
        int(line.split("downloads: ")[1].split(";")[0].replace(",", ""))
        for line in lines
        if "downloads: " in line
    ]
    assert len(numbers) > 3
    assert numbers == sorted(numbers, reverse=True)


def test_search_takes_a_plain_file_with_embeddings(tmp_path, capsys):
    """A CSV whose `embeddings` column is precomputed is searched as it is."""
    from encoders import load

    texts = {"a": "Jupiter is the largest planet", "b": "a cat on a sofa"}
    encoder = load("hashing?dimension=32")
    lines = ["id,readme,downloads,embeddings"]
    for name, text in texts.items():
        vector = json.dumps(encoder.encode([text], "passage")[0].tolist())
        lines.append(f'{name},{text},{len(name)},"{vector}"')
    (tmp_path / "items.csv").write_text("\n".join(lines))
    system = "precomputed?path=items.csv&encoder=hashing?dimension=32"
    assert main(["search", "largest planet", "--corpus", "items.csv", "--system", system]) == 0
    shown = capsys.readouterr().out
    assert shown.index("  a\n") < shown.index("  b\n")
    assert "[" not in shown


def test_a_saved_index_answers_as_a_fresh_one(folder, capsys, monkeypatch):
    """`bench index` once, then the same answers without building anything."""
    question = ["search", "cat garden", "--suite", str(folder), "--system", "bm25"]
    main(question)
    before = capsys.readouterr().out
    assert main(["index", "--suite", str(folder), "--system", "bm25"]) == 0
    capsys.readouterr()

    def built(_):
        raise AssertionError("the index was built again")

    monkeypatch.setattr("bench.search.index", built)
    assert main(question) == 0
    assert capsys.readouterr().out == before
    with pytest.raises(AssertionError):  # other parameters have no saved index
        main([*question[:-1], "bm25?k1=2"])


def test_a_damaged_index_is_said_and_built_anew(folder, capsys):
    """A saved index that cannot be read costs a line, not the answer."""
    from encoders.cache import cache_folder

    target = ["--suite", str(folder), "--system", "bm25?k1=1.7"]
    main(["search", "cat garden", *target])
    before = capsys.readouterr().out
    known = set((cache_folder() / "indexes").glob("*"))
    main(["index", *target])
    (made,) = set((cache_folder() / "indexes").glob("*")) - known
    for path in (made / "retriever").glob("*.npy"):
        path.write_bytes(b"damaged")
    capsys.readouterr()
    assert main(["search", "cat garden", *target]) == 0
    shown = capsys.readouterr()
    assert shown.out == before
    assert "the saved index cannot be used" in shown.err
    assert "`bench index` makes it anew" in shown.err


PLUGIN = """from retrievers.bm25 import BM25


class Mine(BM25):
    def __init__(self):
        super().__init__(b={b})
"""


def test_the_code_of_a_plug_in_is_part_of_its_index(folder, tmp_path, monkeypatch, capsys):
    """A changed plug-in never serves the index that it saved before."""
    import importlib
    import sys

    monkeypatch.syspath_prepend(str(tmp_path))
    target = ["--suite", str(folder), "--system", "mine_changed:Mine"]
    made = []
    for b in (0.0, 1.0):
        (tmp_path / "mine_changed.py").write_text(PLUGIN.format(b=b))
        monkeypatch.delitem(sys.modules, "mine_changed", raising=False)
        importlib.invalidate_caches()
        assert main(["index", *target]) == 0
        made.append(capsys.readouterr().out.rpartition(" in ")[2])
    assert made[0] != made[1]


def test_an_index_of_other_vectors_is_not_used(tmp_path, folder, capsys):
    """The content of a vector file is part of the index, not its name."""
    vectors = np.eye(6, 16, dtype=np.float32)
    system = "precomputed?path=v.npy&encoder=hashing?dimension=16"
    target = ["--suite", str(folder), "--system", system]
    shown = []
    for sign in (1, -1):
        np.save(tmp_path / "v.npy", sign * vectors)
        main(["search", "cat garden", *target])
        shown.append(capsys.readouterr().out)
        main(["index", *target])
        capsys.readouterr()
    assert shown[0] != shown[1]


def test_an_interrupted_run_keeps_what_is_finished(folder, tmp_path, monkeypatch, capsys):
    """Ctrl-C gives exit code 130 and a whole record whose status is partial."""
    from bench.shared import Shared

    real = Shared.stages

    def interrupted(self, system):
        if system.name == "lsa":
            raise KeyboardInterrupt
        return real(self, system)

    monkeypatch.setattr(Shared, "stages", interrupted)
    assert run(folder, tmp_path / "out", "--system", "bm25", "--system", "lsa") == 130
    record = json.loads((tmp_path / "out" / "record.json").read_text())
    assert record["status"] == "partial"
    assert [cell["system"] for cell in record["cells"]] == ["bm25"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_in_mid_run_leaves_a_partial_result_and_no_litter(folder, tmp_path, name):
    """A real process, told to stop while its second system works, keeps the first one's result."""
    import os
    import signal
    import subprocess
    import sys
    from importlib.util import find_spec
    from pathlib import Path

    (tmp_path / "slow_plugin.py").write_text(
        "import time\n"
        "class Slow:\n"
        "    def index(self, corpus):\n"
        "        print('indexing', flush=True)\n"
        "        time.sleep(60)\n"
        "    def search(self, queries, k): ...\n"
    )
    project = str(Path(find_spec("bench").origin).parents[1])
    systems = ["--system", "bm25", "--system", "slow_plugin:Slow"]
    command = [sys.executable, "-m", "bench", "run", "--suite", str(folder), *systems]
    process = subprocess.Popen(
        [*command, "--no-latency", "--out", str(tmp_path / "place" / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([project, str(tmp_path)])},
    )  # fmt: skip
    assert "indexing\n" in iter(process.stderr.readline, "")
    process.send_signal(getattr(signal, name))
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["out"]
    record = json.loads((tmp_path / "place" / "out" / "record.json").read_text())
    assert (record["status"], [c["system"] for c in record["cells"]]) == ("partial", ["bm25"])


def test_cost_is_measured_unless_it_is_turned_off(folder, tmp_path):
    """Without --no-latency the record has raw timings, and the report their medians."""
    out = tmp_path / "out"
    assert main(["run", "--suite", str(folder), "--system", "bm25", "--out", str(out)]) == 0
    cost = json.loads((out / "record.json").read_text())["cells"][0]["cost"]
    assert len(cost["latency_ns"]["total"]) == cost["rounds"] == 3
    assert "## Latency" in (out / "report.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["search", "x", "--suite", "models", "--system", "dense+mmr", "--rerank", "mmr"],
            "not both",
        ),
        (["lint", "modles"], "modles"),
    ],
)
def test_commands_that_contradict_themselves_are_refused(arguments, message, capsys):
    """One line says which of the two to leave out, or what is unknown."""
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
