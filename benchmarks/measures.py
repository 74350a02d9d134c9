"""The measures, beside pytrec_eval, ir_measures and ranx: from arrays, dictionaries and files."""

import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.from_dicts import judge_dicts
from bench.judge import Judged, judge
from bench.metrics import parse_measure
from benchmarks.common import (
    Mark,
    Missing,
    Plot,
    Result,
    Timing,
    by_turns,
    check_equal,
    need,
    one_thread,
    timings,
)
from qrels.data import Qrels, Run

TITLE = "Measures"
OURS, DICTS = "ours, from arrays", "ours, from dictionaries"
PYTREC, IRM, RANX = "pytrec_eval", "ir_measures", "ranx"
MEASURES = {"nDCG": "ndcg", "RR": "recip_rank", "AP": "map", "R@100": "recall_100"}
SIZES = {(1000, 1000): 3, (10_000, 1000): 2}
QUICK = {(300, 1000): 3}
ALL_UP_TO = 1000
"""Queries up to which all peers take part; beyond, only the fastest of them does."""

FILES = (300, 100)
JUDGED = 30
NOTES = (
    "nDCG, RR, AP and R@100 of every query, checked to be equal first. The peers take "
    "dictionaries; ours is timed from those as well as from the arrays that `bench` works on.",
    "From files: a fresh process each time, from its start to the means of the same measures of a "
    "TREC run and qrels, imports and first call included. ranx takes too long to start to be "
    "timed as often as the others.",
)


class Data(NamedTuple):
    """The same qrels and run, as arrays and as dictionaries."""

    run: Run
    qrels: Qrels
    run_dict: dict[str, dict[str, float]]
    qrels_dict: dict[str, dict[str, int]]


def run(quick: bool) -> Result:
    found: list[Timing] = []
    marks: list[Mark] = []
    for (queries, depth), rounds in (QUICK if quick else SIZES).items():
        data = drawn(queries, depth)
        work = f"{queries:,} queries, {depth:,} deep"
        with one_thread():
            seconds = by_turns(sides(data), rounds)
        found += timings(work, seconds, queries, queries)
        peers = [name for name in seconds if name not in (OURS, DICTS)]
        marks += [Mark(work, OURS, peer, 3.0) for peer in peers]
        marks.append(Mark(work, DICTS, PYTREC, 3.0))
    with tempfile.TemporaryDirectory() as folder:
        for names, rounds in (((PYTREC, IRM), 5 if quick else 15), ((RANX,), 0 if quick else 3)):
            if rounds:
                work = f"from files, {FILES[0]} queries, {FILES[1]} deep: {', '.join(names)}"
                calls = programs(Path(folder), names)
                found += timings(work, by_turns(calls, rounds))
                marks += [Mark(work, "ours", peer, 1.0) for peer in names]
    only = tuple(timing.work for timing in found if timing.x is not None)
    return Result(
        tuple(found), tuple(marks), (), NOTES, Plot("queries", "queries a second", only=only)
    )


def drawn(n_queries: int, depth: int, seed: int = 0) -> Data:
    """Rankings of random documents, a few of them judged; no score is there twice in one."""
    rng = np.random.default_rng(seed)
    n_docs = 20 * depth
    docs = np.stack([rng.choice(n_docs, depth, replace=False) for _ in range(n_queries)])
    steps = rng.random((n_queries, depth)).astype(np.float32) + np.float32(0.01)
    scores = np.cumsum(steps, axis=1, dtype=np.float32)[:, ::-1].copy()
    picked = [_judged(own, n_docs, rng) for own in docs]
    grades = rng.integers(0, 4, n_queries * JUDGED).astype(np.int16)
    indptr = np.arange(n_queries + 1) * JUDGED
    qrels = Qrels(indptr, np.concatenate(picked).astype(np.int32), grades)
    ids = [f"doc{i}" for i in range(n_docs)]
    run_dict = {
        f"q{row}": dict(zip([ids[doc] for doc in own], values, strict=True))
        for row, (own, values) in enumerate(zip(docs.tolist(), scores.tolist(), strict=True))
    }
    by_query = zip(picked, grades.reshape(-1, JUDGED).tolist(), strict=True)
    qrels_dict = {
        f"q{row}": dict(zip([ids[doc] for doc in own.tolist()], given, strict=True))
        for row, (own, given) in enumerate(by_query)
    }
    return Data(Run(docs.astype(np.int32), scores), qrels, run_dict, qrels_dict)


def _judged(ranking: NDArray[np.int64], n_docs: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """JUDGED documents, ascending, about half of them out of the ranking."""
    found = set(rng.choice(ranking, JUDGED // 2, replace=False).tolist())
    while len(found) < JUDGED:
        found.add(int(rng.integers(n_docs)))
    return np.array(sorted(found))


def sides(data: Data) -> dict[str, Callable[[], object]]:
    """Each peer's way to the values of all queries, checked to be the same."""
    pytrec = need("pytrec_eval")
    evaluator = pytrec.RelevanceEvaluator(
        data.qrels_dict, {"ndcg", "recip_rank", "map", "recall.100"}
    )
    parsed = [parse_measure(name) for name in MEASURES]

    def values(judged: Judged) -> list[NDArray[np.float64]]:
        return [measure.values(judged) for measure in parsed]

    found: dict[str, Callable[[], Any]] = {
        OURS: lambda: values(judge(data.run, data.qrels)),
        DICTS: lambda: values(judge_dicts(data.qrels_dict, data.run_dict)),
        PYTREC: lambda: evaluator.evaluate(data.run_dict),
    }
    theirs = found[PYTREC]()
    expected = [[theirs[query][name] for query in data.qrels_dict] for name in MEASURES.values()]
    for name in (OURS, DICTS):
        check_equal(name, found[name](), expected, rtol=1e-9)
    if len(data.qrels_dict) <= ALL_UP_TO:
        for name, peer in ((IRM, _ir_measures), (RANX, _ranx)):
            with suppress(Missing):  # its rows are left out
                found[name] = peer(data, expected)
    return found


def _ir_measures(data: Data, expected: list[list[float]]) -> Callable[[], Any]:
    irm = need("ir_measures")
    wanted = [irm.parse_measure(name) for name in MEASURES]

    def call() -> Any:
        return irm.calc_aggregate(wanted, data.qrels_dict, data.run_dict)

    own = call()
    check_equal(IRM, _means(expected), [own[measure] for measure in wanted], rtol=1e-9)
    return call


def _ranx(data: Data, expected: list[list[float]]) -> Callable[[], Any]:
    """ranx keeps its own form of both, made beforehand."""
    ranx = need("ranx")
    names = ["ndcg", "mrr", "map", "recall@100"]
    qrels, ranked = ranx.Qrels(data.qrels_dict), ranx.Run(data.run_dict)

    def call() -> Any:
        return ranx.evaluate(qrels, ranked, names, threads=1)

    own = call()
    check_equal(RANX, _means(expected), [own[name] for name in names], rtol=1e-9)
    return call


def _means(expected: list[list[float]]) -> list[float]:
    return [float(np.mean(column)) for column in expected]


OUR_PROGRAM = """
import sys
from bench.evaluate import evaluate_files
print(*evaluate_files(sys.argv[1], sys.argv[2], ["nDCG", "RR", "AP", "R@100"]).means.values())
"""
PYTREC_PROGRAM = """
import sys
import pytrec_eval
with open(sys.argv[1]) as file: qrels = pytrec_eval.parse_qrel(file)
with open(sys.argv[2]) as file: run = pytrec_eval.parse_run(file)
names = ["ndcg", "recip_rank", "map", "recall_100"]
wanted = {"ndcg", "recip_rank", "map", "recall.100"}
found = pytrec_eval.RelevanceEvaluator(qrels, wanted).evaluate(run).values()
print(*(sum(row[name] for row in found) / len(found) for name in names))
"""
IRM_PROGRAM = """
import sys
import ir_measures
from ir_measures import AP, RR, R, nDCG
qrels, run = ir_measures.read_trec_qrels(sys.argv[1]), ir_measures.read_trec_run(sys.argv[2])
wanted = [nDCG, RR, AP, R @ 100]
found = ir_measures.calc_aggregate(wanted, qrels, run)
print(*(found[measure] for measure in wanted))
"""
RANX_PROGRAM = """
import sys
from ranx import Qrels, Run, evaluate
qrels, run = Qrels.from_file(sys.argv[1], kind="trec"), Run.from_file(sys.argv[2], kind="trec")
print(*evaluate(qrels, run, ["ndcg", "mrr", "map", "recall@100"]).values())
"""
PROGRAMS: Mapping[str, str] = {
    "ours": OUR_PROGRAM, PYTREC: PYTREC_PROGRAM, IRM: IRM_PROGRAM, RANX: RANX_PROGRAM,
}  # fmt: skip


def programs(folder: Path, peers: tuple[str, ...]) -> dict[str, Callable[[], object]]:
    """A program each that prints the means of two files, checked to be the same."""
    data = drawn(*FILES)
    qrels, ranked = folder / "qrels", folder / "run.txt"
    qrels.write_text(
        "".join(f"{q} 0 {d} {g}\n" for q, own in data.qrels_dict.items() for d, g in own.items())
    )
    ranked.write_text(
        "".join(
            f"{q} Q0 {d} {rank} {score:.9g} run\n"
            for q, own in data.run_dict.items()
            for rank, (d, score) in enumerate(own.items(), 1)
        )
    )
    files = str(qrels), str(ranked)
    found = {name: functools.partial(_program, PROGRAMS[name], files) for name in ("ours", *peers)}
    printed = {name: [float(word) for word in call().split()] for name, call in found.items()}
    for name, means in printed.items():
        check_equal(f"{name}, from files", printed["ours"], means, rtol=1e-9)
    return dict(found)


def _program(code: str, files: tuple[str, str]) -> str:
    root = str(Path(__file__).resolve().parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, *files],
        env=environment,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout
