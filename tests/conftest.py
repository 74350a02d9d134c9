"""What every test may use: the shared data where there is any, a small suite, a small record."""

import os
import runpy
from contextlib import ExitStack
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from qrels.data import Column, Corpus, Qrels, Queries, Suite
from reports import record as r
from retrievers import create
from retrievers.base import Retriever


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared data: BENCH_SHARED, else ../shared/data beside the checkout."""
    named = os.environ.get("BENCH_SHARED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"shared data not found at {folder}; set BENCH_SHARED to its folder")
    return folder


def make_toy_corpus() -> Corpus:
    """Six documents with a metadata column of every kind, each missing somewhere.

    "empty" has no text at all, "ü/ß" an id outside ASCII, "twin-a" and "twin-b" equal texts.
    """
    ids = ["cats", "dogs", "twin-a", "twin-b", "ü/ß", "empty"]
    titles = ["cats", "dogs", "planets", "planets", "Katzen", ""]
    texts = [
        "a cat sleeps on the warm sofa",
        "a dog chases the cat around the garden",
        "jupiter is the biggest planet",
        "jupiter is the biggest planet",
        "die Katze schläft",
        "",
    ]
    days = ["2020-01-01", "2021-06-15", "2022-03-03", "2022-03-03", "NaT", "2024-12-31"]
    lists = [("en",), ("en", "fr"), ("en",), (), ("de",), ()]
    languages = np.empty(6, object)
    languages[:] = lists
    metadata = {
        "task": Column("str", np.array(["pets", "pets", "space", "space", None, "none"], object)),
        "downloads": Column("int", np.array([1000.0, 10.0, 500.0, 500.0, 7.0, np.nan])),
        "rating": Column("float", np.array([4.5, 3.25, np.nan, 2.0, 5.0, 0.5])),
        "created_at": Column("date", np.array(days, "datetime64[s]")),
        "language": Column("list", languages),
    }
    fields = {"title": titles, "text": texts}
    return Corpus(ids, fields, metadata, {"title": 1.0, "text": 1.0})


@pytest.fixture(scope="session")
def toy_corpus() -> Corpus:
    """The corpus of `toy_suite`."""
    return make_toy_corpus()


@pytest.fixture(scope="session")
def toy_suite() -> Suite:
    """The toy corpus with three queries and graded qrels.

    q1 has grades 2, 1, -1 (cats, ü/ß, empty) and a judged document that the corpus lacks
    ("gone", grade 1, position 6); q2 grades 1, 1, 0 (the twins, dogs); q3 is not judged.
    """
    queries = Queries(
        ["q1", "q2", "q3"],
        ["where does the cat sleep?", "which planet is the biggest?", "garden"],
        [{"kind": "animal"}, {"kind": "space"}, {}],
    )
    qrels = Qrels(
        indptr=np.array([0, 4, 7, 7], np.int64),
        docs=np.array([0, 4, 5, 6, 1, 2, 3], np.int32),
        grades=np.array([2, 1, -1, 1, 0, 1, 1], np.int16),
        extra_doc_ids=["gone"],
    )
    return Suite("toy", "1.0", "test", make_toy_corpus(), queries, qrels, digest="0" * 64)


def _precomputed(corpus: Corpus, folder: Path) -> dict[str, object]:
    """Vectors of the joined texts by the hashing encoder, as a file."""
    import encoders

    vectors = encoders.load("hashing").encode(corpus.joined(), "passage")
    np.save(folder / "vectors.npy", vectors)
    return {"path": str(folder / "vectors.npy"), "encoder": "hashing"}


OFFLINE = {  # parameters of each built-in retriever that need no model and no network
    "bm25": lambda corpus, folder: {},
    "bm25f": lambda corpus, folder: {},
    "bm25-okapi": lambda corpus, folder: {},
    "chunked": lambda corpus, folder: {"size": 5, "overlap": 2},
    "dense": lambda corpus, folder: {"encoder": "hashing"},
    "faiss": lambda corpus, folder: {"encoder": "hashing"},
    "fielded": lambda corpus, folder: {"encoder": "hashing"},
    "filtered": lambda corpus, folder: {},
    "hybrid": lambda corpus, folder: {"retrievers": ["bm25", "dense?encoder=hashing"]},
    "lancedb": lambda corpus, folder: {"encoder": "hashing"},
    "lsa": lambda corpus, folder: {"dimensions": 8},
    "milvus": lambda corpus, folder: {"encoder": "hashing"},
    "pgvector": lambda corpus, folder: {"encoder": "hashing"},
    "precomputed": _precomputed,
    "qdrant": lambda corpus, folder: {"encoder": "hashing"},
}


STORES = {  # the packages that each needs, which may be missing
    "lancedb": ("lancedb",),
    "milvus": ("pymilvus", "milvus_lite"),
    "pgvector": ("psycopg", "pgvector"),
    "qdrant": ("qdrant_client",),
}


@pytest.fixture(scope="session")
def postgres():
    """The url of a PostgreSQL with pgvector, started for these tests; skips where there is none."""
    tool = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "postgres.py"))
    with ExitStack() as stack:
        try:
            url = stack.enter_context(tool["started"]())
        except tool["Absent"] as absent:
            pytest.skip(str(absent))
        yield url


@pytest.fixture
def need_store(request, monkeypatch):
    """need_store(name) skips where a vector store cannot be had, and starts a server for it."""

    def need(name: str) -> None:
        for module in STORES.get(name, ()):
            pytest.importorskip(module)
        if name == "pgvector":
            monkeypatch.setenv("PGVECTOR_URL", request.getfixturevalue("postgres"))

    return need


@pytest.fixture
def make_retriever(tmp_path_factory, monkeypatch, need_store):
    """make(name, corpus) constructs a built-in retriever that works offline, not yet indexed."""
    folder = tmp_path_factory.mktemp("retriever")
    monkeypatch.setenv("BENCH_CACHE", str(folder / "cache"))

    def make(name: str, corpus: Corpus) -> Retriever:
        need_store(name)
        return create(name, OFFLINE[name](corpus, folder))

    return make


MEASURES = ("nDCG@10", "RR@10", "R@100", "Judged@10")
SYSTEMS = {"hybrid": 0.75, "dense": 0.70, "bm25": 0.45}
LATENCY_MS = {"hybrid": 14.2, "dense": 12.1, "bm25": 0.31}


@pytest.fixture
def make_record():
    return build


@pytest.fixture
def record():
    return build()


def build(
    systems=tuple(SYSTEMS),
    different=(("hybrid", "bm25"), ("dense", "bm25")),
    suites=("models",),
    fails=("cross-encoder",),
    with_text=True,
    cost=True,
    rounds=3,
    **changes,
):
    """A record; *different* lists the pairs that are shown to differ on every measure."""
    cells = [cell(suite, system, cost, rounds) for suite in suites for system in systems]
    cells += [failed(suite, name) for suite in suites for name in fails]
    made = r.Record(
        status="complete",
        name="+".join(suites),
        created="2026-01-02T03:04:05+00:00",
        command="python -m bench run --suite models --system 'a|b'",
        seed=13,
        environment={
            "python": "3.11.2",
            "memory_bytes": 16_000_000_000,
            "packages": {"numpy": "2.4.0", "bm25s": "0.3.16"},
            "revision": None,
        },
        suites=tuple(suite_info(name, with_text) for name in suites),
        systems=tuple(map(system_info, (*systems, *fails))),
        cells=tuple(cells),
        comparisons=tuple(
            comparison(suite, measure, systems, different)
            for suite in suites
            for measure in MEASURES
            if len(systems) > 1
        ),
        examples=tuple(
            example(suite, kind, systems, with_text)
            for suite in suites
            for kind in ("hardest", "win", "loss")
            if len(systems) > 1
        ),
    )
    return replace(made, **changes)


def values(system):
    """float64 (20,): the same for every suite; the mean is exactly SYSTEMS[system]."""
    found = np.random.default_rng(len(system)).uniform(-0.2, 0.2, 20)
    return tuple((found - found.mean() + SYSTEMS[system]).tolist())


def cell(suite, system, with_cost, rounds):
    mean = SYSTEMS[system]
    return r.Cell(
        suite=suite,
        split="test",
        system=system,
        status="ok",
        error=None,
        values=dict.fromkeys(MEASURES, values(system)),
        means={m: {"mean": mean, "low": mean - 0.06, "high": mean + 0.05} for m in MEASURES},
        missing=1 if system == "bm25" else 0,
        run_file=f"runs/{suite}.test.{system}.trec.gz",
        run_digest="ab" * 32,
        cost=cost_of(system, rounds) if with_cost else None,
    )


def cost_of(system, rounds):
    median = LATENCY_MS[system] * 1e6
    share = {"search": 1.0} if system == "bm25" else {"encode": 0.8, "search": 0.2}
    spread = np.linspace(0.9, 1.1, 21)
    return r.Cost(
        build_ns=40_000_000,
        encode_ns=0 if system == "bm25" else 21_000_000_000,
        encoded_from_cache=system == "hybrid",
        index_bytes=3_400_000,
        peak_rss_bytes=900_000_000,
        import_rss_bytes=350_000_000,
        threads=2,
        device="cpu",
        warmup=10,
        rounds=rounds,
        latency_ns={
            stage: tuple(tuple(int(part * median * s) for s in spread) for _ in range(rounds))
            for stage, part in {**share, "total": 1.0}.items()
        },
        batch_queries=21,
        batch_ns=30_000_000,
    )


def failed(suite, system):
    return r.Cell(
        suite=suite, split="test", system=system, status="failed",
        error="OSError: no model <script> at `x`", values={}, means={}, missing=0,
        run_file=None, run_digest=None, cost=None,
    )  # fmt: skip


def suite_info(name, with_text):
    return r.SuiteInfo(
        name=name, version="1.0", split="test", digest="cd" * 32, description="Twenty questions.",
        documents=5183, queries=20, judgements=339, without_relevant=1, judged_absent=2,
        unanswerable_skipped=0, exclude_self=False, relevance_level=1, depth=100,
        measures=MEASURES,
        query_ids=tuple(f"q{i}" for i in range(20)),
        kinds=tuple(["task"] * 12 + ["language"] * 8),
        texts=tuple(f"text of query {i}" for i in range(20)) if with_text else None,
    )  # fmt: skip


def system_info(name):
    return r.SystemInfo(
        name=name,
        retriever="bm25",
        params={"k1": 0.9, "fields": None, "method": "lucene", "exact": True},
        reranker=name if name == "cross-encoder" else None,
        reranker_params={"model": "some/model"} if name == "cross-encoder" else {},
        rerank_depth=50 if name == "cross-encoder" else None,
        encoders={} if name == "bm25" else {"minilm": {"digest": "ef" * 8, "max_length": 256}},
    )


def comparison(suite, measure, systems, different):
    pairs = []
    for a, b in combinations(systems, 2):
        gap, p = SYSTEMS[a] - SYSTEMS[b], 0.0004 if (a, b) in different else 0.2143
        pairs.append(r.PairInfo(a, b, gap, gap - 0.02, gap + 0.03, p / 2, p, 11, 5, 4))
    letters = {
        frozenset(): ["a", "a", "a"],
        frozenset({("hybrid", "bm25"), ("dense", "bm25")}): ["a", "a", "b"],
        frozenset(combinations(SYSTEMS, 2)): ["a", "b", "c"],
    }[frozenset(different)]
    return r.ComparisonInfo(
        suite, "test", measure, tuple(pairs), dict(zip(systems, letters, strict=False)), 0.0421
    )


def example(suite, kind, systems, with_text):
    ranked = tuple(
        r.RankedDocument(f"org/doc-{i}", f"Title {i}" if with_text else None, grade)
        for i, grade in enumerate((2, None, 0))
    )
    chosen = systems[:1] if kind == "hardest" else systems[:2]
    return r.Example(
        suite=suite, split="test", kind=kind, query_id="q7",
        text="which model reads Italian?" if with_text else None, systems=chosen,
        values=dict.fromkeys(chosen, 0.25), rankings=dict.fromkeys(chosen, ranked),
    )  # fmt: skip
