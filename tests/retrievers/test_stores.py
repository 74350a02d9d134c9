"""Vector stores, the real ones where they are installed, checked against exact search."""

import json
import pickle
import sys

import numpy as np
import pytest

from qrels.data import Column, Corpus, Filter
from qrels.errors import MissingPackageError, UsageError
from retrievers import create
from retrievers.dense import Dense
from retrievers.filters import KINDS, matching
from retrievers.store_filters import stored_columns, translated
from retrievers.stored import Stored
from retrievers.stores import StoreRetriever
from retrievers.vectors import named, search_vectors

HASHING = "hashing?dimension=32"
STORES = ("lancedb", "milvus", "pgvector", "qdrant")
APPROXIMATE = {  # parameters that find little and much, and the share of the ten best of the latter
    "pgvector-hnsw": ("pgvector", "hnsw", {"m": 8}, {}, {"ef_search": 200}, 0.9),
    "pgvector-ivfflat": ("pgvector", "ivfflat", {"lists": 8}, {"probes": 1}, {"probes": 8}, 0.99),
    "lancedb-ivf": ("lancedb", "ivf", {"num_partitions": 8}, {"nprobes": 1}, {"nprobes": 8}, 0.99),
    "lancedb-ivfpq": (
        "lancedb", "ivfpq", {"num_partitions": 2, "num_sub_vectors": 16},
        {"nprobes": 1}, {"nprobes": 2, "refine_factor": 8}, 0.9,
    ),
    "lancedb-hnsw": ("lancedb", "hnsw", {"num_partitions": 1}, {}, {"ef": 300}, 0.9),
    "milvus-hnsw": ("milvus", "hnsw", {"M": 8}, {}, {"ef": 200}, 0.9),
    "milvus-ivf": ("milvus", "ivf", {"nlist": 8}, {"nprobe": 1}, {"nprobe": 8}, 0.99),
}  # fmt: skip
ODD = [
    "it's", 'a "quoted" one', "100%", "under_score", "back\\slash", "%_", "İstanbul", "straße",
    "UPPER", "upper", "", " ", "new\nline", "tab\t", "日本", "null", "true", "1",
]  # fmt: skip
OPERANDS = {
    "int": [0, 7, -3, 2**40, "1e3"],
    "float": [0.25, -1e-9, 1e16, 3],
    "date": ["1969", "2020-02", "2020-02-29", "2020-02-29T12:00:00", np.datetime64(1, "us"),
             np.datetime64(-1_500_000, "us"), np.datetime64(0, "ms")],
    "str": [*ODD, "PP", "\\", "STRASSE", "i̇", "absent"],
    "list": [*ODD, "absent"],
}  # fmt: skip
QUERIES = 130


def make_corpus(size=600):
    """Short random texts, some of them copies, some empty; columns of every kind with gaps."""
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(80)]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(size)]
    texts[50:100] = [texts[50]] * len(texts[50:100])
    texts[7::200] = [""] * len(texts[7::200])
    return Corpus(
        [f"d{number}" for number in rng.permutation(size)], {"text": texts}, columns(size)
    )


def columns(size):
    rng = np.random.default_rng(1)
    gaps = rng.random((5, size)) < 0.2
    whole = rng.choice([0.0, 7.0, -3.0, 2.0**40, 1000.0, 5.0], size)
    real = rng.choice([0.25, -1e-9, 1e16, 3.0, 0.0], size)
    days = rng.choice([-31536000, -2, -1, 0, 1, 1582934400, 1582977600, 1583020800], size)
    texts = np.array(rng.choice(ODD, size), object)
    lists = np.empty(size, object)
    lists[:] = [tuple(rng.choice(ODD, count)) for count in rng.integers(0, 4, size)]
    return {
        "int": Column("int", np.where(gaps[0], np.nan, whole)),
        "float": Column("float", np.where(gaps[1], np.nan, real)),
        "date": Column("date", np.where(gaps[2], np.datetime64("NaT"), days.astype("M8[s]"))),
        "str": Column("str", np.where(gaps[3], None, texts)),
        "list": Column("list", lists),
    }


def every_filter(kind):
    """A filter for each operator of the kind and each operand; `in` with several and with one."""
    operands = OPERANDS[kind]
    yield from (Filter(kind, sign, value) for sign in KINDS[kind].tests for value in operands)
    yield from (Filter(kind, "in", (value,)) for value in operands[:2])
    yield Filter(kind, "in", tuple(operands))


@pytest.fixture(scope="module")
def corpus():
    return make_corpus()


@pytest.fixture(scope="module")
def queries(corpus):
    texts = corpus.fields["text"][40 : 40 + QUERIES - 2]
    return [" ".join(text.split()[:3]) for text in texts] + ["", texts[10]]


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(Plain, "places", {})
    return tmp_path


@pytest.fixture
def indexed(need_store, own_cache):
    """indexed(name, corpus, **parameters): a store that holds the corpus, closed in the end."""
    made = []

    def make(name, corpus, **params):
        need_store(name)
        made.append(Plain(HASHING, **params) if name == "plain" else
                    create(name, {"encoder": HASHING, **params}))  # fmt: skip
        made[-1].index(corpus)
        return made[-1]

    yield make
    for retriever in made:
        if retriever.NAME == "pgvector" and "_collection" in vars(retriever):
            with retriever._open() as client:
                client.execute(f"DROP TABLE IF EXISTS {retriever._collection}")
        retriever.close()


def exact(corpus, similarity="cosine"):
    retriever = Dense(HASHING, similarity)
    retriever.index(corpus)
    return retriever


def assert_identical(run, other):
    assert np.array_equal(run.docs, other.docs)
    assert np.array_equal(run.scores, other.scores)


class Plain(StoreRetriever):
    """A store of lists: what the shared half does is tested where no real one is installed."""

    NAME, VARIABLE, SECRETS, INDEXES = "plain", "PLAIN_URL", "PLAIN_KEY", ()
    places: dict[str, list] = {}  # noqa: RUF012 - what all clients of the one store see

    def _open(self):
        self._address("here")
        return {}

    def _shut(self, client):
        client.clear()

    def _errors(self):
        return (KeyError,)

    def _holds(self, client):
        return self._collection in self.places

    def _fill(self, client, batches):
        parts = list(batches)
        names = [column.name for column in parts[0].columns]
        values = [
            [value for part in parts for value in part.columns[at].values]
            for at in range(len(names))
        ]
        vectors = np.concatenate([part.vectors for part in parts])
        self.places[self._collection] = [vectors, dict(zip(names, values, strict=True))]

    def _nearest(self, client, queries, k, conditions):
        vectors, values = self.places[self._collection]
        kept = np.array([meets(values, conditions, row) for row in range(len(vectors))])
        docs = np.flatnonzero(kept)
        for query in queries:
            # rounded coarsely: less than slack allows, and far more than a real store does
            near = vectors[docs] @ query if self.similarity != "l2" else -(
                (vectors[docs] - query) ** 2
            ).sum(axis=1)  # fmt: skip
            yield docs[np.argsort(-np.round(near, 5), kind="stable")[:k]]


TESTS = {
    "number": lambda value, tests: all(
        {"=": value == at, "<": value < at, "<=": value <= at, ">": value > at, ">=": value >= at}[
            sign
        ]
        for sign, at in tests
    ),
    "equal": lambda value, text: value == text,
    "part": lambda value, text: text in value,
    "holds": lambda value, text: text in value,
}


def meets(values, conditions, row):
    """Whether a row meets conditions, as their docstrings say, in plain Python."""
    return all(
        any(
            values[leaf.name][row] is not None
            and TESTS[leaf.test](values[leaf.name][row], leaf.operand)
            for leaf in condition.leaves
        )
        != condition.negated
        for condition in conditions
    )


@pytest.mark.parametrize("kind", OPERANDS)
def test_every_filter_is_translated_exactly(kind):
    """Any operator, kind and operand: met by exactly the documents that `matching` keeps.

    Dates at every precision, before 1970 and between two seconds; missing values; odd texts.
    """
    metadata = columns(400)
    values = {column.name: column.values for column in stored_columns(metadata)}
    for item in every_filter(kind):
        conditions = translated(metadata, [item])
        found = [meets(values, conditions, row) for row in range(400)]
        assert found == matching(metadata, [item], 400).tolist(), item


def test_a_filter_that_is_not_allowed_says_what_is():
    """Unknown columns, operators and operands are the same UsageErrors as without a store."""
    for item in (Filter("dat", "=", "2020"), Filter("str", "<", "a"), Filter("int", "=", "many")):
        with pytest.raises(UsageError) as ours:
            translated(columns(3), [item])
        with pytest.raises(UsageError) as theirs:
            matching(columns(3), [item], 3)
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "l2"])
def test_a_store_that_rounds_still_ranks_as_dense(corpus, queries, own_cache, similarity):
    """Bit by bit, ties, zero vectors and filters included, at every cut."""
    retriever, dense = Plain(HASHING, similarity=similarity, batch=7), exact(corpus, similarity)
    retriever.index(corpus)
    for k in (0, 1, 10, 45, 600, 700):
        assert_identical(retriever.search(queries[:40], k), dense.search(queries[:40], k))
    where = [Filter("int", "<", 100), Filter("list", "contains", "UPPER")]
    assert_identical(retriever.search(queries[:40], 9, where), dense.search(queries[:40], 9, where))


def test_more_ties_than_were_fetched(own_cache):
    """Where hundreds of copies tie, the fetch grows until the tie is whole."""
    many = Corpus([f"{n:03}" for n in range(300)], {"text": ["the same"] * 299 + ["another"]})
    retriever = Plain(HASHING)
    retriever.index(many)
    assert retriever.search(["the same"], 3).docs.tolist() == [[298, 297, 296]]


def test_nearly_equal_vectors_are_told_apart(own_cache):
    """Vectors that differ by less than a store's rounding rank as by exact scores all the same."""
    rng = np.random.default_rng(3)
    base, noise = rng.standard_normal(32), rng.standard_normal((80, 32))
    vectors = np.float32(base / np.linalg.norm(base) + 1e-6 * noise)
    corpus = Corpus([f"d{number}" for number in range(80)], {})
    retriever = Plain(HASHING, similarity="dot")
    retriever._keep(named(Stored(vectors)), corpus)
    found = retriever.search_encoded(vectors[:20], 5)
    assert_identical(found, search_vectors(vectors, vectors[:20], 5, "dot", corpus.tie_order))


def test_a_graph_is_searched_as_deep_as_is_asked(corpus, queries, indexed):
    """More documents than pgvector's usual depth of 40, before its version 0.8 too."""
    retriever = indexed("pgvector", corpus, kind="hnsw")
    assert (retriever.search(queries[:2], 60).docs >= 0).all()
    assert int(retriever._ready().execute("SHOW hnsw.ef_search").fetchone()[0]) >= 60


def test_a_long_upload_tells_how_far_it_is(corpus, own_cache, monkeypatch, capsys):
    """A line on the error stream, now and then."""
    Plain(HASHING, batch=250).index(corpus)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("retrievers.stores.SECONDS", -1)
    monkeypatch.setattr(Plain, "places", {})
    Plain(HASHING, batch=250).index(corpus)
    said = [f"plain: {done} of 600 documents" for done in (250, 500, 600)]
    assert capsys.readouterr().err.splitlines() == said


@pytest.mark.parametrize("similarity", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("name", STORES)
def test_exact_search_is_dense(corpus, queries, indexed, name, similarity):
    """Each store's exact search gives the rankings of `dense`, bit by bit, ties included."""
    retriever, dense = indexed(name, corpus, similarity=similarity), exact(corpus, similarity)
    for k in (1, 10, 45):
        assert_identical(retriever.search(queries, k), dense.search(queries, k))
    assert_identical(retriever.search(queries[:3], 700), dense.search(queries[:3], 700))


@pytest.mark.parametrize("kind", OPERANDS)
@pytest.mark.parametrize("name", STORES)
def test_filters_pushed_down_are_exact(indexed, name, kind):
    """Each operator, kind and operand, and all of a kind's together, keep what `dense` keeps."""
    corpus = make_corpus(120)
    retriever, dense, query = indexed(name, corpus), exact(corpus), corpus.fields["text"][:1]
    filters = list(every_filter(kind))
    both = [[item, Filter("int", "!=", 7)] for item in filters[:: len(filters) // 3]]
    for where in [[item] for item in filters] + both:
        found, expected = (part.search(query, 200, where) for part in (retriever, dense))
        assert np.array_equal(found.docs, expected.docs), where


@pytest.mark.parametrize(
    ("name", "kind", "build", "little", "much", "share"), APPROXIMATE.values(), ids=APPROXIMATE
)
def test_an_approximate_index_finds_what_it_is_set_to(
    corpus, queries, indexed, name, kind, build, little, much, share
):
    """The share of the exact ten best is what the settings promise, and no less by more work.

    Under a filter every document found meets it.
    """
    best = exact(corpus).search(queries, 10).docs
    shares = []
    for params in (little, much):
        retriever = indexed(name, corpus, kind=kind, build_params=build, search_params=params)
        found = retriever.search(queries, 10).docs
        shares.append(
            np.mean([len(set(a) & set(b) - {-1}) for a, b in zip(found, best, strict=True)]) / 10
        )
    assert shares[0] <= shares[1]
    assert shares[1] >= share
    where = [Filter("int", "=", 7)]
    docs = retriever.search(queries, 10, where).docs
    assert matching(corpus.metadata, where, len(corpus))[docs[docs >= 0]].all()
    assert (docs >= 0).any()
    assert retriever.about() == {"kind": kind, **build, **much}


@pytest.mark.parametrize("name", ["pgvector", "lancedb", "milvus"])
def test_fewer_lists_searched_find_less(corpus, queries, indexed, name):
    """Search parameters reach the store: one list of eight does not hold the ten best."""
    label = {"pgvector": "pgvector-ivfflat", "lancedb": "lancedb-ivf", "milvus": "milvus-ivf"}[name]
    _, kind, build, little, _, _ = APPROXIMATE[label]
    retriever = indexed(name, corpus, kind=kind, build_params=build, search_params=little)
    found, best = retriever.search(queries, 10).docs, exact(corpus).search(queries, 10).docs
    assert np.mean([np.isin(a, b).mean() for a, b in zip(best, found, strict=True)]) < 0.9


def where_kept(name, folder):
    """Parameters by which a store outlives its client."""
    return {"url": str(folder / "kept")} if name == "qdrant" else {}


@pytest.mark.parametrize("name", [*STORES, "plain"])
def test_the_same_content_is_uploaded_once(indexed, own_cache, name, monkeypatch):
    """A second index() over the same finds it there; other content or parameters never do."""
    corpus, params, filled = make_corpus(60), where_kept(name, own_cache), []
    metadata = {**corpus.metadata, "int": Column("int", np.arange(60.0))}
    other = Corpus(corpus.doc_ids, corpus.fields, metadata)
    queries, where = corpus.fields["text"][:5], [Filter("int", "<", 30)]
    batches = StoreRetriever._batches
    monkeypatch.setattr(
        StoreRetriever, "_batches", lambda self: filled.append(self.similarity) or batches(self)
    )
    for indexing in (corpus, corpus, other, corpus):
        retriever = indexed(name, indexing, **params)
        assert_identical(
            retriever.search(queries, 10, where), exact(indexing).search(queries, 10, where)
        )
        retriever.close()
    assert filled == ["cosine"] * 2
    indexed(name, corpus, similarity="l2", **params)
    assert filled[2:] == ["l2"]


@pytest.mark.parametrize("name", STORES)
def test_an_upload_that_was_cut_off_is_done_again(indexed, own_cache, name, monkeypatch):
    """What a killed upload leaves is never searched."""
    corpus, params = make_corpus(60), {"batch": 20, **where_kept(name, own_cache)}
    queries, sent = corpus.fields["text"][:9], StoreRetriever._batches

    def cut_off(self):
        for number, batch in enumerate(sent(self)):
            if number == 2:
                raise KeyError("cut off")
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(StoreRetriever, "_batches", cut_off)
        with pytest.raises((KeyError, UsageError), match="cut off"):
            indexed(name, corpus, **params)
    retriever = indexed(name, corpus, **params)
    assert_identical(retriever.search(queries, 10), exact(corpus).search(queries, 10))


@pytest.mark.parametrize("name", STORES)
def test_a_closed_store_opens_again(corpus, queries, indexed, name):
    """close() lets the store go, twice does no harm, and a later search finds all again."""
    retriever = indexed(name, corpus)
    expected = retriever.search(queries[:5], 10)
    retriever.close()
    retriever.close()
    assert "_client" not in vars(retriever)
    assert_identical(retriever.search(queries[:5], 10), expected)


UNREACHABLE = {
    "pgvector": "postgresql://nobody@/postgres?host=/nowhere",
    "qdrant": "http://127.0.0.1:9",
    "milvus": "http://127.0.0.1:9",
}


@pytest.mark.parametrize(("name", "url"), UNREACHABLE.items(), ids=UNREACHABLE)
def test_a_server_that_is_not_there_is_one_line(corpus, own_cache, need_store, name, url):
    """Its name and what went wrong."""
    need_store(name)
    with pytest.raises(UsageError, match=rf"^{name}: ") as raised:
        create(name, {"encoder": HASHING, "url": url}).index(corpus)
    assert "\n" not in str(raised.value)


MISTAKES = {
    "kind": ({"kind": "hsnw"}, "unknown kind of qdrant 'hsnw'; did you mean 'hnsw'?"),
    "similarity": ({"similarity": "l3"}, "unknown similarity 'l3'; allowed: cosine, dot, l2"),
    "password": ({"url": "http://me:secret@host"}, "qdrant: url must hold no password"),
    "odd-password": ({"url": "http://:se/cr@secret@host"}, "qdrant: url must hold no password"),
    "key": ({"url": "http://host?api_key=secret"}, "set QDRANT_API_KEY, or QDRANT_URL"),
}


@pytest.mark.parametrize(("params", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_usage_errors(corpus, own_cache, need_store, params, message):
    """A wrong parameter is one line that says what is allowed, and repeats no secret."""
    need_store("qdrant")
    with pytest.raises(UsageError) as raised:
        create("qdrant", {"encoder": HASHING, **params}).index(corpus)
    assert message in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_server_must_be_named(corpus, own_cache, monkeypatch):
    """A store that is not embedded says how to name its server."""
    pytest.importorskip("psycopg")
    monkeypatch.delenv("PGVECTOR_URL", raising=False)
    with pytest.raises(UsageError, match=r"pgvector needs a server: url=.*, or PGVECTOR_URL"):
        create("pgvector", {"encoder": HASHING}).index(corpus)


@pytest.mark.parametrize(
    ("name", "module"),
    [("qdrant", "qdrant_client"), ("pgvector", "psycopg"), ("lancedb", "lancedb"),
     ("milvus", "pymilvus")],
)  # fmt: skip
def test_a_missing_package_is_named(corpus, own_cache, monkeypatch, name, module):
    """With what to install."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"'{module}'.*'retrieval-bench\[{name}\]'"):
        create(name, {"encoder": HASHING}).index(corpus)


def test_a_password_stays_in_the_environment(corpus, own_cache, monkeypatch):
    """Neither saved indexes nor pickles nor what a report shows holds it."""
    monkeypatch.setenv("PLAIN_URL", "plain://me:hunter2@host")
    retriever = Plain(HASHING)
    retriever.index(corpus)
    folder = own_cache / "index"
    folder.mkdir()
    retriever.save(folder)
    assert b"hunter2" not in b"".join(path.read_bytes() for path in folder.iterdir())
    assert b"hunter2" not in pickle.dumps(retriever)
    assert "hunter2" not in json.dumps([retriever.about(), retriever._collection])


def test_what_a_store_raises_hides_the_url(corpus, own_cache, monkeypatch):
    """An error that repeats the environment's url is shown without it."""
    monkeypatch.setenv("PLAIN_URL", "plain://me:hunter2@host")
    retriever = Plain(HASHING)

    def fails(client):
        raise KeyError("cannot reach plain://me:hunter2@host")

    monkeypatch.setattr(retriever, "_holds", fails)
    with pytest.raises(UsageError, match="cannot reach PLAIN_URL"):
        retriever.index(corpus)
