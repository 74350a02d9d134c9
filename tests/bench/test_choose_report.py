"""The choice on records: what the page says in each case, and the system written down."""

import shlex
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from bench.about import system_info
from bench.choose.budget import parse_budget
from bench.choose.decide import LIKELY, ON
from bench.choose.report import Rule, pairs, report_of
from bench.choose.written import command_of, toml_of
from bench.config import parse_system, read_experiment
from qrels.errors import UsageError
from reports.choice import caveats, confirmed, sentence
from reports.choice_page import render
from reports.record import SystemInfo
from retrievers.registry import parse_spec


def rule(*budgets, **options):
    return Rule([parse_budget(text) for text in budgets], **options)


def report(record, *budgets, **options):
    return report_of(record, record.suites[0], rule(*budgets, **options))


def with_split(record, split, shift=0.0):
    """The record with its cells on a further split too, without cost and their values moved."""
    moved = tuple(
        replace(cell, split=split, cost=None,
                values={m: tuple(np.array(v) + shift) for m, v in cell.values.items()})
        for cell in record.cells
    )  # fmt: skip
    suite = replace(record.suites[0], split=split)
    return replace(record, suites=(*record.suites, suite), cells=(*record.cells, *moved))


@pytest.fixture
def both(record):
    """Cells with costs on dev, and the same on test, a tenth lower."""
    dev = replace(
        record,
        suites=(replace(record.suites[0], split="dev"),),
        cells=tuple(replace(cell, split="dev") for cell in record.cells),
        comparisons=(),
        examples=(),
    )
    return with_split(dev, "test", -0.1)


@pytest.mark.parametrize(
    ("budgets", "start"),
    [
        ((), "Ship **dense**: of the 3 systems, **hybrid** has the highest nDCG@10; 2 are not "
             "shown to differ in it, and of these this is the cheapest. It has nDCG@10 0.700"),
        (("p50<=13ms",), "Ship **dense**: of the 2 systems that keep to `p50<=13ms` it has the "
                         "highest nDCG@10, and the other is shown to be worse."),
        (("p50<=1ms",), "Ship **bm25**: alone of 3 systems, it keeps to `p50<=1ms`."),
        (("p50>=10ms",), "Ship **dense**: of the 2 systems that keep to `p50>=10ms`, **hybrid**"),
        (("index_mb<=5",), "Ship **hybrid**: of the 3 systems that keep to `index_mb<=5` it has "
                           "the highest nDCG@10, and of the 2 not shown to differ in it none "
                           "is shown cheaper."),
        (("p50<=1us",), "**Nothing keeps to the budget** of `p50<=1us` on models (test), 20 "
                        "queries: none of 3 systems. The nearest is **bm25**: p50 latency is 310 "
                        "µs, 310 times the limit `p50<=1us`."),
        (("p50<=300us",), "**Nothing keeps to the budget** of `p50<=300us` on models (test), 20 "
                          "queries: none of 3 systems. The nearest is **bm25**: p50 latency is 310 "
                          "µs, 3 % over the limit"),
        (("qps>=1000",), "**Nothing keeps to the budget** of `qps>=1000` on models (test), 20 "
                         "queries: none of 3 systems. The nearest is **hybrid**: batch queries/s "
                         "is 700, 30 % under the limit"),
    ],
    ids=["no-budget", "best", "alone", "least", "no-cheaper", "none", "none-near", "too-few"],
)  # fmt: skip
def test_the_recommendation_says_why(record, budgets, start):
    """One sentence: what to ship and the reason, or that nothing keeps to the budget."""
    gap = np.random.default_rng(3).normal(0, 0.3, 20)
    cells = tuple(
        replace(cell, values=dict.fromkeys(
            cell.values, tuple(np.array(cell.values["nDCG@10"]) + gap - gap.mean())))
        if cell.system == "hybrid" else cell for cell in record.cells
    )  # fmt: skip
    text = sentence(report(replace(record, cells=cells), *budgets))
    assert text.startswith(start)
    assert "\n" not in text


def test_one_system_is_no_choice(make_record):
    """It is recommended as the only one, and not as better than others."""
    found = report(make_record(systems=("bm25",), different=(), fails=()))
    assert "there is no other to choose from" in sentence(found)
    assert found.confirmation is None
    assert "not confirmed" not in render([found])


def test_failed_systems_are_named_and_not_chosen(record):
    """They are no candidates; the page says why they failed, made harmless."""
    found = report(record)
    assert found.failed == {"cross-encoder": "OSError: no model <script> at `x`"}
    page = render([found])
    assert "**cross-encoder** failed: OSError: no model &lt;script&gt;" in page
    nothing = replace(record, cells=tuple(c for c in record.cells if c.error is not None))
    with pytest.raises(UsageError, match=r"no system finished on models \(test\)"):
        report(nothing)


@pytest.mark.parametrize(
    ("cost", "budget", "says"),
    [
        (False, "p50<=1ms", "has no costs; run it again without --no-latency"),
        (True, "p99<=1ms", "takes 500 samples, the record has 63 of each"),
    ],
    ids=["no-latency", "few-samples"],
)
def test_a_cost_that_was_not_measured_is_an_error(make_record, cost, budget, says):
    """The message says how to get it."""
    with pytest.raises(UsageError, match=says):
        report(make_record(cost=cost), budget)


def test_without_costs_quality_chooses_and_the_page_says_so(make_record):
    """The highest mean, not the first name in a file."""
    found = report(make_record(cost=False))
    assert (found.chosen, found.cheapest) == ("hybrid", None)
    if len(found.rivals) > 1:
        assert "costs were not measured" in sentence(found)


def test_a_cost_that_failed_is_named(record):
    """Quality stands, the reason is on the page, and the system keeps to no budget."""
    cells = tuple(
        replace(cell, cost=None, cost_error="it <died>") if cell.system == "dense" else cell
        for cell in record.cells
    )
    found = report(replace(record, cells=cells), "p50<=1s")
    assert found.one("dense").met == "unknown"
    assert "The cost of dense could not be measured: it &lt;died&gt;" in render([found])
    none = tuple(replace(cell, cost=None, cost_error="it <died>") for cell in record.cells[:3])
    with pytest.raises(UsageError, match="no cost could be measured: it <died>"):
        report(replace(record, cells=none), "p50<=1s")


def test_an_interrupted_run_is_named(record):
    """The page says that not everything is there."""
    assert "run that was interrupted" in render([report(replace(record, status="partial"))])


def test_a_system_without_the_budgeted_cost_is_not_chosen(record):
    """An index that cannot be saved has no size; its system is named as unknown."""
    cells = tuple(
        replace(cell, cost=replace(cell.cost, index_bytes=None))
        if cell.system == "hybrid"
        else cell
        for cell in record.cells
    )
    found = report(replace(record, cells=cells), "index_mb<=5")
    assert found.one("hybrid").met == "unknown"
    assert found.chosen == "dense"
    assert "**hybrid** has a higher mean" in render([found])
    assert "a budgeted cost that was not measured" in render([found])
    none = report(replace(record, cells=cells), "index_mb<=1")
    assert none.misses[-1] == ("hybrid", "index_mb was not measured, for `index_mb<=1`")


def test_within_the_noise_is_said(record):
    """The measured figure keeps to the limit, the interval does not, and nothing else does."""
    (middle,) = (one for one in report(record).considered if one.name == "bm25")
    p50 = middle.amounts["p50"]
    assert p50.low < p50.value < p50.high
    limit = f"p50<={(p50.value + p50.high) / 2 * 1000:.3f}us"
    found = report(record, limit)
    assert (found.chosen, found.one("bm25").met) == ("bm25", "unsure")
    assert any("only within the noise" in line for line in caveats(found))
    assert "within the noise" in render([found])


def test_the_price_of_the_budget_is_said(record):
    """What would be better without it, by how much, and what it costs."""
    found = report(record, "p50<=1ms")
    (line,) = caveats(found)
    assert line.startswith("**hybrid** has a higher mean, by 0.300 (95 % interval [")
    assert "but does not keep to the budget: 14.2 ms" in line


def test_the_front_takes_the_comparisons_of_the_record(record):
    """Two systems not shown to differ there are not told apart; without any they are made."""
    fronts = {one.name: one.front for one in report(record).considered}
    assert fronts == {"hybrid": LIKELY, "dense": ON, "bm25": ON}
    made = {one.name: one.front for one in report(replace(record, comparisons=())).considered}
    assert made.keys() == fronts.keys()
    assert made["bm25"] == ON


def test_the_measure_can_be_chosen(record):
    """Any of the suite's, in any spelling; another is an error that lists them."""
    assert report(record, measure="mrr@10").measure == "RR@10"
    with pytest.raises(UsageError, match="P@5 was not measured on models; there are nDCG@10, RR"):
        report(record, measure="P@5")


def test_two_splits_are_one_choice(both):
    """Chosen on dev, confirmed on test; any other suite stands for itself."""
    ((dev, test),) = pairs(both)
    assert (dev.split, test.split) == ("dev", "test")
    assert [(a.split, b) for a, b in pairs(with_split(both, "other"))[1:]] == [("other", None)]
    with pytest.raises(UsageError, match="no suite 'qa'; there are: models"):
        pairs(both, "qa")


def confirmed_report(both, held, *budgets):
    return report_of(both, both.suites[0], rule(*budgets), held)


def held_cells(both, **shifts):
    return [
        replace(cell, values={m: tuple(np.array(v) + shifts.get(cell.system, 0.0))
                              for m, v in cell.values.items()})
        for cell in both.cells if cell.split == "test" and cell.error is None
    ]  # fmt: skip


def test_a_choice_that_holds(both):
    """The optimism is given with its interval, and that all systems share a part of it."""
    found = confirmed_report(both, held_cells(both))
    text = confirmed(found)
    assert text.startswith("**The choice holds on models (test) (20 queries)**: no contender is")
    assert "optimism +0.100 [" in text
    assert "it lost 0.000 [" in text
    page = render([found])
    assert f"| **{found.chosen}**" in page
    assert "There is no other split" not in page


def test_a_choice_that_does_not_hold(both):
    """A contender shown to be better on test is named."""
    text = confirmed(confirmed_report(both, held_cells(both, bm25=0.6)))
    assert text.startswith("**The choice does not hold on models (test) (20 queries)**: **bm25**")


def test_a_chosen_system_that_was_not_run_on_test(both):
    """It is cross-validated instead, and the page says why."""
    held = [cell for cell in held_cells(both) if cell.system == "bm25"]
    found = confirmed_report(both, held, "p50>=10ms")
    assert found.chosen != "bm25"
    assert found.confirmation.where is None
    assert f"{found.chosen} was not run on test" in render([found])
    some = [cell for cell in held_cells(both) if cell.system != "bm25"]
    assert "Not run on models (test), or failed there: bm25." in render(
        [confirmed_report(both, some)]
    )


def test_one_split_is_cross_validated(record):
    """How often each system was chosen is on the page."""
    text = confirmed(report(record))
    assert text.startswith("There is no other split to confirm on")
    assert "How often it chose each: **" in text


def test_stages_say_what_a_reranker_adds_and_could_add(record):
    """First stage, gain with its interval, ceiling and depth; a dash in old records."""
    values = np.array(record.cells[0].values["nDCG@10"])
    cell = replace(
        record.cells[0],
        first_stage={"nDCG@10": tuple(values - 0.1)},
        ceiling={"nDCG@10": tuple(np.ones(20))},
    )
    infos = tuple(
        replace(info, reranker="mmr", rerank_depth=30) if info.name == "hybrid" else info
        for info in record.systems
    )
    found = report(replace(record, cells=(cell, *record.cells[1:]), systems=infos))
    hybrid, dense, _ = found.stages
    assert hybrid.first == pytest.approx(0.65)
    assert hybrid.adds == pytest.approx((0.1, 0.1, 0.1))
    assert hybrid.ceiling == (1, 1, 1)
    assert (hybrid.depth, dense.depth) == (30, 100)
    assert (dense.first, dense.adds, dense.ceiling) == (None, None, None)
    assert set(dense.costs) == {"encode", "search"}
    assert "A record of an earlier version has" in render([found])


def test_several_suites_have_a_heading_each(make_record):
    """One page, a recommendation for each suite."""
    record = make_record(suites=("models", "qa"))
    page = render([report_of(record, suite) for suite, _ in pairs(record)])
    assert page.count("\n## ") + page.startswith("## ") == 2
    assert "## qa" in page


def test_names_from_data_are_harmless(record):
    """A system may be called anything."""
    name = "<b>|`x`"
    made = replace(
        record,
        cells=tuple(replace(c, system=name) if c.system == "dense" else c for c in record.cells),
        systems=tuple(replace(s, name=name) if s.name == "dense" else s for s in record.systems),
        comparisons=(),
    )
    page = render([report(made, "p50<=13ms")])
    assert "<b>" not in page.replace(toml_line(page), "")
    assert "&lt;b&gt;\\|" in page


def toml_line(page):
    return next(line for line in page.splitlines() if line.startswith("name = "))


SPECS = [
    "bm25",
    "bm25?stemmer=null&k1=0.5",
    "bm25?k1=1&stop_words=null",
    'hybrid?retrievers=["bm25","dense"]&method="minmax"',
    'dense+late-interaction?rerank_depth=30&reranker.fields=["title"]',
    'fielded?weights={"title":2.0,"a b":1.0}',
    'fielded?fields=["R\\u0026D","x=y","q?","tab\\t","\\u007f","naïve \\"quoted\\""]',
]


@pytest.mark.parametrize("spec", SPECS)
def test_the_chosen_system_can_be_run_from_toml_and_command(tmp_path, spec):
    """Both forms parse back to the same parameters, whatever they hold."""
    info = system_info(parse_system(spec))
    (tmp_path / "x.toml").write_text(toml_of("models", info), encoding="utf-8")
    experiment = read_experiment(tmp_path / "x.toml")
    line = shlex.split(command_of("models", info))
    assert line[:6] == ["python", "-m", "bench", "run", "--suite", "models"]
    for back in (experiment.systems[0], parse_system(line[-1])):
        found = system_info(back)
        assert replace(found, name=spec, retriever=parse_spec(found.retriever)[0]) == info
    assert (experiment.suites, experiment.systems[0].name) == (["models"], spec)


def test_parameters_at_their_defaults_are_left_out():
    """What is written is what differs; a plug-in's parameters are all written."""
    assert command_of("s", system_info(parse_system("bm25?k1=0.9&b=0.75"))).endswith(
        "'bm25?b=0.75'"
    )
    plugin = SystemInfo("p", "no.such:Thing", {"a": 1, "b": None, "c": [1]}, None, {}, None, {})
    assert "no.such:Thing?a=1&b=null&c=[1]" in command_of("s", plugin)
    (table,) = tomllib.loads(toml_of("s", plugin))["system"]
    assert table == {"name": "p", "retriever": "no.such:Thing?b=null&c=[1]", "params": {"a": 1}}
