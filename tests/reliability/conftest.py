"""A small suite on disk, plug-ins that go wrong, and the commands in processes of their own."""

import json
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PROJECT = Path(find_spec("bench").origin).parents[1]
WORDS = ["cat", "dog", "planet", "moon", "garden", "sofa", "river", "tree", "house", "train"]


@pytest.fixture
def toy_folder(tmp_path):
    return write_toy(tmp_path / "toy")


@pytest.fixture(scope="module")
def kept_folder(tmp_path_factory):
    """A folder for what is made once for a module's tests."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture(scope="session")
def make_toy():
    return write_toy


@pytest.fixture(scope="session")
def start():
    """start(folder, *arguments) is `python -m bench ARGUMENTS`; whatever still runs is ended."""
    started = []

    def begin(*arguments: object, **more: object) -> subprocess.Popen:
        started.append(_start(*arguments, **more))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def plain():
    return plain_record


def write_toy(folder: Path, documents: int = 40, queries: int = 6) -> Path:
    """A BEIR folder of that many small documents and queries, two of them relevant to each."""
    (folder / "qrels").mkdir(parents=True)
    corpus = [
        {"_id": f"d{i}", "title": WORDS[i % 10], "text": f"{WORDS[i % 7]} {WORDS[i * 3 % 10]} {i}"}
        for i in range(documents)
    ]
    topics = [
        {"_id": f"q{i}", "text": f"{WORDS[i % 10]} {WORDS[(i + 3) % 10]}"} for i in range(queries)
    ]
    for name, rows in (("corpus", corpus), ("queries", topics)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    qrels = [f"q{i}\td{i}\t1\nq{i}\td{i + 10}\t2\n" for i in range(queries)]
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(qrels))
    return folder


def _start(folder: Path, *arguments: object, **more: object) -> subprocess.Popen:
    """`python -m bench ARGUMENTS` in *folder*, whose modules it can import; its cache is there."""
    paths = os.pathsep.join([str(PROJECT), str(folder)])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    environment |= {"BENCH_CACHE": str(folder / "cache"), **more.pop("env", {})}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    pipes |= {"preexec_fn": _listen, **more}
    command = [sys.executable, "-m", "bench", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, env=environment, **pipes)


def _listen() -> None:
    """Ctrl-C reaches the process even where this one runs in the background and ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def plain_record(folder: Path) -> dict:
    """The record in a result folder without what no two runs share: times, and the command."""
    record = json.loads((folder / "record.json").read_text())
    for key in ("created", "command"):
        del record[key]
    for cell in record["cells"]:
        del cell["cost"]
    return record
