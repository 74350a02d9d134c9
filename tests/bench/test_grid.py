"""Grids in experiment files, and the stages that their systems share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bench.config import parse_system, read_experiment
from bench.shared import Shared
from bench.system import search_suite
from qrels.errors import BenchError
from qrels.suites import load_suite


@pytest.fixture
def read(tmp_path):
    """read(text) is the systems of an experiment file with that [[system]] table."""

    def made(text):
        path = tmp_path / "x.toml"
        path.write_text(f'suites = ["models"]\n[[system]]\n{text}', encoding="utf-8")
        return read_experiment(path).systems

    return made


def test_lists_where_one_value_is_wanted_are_a_grid(read):
    """Two lists give their product, named by what differs, in the order of the table."""
    systems = read('retriever = "bm25"\nparams = { k1 = [0.9, 1.5], b = [0.4, 0.75], delta = 1.0 }')
    assert [system.name for system in systems] == [
        "bm25?k1=0.9&b=0.4", "bm25?k1=0.9&b=0.75", "bm25?k1=1.5&b=0.4", "bm25?k1=1.5&b=0.75",
    ]  # fmt: skip
    assert systems[1].params == {"k1": 0.9, "b": 0.75, "delta": 1.0}
    assert parse_system(systems[1].name).params == {"k1": 0.9, "b": 0.75}


def test_lists_where_lists_are_wanted_are_none(read):
    """fields, retrievers and weights take lists; they are left as they are."""
    (system,) = read(
        'retriever = "hybrid"\nparams = { retrievers = ["bm25", "lsa"], weights = [1, 2] }'
    )
    assert system.params["weights"] == [1, 2]
    (system,) = read('retriever = "bm25"\nparams = { fields = ["title"], stop_words = ["a"] }')
    assert system.params["fields"] == ["title"]


def test_a_grid_table_takes_any_values(read):
    """`grid` says outright which values to try, also of parameters that take lists."""
    systems = read('name = "x"\nretriever = "bm25"\ngrid = { fields = [["title"], ["text"]] }')
    assert [system.params["fields"] for system in systems] == [["title"], ["text"]]
    assert systems[0].name == 'x?fields=["title"]'


def test_names_that_have_parameters_get_more(read):
    """A name with a question mark is gone on with by &, and a date has a name too."""
    systems = read('name = "x?a=1"\nretriever = "bm25"\nparams = { k1 = [1, 2] }')
    assert [system.name for system in systems] == ["x?a=1&k1=1", "x?a=1&k1=2"]
    (system,) = read('retriever = "bm25"\nparams = { k1 = [2026-11-21] }')
    assert system.name == 'bm25?k1="2026-11-21"'


def test_rerank_depths_and_parameters_of_a_reranker(read):
    """rerank_depth and reranker_params are expanded too."""
    systems = read('retriever = "bm25"\nreranker = "mmr"\nrerank_depth = [10, 20]')
    assert [system.rerank_depth for system in systems] == [10, 20]
    assert systems[0].name == "bm25+mmr?rerank_depth=10"
    systems = read(
        'retriever = "bm25"\nreranker = "late-interaction"\n'
        'reranker_params = { combine = ["sum", "mean"], fields = ["title"] }'
    )
    assert [s.reranker_params["combine"] for s in systems] == ["sum", "mean"]
    assert systems[0].reranker_params["fields"] == ["title"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('retriever = "bm25"\nparams = { k1 = [] }', "k1 is an empty list"),
        ('retriever = "bm25"\ngrid = { k1 = 1 }', "expected a list of values"),
        ('retriever = "bm25"\nparams = { k1 = [1, 1] }', "two systems are called"),
        ('retriever = "bm26"\nparams = { k1 = [1, 2] }', "did you mean 'bm25'"),
        ('retriever = "bm25"\nparams = { k1 = 1.0 }\ngrid = { k1 = [1, 2] }', "one of the two"),
        ('retriever = "bm25"\nrerank_depth = [5]', "without a reranker"),
        ('retriever = "bm25"\nreranker = "mmr"\nrerank_depth = [0]', "at least 1"),
    ],
)
def test_wrong_grids_are_refused(read, text, says):
    """One line says what is wrong, and in which file."""
    with pytest.raises(BenchError, match=says) as found:
        read(text)
    assert "x.toml: " in str(found.value)
    assert "\n" not in str(found.value)


class Takes:
    """A plug-in whose annotations name lists in many ways."""

    def __init__(
        self,
        one: float = 1.0,
        listing: str = "",
        many: "Sequence[str] | None" = None,
        free: Any = None,
        named: frozenset[str] = frozenset(),
        bare=(),
        plain=1,
    ) -> None:
        pass


def test_only_parameters_that_take_no_list_are_a_grid(read):
    """By the whole words of the annotation; without one, by the default."""
    systems = read(f'retriever = "{__name__}:Takes"\nname = "x"\nparams = {{ one = [1, 2], '
                   'listing = ["a"], many = ["a"], free = [1], named = ["a"], bare = [1], '
                   'plain = [3, 4] }')  # fmt: skip
    assert [system.name for system in systems] == [
        'x?one=1&listing="a"&plain=3', 'x?one=1&listing="a"&plain=4',
        'x?one=2&listing="a"&plain=3', 'x?one=2&listing="a"&plain=4',
    ]  # fmt: skip
    assert systems[0].params["many"] == systems[0].params["named"] == ["a"]
    assert systems[0].params["free"] == systems[0].params["bare"] == [1]


def same(a, b):
    return np.array_equal(a.docs, b.docs) and np.array_equal(a.scores, b.scores)


def test_shared_stages_give_what_each_system_gives_alone():
    """Bit for bit, with a shared first stage, a shared reranker and a shared reading."""
    suite = load_suite("datasets", "dev")
    specs = [
        "bm25?k1=0.5", "bm25?k1=1.5&b=0.9", "bm25?stemmer=null", 'bm25?method="bm25+"',
        'bm25?fields=["title"]', "bm25?stop_words=null",
        "lsa", "lsa+mmr?rerank_depth=5", "lsa+mmr?rerank_depth=20",
        "lsa+mmr?reranker.diversity=0.9",
    ]  # fmt: skip
    systems = [parse_system(spec) for spec in specs]
    shared = Shared(suite, systems)
    for system in systems:
        first, run = shared.stages(system)
        assert same(run, search_suite(suite, system)), system.name
        alone = parse_system(system.retriever)
        if system.reranker:
            assert same(first, search_suite(suite, alone))


def test_work_is_done_once_and_let_go(monkeypatch):
    """Index and search run once for three rerank depths; nothing is kept after the last."""
    from retrievers.lsa import LSA

    calls = []
    real = LSA.index
    monkeypatch.setattr(LSA, "index", lambda self, corpus: calls.append(1) or real(self, corpus))
    suite = load_suite("datasets", "dev")
    systems = [parse_system(f"lsa+mmr?rerank_depth={depth}") for depth in (5, 10, 20)]
    shared = Shared(suite, systems)
    for system in systems:
        shared.stages(system)
    assert len(calls) == 1
    assert shared._kept == {}


def test_a_failing_system_does_not_spoil_the_others():
    """A first stage that raises is tried again by the next system, and its place is let go."""
    suite = load_suite("datasets", "dev")
    systems = [parse_system('bm25?method="nonsense"'), parse_system("bm25")]
    shared = Shared(suite, systems)
    with pytest.raises(BenchError, match="nonsense"):
        shared.stages(systems[0])
    assert shared.stages(systems[1])[1].docs.shape[0] == len(suite.queries)
