"""What a system costs: build time, index bytes, memory and latency, in a process of its own.

The protocol, which the report states: the process is fresh, its thread counts pinned; the index
is built once and saved once; then, after a warm-up, each of a sample of queries is answered
alone, one at a time, in several rounds, timed by `perf_counter_ns` a stage at a time. The
query-embedding cache is never read. On CUDA the device is synchronised before the clock is
read. Batch throughput is a pass of its own. Raw samples are kept.
"""

import builtins
import gc
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

import encoders
from bench.about import system_info
from bench.answering import context
from bench.child import Deadline, ask_child, prepare, send
from bench.config import System
from bench.environment import available_cores, peak_rss_bytes, pinned_threads, rss_bytes
from bench.exact import against_exact
from bench.memory import limited, needs_more, share
from bench.system import Built, close, make
from bench.system import index as build_index
from encoders.base import device_scope
from encoders.cache import cache_policy
from generators.base import Answer
from qrels.data import Run, Suite
from qrels.errors import BenchError
from reports.record import Cost
from retrievers.base import SavesIndex, Stages

TOKENS = "tokens"
"""Beside the nanoseconds of a query's stages, how many tokens were generated."""


@dataclass(frozen=True)
class Protocol:
    """How latency is sampled: queries sampled, rounds over them, warm-up queries before."""

    queries: int = 50
    rounds: int = 3
    warmup: int = 10
    threads: int | None = None  # None: every core this process may use
    device: str = "cpu"
    memory: int | None = None  # bytes that this process and the measuring one may hold


def measure_cost(
    suite: Suite, system: System, protocol: Protocol, deadline: Deadline | None = None
) -> Cost:
    """The cost of *system* on *suite*, measured in a spawned process, killed at *deadline*.

    Raises PluginError with the child's reason,
    or with how it died.
    """
    threads = protocol.threads or available_cores()
    memory = None if protocol.memory is None else share(protocol.memory, 1)
    message = (suite, system, replace(protocol, memory=memory))
    measured: Cost = ask_child(system.name, _child, (threads,), message, deadline)
    return measured


def _child(pipe: Connection, threads: int) -> None:
    """Entry of the measuring process: receive the work only once the import meter is running."""
    prepare()
    failure: str | None = None
    cost: Cost | None = None
    try:
        with pinned_threads(threads), import_meter() as imports:
            suite, system, protocol = pipe.recv()
            with limited(protocol.memory):
                cost = _measure(suite, system, protocol, threads, imports)
    except BenchError as error:
        failure = str(error)
    except MemoryError as error:
        failure = needs_more(f"MemoryError: {error}", protocol.memory, error)
    except Exception:
        failure = traceback.format_exc(limit=-3)
    send(pipe, (failure, cost))


def _measure(
    suite: Suite, system: System, protocol: Protocol, threads: int, imports: "ImportMeter"
) -> Cost:
    """Build, save, time; the whole story of one measuring process."""
    with device_scope(protocol.device):
        built = make(system, suite.corpus)
        for spec in system_info(system).encoders:
            _ = encoders.load(spec).digest  # hashing a model's files is no part of building
        with cache_policy(queries=False) as encoding:
            start, importing = time.perf_counter_ns(), imports.ns
            build_index(built)
            build_ns = time.perf_counter_ns() - start - (imports.ns - importing)
        sample = sample_queries(suite.queries.texts, protocol.queries)
        with cache_policy(queries=False):
            answer_all(built, sample[: protocol.warmup], suite.depth)
            imports.stop()
            with pinned_threads(threads):  # libraries that the warm-up imported
                rounds = [answer_all(built, sample, suite.depth) for _ in range(protocol.rounds)]
                batch_ns = time_batch(built, sample, suite.depth)
    peak = peak_rss_bytes()  # before saving, which may copy the index, and exact search
    index_bytes = saved_bytes(built)
    with pinned_threads(threads), device_scope(protocol.device):
        exact = against_exact(
            built, suite, lambda twin: in_rounds(twin, sample, suite.depth, protocol)
        )
    close(built)
    return Cost(
        build_ns=max(0, build_ns - encoding.encode_ns - encoding.load_ns),
        encode_ns=encoding.encode_ns + encoding.recorded_ns,
        encoded_from_cache=encoding.from_cache > 0,
        index_bytes=index_bytes,
        peak_rss_bytes=peak,
        import_rss_bytes=imports.bytes,
        threads=threads,
        device=protocol.device,
        warmup=min(protocol.warmup, len(sample)),
        rounds=protocol.rounds,
        latency_ns={
            stage: tuple(tuple(query[stage] for query in one) for one in rounds)
            for stage in (rounds[0][0] if rounds and rounds[0] else {})
            if stage != TOKENS and all(stage in query for one in rounds for query in one)
        },
        batch_queries=len(sample),
        batch_ns=batch_ns,
        exact=exact,
        tokens=tuple(tuple(query.get(TOKENS, 0) for query in one) for one in rounds)
        if built.generator is not None
        else (),
    )


def in_rounds(
    built: Built, queries: Sequence[str], depth: int, protocol: Protocol
) -> list[list[dict[str, int]]]:
    """`answer_all` in each round, after the warm-up; query vectors are not taken from the cache."""
    with cache_policy(queries=False):
        answer_all(built, queries[: protocol.warmup], depth)
        return [answer_all(built, queries, depth) for _ in range(protocol.rounds)]


def sample_queries(texts: Sequence[str], size: int) -> list[str]:
    """At most *size* of the texts, evenly spaced, the same ones every time."""
    picks = np.linspace(0, len(texts) - 1, num=min(size, len(texts))).round().astype(int)
    return [texts[pick] for pick in picks]


def answer_all(built: Built, queries: Sequence[str], depth: int) -> list[dict[str, int]]:
    """Nanoseconds by stage for each query, answered one at a time."""
    gc.collect()
    return [time_query(built, query, depth) for query in queries]


def time_query(built: Built, query: str, depth: int) -> dict[str, int]:
    """Nanoseconds of one query: each of its stages, and total; with a generator also

    `first_token`, from the question on, where it can be told, and `tokens`, a number.
    """
    clock = _clock()
    marks = [("", clock())]
    if isinstance(built.retriever, Stages):
        encoded = built.retriever.encode([query])
        marks.append(("encode", clock()))
        run = arrays(built.retriever.search_encoded(encoded, depth))
    else:
        run = arrays(built.retriever.search([query], depth))
    marks.append(("search", clock()))
    if built.reranker is not None:
        run = arrays(
            built.reranker.rerank([query], run, built.corpus, min(built.system.rerank_depth, depth))
        )
        marks.append(("rerank", clock()))
    said: Answer | None = None
    if built.generator is not None:
        contexts = context(built, [query], run)
        marks.append(("context", clock()))
        (said,) = built.generator.generate([query], contexts)
        marks.append(("generate", clock()))
    stages = {name: at - before for (_, before), (name, at) in pairwise(marks)}
    start, end = marks[0][1], marks[-1][1]
    return {**stages, **(speed(said, marks[-2][1] - start) if said else {}), "total": end - start}


def speed(said: Answer, before: int) -> dict[str, int]:
    """Tokens of an answer and when the first was there; *before*: what went before generating."""
    found = {TOKENS: said.tokens} if said.tokens else {}
    return {
        **found,
        **({"first_token": before + said.first_token_ns} if said.first_token_ns else {}),
    }


def arrays(answer: Run) -> Run:
    """A plug-in's answer as arrays, which it may have given as lists."""
    docs, scores = answer
    return Run(np.asarray(docs), np.asarray(scores))


def time_batch(built: Built, queries: Sequence[str], depth: int) -> int:
    """Nanoseconds to answer all *queries* in one call."""
    clock = _clock()
    start = clock()
    run = arrays(built.retriever.search(queries, depth))
    if built.reranker is not None:
        shallow = min(built.system.rerank_depth, depth)
        run = arrays(built.reranker.rerank(queries, run, built.corpus, shallow))
    if built.generator is not None:
        built.generator.generate(queries, context(built, queries, run))
    return clock() - start


def _clock() -> Callable[[], int]:
    """perf_counter_ns, after waiting for the CUDA device where one is in use."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return time.perf_counter_ns

    def synchronised() -> int:
        torch.cuda.synchronize()
        return time.perf_counter_ns()

    return synchronised


def saved_bytes(built: Built) -> int | None:
    """The bytes of the index as saved, reranker's share included; None where none can be saved."""
    if not isinstance(built.retriever, SavesIndex):
        return None
    parts = [built.retriever, *([built.reranker] if isinstance(built.reranker, SavesIndex) else [])]
    with tempfile.TemporaryDirectory(prefix="bench-index-") as name:
        for number, part in enumerate(parts):
            folder = Path(name, str(number))
            folder.mkdir()
            part.save(folder)
        return sum(path.stat().st_size for path in Path(name).rglob("*") if path.is_file())


class ImportMeter:
    """How much resident memory and time importing modules took, until it is stopped."""

    def __init__(self) -> None:
        self.bytes = rss_bytes()  # the interpreter and what this module imports
        self.ns = 0
        self._depth = 0
        self._plain = builtins.__import__

    def stop(self) -> None:
        builtins.__import__ = self._plain

    def __call__(self, name: str, *args: Any, **kwargs: Any) -> Any:  # __import__'s own signature
        if self._depth or name in sys.modules:
            return self._plain(name, *args, **kwargs)
        self._depth += 1
        before, start = rss_bytes(), time.perf_counter_ns()
        try:
            return self._plain(name, *args, **kwargs)
        finally:
            self._depth -= 1
            self.bytes += max(0, rss_bytes() - before)
            self.ns += time.perf_counter_ns() - start


@contextmanager
def import_meter() -> Iterator[ImportMeter]:
    """Count the memory of imports made inside, so that it can be told from the system's own."""
    meter = ImportMeter()
    builtins.__import__ = meter
    try:
        yield meter
    finally:
        meter.stop()
