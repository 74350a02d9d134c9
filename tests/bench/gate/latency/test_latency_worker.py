"""The two sides of the latency gate at work: processes, protocol, trees."""

import os
import sys
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import pytest

import bench
from bench.config import parse_system
from bench.gate.latency import ORDERS, Design, Pair, Side, Tree, interleaved, measure
from bench.gate.latency_sides import Worker, started
from bench.gate.latency_worker import Task, moved, search_path
from qrels.errors import DataError, PluginError


@pytest.fixture
def task(folder):
    return Task(
        suite=str(folder / "small"), split="", depth=3, system=asdict(parse_system("bm25")),
        queries=2, threads=1, device="cpu", here=str(folder), root=None, present=None,
        package=str(Path(bench.__file__).parents[1]),
    )  # fmt: skip


def with_system(task, spec):
    return replace(task, system=asdict(parse_system(spec)))


@pytest.mark.parametrize("together", [True, False])
def test_workers_answer_round_by_round(task, together):
    """Every round has a positive time for each sampled query and stage; texts are the same."""
    with started([("a", task), ("b", task)], together) as ready:
        (first, one), (second, two) = ready
        assert one["texts"] == two["texts"]
        answers = interleaved([first, second, first], 2, 0)
        process = first.process
    assert {"search", "total"} <= set(answers)
    assert [len(side) for side in answers["total"]] == [2, 2, 2]
    assert all(ns > 0 for side in answers["total"] for one in side for ns in one)
    assert all(len(one) == 2 for side in answers["total"] for one in side)
    assert process.returncode == 0


def test_what_a_plugin_prints_does_not_get_among_the_answers(task):
    with started([("a", with_system(task, "plainly:Plain?print_=true"))]) as [(worker, _)]:
        assert len(worker.round()["total"]) == 2


def test_a_worker_that_dies_is_one_clear_line(task):
    with (
        pytest.raises(PluginError, match=r"^the baseline: .*died with exit code 7$"),
        started([("the baseline", with_system(task, "plainly:Plain?die=true"))]),
    ):
        pass


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nothing:There", "nothing"),
        ("bm25?k9=1", "unknown parameter of retriever 'bm25' 'k9'"),
    ],
)
def test_a_worker_that_fails_says_why(task, spec, message):
    worker = Worker("the candidate", with_system(task, spec))
    with pytest.raises(PluginError, match=f"^the candidate: .*{message}"), worker:
        worker.receive()
    assert worker.process.returncode is not None


def test_no_worker_is_left_behind(task):
    """An exception in the middle ends every process."""
    processes = []

    def fail():
        with started([("a", task), ("b", task)]) as ready:
            processes.extend(worker.process for worker, _ in ready)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert len(processes) == 2
    assert all(process.poll() is not None for process in processes)


def test_orders_favour_no_side():
    """Each side is equally often at each place, and follows each other equally often."""
    places = [[order[place] for order in ORDERS] for place in range(3)]
    assert all(sorted(place) == [0, 0, 1, 1, 2, 2] for place in places)
    follows = [pair for order in ORDERS for pair in pairwise(order)]
    assert all(follows.count(pair) == 2 for pair in follows)
    assert len(set(follows)) == 6


def test_measure_gives_every_start_and_round(folder, task):
    """(starts, 3, rounds, queries) by stage; stages that only one side has are left out."""
    tree = Tree(folder)
    pair = Pair(
        "small", "test", task.suite, 3, Side("old", parse_system("bm25"), tree),
        Side("now", parse_system("plainly:Plain"), tree),
    )  # fmt: skip
    said = []
    samples = measure(pair, Design(starts=2, rounds=2, queries=2), said.append)
    assert {stage: found.shape for stage, found in samples.items()} == {"total": (2, 3, 2, 2)}
    assert len(said) == 2


def test_a_candidate_with_other_texts_is_refused(folder, task):
    """Both sides must have been asked the same of the same documents."""
    tree = Tree(folder)
    side = Side("revision x", parse_system("bm25"), tree)
    pair = Pair("small", "test", task.suite, 3, side, side)
    from bench.gate.latency import check

    first = {"texts": "1", "inside": 0, "foreign": []}
    check([first, first, first], pair)
    with pytest.raises(DataError, match="revision x reads other documents or queries"):
        check([first, first, {**first, "texts": "2"}], pair)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"inside": 3, "foreign": ["/now/mine.py"]}, "would run code of the present tree: /now/mi"),
        ({"inside": 0, "foreign": []}, "nothing that 'bm25' runs comes from this repository"),
    ],
)
def test_a_baseline_that_is_the_present_code_is_refused(answer, message):
    """A gate that compares the present code with itself would pass whatever changed."""
    from bench.gate.latency import check

    tree = Tree(Path("/then"), Path("/then"), Path("/now"))
    side = Side("revision x", parse_system("bm25"), tree)
    pair = Pair("small", "test", "small", 3, side, side)
    with pytest.raises(DataError, match=message):
        check([{"texts": "1", **answer}] * 3, pair)


def test_the_search_path_moves_to_the_tree_in_question(tmp_path, task):
    """Entries in the user's tree become those of the revision, where it has them."""
    now, then = tmp_path / "now", tmp_path / "then"
    for path in (now / "src", then / "src", now / ".venv" / "lib"):
        path.mkdir(parents=True)
    there = replace(task, here=str(then), root=str(then), present=str(now), package="/package")
    path = [str(now / "src"), str(now / ".venv" / "lib"), "/usr/lib/python"]
    assert search_path(there, path) == [
        str(then), str(then / "src"), str(now / ".venv" / "lib"), "/usr/lib/python", "/package",
    ]  # fmt: skip
    assert search_path(task, path) == [task.here, *path, task.package]
    assert moved(os.sep, str(now), str(then)) == os.sep


def test_the_worker_imports_only_the_standard_library_first():
    """Its module level must work with the code of any revision on the search path."""
    import ast

    tree = ast.parse(Path(sys.modules[Task.__module__].__file__).read_text("utf-8"))
    names = {
        name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module]
        )
    }
    assert names <= set(sys.stdlib_module_names)
