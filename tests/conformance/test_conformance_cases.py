"""The cases of conformance/, which no wheel holds, against what is installed."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def conformance():
    """conformance(name) imports conformance/NAME.py of the checkout, which is not on sys.path."""
    with pytest.MonkeyPatch.context() as patch:
        package = ModuleType("conformance")
        package.__path__ = [str(ROOT / "conformance")]
        patch.setitem(sys.modules, "conformance", package)
        yield lambda name: importlib.import_module(f"conformance.{name}")


@pytest.fixture(scope="module")
def cases(conformance):
    return list(conformance("cases").read_cases())


def test_expected_values_are_what_was_worked_out(conformance, cases):
    """Each expected value is the value of the arithmetic beside it."""
    seen = 0
    for case in cases:
        for wanted in case.expectations:
            assert wanted.values.keys() == wanted.worked.keys(), case.name
            for query, text in wanted.worked.items():
                value = conformance("cases").worked_out(text)
                assert wanted.values[query] == pytest.approx(value, abs=1e-12), case.name
                seen += 1
    assert seen > 90


@pytest.mark.parametrize("text", ["__import__('os')", "a", "1 if 2 else 3", "log2('x')", "abs(1)"])
def test_only_arithmetic_is_worked_out(conformance, text):
    """What is not arithmetic is refused, not run."""
    with pytest.raises(ValueError, match="only numbers"):
        conformance("cases").worked_out(text)


def test_names_and_reasons_are_there(cases):
    """Every case has a name of its own and says why it matters."""
    assert len({case.name for case in cases}) == len(cases) >= 40
    assert all(case.why.endswith(".") for case in cases)


def test_ours_agrees_on_every_case(conformance, cases):
    """This project gives the expected values, and refuses what must be refused."""
    found = [one for case in cases for one in conformance("__main__").outcomes(case, "ours")]
    assert {one.status for one in found} == {"agrees"}


@pytest.mark.parametrize("name", ["pytrec-eval", "ir-measures"])
def test_where_others_differ_it_is_known_why(conformance, cases, name):
    """Each difference of another implementation has its reason in the case, and the other way."""
    found = [one for case in cases for one in conformance("__main__").outcomes(case, name)]
    assert sum(one.status == "agrees" for one in found) > 80
    assert all(bool(one.reason) == (one.status == "differs") for one in found)
    known = sum(
        name in reasons
        for case in cases
        for reasons in (case.error or {}, *(wanted.differs for wanted in case.expectations))
    )
    assert known == sum(one.status == "differs" for one in found)


def test_the_page_holds_the_table_of_today(conformance, tmp_path, capsys):
    """conformance/README.md is what `--markdown` makes of it."""
    page = tmp_path / "README.md"
    page.write_text((ROOT / "conformance" / "README.md").read_text("utf-8"), encoding="utf-8")
    assert conformance("__main__").main(["--markdown", str(page)]) == 0
    assert "ours: " in capsys.readouterr().out
    assert page.read_text("utf-8") == (ROOT / "conformance" / "README.md").read_text("utf-8")


def test_a_wrong_value_of_ours_fails(conformance, monkeypatch, tmp_path, capsys):
    """A case on which ours differs is printed with both values, and the exit code is 1."""
    case = {
        "name": "x", "why": "y.", "qrels": {"1": {"a": 1}}, "run": {"1": [["a", 1.0]]},
        "expect": [{"measure": "RR", "values": {"1": 0.5}, "worked": {"1": "1 / 2"}}],
    }  # fmt: skip
    (tmp_path / "x.json").write_text(json.dumps([case]))
    cases = conformance("cases")
    monkeypatch.setattr(conformance("__main__"), "read_cases", lambda: cases.read_cases(tmp_path))
    assert conformance("__main__").main(["--implementation", "ours"]) == 1
    assert "x: RR: ours gives 1: 1; expected 1: 0.5" in capsys.readouterr().out
