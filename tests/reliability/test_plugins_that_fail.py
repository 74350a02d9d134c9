"""Whatever a plug-in does, it is marked failed with the reason and the other systems finish."""

import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.child import Deadline
from bench.config import System, parse_system
from bench.isolated import stages_apart
from bench.plugins import is_plugin
from bench.shared import Shared
from qrels.errors import PluginError

PLUGINS = """
import ctypes, locale, os, random, subprocess, sys, time
import numpy as np

class Fine:
    '''Ranks the documents in their order.'''
    def __init__(self, how=''): self.how = how
    def index(self, corpus): self.size = len(corpus)
    def search(self, queries, k):
        docs = np.full((len(queries), k), -1, np.int32)
        n = min(k, self.size)
        docs[:, :n] = np.arange(n)
        return docs, np.where(docs < 0, -np.inf, 100.0 - docs).astype(np.float32)

class Bad(Fine):
    def search(self, queries, k):
        return HOW[self.how](*super().search(queries, k))

class Unkind(Fine):
    def index(self, corpus):
        WAYS[self.how]()
        super().index(corpus)

def throw(error): raise error

def score(value):
    def changed(docs, scores):
        scores[0, 1] = value
        return docs, scores
    return changed

def doc(value):
    def changed(docs, scores):
        docs[0, 1] = value
        return docs, scores
    return changed

def disturb():
    print('hello from a plug-in')
    os.chdir('/')
    random.seed(1)
    np.random.seed(1)
    os.environ['BENCH_CACHE'] = '/nowhere'
    sys.path.clear()

def spin():
    while True: pass

def wait(): ctypes.CDLL(None).sleep(1000)

def leave():
    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)', __file__])
    time.sleep(1000)

WAYS = {
    'raise': lambda: throw(RuntimeError('the disk is on fire')),
    'interrupt': lambda: throw(KeyboardInterrupt()),
    'exit': lambda: sys.exit(0),
    '_exit': lambda: os._exit(0),
    'segfault': lambda: ctypes.string_at(0),
    'memory': lambda: np.ones(1 << 58),
    'recursion': lambda: WAYS['recursion'](),
    'disturb': disturb,
    'spin': spin, 'wait': wait, 'leave': leave,
}
HOW = {
    'nothing': lambda docs, scores: None,
    'one': lambda docs, scores: docs,
    'ragged': lambda docs, scores: ([[1, 2], [3]], scores),
    'rows': lambda docs, scores: (docs[1:], scores[1:]),
    'columns': lambda docs, scores: (docs[:, 1:], scores[:, 1:]),
    'unlike': lambda docs, scores: (docs, scores[:, 1:]),
    'nan': score(np.nan), 'infinite': score(np.inf), 'unsorted': score(1000.0),
    'twice': doc(0), 'negative': doc(-2), 'beyond': doc(10**6),
    'floats': lambda docs, scores: (docs.astype(float), scores),
    'words': lambda docs, scores: (docs, scores.astype(str)),
    'complex': lambda docs, scores: (docs, scores.astype(complex)),
}
"""
EXPECTED = {
    "Unkind?how=raise": "RuntimeError: the disk is on fire",
    "Unkind?how=interrupt": "its process died with exit code 1",
    "Unkind?how=exit": "SystemExit: 0",
    "Unkind?how=_exit": "its process died with exit code 0",
    "Unkind?how=segfault": "its process was killed by SIGSEGV",
    "Unkind?how=memory": "Unable to allocate",
    "Unkind?how=recursion": "RecursionError",
    "Bad?how=nothing": "search returned None; expected docs and scores, two arrays",
    "Bad?how=one": "expected docs and scores, two arrays",
    "Bad?how=ragged": "expected docs and scores, two arrays",
    "Bad?how=rows": "returned docs (5, 100); expected (6, 100)",
    "Bad?how=columns": "returned docs (6, 99); expected (6, 100)",
    "Bad?how=unlike": "returned scores (6, 99); expected (6, 100)",
    "Bad?how=nan": "returned score nan in query 0 at rank 2; scores must be finite",
    "Bad?how=infinite": "returned score inf in query 0 at rank 2; scores must be finite",
    "Bad?how=unsorted": "returned query 0 unsorted; scores must go down",
    "Bad?how=twice": "returned a document twice in query 0",
    "Bad?how=negative": "returned position -2; allowed: -1 to 39",
    "Bad?how=beyond": "returned position 1000000; allowed: -1 to 39",
    "Bad?how=floats": "returned docs of type float64; expected integers",
    "Bad?how=words": "returned scores of type <U32; expected real numbers",
    "Bad?how=complex": "returned scores of type complex128; expected real numbers",
}
SOUND = ["Fine", "Unkind?how=disturb"]


@pytest.fixture(scope="module")
def finished(kept_folder, start, make_toy):
    """One run of every plug-in here, then BM25: exit code, output, and cells by system."""
    make_toy(kept_folder / "toy")
    (kept_folder / "unkind.py").write_text(PLUGINS)
    systems = [f"unkind:{name}" for name in (*EXPECTED, *SOUND)]
    options = [word for name in (*systems, "bm25") for word in ("--system", name)]
    process = start(kept_folder, "run", "--suite", "toy", *options, "--no-latency", "--out", "out")
    output, _ = process.communicate(timeout=300)
    record = json.loads((kept_folder / "out" / "record.json").read_text())
    return process.returncode, output, {cell["system"]: cell for cell in record["cells"]}


def test_the_others_finish_and_the_exit_code_is_4(finished):
    """The run ends by itself, with a whole record and the code for a failed system."""
    code, _, cells = finished
    assert code == 4
    assert cells["bm25"]["status"] == "ok"
    assert Counter(cell["status"] for cell in cells.values())["failed"] == len(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_system_that_fails_has_its_reason(finished, name):
    """Each way to go wrong is a failed cell that says in one line what was wrong."""
    cell = finished[2][f"unkind:{name}"]
    assert cell["status"] == "failed"
    assert EXPECTED[name] in cell["error"]
    assert "\n" not in cell["error"]


@pytest.mark.parametrize("name", SOUND)
def test_a_system_that_only_makes_a_mess_counts(finished, name):
    """What it prints, where it goes and what it seeds reaches neither output nor others."""
    _, output, cells = finished
    assert cells[f"unkind:{name}"]["status"] == "ok"
    assert cells[f"unkind:{name}"]["values"] == cells["unkind:Fine"]["values"]
    assert "hello from a plug-in" not in output


@pytest.mark.parametrize("how", ["spin", "wait", "leave"])
def test_a_system_that_hangs_is_stopped(toy_suite, tmp_path, monkeypatch, how):
    """In Python, in C, or waiting for a process of its own: it ends at the deadline, all of it."""
    (tmp_path / "unkind.py").write_text(PLUGINS)
    monkeypatch.syspath_prepend(tmp_path)
    suite = replace(toy_suite, depth=4)
    system = System("hangs", "unkind:Unkind", {"how": how})
    shared = Shared(suite, [system])
    with pytest.raises(PluginError, match="hangs: not finished after 4 s, so stopped"):
        stages_apart(shared, system, "cpu", Deadline.after(4))
    for _ in range(100):  # the kernel ends a killed process in its own time
        if not leavers(tmp_path):
            break
        time.sleep(0.1)
    assert not leavers(tmp_path)


def leavers(folder) -> list[bytes]:
    """The command lines of processes that the plug-in in *folder* started."""
    commands = [_read(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    return [command for command in commands if str(folder).encode() in command]


def _read(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_run_with_a_time_limit_goes_on_after_it(toy_folder, start):
    """--timeout stops the one that hangs; its reason names the limit, and BM25 is measured."""
    (toy_folder.parent / "unkind.py").write_text(PLUGINS)
    process = start(
        toy_folder.parent, "run", "--suite", "toy", "--system", "unkind:Unkind?how=spin",
        "--system", "unkind:Fine", "--timeout", "10", "--no-latency", "--out", "out",
    )  # fmt: skip
    process.communicate(timeout=120)
    assert process.returncode == 4
    record = json.loads((toy_folder.parent / "out" / "record.json").read_text())
    assert [cell["status"] for cell in record["cells"]] == ["failed", "ok"]
    assert "not finished after 10 s" in record["cells"][0]["error"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("bm25", False),
        ("bm25+mmr", False),
        ("unkind:Fine", True),
        ("bm25+unkind:Rerank", True),
        ('hybrid?retrievers=["bm25","dense"]', False),
        ('hybrid?retrievers=["bm25","unkind:Fine"]', True),
    ],
)
def test_what_runs_apart_is_what_is_not_ours(spec, expected):
    """A system is a plug-in where any part of it is, fused retrievers included."""
    assert is_plugin(parse_system(spec)) is expected
