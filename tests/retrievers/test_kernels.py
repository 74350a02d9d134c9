"""The compiled search against the same search in plain NumPy."""

import pickle
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location

import numba
import numpy as np
import pytest

from qrels.data import Run
from qrels.ranking import top_k
from retrievers import create
from retrievers.kernels import BLOCK, kept
from retrievers.postings import AT_ONCE, Postings
from retrievers.tokenise import Tokens

KINDS = {
    "any": lambda rng, n: rng.normal(3, 2, n),
    "tied": lambda rng, n: rng.choice([0.5, 1.0, 1.5], n),
    "one-value": lambda rng, n: np.ones(n),
    "zeros": lambda rng, n: rng.choice([0.0, 0.0, 2.0], n),
    "cancelling": lambda rng, n: rng.choice([-1.0, 1.0], n),
    "negative": lambda rng, n: -rng.random(n),
    "tiny-and-large": lambda rng, n: np.exp(rng.uniform(-8, 4, n)),
}
SIZES = [1, 63, 64, 700, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 77]


def made(rng, n_docs, kind, n_terms=12, offsets=False):
    """Postings from a term in a single document to one in nearly all."""
    shares = np.geomspace(0.9, 1e-4, n_terms)
    docs = [np.flatnonzero(rng.random(n_docs) < share) for share in shares]
    docs[-1] = rng.integers(0, n_docs, 1)
    indptr = np.concatenate([[0], np.cumsum([len(each) for each in docs])]).astype(np.int64)
    impacts = KINDS[kind](rng, indptr[-1]).astype(np.float32)
    given = rng.normal(0, 1, n_terms) if offsets else np.zeros(n_terms)
    known = {str(term): term for term in range(n_terms)}
    flat = np.concatenate(docs).astype(np.int32)
    return Postings(known, indptr, flat, impacts, given.astype(np.float32))


def asked(rng, n_queries=9, n_terms=12):
    """Queries of 0 to 8 terms, some of them twice, the first query and the last without any."""
    lengths = rng.integers(0, 9, n_queries)
    lengths[[0, -1]] = 0
    terms = rng.integers(0, n_terms, lengths.sum()).astype(np.int32)
    return Tokens(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), terms)


def expected(postings, queries, k, tie_order, allowed):
    """Every sum in float64, term by term, then `top_k`."""
    rows = []
    for start, end in zip(queries.indptr[:-1], queries.indptr[1:], strict=True):
        sums = np.zeros(len(tie_order))
        for term in queries.terms[start:end]:
            part = slice(postings.indptr[term], postings.indptr[term + 1])
            sums[postings.docs[part]] += postings.impacts[part]
        offset = postings.offsets[queries.terms[start:end]].sum(dtype=np.float64)
        scores = np.where(sums == 0, -np.inf, sums + offset).astype(np.float32)
        rows.append(top_k(scores[None], k, tie_order, allowed))
    return Run(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def same(one, other):
    return np.array_equal(one.docs, other.docs) and np.array_equal(one.scores, other.scores)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_docs", SIZES)
def test_it_finds_what_numpy_finds(n_docs, kind):
    """Bit for bit: ties, zero and negative impacts, offsets, filters, any k, repeated terms."""
    rng = np.random.default_rng([n_docs, *kind.encode()])
    for k in (1, 10, 100, n_docs + 3):
        for offsets in (False, True):
            postings, queries = made(rng, n_docs, kind, offsets=offsets), asked(rng)
            tie_order = rng.permutation(n_docs).astype(np.int32)
            for allowed in (None, rng.random(n_docs) < 0.3, np.zeros(n_docs, np.bool_)):
                found = postings.search(queries, k, tie_order, allowed)
                wanted = expected(postings, queries, k, tie_order, allowed)
                assert same(found, wanted)
                assert same(postings._plain(queries, k, tie_order, allowed), wanted)


def test_one_query_of_a_saved_index_needs_no_compiler(toy_corpus, tmp_path):
    """A process that loads an index and answers does not import numba, and answers the same."""
    built = create("bm25")
    built.index(toy_corpus)
    built.save(tmp_path)
    code = (
        "import pickle, sys\n"
        "from pathlib import Path\n"
        "from retrievers import create\n"
        f"corpus = pickle.loads({pickle.dumps(toy_corpus)!r})\n"
        "found = create('bm25')\n"
        f"found.load(Path({str(tmp_path)!r}), corpus)\n"
        "docs, scores = found.search(['cat in the garden'], 3)\n"
        "assert 'numba' not in sys.modules\n"
        "print(docs.tolist(), scores.tolist())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    docs, scores = built.search(["cat in the garden"], 3)
    assert done.stdout.strip() == f"{docs.tolist()} {scores.tolist()}"


def test_scores_that_only_rise_fill_the_pool_again_and_again():
    """Each document is better than all before it, and the best come out at the end."""
    n_docs = 3 * BLOCK
    docs, impacts = np.arange(n_docs, dtype=np.int32), np.arange(1, n_docs + 1, dtype=np.float32)
    indptr = np.array([0, n_docs], np.int64)
    postings = Postings({"a": 0}, indptr, docs, impacts, np.zeros(1, np.float32))
    query = Tokens(np.array([0, 1]), np.zeros(1, np.int32))
    found = postings.search(query, 50, docs, None)
    assert found.docs[0].tolist() == list(range(n_docs - 1, n_docs - 51, -1))


@pytest.mark.parametrize("n_queries", [1, 2, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
@pytest.mark.parametrize("said", ["1", "3", "2,1", "many", "0"])
def test_threads_and_batches_change_nothing(n_queries, said, monkeypatch):
    """However many queries come at once and threads are allowed, the answers are the same."""
    rng = np.random.default_rng(n_queries)
    postings, queries = made(rng, 500, "any"), asked(rng, n_queries)
    tie_order = rng.permutation(500).astype(np.int32)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    found = postings.search(queries, 7, tie_order, None)
    assert same(found, expected(postings, queries, 7, tie_order, None))


@pytest.mark.parametrize("shape", [(0, 5), (4, 0)], ids=["no-query", "k-zero"])
def test_nothing_asked_gives_an_empty_run(shape):
    """No queries, or a k of 0, give arrays of that shape."""
    rng = np.random.default_rng(2)
    queries = Tokens(np.zeros(shape[0] + 1, np.int64), np.empty(0, np.int32))
    found = made(rng, 50, "any").search(queries, shape[1], np.arange(50, dtype=np.int32), None)
    assert found.docs.shape == found.scores.shape == shape


def test_an_empty_corpus_gives_padding():
    """Over no documents every place of the run is empty."""
    nothing = np.zeros(1, np.int64), *(np.empty(0, kind) for kind in "iff")
    queries = Tokens(np.zeros(3, np.int64), np.empty(0, np.int32))
    found = Postings({}, *nothing).search(queries, 4, np.empty(0, np.int32), None)
    assert (found.docs == -1).all()


def test_mapped_arrays_serve_as_well(tmp_path):
    """An index mapped from disk, read-only, gives the same bits."""
    rng = np.random.default_rng(5)
    postings, queries = made(rng, 5000, "any"), asked(rng)
    tie_order = rng.permutation(5000).astype(np.int32)
    arrays = {}
    for name in ("indptr", "docs", "impacts", "offsets"):
        np.save(tmp_path / f"{name}.npy", getattr(postings, name))
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
        assert not arrays[name].flags.writeable
    mapped = Postings(postings.known, **arrays)
    ours, other = (each.search(queries, 20, tie_order, None) for each in (postings, mapped))
    assert same(ours, other)


DAMAGE = {
    "documents": {"docs": [10**9, -(10**9), 700, -1]},
    "places": {"indptr": [-(10**12), 10**12]},
    "impacts": {"impacts": [np.nan, np.inf]},
}


@pytest.mark.parametrize("values", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_index_ends_the_search_no_other_way(values):
    """Whatever the arrays hold, the search comes to an end and names no document there is not."""
    rng = np.random.default_rng(6)
    for _ in range(20):
        postings, queries = made(rng, 700, "any"), asked(rng)
        for name, wrong in values.items():
            array = getattr(postings, name)
            array[rng.integers(0, len(array), 40)] = rng.choice(wrong, 40)
        found = postings.search(queries, 30, rng.permutation(700).astype(np.int32), None)
        assert ((found.docs >= -1) & (found.docs < 700)).all()


def test_numba_is_imported_by_a_search_alone():
    """Importing the retrievers, BM25 among them, brings no numba along."""
    code = "import sys, retrievers.bm25, retrievers.bm25f; sys.exit('numba' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def double(tmp_path):
    """A function of a module in a folder in which no machine code can be kept."""
    path = tmp_path / "installed" / "doubling.py"
    path.parent.mkdir()
    path.write_text("def double(x):\n    return 2 * x\n")
    (path.parent / "__pycache__").write_text("not a folder, so that root cannot write there either")
    spec = spec_from_file_location("doubling", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.double


def test_a_read_only_installation_keeps_machine_code_with_the_user(double, tmp_path, monkeypatch):
    """Where the package's folder cannot be written, the user's cache folder is used."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    assert kept(numba.int64(numba.int64))(double)(4) == 8
    assert list((tmp_path / "user").rglob("doubling.double*.nbc"))


def test_without_any_folder_to_write_the_search_still_compiles(double, tmp_path, monkeypatch):
    """Where not even the user's cache folder can be written, nothing is kept and all works."""
    (tmp_path / "user").write_text("not a folder")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for name in ("XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path / "user"))
    assert kept(numba.int64(numba.int64))(double)(4) == 8
    assert not list(tmp_path.rglob("*.nb?"))
