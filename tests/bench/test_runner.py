"""The main path: cells that finish, cells that fail, and what the record says of them."""

from dataclasses import replace

import numpy as np
import pytest

from bench.config import Experiment, System
from bench.plan import planned, slug
from bench.runner import Options, run_experiment
from qrels.data import Qrels, Queries, Rules
from qrels.errors import BenchError, UsageError

QUALITY = Options(protocol=None)
LEXICAL = [System("bm25", "bm25"), System("lsa", "lsa")]


class Raises:
    """Fails in the way it is told."""

    def __init__(self, how="index"):
        self.how = how

    def index(self, corpus):
        if self.how == "index":
            raise RuntimeError("the disk is on fire")

    def search(self, queries, k):
        if self.how == "shape":
            return np.zeros((1, 1), np.int32), np.zeros((1, 1), np.float32)
        raise ValueError("no")


@pytest.fixture
def suite(toy_suite):
    return replace(toy_suite, depth=4, measures=["nDCG@10", "RR@10", "Judged@10"])


def run(suite, systems, folder=None, **options):
    return run_experiment(Experiment([suite], systems), folder, replace(QUALITY, **options))


def test_every_cell_has_values_for_every_query(suite):
    """Per-query values are kept, queries without relevant documents included."""
    record = run(suite, LEXICAL)
    assert [cell.system for cell in record.cells] == ["bm25", "lsa"]
    for cell in record.cells:
        assert cell.status == "ok"
        assert {len(values) for values in cell.values.values()} == {3}
        assert cell.means["nDCG@10"]["mean"] == pytest.approx(np.mean(cell.values["nDCG@10"]))
    info = record.suites[0]
    assert (info.without_relevant, info.judged_absent, info.judgements) == (1, 1, 7)


def test_a_run_twice_gives_the_same_record(suite):
    """Nothing in a record depends on chance, but for the time it was made."""
    first, second = (replace(run(suite, LEXICAL), created="") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("how", "message"),
    [("index", "the disk is on fire"), ("search", "ValueError: no"), ("shape", "expected (3, 4)")],
)
def test_a_plug_in_that_fails_is_a_failed_cell(suite, how, message):
    """The reason is kept and the other systems finish."""
    broken = System("broken", f"{__name__}:Raises", {"how": how})
    record = run(suite, [broken, *LEXICAL])
    assert [cell.status for cell in record.cells] == ["failed", "ok", "ok"]
    assert message in record.cells[0].error
    assert len(record.comparisons[0].pairs) == 1


def test_run_files_hold_what_was_measured(suite, tmp_path):
    """The record names each run file and its digest."""
    import hashlib

    record = run(suite, LEXICAL[:1], tmp_path)
    path = tmp_path / record.cells[0].run_file
    assert path.name == "toy.test.bm25.trec.gz"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == record.cells[0].run_digest


def test_the_relevance_level_of_the_suite_reaches_binary_measures(suite):
    """A level of 2 is written in the measure's name, and changes its value."""
    strict = replace(suite, rules=Rules(relevance_level=2))
    record = run(strict, LEXICAL[:1])
    assert record.suites[0].measures == ("nDCG@10", "RR(rel=2)@10", "Judged@10")
    assert record.cells[0].values["RR(rel=2)@10"][1] == 0.0  # the twins have grade 1


def test_a_query_never_meets_its_own_document(suite):
    """exclude_self holds for the whole run."""
    queries = replace(suite.queries, query_ids=["cats", "twin-a", "q3"])
    rules = Rules(exclude_self=True)
    record = run(replace(suite, queries=queries, rules=rules), LEXICAL)
    for example in record.examples:
        for ranking in example.rankings.values():
            assert example.query_id not in [document.doc_id for document in ranking]


def test_texts_are_left_out_when_asked(suite):
    """With no text, the record has ids and grades alone."""
    record = run(suite, LEXICAL, with_text=False)
    assert record.suites[0].texts is None
    assert record.examples
    for example in record.examples:
        assert example.text is None
        assert all(d.title is None for ranking in example.rankings.values() for d in ranking)


def test_parameters_are_recorded_with_their_defaults(suite):
    """A reader of the record need not know what the defaults were."""
    system = run(suite, [System("x", "bm25?b=0.5", {"k1": 2.0})]).systems[0]
    assert (system.params["b"], system.params["k1"]) == (0.5, 2.0)
    assert system.params["method"] == "lucene"


def test_wrong_names_are_found_before_anything_runs(suite):
    """A typo in the last system does not cost the first one's hour."""
    with pytest.raises(UsageError, match="did you mean 'bm25'"):
        planned(Experiment([suite], [*LEXICAL, System("x", "bm52")]))
    with pytest.raises(UsageError, match="unknown measure"):
        planned(Experiment([suite], LEXICAL, measures=["nDGC@10x"]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bm25?k1=1.2&b=0.75", "bm25_k1_1.2_b_0.75"),
        ("../../etc/passwd", "etc_passwd"),
        ("org/model", "org_model"),
        ("...", "_"),
    ],
)
def test_names_become_safe_file_names(name, expected):
    """A hub id or a hostile name stays inside the folder."""
    assert slug(name) == expected


def test_names_that_share_files_are_refused(suite):
    """Two systems, or two suites, whose files would overwrite each other are a usage error."""
    with pytest.raises(UsageError, match="same files"):
        planned(Experiment([suite], [System("a?", "bm25"), System("a", "bm25")]))
    with pytest.raises(UsageError, match="'toy test' and 'toy test'"):
        planned(Experiment([suite, replace(suite)], LEXICAL))


def test_encoders_of_fused_retrievers_are_recorded(suite):
    """A hybrid's encoder is as much a part of the record as a dense retriever's."""
    fused = System("h", "hybrid", {"retrievers": ["bm25", "dense?encoder=hashing?dimension=32"]})
    assert list(run(suite, [fused]).systems[0].encoders) == ["hashing?dimension=32"]


@pytest.mark.parametrize(
    ("system", "message"),
    [
        (System("x", "hybrid", {"retrievers": ["bm25", "dens"]}), "did you mean 'dense'"),
        (System("x", "dense", {"encoder": "hashin"}), "did you mean 'hashing'"),
        (System("x", f"{__name__}:Refuses"), "its constructor raised ValueError: no"),
        ("bm25", "is not a System"),
    ],
)
def test_wrong_names_inside_parameters_are_found_too(suite, system, message):
    """An inner name that is wrong does not cost the systems before it."""
    with pytest.raises(BenchError, match=message):
        planned(Experiment([suite], [*LEXICAL, system]))


class Refuses:
    """A plug-in whose constructor raises."""

    def __init__(self):
        raise ValueError("no")


class Exits(Raises):
    """A plug-in that wants to end the program."""

    def index(self, corpus):
        raise SystemExit(3)


class Everything(Raises):
    """Answers with the whole corpus, narrower than k where the corpus is smaller."""

    def index(self, corpus):
        self.size = len(corpus)

    def search(self, queries, k):
        docs = np.tile(np.arange(min(k, self.size)), (len(queries), 1))
        return docs, -docs.astype(np.float32)


def test_a_plug_in_cannot_end_the_program(suite):
    """SystemExit is a failure like any other."""
    record = run(suite, [System("x", f"{__name__}:Exits"), *LEXICAL])
    assert record.cells[0].error == "SystemExit: 3"
    assert record.cells[1].status == "ok"


def test_an_answer_with_the_whole_corpus_need_not_be_padded(suite):
    """A ranking of all documents is complete, however large k is."""
    record = run(replace(suite, depth=50), [System("x", f"{__name__}:Everything")])
    assert record.cells[0].status == "ok"


def test_two_splits_of_a_suite_are_kept_apart(suite):
    """Cells, comparisons and examples belong to a suite and a split."""
    queries = Queries(["q1"], ["cats"], [{}])
    qrels = Qrels(np.array([0, 1]), np.array([0], np.int32), np.array([1], np.int16))
    dev = replace(suite, split="dev", queries=queries, qrels=qrels)
    record = run_experiment(Experiment([suite, dev], LEXICAL), None, QUALITY)
    assert [(c.split, len(c.values["nDCG@10"])) for c in record.cells] == [
        ("test", 3), ("test", 3), ("dev", 1), ("dev", 1),
    ]  # fmt: skip
    assert {c.split for c in record.comparisons} == {"test", "dev"}


def test_ids_with_spaces_are_measured_without_run_files(suite, tmp_path):
    """BEIR allows them; a TREC run cannot carry them, and a note says so."""
    corpus = replace(suite.corpus, doc_ids=["a b", *suite.corpus.doc_ids[1:]])
    said = []
    experiment = Experiment([replace(suite, corpus=corpus)], LEXICAL[:1])
    record = run_experiment(experiment, tmp_path, QUALITY, said.append)
    assert (record.cells[0].status, record.cells[0].run_file) == ("ok", None)
    assert any("cannot carry the id 'a b'" in line for line in said)


def test_a_cutoff_deeper_than_the_rankings_is_said(suite):
    """R@100 of rankings of depth 4 is measured, with a note."""
    said = []
    run_experiment(Experiment([suite], LEXICAL[:1]), None, QUALITY, said.append)
    assert "note: nDCG@10 is measured on rankings of depth 4 only" in said


class Closing(Everything):
    """Counts how often it was closed."""

    closed = 0

    def close(self):
        Closing.closed += 1


def test_what_a_retriever_holds_is_released(suite, monkeypatch):
    """A retriever that closes is closed once a cell is done, whether it failed or not."""
    monkeypatch.setattr(Closing, "closed", 0)
    run(suite, [System("x", f"{__name__}:Closing")])
    assert Closing.closed == 1
    monkeypatch.setattr(Closing, "search", None)
    assert run(suite, [System("x", f"{__name__}:Closing")]).cells[0].status == "failed"
    assert Closing.closed == 2


def test_quality_stands_where_only_the_cost_cannot_be_measured(suite, monkeypatch):
    """A measuring process that dies costs the latency, not the values; the report says why."""
    from bench.latency import Protocol
    from qrels.errors import PluginError
    from reports.markdown import render

    def dies(*_):
        raise PluginError("bm25: the measuring process died with exit code -9")

    monkeypatch.setattr("bench.runner.measure_cost", dies)
    experiment = Experiment([suite], [System("bm25", "bm25")])
    record = run_experiment(experiment, options=Options(protocol=Protocol()))
    (cell,) = record.cells
    assert (cell.status, cell.cost) == ("ok", None)
    assert len(cell.values["nDCG@10"]) == len(suite.queries)
    assert "the cost of **bm25** could not be measured: bm25: the measuring" in render(record, {})


def test_the_first_stage_and_its_ceiling_are_kept(suite):
    """With a reranker the values before it are kept; the ceiling is never below what is had."""
    systems = [System("lsa", "lsa"), System("both", "lsa", {}, "mmr", {"encoder": "hashing"}, 3)]
    alone, both = run(suite, systems).cells
    assert alone.first_stage == {}
    assert both.first_stage == alone.values
    for measure in ("nDCG@10", "RR@10"):
        for cell in (alone, both):
            assert np.all(np.array(cell.ceiling[measure]) >= np.array(cell.values[measure]) - 1e-12)
