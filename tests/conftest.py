"""What every test may use: the shared data where there is any, and one small suite by hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from qrels.data import Column, Corpus, Qrels, Queries, Suite
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
    "dense": lambda corpus, folder: {"encoder": "hashing"},
    "faiss": lambda corpus, folder: {"encoder": "hashing"},
    "fielded": lambda corpus, folder: {"encoder": "hashing"},
    "hybrid": lambda corpus, folder: {"retrievers": ["bm25", "dense?encoder=hashing"]},
    "lsa": lambda corpus, folder: {"dimensions": 8},
    "precomputed": _precomputed,
}


@pytest.fixture
def make_retriever(tmp_path_factory, monkeypatch):
    """make(name, corpus) constructs a built-in retriever that works offline, not yet indexed."""
    folder = tmp_path_factory.mktemp("retriever")
    monkeypatch.setenv("BENCH_CACHE", str(folder / "cache"))

    def make(name: str, corpus: Corpus) -> Retriever:
        return create(name, OFFLINE[name](corpus, folder))

    return make
