"""A cache that is damaged, of another version, shared or gone: never a wrong number."""

from pathlib import Path

import numpy as np
import pytest

import encoders
from bench.cli import main
from bench.config import Experiment, parse_system
from bench.journal import experiment_key, journal
from bench.plan import planned
from bench.runner import Options, Progress, run_experiment

NAMES = ["bm25", "dense?encoder=hashing", "bm25+mmr?reranker.encoder=hashing"]


@pytest.fixture
def place(toy_folder, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(toy_folder.parent / "cache"))
    monkeypatch.setattr("qrels.beir.FAST_FROM", 0)  # so that small corpora are cached too
    return toy_folder.parent


def measured(place, say=lambda _: None):
    """The values of each system, everything that can be taken from the cache; the journal kept."""
    encoders._load.cache_clear()  # as a new process: no file is mapped, nothing remembered
    experiment = Experiment([str(place / "toy")], [parse_system(name) for name in NAMES])
    plan = planned(experiment)
    with journal(experiment_key(plan, 13, {}), say=say) as kept:
        options = Options(protocol=None, cache=True)
        record = run_experiment(experiment, None, options, say, Progress(), plan, kept)
    assert all(cell.error is None for cell in record.cells), record.cells
    return [(cell.system, cell.values, cell.first_stage) for cell in record.cells]


def entries(place) -> list[Path]:
    found = sorted(path for path in (place / "cache").rglob("*") if path.is_file())
    return [path for path in found if path.name != "lock"]


def flipped(at):
    def damage(path):
        data = bytearray(path.read_bytes())
        data[int(at * (len(data) - 1))] ^= 0x10
        path.write_bytes(data)

    return damage


def of_another_version(path):
    """The first number in the first 40 bytes is another one, as a later version might write."""
    data = path.read_bytes()
    head = data[:40].replace(b" 1", b" 2", 1).replace(b"1,", b"2,", 1)
    path.write_bytes(head + data[40:])


DAMAGES = {
    **{f"byte-at-{at:.3f}": flipped(at) for at in (0.0, 0.003, 0.01, 0.05, 0.3, 0.7, 1.0)},
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "other-version": of_another_version,
    "a-folder": lambda path: (path.unlink(), path.mkdir()),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_never_read(place, damage):
    """Whichever file of the cache is damaged and however, the values are those of no cache."""
    expected = measured(place)
    kinds = {path.relative_to(place / "cache").parts[0] for path in entries(place)}
    assert kinds >= {"corpora-1", "embeddings-1", "journal-1", "stages-1"}
    for path in entries(place):
        if path.exists():
            DAMAGES[damage](path)
    assert measured(place) == expected


def test_each_file_alone_may_be_damaged(place):
    """One bad file does not make the others be trusted less, or more."""
    expected = measured(place)
    for path in entries(place):
        if path.exists():
            flipped(0.5)(path)
        assert measured(place) == expected, path


def test_every_byte_of_a_journal_entry_counts(place):
    """No flipped bit of magic, checksum, header or arrays gets through."""
    expected = measured(place)
    path = next(path for path in entries(place) if path.suffix == ".cell")
    whole = path.read_bytes()
    for at in np.random.default_rng(5).choice(len(whole), 16, replace=False):
        data = bytearray(whole)
        data[at] ^= 1
        path.write_bytes(data)
        lines = []
        assert measured(place, lines.append) == expected
        assert f"resuming: {len(NAMES) - 1} of {len(NAMES)} cells were finished" in lines
    path.write_bytes(whole)
    lines = []
    measured(place, lines.append)
    assert f"resuming: {len(NAMES)} of {len(NAMES)} cells were finished" in lines


def test_two_runs_at_once_do_not_harm_each_other(toy_folder, start, plain):
    """Two processes, one cache, one experiment: both finish alike; one goes without a journal."""
    place = toy_folder.parent
    options = [word for name in NAMES for word in ("--system", name)]
    processes = [
        start(place, "run", "--suite", "toy", *options, "--no-latency", "--out", f"out-{i}")
        for i in range(3)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert plain(place / "out-0") == plain(place / "out-1") == plain(place / "out-2")
    assert not list((place / "cache").glob("journal-*/*"))


def test_two_runs_into_one_folder_leave_one_whole_result(toy_folder, start, plain):
    """Whoever is last has the folder; the other one's files are nowhere in it, nor beside it."""
    place = toy_folder.parent
    processes = [
        start(place, "run", "--suite", "toy", "--system", "bm25", "--no-latency", "--out", "p/out")
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert 0 in [process.returncode for process in processes], errors
    assert all(process.returncode in (0, 2) for process in processes), errors
    assert not any("Traceback" in error for error in errors), errors
    assert plain(place / "p" / "out")["status"] == "complete"


VANISHING = """
import os, shutil
from retrievers.bm25 import BM25

class Vanishes(BM25):
    def index(self, corpus):
        super().index(corpus)
        shutil.rmtree(os.environ['BENCH_CACHE'])
"""


@pytest.mark.parametrize("order", [1, -1])
def test_a_cache_that_vanishes_in_mid_run_is_made_again(toy_folder, start, plain, order):
    """Someone clears the cache while a run uses it: the run finishes with the same values."""
    place = toy_folder.parent
    (place / "vanishing.py").write_text(VANISHING)
    (place / "cache").mkdir()
    names = [*NAMES, "vanishing:Vanishes"][::order]
    options = [word for name in names for word in ("--system", name)]
    process = start(place, "run", "--suite", "toy", *options, "--no-latency", "--out", "out")
    _, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    values = {cell["system"]: cell["values"] for cell in plain(place / "out")["cells"]}
    assert values["vanishing:Vanishes"] == values["bm25"]
    assert set(values) == set(names)


@pytest.mark.parametrize("system", ["bm25", "lsa?dimensions=4", "dense?encoder=hashing"])
def test_a_damaged_index_answers_as_a_fresh_one(place, system, capsys):
    """A saved index of which any file is damaged is said to be, and built anew."""
    target = ["--suite", str(place / "toy"), "--system", system]
    assert main(["index", *target]) == 0
    capsys.readouterr()
    assert main(["search", "river tree", *target]) == 0
    expected, said = capsys.readouterr()
    assert "cannot be used" not in said
    files = [path for path in entries(place) if "indexes" in path.parts]
    assert len(files) > 1
    for path in files:
        whole = path.read_bytes()
        for name in ("byte-at-0.003", "byte-at-0.700", "cut", "empty", "gone"):
            DAMAGES[name](path)
            assert main(["search", "river tree", *target]) == 0
            found, said = capsys.readouterr()
            assert found == expected, (path.name, name)
            assert "cannot be used" in said, (path.name, name)
            path.write_bytes(whole)
