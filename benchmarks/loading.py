"""Reading corpora and runs, beside the libraries that read such files fastest."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Fact, Mark, Plot, Result, Timing, by_turns, check_equal, need, timings
from benchmarks.corpus import corpus_file
from qrels.beir import read_corpus
from qrels.content import cache_folder
from qrels.corpus_parts import Plan, parsed
from qrels.data import Corpus
from qrels.fast_run import FastRun, fast_run
from qrels.saved import with_file

Sides = dict[str, Callable[[], Any]]  # what a library gives is its own
TITLE = "Loading corpora and runs"
OURS = "ours"
WITHIN = 1 / 1.2
CORPORA = {100_000: 5, 1_000_000: 3}
RUNS = {1_000_000: 5, 10_000_000: 3}
QUICK_CORPORA, QUICK_RUNS = {40_000: 3}, {1_000_000: 3}
SLOW_UP_TO = 1_000_000
"""Lines of runs, and a tenth as many documents, that the slow peers are given at most."""

DEPTH = 1000
NOTES = (
    "All read the same file, which the operating system has in memory, with as many threads as "
    "each takes by itself. Ours also checks what `bench` relies on: valid UTF-8, ids that are all "
    "there and different, for a run finite scores and no document twice; and it numbers the ids.",
    "Parsed: from JSON lines to columns in memory. Opened again: from the cache folder, where a "
    "large corpus is kept once it is parsed; nothing of the source is read where its size and "
    "times are as they were.",
)


def promised(large: bool, work: str, sides: Mapping[str, object]) -> list[Mark]:
    """The marks against each peer; nothing is promised of small files, which load at once."""
    return [Mark(work, OURS, peer, WITHIN) for peer in sides if peer != OURS] if large else []


def run(quick: bool) -> Result:
    found: list[Timing] = []
    marks: list[Mark] = []
    facts: list[Fact] = []
    for n_docs, rounds in (QUICK_CORPORA if quick else CORPORA).items():
        path = corpus_file(n_docs)
        sides = corpus_sides(path, n_docs)
        work = f"{n_docs:,} documents parsed"
        found += timings(work, by_turns(sides, rounds), n_docs, n_docs)
        marks += promised(n_docs >= 10**6, work, sides)
        facts += opened_again(path, n_docs)
    for n_lines, rounds in (QUICK_RUNS if quick else RUNS).items():
        sides = run_sides(run_file(n_lines), n_lines)
        work = f"{n_lines:,} lines of a run"
        found += timings(work, by_turns(sides, rounds), n_lines, n_lines)
        marks += promised(n_lines >= 10**7, work, sides)
    plot = Plot("documents or lines", "documents or lines a second")
    return Result(tuple(found), tuple(marks), tuple(facts), NOTES, plot)


def corpus_sides(path: Path, n_docs: int) -> Sides:
    """The readers of a corpus; checked to give the same ids, and texts of the same lengths."""
    polars, arrow, duckdb = need("polars"), need("pyarrow.json"), need("duckdb")
    options = arrow.ReadOptions(block_size=8 << 20)
    query = f"select * from read_json('{path}', format = 'newline_delimited')"
    sides: Sides = {
        OURS: lambda: parsed(path, Plan(None, {})),
        "polars": lambda: polars.read_ndjson(path),
        "pyarrow": lambda: arrow.read_json(path, read_options=options),
        "DuckDB": lambda: duckdb.sql(query).to_arrow_table(),
    }
    _check_corpus(sides[OURS](), sides["polars"]())
    if n_docs * 10 <= SLOW_UP_TO:
        orjson = need("orjson")
        sides["orjson"] = lambda: _objects(path, orjson.loads)
        sides["json"] = lambda: _objects(path, json.loads)
    return sides


def _objects(path: Path, loads: Callable[[bytes], Any]) -> list[Any]:  # JSON values
    with path.open("rb") as file:
        return [loads(line) for line in file]


def _check_corpus(ours: Corpus, theirs: Any) -> None:  # a polars frame
    check_equal("ids", list(ours.doc_ids), theirs["_id"].to_list())
    for name, column in ours.fields.items():
        bounds = column.utf8()[1]  # type: ignore[attr-defined]  # parsed fast, as it is large
        check_equal(f"lengths of {name}", np.diff(bounds), theirs[name].str.len_bytes().to_numpy())
        step = max(1, len(ours) // 1000)
        check_equal(name, column[::step], theirs[name].gather_every(step).to_list())


def opened_again(path: Path, n_docs: int) -> list[Fact]:
    """How long a corpus takes with its entry in the cache, made here where there is none."""
    start = time.perf_counter()
    read_corpus(path)
    first = time.perf_counter() - start
    _once(path)
    again = _once(path)
    note = f"{n_docs:,} documents"
    return [
        Fact("first opening, perhaps from an earlier run's cache", first, "s", note),
        Fact("opened again", again * 1000, "ms", note),
    ]


def _once(path: Path) -> float:
    time.sleep(2.2)  # a younger entry is hashed again
    start = time.perf_counter()
    read_corpus(path)
    return time.perf_counter() - start


def run_sides(path: Path, n_lines: int) -> Sides:
    """The readers of a run; checked to give the same ids and scores."""
    polars, arrow = need("polars"), need("pyarrow.csv")
    names = ["query", "q0", "doc", "rank", "score", "tag"]
    parse = arrow.ParseOptions(delimiter=" ", quote_char=False)
    read = arrow.ReadOptions(column_names=names, block_size=8 << 20)
    wanted = arrow.ConvertOptions(include_columns=["query", "doc", "score"])
    sides: Sides = {
        OURS: lambda: fast_run(path),
        "polars": lambda: polars.read_csv(
            path, separator=" ", has_header=False, quote_char=None, new_columns=names,
            columns=[0, 2, 4],
        ),
        "pyarrow": lambda: arrow.read_csv(
            path, parse_options=parse, read_options=read, convert_options=wanted
        ),
    }  # fmt: skip
    _check_run(sides[OURS](), sides["polars"]())
    if n_lines <= SLOW_UP_TO:
        pandas, measures = need("pandas"), need("ir_measures")
        sides["pandas"] = lambda: pandas.read_csv(path, sep=" ", header=None, names=names)
        sides["ir_measures"] = lambda: list(measures.read_trec_run(str(path)))
        sides["Python's split"] = lambda: _split(path)
    return sides


def _split(path: Path) -> list[tuple[str, str, float]]:
    with path.open(encoding="utf-8") as file:
        rows = (line.split() for line in file)
        return [(row[0], row[2], float(row[4])) for row in rows]


def _check_run(ours: FastRun, theirs: Any) -> None:  # a polars frame
    check_equal("queries", list(ours.query_ids), theirs["query"].to_list())
    check_equal("documents", list(ours.doc_ids), theirs["doc"].to_list())
    check_equal("scores", ours.scores, theirs["score"].to_numpy().astype(np.float32))


def run_file(n_lines: int, seed: int = 0) -> Path:
    """A TREC run, DEPTH deep, over ids of a million documents; written once, into the cache."""
    path = cache_folder() / "benchmarks" / f"run-{n_lines}-{seed}.txt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with_file(path, lambda file: file.writelines(_rankings(n_lines // DEPTH, seed)))
    return path


def _rankings(n_queries: int, seed: int) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    for query in range(n_queries):
        docs = rng.choice(1_000_000, DEPTH, replace=False).tolist()
        scores = np.sort(rng.gamma(2, 5, DEPTH))[::-1].astype(np.float32).tolist()
        rows = enumerate(zip(docs, scores, strict=True), 1)
        yield "".join(f"q{query} Q0 d{d} {rank} {s:.9g} run\n" for rank, (d, s) in rows).encode()
