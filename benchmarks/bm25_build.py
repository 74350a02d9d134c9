"""From text to a searchable BM25 index, beside bm25s; and its two halves alone."""

import multiprocessing
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import corpus as made
from benchmarks.common import (
    Fact,
    Mark,
    Plot,
    Result,
    Timing,
    by_turns,
    check_equal,
    need,
    one_thread,
    timings,
)
from qrels.data import Corpus
from retrievers.bm25 import BM25, Counted
from retrievers.counting import counted
from retrievers.tokenise import WORD, Analysis

Sides = Mapping[str, Callable[[], object]]
TITLE = "BM25 index: from text to searchable"
OURS, PEER, PYTHON = "ours", "bm25s", "Python's re"
ROUNDS = {21_000: 3, 100_000: 1, 1_000_000: 0}
QUICK = {5_000: 3}
"""Rounds for each number of documents, after one untimed; 0: one call, which is timed."""

BUILD, WORDS, IDS = "text to searchable", "text to word numbers", "token ids to searchable"
NOTES = (
    "Both sides lower-case and cut the text, drop the same stop words, stem with PyStemmer and "
    "weigh; vocabularies and numbers of postings are checked to be equal first. bm25s is at its "
    "faster setting, SciPy's sparse matrices.",
    "A million documents are indexed once by each side, ours first.",
    "Peak memory is that of a process of its own, with the texts as Python strings in it.",
)


def run(quick: bool) -> Result:
    found: list[Timing] = []
    facts: list[Fact] = []
    sizes = QUICK if quick else ROUNDS
    with one_thread():
        for n_docs, rounds in sizes.items():
            corpus = _corpus(n_docs)
            found += _build(corpus, rounds)
            if n_docs == min(sizes):
                found += _words(corpus.fields["text"], rounds) + _ids(corpus, rounds)
            facts += _saved(corpus)
            del corpus
            facts.append(_peak(n_docs))
    marks = [Mark(_named(BUILD, n_docs), OURS, PEER, 5.0) for n_docs in sizes]
    marks.append(Mark(_named(WORDS, min(sizes)), OURS, PYTHON, 6.0))
    plot = Plot("documents", "seconds", "seconds", tuple(_named(BUILD, size) for size in sizes))
    return Result(tuple(found), tuple(marks), tuple(facts), NOTES, plot)


def _build(corpus: Corpus, rounds: int) -> tuple[Timing, ...]:
    """The whole way."""
    texts = corpus.fields["text"]
    ours, peer = partial(_ours, corpus.doc_ids, texts), partial(_peer, texts)
    seconds: dict[str, list[float]] = {OURS: [], PEER: []}
    mine = _timed(ours, seconds[OURS])._postings
    size, terms = len(mine.docs), sorted(mine.known)
    del mine
    index = _timed(peer, seconds[PEER])
    check_equal("postings", size, len(index.scores["data"]))
    check_equal("terms", terms, sorted(filter(None, index.vocab_dict)))
    del index
    if rounds:
        seconds = by_turns({OURS: ours, PEER: peer}, rounds)
    return timings(_named(BUILD, len(corpus)), seconds, len(corpus), len(corpus))


def _ours(doc_ids: Sequence[str], texts: Sequence[str]) -> Any:  # retrievers.bm25.BM25
    retriever = BM25()
    retriever.index(Corpus(doc_ids, {"text": texts}))  # a new one, whose order is not known yet
    return retriever


def _peer(texts: Sequence[str]) -> Any:  # bm25s.BM25
    return _peer_index(_peer_tokens(texts))


def _peer_tokens(texts: Sequence[str]) -> Any:  # bm25s's ids and vocabulary
    stemmer = need("Stemmer").Stemmer("english")
    return need("bm25s").tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False)


def _peer_index(tokens: Any) -> Any:
    settings = {"method": "lucene", "k1": 0.9, "b": 0.4, "csc_backend": "scipy"}
    index = need("bm25s").BM25(backend="numba", **settings)
    index.index(tokens, show_progress=False)
    return index


def _words(texts: Sequence[str], rounds: int) -> tuple[Timing, ...]:
    """The tokeniser alone, without stop words and stems on either side."""
    plain = Analysis(None, None)
    known, tokens = plain.build(texts)
    expected, numbers = _by_re(texts)
    check_equal("words", list(known), list(expected))
    check_equal("tokens", tokens.terms, np.concatenate(numbers))
    sides: Sides = {OURS: partial(plain.build, texts), PYTHON: partial(_by_re, texts)}
    return timings(_named(WORDS, len(texts)), by_turns(sides, rounds), len(texts))


def _by_re(texts: Sequence[str]) -> tuple[Mapping[str, int], list[Any]]:  # of int32 arrays
    known: defaultdict[str, int] = defaultdict(count().__next__)
    number = known.__getitem__
    found = [np.fromiter(map(number, WORD.findall(text.lower())), np.int32) for text in texts]
    return known, found


def _ids(corpus: Corpus, rounds: int) -> tuple[Timing, ...]:
    """From tokens to the index, each side from its own."""
    known, tokens = Analysis().build(corpus.fields["text"])
    lengths = np.diff(tokens.indptr)
    theirs = _peer_tokens(corpus.fields["text"])

    def ours() -> None:
        read = Counted(known, lengths, counted(tokens, len(known)))
        BM25().index_read(read, Corpus(corpus.doc_ids, corpus.fields))

    sides: Sides = {OURS: ours, PEER: partial(_peer_index, theirs)}
    return timings(_named(IDS, len(corpus)), by_turns(sides, rounds), len(corpus))


def _saved(corpus: Corpus) -> list[Fact]:
    """Sizes of the index, and how soon the saved one answers."""
    retriever = BM25()
    retriever.index(corpus)
    postings = retriever._postings
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        retriever.save(folder)
        size = sum(path.stat().st_size for path in folder.iterdir())
        seconds: list[float] = []
        loaded = BM25()
        _timed(partial(loaded.load, folder, corpus), seconds)
        _timed(partial(loaded.search, [corpus.fields["text"][0][:60]], 10), seconds)
    each = (postings.docs.nbytes + postings.impacts.nbytes) / len(postings.docs)
    about = f"{len(corpus):,} documents"
    return [
        Fact("postings", len(postings.docs), "", about),
        Fact("in memory", each, "bytes a posting", about),
        Fact("on disk, vocabulary included", size / 2**20, "MiB", about),
        Fact("loading a saved index, mapped", seconds[0] * 1e3, "ms", about),
        Fact("its first query, pages and compiled code included", seconds[1] * 1e3, "ms", about),
    ]


def _peak(n_docs: int) -> Fact:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        before, after = pool.apply(_rise, (n_docs,))
    note = f"{n_docs:,} documents; {before / 2**30:.2f} GiB with the texts alone"
    return Fact("peak memory of building", after / 2**30, "GiB", note)


def _rise(n_docs: int) -> tuple[int, int]:
    """Peak bytes of this process, before indexing and after it."""
    corpus = _corpus(n_docs)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    BM25().index(corpus)
    return before * 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _corpus(n_docs: int) -> Corpus:
    texts = list(made.texts(made.plan(n_docs, 1000)))
    return Corpus([f"d{number}" for number in range(n_docs)], {"text": texts})


def _timed(call: Callable[[], Any], seconds: list[float]) -> Any:  # what the call gives
    start = time.perf_counter_ns()
    found = call()
    seconds.append((time.perf_counter_ns() - start) / 1e9)
    return found


def _named(work: str, n_docs: int) -> str:
    return f"{work}, {n_docs:,} documents"
