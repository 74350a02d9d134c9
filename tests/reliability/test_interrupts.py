"""Ctrl-C at every stage: one line, exit code 130, and what is finished is kept, whole."""

import json
import signal

import pytest

SLOW = """
import os, sys, time
from pathlib import Path
from retrievers.bm25 import BM25

def pause():
    print('here', file=sys.stderr, flush=True)
    time.sleep(100)

class Slow:
    def __init__(self, where='index'):
        self.where = where
    def index(self, corpus):
        self.inner = BM25()
        self.inner.index(corpus)
        seen = Path(os.environ['SEEN'])
        again = seen.exists()
        seen.touch()
        if self.where == 'index' or (self.where == 'latency' and again):
            pause()
    def search(self, queries, k):
        if self.where == 'search':
            pause()
        return self.inner.search(queries, k)

if 'PAUSE_ENCODING' in os.environ:
    import encoders.hashing
    encoders.hashing.Hashing.encode = lambda *_: pause()

if 'PAUSE_REPORT' in os.environ:
    import reports.plots
    draw = reports.plots.draw
    def slow(*arguments):
        reports.plots.draw = draw
        pause()
    reports.plots.draw = slow
"""
CASES = {
    "indexing": (["slow:Slow?where=index"], {}, ["bm25"]),
    "searching": (["slow:Slow?where=search"], {}, ["bm25"]),
    "encoding": (["dense?encoder=hashing", "slow:Slow"], {"PAUSE_ENCODING": "1"}, ["bm25"]),
    "measuring latency": (["slow:Slow?where=latency"], {}, ["bm25"]),
    "writing the report": (
        ["slow:Slow?where=never"], {"PAUSE_REPORT": "1"}, ["bm25", "slow:Slow?where=never"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_ctrl_c_keeps_what_is_finished(toy_folder, start, case):
    """A real SIGINT: exit code 130, one line, a whole record with status partial, no litter."""
    systems, more, finished = CASES[case]
    place = toy_folder.parent
    (place / "slow.py").write_text(SLOW)
    options = [word for name in ("bm25", *systems) for word in ("--system", name)]
    latency = [] if case == "measuring latency" else ["--no-latency"]
    process = start(
        place, "run", "--suite", "toy", *options, *latency, "--out", "place/out",
        env={"SEEN": str(place / "seen"), **more},
    )  # fmt: skip
    assert "here\n" in iter(process.stderr.readline, "")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130, error
    assert error.splitlines()[-1] == "bench: interrupted; what was finished is in place/out"
    assert "Traceback" not in error
    assert [path.name for path in (place / "place").iterdir()] == ["out"]
    record = json.loads((place / "place" / "out" / "record.json").read_text())
    assert record["status"] == "partial"
    assert [cell["system"] for cell in record["cells"]] == finished
    for cell in record["cells"]:
        assert (place / "place" / "out" / cell["run_file"]).exists()
    assert (place / "place" / "out" / "report.md").exists()


def test_the_next_run_takes_up_what_was_finished(toy_folder, start, plain):
    """After Ctrl-C the same command says what it resumes, and its record is as if uninterrupted."""
    place = toy_folder.parent
    (place / "slow.py").write_text(SLOW)
    command = ["run", "--suite", "toy", "--system", "bm25", "--system", "lsa?dimensions=4",
               "--system", "slow:Slow?where=latency", "--no-latency", "--out"]  # fmt: skip
    whole = start(place, *command, "whole", env={"SEEN": str(place / "unseen")})
    whole.communicate(timeout=60)
    assert whole.returncode == 0
    (place / "seen").touch()
    stopped = start(place, *command, "out", env={"SEEN": str(place / "seen")})
    assert "here\n" in iter(stopped.stderr.readline, "")
    stopped.send_signal(signal.SIGINT)
    stopped.communicate(timeout=60)
    (place / "seen").unlink()
    resumed = start(place, *command, "out", env={"SEEN": str(place / "seen")})
    _, error = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, error
    assert "resuming: 2 of 3 cells were finished" in error
    assert plain(place / "out") == plain(place / "whole")


def test_fresh_forgets_what_was_finished(toy_folder, start):
    """--fresh runs every cell."""
    place = toy_folder.parent
    (place / "slow.py").write_text(SLOW)
    command = ["run", "--suite", "toy", "--system", "bm25", "--system", "slow:Slow?where=latency",
               "--no-latency", "--out", "out"]  # fmt: skip
    (place / "seen").touch()
    stopped = start(place, *command, env={"SEEN": str(place / "seen")})
    assert "here\n" in iter(stopped.stderr.readline, "")
    stopped.send_signal(signal.SIGINT)
    stopped.communicate(timeout=60)
    (place / "seen").unlink()
    fresh = start(place, *command, "--fresh", env={"SEEN": str(place / "seen")})
    _, error = fresh.communicate(timeout=60)
    assert fresh.returncode == 0, error
    assert "resuming" not in error
    assert not list((place / "cache").glob("journal-*/*"))
