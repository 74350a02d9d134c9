"""Systems and experiments as users write them."""

from pathlib import Path

import pytest

from bench.config import System, choose_systems, parse_system, read_experiment
from qrels.errors import BenchError, DataError, UsageError

GOOD = """
suites = ["models"]
seed = 7
[[system]]
name = "fields"
retriever = "fielded"
params = { weights = { title = 2.0 } }
reranker = "mmr"
rerank_depth = 20
[[system]]
retriever = "bm25"
"""


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("bm25", System("bm25", "bm25")),
        ("bm25?k1=1.2&b=0.75", System("bm25?k1=1.2&b=0.75", "bm25", {"k1": 1.2, "b": 0.75})),
        ("dense+mmr", System("dense+mmr", "dense", {}, "mmr")),
        (
            "dense+mmr?encoder=hashing?dimension=64&reranker.diversity=0.5&rerank_depth=7",
            System(
                "dense+mmr?encoder=hashing?dimension=64&reranker.diversity=0.5&rerank_depth=7",
                "dense", {"encoder": "hashing?dimension=64"}, "mmr", {"diversity": 0.5}, 7,
            ),
        ),
        ("m.py:C", System("m.py:C", "m.py:C")),
    ],
    ids=["plain", "params", "reranker", "all", "class"],
)  # fmt: skip
def test_a_spec_names_retriever_reranker_and_parameters(spec, expected):
    """retriever[+reranker][?key=value&...] says all of a system."""
    assert parse_system(spec) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "expected retriever"),
        ("bm25+", "expected retriever"),
        ("bm25?k1", "expected key=value"),
        ("bm25+mmr?rerank_depth=0", "at least 1"),
        ("bm25+mmr?rerank_depth=x", "at least 1"),
        ("bm25?rerank_depth=5", "no reranker"),
        ("bm25?reranker.k=1", "no reranker"),
    ],
)
def test_a_bad_spec_says_what_is_wrong(spec, message):
    """A system that cannot be read is a usage error with the spec and what is allowed."""
    with pytest.raises(UsageError, match=message):
        parse_system(spec)


def test_an_experiment_file_holds_suites_and_systems(tmp_path):
    """TOML is one way to write an Experiment."""
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    found = read_experiment(path)
    assert (found.suites, found.seed, found.name) == (["models"], 7, "mine")
    assert found.systems == [
        System("fields", "fielded", {"weights": {"title": 2.0}}, "mmr", {}, 20),
        System("bm25", "bm25"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("suites = ['a']\nsead = 1", "unknown key 'sead'; did you mean 'seed'"),
        ("suites = 'a'", "expected list"),
        ("seed = 1", "'suites' is missing"),
        ("suites = ['a']\nseed = true", "expected int"),
        ("suites = ['a']\n[[system]]\nname = 'x'", "'retriever' is missing"),
        ("suites = ['a']\n[[system]]\nretriver = 'x'", "did you mean 'retriever'"),
        ("suites = ['a']\n[[system]]\nretriever='x'\n[[system]]\nretriever='x'", "two systems"),
        ("suites = [", "mine.toml"),
        ("suites = [3]", "expected a list of strings"),
        ("suites = ['a']\nseed = -1", "expected at least 0"),
        ("suites = ['a']\ndepth = 0", "expected at least 1"),
        ("suites = ['a']\nsystem = []", "'system' is empty"),
    ],
)
def test_a_bad_experiment_names_file_and_key(tmp_path, text, message):
    """Unknown keys and wrong types are errors, with a close match."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(BenchError, match=message):
        read_experiment(path)


def test_a_missing_experiment_file_is_named():
    """The one line names the file."""
    with pytest.raises(DataError, match=r"nowhere\.toml"):
        read_experiment(Path("nowhere.toml"))


def test_system_names_prefer_the_experiment():
    """`--system NAME` takes the experiment's system of that name, else reads a spec."""
    known = [System("bm25", "bm25", {"k1": 2.0})]
    assert choose_systems(["bm25", "lsa"], known) == [known[0], System("lsa", "lsa")]
    with pytest.raises(UsageError, match="two systems"):
        choose_systems(["lsa", "lsa"], [])
