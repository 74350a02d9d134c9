"""Rankings made ahead in several processes: the same as in one, and a death fails one cell."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import bench
from bench.child import Deadline
from bench.config import Experiment, System, parse_system
from bench.jobs import Ahead, How, make_ahead
from bench.runner import Options, run_experiment
from qrels.suites import load_suite
from reports.record import load

QUALITY = Options(protocol=None)
SPECS = (
    "bm25",
    "bm25?k1=1.2",
    "bm25+mmr?reranker.encoder=hashing",
    "bm25+mmr?reranker.encoder=hashing&reranker.diversity=0.8",
    "dense?encoder=hashing",
    "lsa",
    "bm25?k1=-1",
)
PLUGINS = """
import os, time
import numpy as np

class Counting:
    def __init__(self, log, acts="", seconds=0):
        self.log, self.acts, self.seconds = log, acts, seconds

    def index(self, corpus):
        with open(self.log, "a") as file:
            file.write(f"{os.getpid()}\\n")
        if self.acts == "dies":
            os._exit(3)
        if self.acts == "eats":
            self.eaten = np.ones(2**30, np.int8)
        time.sleep(self.seconds)

    def search(self, queries, k):
        docs = np.tile(np.arange(k, dtype=np.int32), (len(queries), 1))
        return docs, -docs.astype(np.float32)
"""


@pytest.fixture(scope="module")
def dev():
    return load_suite("datasets", "dev")


@pytest.fixture(autouse=True)
def plugins(tmp_path, monkeypatch):
    """The module `jobs_plugins`, and a cache of the test's own."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "jobs_plugins.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    yield folder
    sys.modules.pop("jobs_plugins", None)


def plugin(name, log, **params):
    return System(name, "jobs_plugins:Counting", {"log": str(log), **params})


def run(suite, systems, folder=None, **options):
    record = run_experiment(Experiment([suite], systems), folder, replace(QUALITY, **options))
    return replace(record, created="")


@pytest.fixture(scope="module")
def one_process(dev, tmp_path_factory):
    """The record and the run files of one process."""
    folder = tmp_path_factory.mktemp("one")
    return run(dev, list(map(parse_system, SPECS)), folder), folder


@pytest.mark.parametrize(
    "options",
    [{"jobs": 2}, {"jobs": 3, "cache": True}, {"jobs": 2, "timeout": 300}],
    ids=["two", "three-cached", "timeout"],
)
def test_the_record_is_that_of_one_process(dev, tmp_path, one_process, options):
    """Values, failures and run files are equal to the byte."""
    record, folder = one_process
    assert run(dev, list(map(parse_system, SPECS)), tmp_path, **options) == record
    names = sorted(path.name for path in (folder / "runs").iterdir())
    assert len(names) == len(SPECS) - 1
    for name in names:
        assert (tmp_path / "runs" / name).read_bytes() == (folder / "runs" / name).read_bytes()


def test_a_first_stage_is_made_once(dev, tmp_path):
    """Three systems with one first stage index once, before their rerankers."""
    log = tmp_path / "log"
    first = plugin("alone", log)
    systems = [
        replace(first, name=f"with-{depth}", reranker="mmr", rerank_depth=depth,
                reranker_params={"encoder": "hashing"})
        for depth in (5, 10)
    ]  # fmt: skip
    record = run(dev, [first, *systems], jobs=3)
    assert [cell.status for cell in record.cells] == ["ok"] * 3
    assert len(log.read_text().split()) == 1
    assert record == run(dev, [first, *systems])


def test_a_process_that_dies_fails_its_own_cells(dev, tmp_path):
    """Those of its first stage, with the reason; the others finish."""
    bad = plugin("bad", tmp_path / "log", acts="dies")
    worse = replace(bad, name="worse", reranker="mmr", reranker_params={"encoder": "hashing"})
    record = run(dev, [bad, parse_system("bm25"), worse], jobs=2)
    assert [cell.status for cell in record.cells] == ["failed", "ok", "failed"]
    assert "died with exit code 3" in record.cells[0].error
    assert record.cells[0].error == record.cells[2].error


def test_a_group_whose_process_dies_is_asked_one_by_one(dev, monkeypatch):
    """Of systems that read alike only the one that kills the process fails."""
    import bench.jobs
    from qrels.errors import PluginError

    asked = []

    def ask(name, entry, arguments, message, deadline):
        names = [system.name for system in message[1]]
        asked.append(names)
        if "bm25?b=0.9" in names:
            raise PluginError(f"{name}: its process died")
        return bench.jobs._answers(*message)

    monkeypatch.setattr(bench.jobs, "ask_child", ask)
    ahead = Ahead()
    systems = list(map(parse_system, ("bm25", "bm25?b=0.9", "bm25?b=0.1")))
    make_ahead([(dev, systems)], How(2), ahead)
    assert asked == [["bm25", "bm25?b=0.9", "bm25?b=0.1"], ["bm25"], ["bm25?b=0.9"], ["bm25?b=0.1"]]
    assert list(ahead.failures.values()) == ["bm25?b=0.9: its process died"]
    assert len(ahead.rankings) == 2


def test_what_goes_over_the_memory_fails_with_the_reason(dev, tmp_path):
    """A plug-in that wants a gigabyte of 900 MB is refused it; the others finish."""
    systems = [plugin("hungry", tmp_path / "log", acts="eats"), parse_system("bm25")]
    record = run(dev, systems, memory=1_000_000_000)
    assert [cell.status for cell in record.cells] == ["failed", "ok"]
    assert "that --memory leaves it" in record.cells[0].error


def test_a_deadline_holds_for_each_process(dev, tmp_path):
    """A system that takes longer fails, the other one finishes."""
    slow = plugin("slow", tmp_path / "log", seconds=60)
    record = run(dev, [slow, parse_system("bm25")], jobs=2, timeout=8)
    assert [cell.status for cell in record.cells] == ["failed", "ok"]
    assert "not finished" in record.cells[0].error
    assert Deadline.after(8).seconds == 8


def test_an_interruption_keeps_what_is_made_and_leaves_no_process(tmp_path, plugins):
    """Ctrl-C: exit 130, a partial record with the finished cell, and nothing goes on."""
    log, target = tmp_path / "log", tmp_path / "out"
    slow = f"jobs_plugins:Counting?log={log}&seconds=300"
    root = str(Path(bench.__file__).parents[1])
    started = subprocess.Popen(
        [sys.executable, "-m", "bench", "run", "--suite", "datasets", "--split", "dev", "--jobs",
         "2", "--no-latency", "--system", "bm25", "--system", slow, "--out", str(target)],
        cwd=plugins, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((root, str(plugins)))},
    )  # fmt: skip
    lines = []
    for line in started.stderr:
        lines.append(line)
        if "bm25 on datasets: ranked" in line:
            break
    assert "ranked" in lines[-1], lines
    wait_for(lambda: log.exists() and log.read_text().endswith("\n"))
    started.send_signal(signal.SIGINT)
    rest = started.communicate(timeout=60)[1]
    assert started.returncode == 130, [*lines, rest]
    assert "Traceback" not in rest
    record = load(target / "record.json")
    assert (record.status, [cell.system for cell in record.cells]) == ("partial", ["bm25"])
    wait_for(lambda: not alive(int(log.read_text())))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for(found, seconds=30):
    """Until it holds: a process that has ended may take a moment to be gone."""
    for _ in range(int(seconds / 0.05)):
        if found():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")
