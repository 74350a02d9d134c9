"""Peak memory: estimated within a factor of what is measured, and refused before it is needed."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import bench
from bench.config import System, parse_system
from bench.environment import rss_bytes
from bench.memory import (
    Facts,
    check_plan,
    facts_of,
    limited,
    needs_more,
    parse_size,
    peak_bytes,
    share,
    show_size,
)
from qrels.errors import UsageError
from qrels.text_column import TextColumn

LARGE = Facts(1_000_000, 600_000_000, 100_000, 100, 600_000_000)


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GB", 8 * 10**9), ("500 mb", 5 * 10**8), ("1.5G", 1_500_000_000), ("12", 12), ("2TB", 2e12)],
)
def test_sizes_are_read_in_powers_of_ten(text, size):
    """With or without a B, in either case."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "0", "1e9", "eight", "1 PB"])
def test_what_is_no_size_is_refused(text):
    """The message shows it."""
    with pytest.raises(UsageError, match="is not a size"):
        parse_size(text)


def test_sizes_are_shown_with_three_digits():
    """In the largest unit that fits."""
    assert [show_size(n) for n in (0, 999, 1234, 5e8, 8e9, 2e12)] == [
        "0 B", "999 B", "1.23 KB", "500 MB", "8 GB", "2 TB",
    ]  # fmt: skip


MEASURE = """
import sys
import numpy as np
from bench.config import parse_system
from bench.environment import peak_rss_bytes
from bench.memory import facts_of, peak_bytes
from bench.system import search_suite
from qrels.data import Corpus, Qrels, Queries, Suite

rng = np.random.default_rng(0)
chance = 1 / np.arange(1, 50_001)
words = np.array([f"w{i:x}" for i in range(50_000)], object)
chosen = np.searchsorted(np.cumsum(chance / chance.sum()), rng.random((20_000, 60)))
texts = [" ".join(row) for row in words[chosen.clip(0, 49_999)]]
ids = [str(i) for i in range(len(texts))]
queries = Queries(ids[:500], [" ".join(text.split()[:6]) for text in texts[:500]], [{}] * 500)
empty = np.empty(0, np.int32)
qrels = Qrels(np.zeros(501, np.int64), empty, empty.astype(np.int16))
suite = Suite("x", "1", "test", Corpus(ids, {"text": texts}), queries, qrels, "0" * 64)
system = parse_system(sys.argv[1])
search_suite(suite, system)
print(peak_bytes(system, facts_of(suite)), peak_rss_bytes())
"""


@pytest.mark.skipif(not rss_bytes(), reason="the platform does not say what memory is resident")
@pytest.mark.parametrize("spec", ["bm25", "bm25f", "dense?encoder=hashing", "lsa?training=3000"])
def test_estimates_are_within_a_factor_of_two_and_a_half(spec, tmp_path, monkeypatch):
    """20,000 documents of 60 words, in a process of its own, against its peak resident memory."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    root = str(Path(bench.__file__).parents[1])
    answer = subprocess.run(
        [sys.executable, "-c", MEASURE, spec], capture_output=True, text=True, check=True, cwd=root
    )
    estimated, measured = map(int, answer.stdout.split())
    assert 1 / 2.5 < estimated / measured < 2.5


@pytest.mark.parametrize(
    "spec", ["bm25", "lsa", "dense?encoder=minilm", "faiss", "hybrid", "bm25+mmr", "fielded"]
)
def test_estimates_grow_with_the_corpus(spec):
    """Twice the documents and texts never need less."""
    system = parse_system(spec)
    small = LARGE._replace(documents=LARGE.documents // 2, text_bytes=LARGE.text_bytes // 2)
    assert peak_bytes(system, small) < peak_bytes(system, LARGE)


def test_a_fused_retriever_needs_what_its_parts_need():
    """Both indexes are there at once."""
    parts = [peak_bytes(parse_system(name), LARGE) for name in ("bm25", "dense")]
    base = peak_bytes(parse_system("hybrid?retrievers=[]"), LARGE)
    assert peak_bytes(parse_system("hybrid"), LARGE) == sum(parts) - base


class Says:
    def peak_bytes(self, documents, text_bytes):
        return 1000 * documents


class Silent:
    pass


def test_a_plug_in_may_say_what_it_needs():
    """One that does not say is not refused."""
    says, silent = (System("x", f"{__name__}:{name}") for name in ("Says", "Silent"))
    assert peak_bytes(says, LARGE) > 1000 * LARGE.documents
    assert peak_bytes(silent, LARGE) is None


def test_texts_in_a_column_are_counted_as_those_in_a_list(toy_suite):
    """In bytes of UTF-8, or characters."""
    corpus = replace(toy_suite.corpus, fields={"text": TextColumn.of(["abc", "d"])})
    mapped = facts_of(replace(toy_suite, corpus=corpus))
    assert mapped.text_bytes == 4
    listed = replace(corpus, fields={"text": ["abc", "d"]})
    found = facts_of(replace(toy_suite, corpus=listed))
    assert found.text_bytes == 4
    assert found.corpus_bytes > mapped.corpus_bytes


def test_a_plan_over_the_limit_is_refused_before_it_starts(toy_suite):
    """The line names the system and what each process may have; below it states the peak."""
    plan = [(toy_suite, [parse_system("bm25"), parse_system("lsa")])]
    assert "of lsa on toy" in check_plan(plan, None)
    assert check_plan(plan, 10**11) == check_plan(plan, None)
    with pytest.raises(UsageError, match=r"lsa on toy needs about .*; --memory leaves each of 2"):
        check_plan(plan, 2 * 10**8, 2)


def test_the_refusal_says_what_would_fit(toy_suite, monkeypatch):
    """Fewer processes, where that is enough."""
    monkeypatch.setattr("bench.memory.own_bytes", lambda: 10**8)  # not what all tests left here
    plan = [(toy_suite, [parse_system("bm25")])]
    limit = peak_bytes(parse_system("bm25"), facts_of(toy_suite)) * 3
    with pytest.raises(UsageError, match="--jobs 1 would fit"):
        check_plan(plan, limit, 10)


def test_each_process_gets_its_share():
    """Of what this process leaves."""
    assert share(8 * 10**9, 1) <= 8 * 10**9
    assert share(8 * 10**9, 2) == pytest.approx(share(8 * 10**9, 1) / 2, rel=0.01)
    assert share(1, 1) > 0


def test_a_limit_holds_inside_alone():
    """What goes over it is a MemoryError; afterwards there is none."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with limited(2 * 10**9), pytest.raises(MemoryError):
        bytearray(4 * 10**9)
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    with limited(None):
        assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.parametrize(
    ("message", "error", "reason"),
    [
        ("MemoryError: ", MemoryError(), "needs more than the 8 GB"),
        ("RuntimeError: [enforce fail at alloc_cpu.cpp:127]", None, "needs more than the 8 GB"),
        ("x: its process was killed by SIGABRT", None, "which may be too little"),
        ("ValueError: no", ValueError("no"), ""),
    ],
    ids=["error", "library", "death", "other"],
)
def test_a_failure_names_the_limit_where_it_was_the_cause(message, error, reason):
    """And keeps the message; without a limit that is all."""
    found = needs_more(message, 8 * 10**9, error)
    assert message in found
    assert reason in found
    assert (found == message) == (not reason)
    assert needs_more(message, None, error) == message
