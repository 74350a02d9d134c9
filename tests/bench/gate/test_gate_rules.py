"""What a gate asks for, read from TOML and from options; every mistake is named."""

import pytest

from bench.gate.rules import (
    ANY,
    Floor,
    MustPass,
    Rules,
    gateable,
    parse_floor,
    parse_margin,
    parse_rules,
    read_rules,
)
from qrels.errors import BenchError

WHOLE = """
[gate]
alpha = 0.01
power = 0.9
measures = ["nDCG@10", "RR@10"]
margin = { "nDCG@10" = 0.01, "*" = 0.02 }
inconclusive = "fail"
[[gate.floor]]
measure = "R@100"
at_least = 0.7
suite = "models"
[[gate.must_pass]]
query = "q1"
document = "d1"
within = 3
"""


def test_a_whole_table_is_read(tmp_path):
    """Every key arrives where it belongs."""
    path = tmp_path / "gate.toml"
    path.write_text(WHOLE)
    assert read_rules(path) == Rules(
        alpha=0.01,
        power=0.9,
        measures=("nDCG@10", "RR@10"),
        margins={"nDCG@10": 0.01, ANY: 0.02},
        floors=(Floor("R@100", 0.7, suite="models"),),
        must_pass=(MustPass("q1", "d1", 3),),
        inconclusive="fail",
    )


def test_an_empty_table_is_the_defaults():
    """One number as margin is for every measure."""
    assert parse_rules({}, "x") == Rules()
    assert parse_rules({"margin": 0.02}, "x").margins == {ANY: 0.02}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"margins": 0.1}, "did you mean 'margin'"),
        ({"alpha": 0.0}, "between 0 and 0.5"),
        ({"alpha": 0.7}, "between 0 and 0.5"),
        ({"alpha": 1}, "expected float"),
        ({"power": 0.2}, "between 0.5 and 1"),
        ({"margin": 0}, "above 0"),
        ({"margin": float("nan")}, "above 0"),
        ({"margin": True}, "margin = True"),
        ({"margin": {"nDGC@10": 0.1}}, "did you mean 'nDCG'"),
        ({"margin": {"nDCG@10": "a"}}, "margin 'a'"),
        ({"measures": ["Judged@10"]}, "never gated"),
        ({"measures": [10]}, "measure 10"),
        ({"inconclusive": "maybe"}, "pass or fail"),
        ({"floor": [{"measure": "nDCG@10"}]}, "floor 1: 'at_least' is missing"),
        ({"floor": [0.4]}, "floor 1: expected a table"),
        ({"floor": [{"measure": "x", "at_least": 1}]}, "unknown measure 'x'"),
        ({"must_pass": [{"query": "a", "document": "b", "within": 0}]}, "at least 1"),
        ({"must_pass": [{"query": 1, "document": "b", "within": 1}]}, "query = 1"),
        ({"must_pass": [{"query": "1", "documnet": "b", "within": 1}]}, "did you mean 'document'"),
    ],
    ids=str,
)
def test_a_mistake_in_the_table_is_named(table, message):
    """Unknown keys with a close match, wrong types and values with what is allowed."""
    with pytest.raises(BenchError, match="here") as raised:
        parse_rules(table, "here")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gaet]\nalpha = 0.1", "no [gate] table"),
        ("alpha = 0.1\n[gate]", "unknown key 'alpha'"),
        ("suites = ['models']\nsede = 3\n[gate]", "did you mean 'seed'"),
        ("gate = 3", "no [gate] table"),
        ("[gate", "gate.toml"),
    ],
)
def test_a_file_with_other_keys_is_refused(tmp_path, text, message):
    """A rule outside [gate] would be ignored in silence."""
    path = tmp_path / "gate.toml"
    path.write_text(text)
    with pytest.raises(BenchError) as raised:
        read_rules(path)
    assert message in str(raised.value)


def test_the_gate_table_of_an_experiment_is_read(tmp_path):
    """One file can hold both."""
    path = tmp_path / "search.toml"
    path.write_text('suites = ["models"]\n[gate]\nmargin = 0.03\n')
    assert read_rules(path).margins == {ANY: 0.03}


def test_options_are_read():
    """A measure's own equals signs are kept apart from the last."""
    assert parse_margin("0.02") == (ANY, 0.02)
    assert parse_margin("RR(rel=2)@10=0.01") == ("RR(rel=2)@10", 0.01)
    assert parse_floor("nDCG@10>=0.4") == Floor("nDCG@10", 0.4)
    assert parse_floor("Judged@10=0.9") == Floor("Judged@10", 0.9)
    assert gateable(["mrr@10"], "--measure") == ("mrr@10",)


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (parse_margin, "nDCG@10"), (parse_margin, "nDCG@10=x"), (parse_margin, "2"),
        (parse_margin, "nDGC@10=0.1"), (parse_floor, "0.4"), (parse_floor, "nDCG@10"),
    ],
)  # fmt: skip
def test_a_mistaken_option_is_an_error(read, text):
    """Never a margin or a floor of something else."""
    with pytest.raises(BenchError, match="--"):
        read(text)
