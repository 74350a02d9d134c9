"""The journal: what belongs to one experiment, whole or not at all, and to one run at a time."""

from dataclasses import replace

import numpy as np
import pytest

from bench.config import Experiment, System
from bench.journal import NO_JOURNAL, experiment_key, journal, read_entry, write_entry
from bench.plan import planned
from bench.runner import Options, Progress, run_experiment

SYSTEMS = [System("bm25", "bm25"), System("lsa", "lsa", {"dimensions": 2})]


class Failing:
    def index(self, corpus):
        raise RuntimeError("no")

    def search(self, queries, k): ...


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def suite(toy_suite):
    return replace(toy_suite, depth=4, measures=["nDCG@10"])


def key(suite, systems=SYSTEMS, seed=13, **options):
    return experiment_key(planned(Experiment([suite], systems)), seed, options)


@pytest.mark.parametrize(
    "change",
    [
        lambda suite: key(replace(suite, digest="1" * 64)),
        lambda suite: key(replace(suite, depth=5)),
        lambda suite: key(replace(suite, measures=["RR@10"])),
        lambda suite: key(replace(suite, split="dev")),
        lambda suite: key(suite, SYSTEMS[:1]),
        lambda suite: key(suite, [SYSTEMS[0], System("lsa", "lsa", {"dimensions": 3})]),
        lambda suite: key(suite, seed=14),
        lambda suite: key(suite, device="cuda"),
    ],
    ids=["data", "depth", "measures", "split", "systems", "parameter", "seed", "option"],
)
def test_another_experiment_has_another_journal(suite, change):
    """The key covers all that the cells depend on, and nothing that they do not."""
    assert key(suite) == key(suite)
    assert change(suite) != key(suite)


def test_code_that_a_plug_in_imports_is_part_of_the_key(suite, tmp_path, monkeypatch):
    """A helper module that changes makes another experiment of the same systems."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "tests_journal_helper.py").write_text("A = 1\n")
    plugin = "import tests_journal_helper\nclass P:\n    def index(self, c): ...\n"
    (tmp_path / "tests_journal_plugin.py").write_text(f"{plugin}    def search(self, q, k): ...\n")
    systems = [System("p", "tests_journal_plugin:P")]
    before = key(suite, systems)
    assert key(suite, systems) == before
    (tmp_path / "tests_journal_helper.py").write_text("A = 2\n")
    assert key(suite, systems) != before


def test_an_entry_gives_back_what_was_kept(suite, tmp_path):
    """Cell and rankings come back equal, to the last bit."""
    done = Progress()
    record = run_experiment(Experiment([suite], SYSTEMS), None, Options(None), progress=done)
    for cell in record.cells:
        run = done.runs[suite.name, suite.split, cell.system]
        write_entry(tmp_path / "x.cell", cell, run, "said")
        found, rankings, answers = read_entry(tmp_path / "x.cell")
        assert (found, answers) == (cell, "said")
        np.testing.assert_array_equal(rankings.docs, run.docs)
        np.testing.assert_array_equal(rankings.scores, run.scores)
        assert (rankings.docs.dtype, rankings.scores.dtype) == (np.int32, np.float32)


def test_a_second_run_at_once_goes_without(suite, tmp_path):
    """Only one run has a journal; the other one is told, and takes and keeps nothing."""
    said = []
    with journal(key(suite)) as first, journal(key(suite), say=said.append) as second:
        assert first.folder is not None
        assert second is NO_JOURNAL
    assert said == [
        "note: nothing to resume from is kept; the same experiment is being run elsewhere"
    ]


def test_finished_cells_are_taken_and_failed_ones_tried_again(suite):
    """A resumed run says how many it takes, and indexes only for the others."""
    systems = [*SYSTEMS, System("failing", f"{__name__}:Failing")]
    experiment, said = Experiment([suite], systems), []
    records = []
    for _ in range(2):
        with journal(key(suite, systems)) as kept:
            records.append(
                run_experiment(experiment, None, Options(None), said.append, None, None, kept)
            )
    assert said.count("resuming: 2 of 3 cells were finished") == 1
    assert records[0].cells == records[1].cells
    assert records[0].comparisons == records[1].comparisons
    assert records[0].examples == records[1].examples


def test_fresh_forgets(suite):
    """With *fresh* there is nothing to take."""
    plan = planned(Experiment([suite], SYSTEMS))
    with journal(key(suite)) as kept:
        run_experiment(Experiment([suite], SYSTEMS), None, Options(None), journal=kept)
        assert len(kept.finished(plan)) == 2
    with journal(key(suite), fresh=True) as kept:
        assert not kept.finished(plan)


def test_what_is_removed_leaves_nothing(suite, tmp_path):
    """A completed run takes its journal with it."""
    with journal(key(suite)) as kept:
        run_experiment(Experiment([suite], SYSTEMS), None, Options(None), journal=kept)
        kept.remove()
    assert not list((tmp_path / "cache").glob("journal-*/*"))
