"""`bench choose`: budgets, the choice, its confirmation, and the page."""

import json
import shlex
import tomllib
from dataclasses import replace

import numpy as np
import pytest

from bench.about import system_info
from bench.choose import budget, decide
from bench.choose.report import command_of, report_of, toml_of
from bench.cli import main
from bench.config import parse_system, read_experiment
from bench.stats import Interval
from qrels.errors import UsageError
from reports.choice import render, sentence
from reports.record import save


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    ("text", "quantity", "sign", "limit"),
    [
        ("p95<=50ms", "p95", "<=", 50e6),
        ("p50 < 1.5 s", "p50", "<", 1.5e9),
        ("mean<=200us", "mean", "<=", 200e3),
        ("index_mb<=500", "index_mb", "<=", 500),
        ("build_s<=2", "build_s", "<=", 2e9),
        ("qps>=1e3", "qps", ">=", 1000),
    ],
)
def test_budgets_are_read(text, quantity, sign, limit):
    """A budget has a quantity, an operator, a number and, for latency, a unit."""
    assert budget.parse_budget(text) == (quantity, sign, limit)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p95", "cannot read budget"),
        ("p96<=1ms", "did you mean"),
        ("p95<=1", "unit ''; expected us or"),
        ("index_mb<=1GB", "expected no unit"),
        ("p95<=1.2.3ms", "is not a number"),
        ("p95=1ms", "cannot read budget"),
    ],
)
def test_wrong_budgets_are_refused(text, says):
    """The message says what is allowed."""
    with pytest.raises(UsageError, match=says):
        budget.parse_budget(text)


def test_a_budget_is_met_for_sure_only_by_the_whole_interval():
    """yes below, unsure where the interval crosses the limit, no above, unknown unmeasured."""
    limit = budget.parse_budget("p50<=10ms")
    amounts = {
        "yes": budget.Amount(8e6, 7e6, 9e6),
        "unsure": budget.Amount(9e6, 8e6, 11e6),
        "no": budget.Amount(11e6, 9e6, 12e6),
        "unknown": None,
    }
    assert {answer: limit.met(amount) for answer, amount in amounts.items()} == {
        answer: answer for answer in amounts
    }


def test_latency_resamples_queries_with_all_their_rounds(record):
    """The value is over all samples; one slow query moves the bound, one slow round does not."""
    cost = record.cells[0].cost
    samples = np.full((3, 40), 10, np.int64)
    samples[:, 0] = 1000
    found = budget.latency(None)(replace(cost, latency_ns={"total": samples.tolist()}), rng())
    assert found.value == pytest.approx(samples.mean())
    assert found.low == 10
    assert found.high > 60
    few = replace(cost, latency_ns={"total": samples[:, :10].tolist()})
    assert budget.latency(95)(few, rng()) is None


def candidate(name, values, p50=None, index=None):
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    amounts = {
        "p50": None if p50 is None else budget.Amount(p50, 0.9 * p50, 1.1 * p50),
        "index_mb": None if index is None else budget.Amount(index, index, index),
    }
    return decide.Candidate(name, values, Interval(mean, mean, mean), amounts)


BASE = np.tile([0.3, 0.5, 0.7, 0.9], 10)
NOISE = np.tile([0.01, -0.009], 20)
SLOW_BEST = candidate("slow", BASE + NOISE, 100e6, 5)
CHEAP = candidate("cheap", BASE, 10e6, 5)
WORSE = candidate("worse", BASE - 0.2, 1e6, 1)
ALL = (SLOW_BEST, CHEAP, WORSE)


def test_the_cheapest_rival_is_chosen():
    """Not the highest mean but the cheapest that is not shown to differ from it."""
    found = decide.choose(ALL, (), "p50", rng())
    assert (found.chosen, found.best, found.rivals) == ("cheap", "slow", ("cheap", "slow"))


def test_a_budget_limits_the_choice():
    """What does not keep to it is neither chosen nor the best to compare with."""
    found = decide.choose(ALL, [budget.parse_budget("p50<=5ms")], "p50", rng())
    assert (found.chosen, found.best, found.rivals) == ("worse", "worse", ("worse",))


def test_nothing_is_chosen_where_nothing_keeps_to_the_budget():
    """It never falls back in silence."""
    found = decide.choose(ALL, [budget.parse_budget("p50<=1us")], "p50", rng())
    assert found == decide.Choice(None, None, ())


def test_unknown_costs_come_last():
    """A system without the cost is the last among rivals and keeps to no budget on it."""
    unknown = candidate("unknown", BASE)
    assert decide.choose((unknown, CHEAP), (), "p50", rng()).chosen == "cheap"
    limit = [budget.parse_budget("p50<=1s")]
    assert decide.choose((unknown,), limit, "p50", rng()).chosen is None


def test_the_front_is_uncertain_on_both_axes():
    """no: surely better and surely cheaper; perhaps: beaten by the means alone; yes: unbeaten."""
    slightly = candidate("slightly", BASE - 0.0001 * np.arange(40) % 2, 10.5e6)
    beaten = candidate("beaten", BASE - 0.3, 200e6)
    found = decide.front((SLOW_BEST, CHEAP, WORSE, slightly, beaten), "p50", rng())
    assert found == {
        "slow": "yes", "cheap": "yes", "worse": "yes", "slightly": "perhaps", "beaten": "no",
    }  # fmt: skip


def test_cross_validation_finds_the_optimism_of_a_lucky_choice():
    """Of ten systems of pure noise the best looks better than it is; one alone does not."""
    many = [candidate(f"s{i}", _rng(i).random(60), 1e6) for i in range(10)]
    many.sort(key=lambda one: -one.quality.mean)
    lucky = decide.cross_validated(many, (), "p50", many[0].name, 1)
    assert lucky.difference.mean > 0.01
    assert lucky.stable < 1
    alone = decide.cross_validated(many[:1], (), "p50", many[0].name, 1)
    assert alone.difference.mean == pytest.approx(0, abs=0.01)
    assert alone.stable == 1
    assert decide.cross_validated([candidate("x", [0.1] * 9, 1e6)], (), "p50", "x", 1) is None


def _rng(seed):
    return np.random.default_rng(seed)


def test_confirmation_compares_with_the_held_queries():
    """Optimism is the mean seen less the mean held; rivals are compared where both are held."""
    held = {"cheap": BASE - 0.1, "slow": BASE + 0.05}
    found = decide.confirmed("cheap", ALL, held, "test", 1)
    assert (found.seen, found.held) == (pytest.approx(0.6), pytest.approx(0.5))
    assert found.difference.low <= 0.1 <= found.difference.high
    assert found.rivals["slow"].mean == pytest.approx(0.15)


def test_nothing_within_budget_is_said_with_the_nearest(record):
    """The sentence names the nearest system and how far it is."""
    report = report_of(record, record.suites[0], [budget.parse_budget("p50<=1us")])
    text = sentence(report)
    assert text.startswith("**Nothing keeps to the budget** on models (test), 20 queries")
    assert "The nearest is **bm25**: p50 latency" in text
    assert "x the limit" in text
    assert "To run it" not in render(report)


def test_a_cost_that_was_not_measured_is_an_error(make_record):
    """A latency budget on a quality-only record says what to do."""
    record = make_record(cost=False)
    with pytest.raises(UsageError, match="run without --no-latency"):
        report_of(record, record.suites[0], [budget.parse_budget("p50<=1ms")])
    assert report_of(record, record.suites[0], ()).chosen is not None


@pytest.mark.parametrize(
    "spec",
    [
        "bm25",
        "bm25?stemmer=null&k1=0.5",
        'hybrid?retrievers=["bm25","dense"]&method="minmax"',
        'dense+late-interaction?rerank_depth=30&reranker.fields=["title"]',
        'fielded?weights={"title":2.0,"a b":1.0}',
    ],
)
def test_the_chosen_system_can_be_run_from_toml_and_command(record, tmp_path, spec):
    """Both forms parse back to the same parameters, whatever they hold."""
    info = system_info(parse_system(spec))
    suite = record.suites[0]
    (tmp_path / "x.toml").write_text(toml_of(suite, info), encoding="utf-8")
    tomllib.loads(toml_of(suite, info))
    (system,) = read_experiment(tmp_path / "x.toml").systems
    line = shlex.split(command_of(suite, info))
    assert line[:5] == ["python", "-m", "bench", "run", "--suite"]
    for back in (system, parse_system(line[-1])):
        found = system_info(back)
        assert (found.params, found.reranker_params, found.rerank_depth) == (
            info.params, info.reranker_params, info.rerank_depth,
        )  # fmt: skip


def test_the_command_writes_page_plot_and_json(record, tmp_path, capsys):
    """From a saved record to choice.md, its picture and choice.json; 1 where nothing is chosen."""
    save(record, tmp_path / "in")
    arguments = ["choose", str(tmp_path / "in"), "--budget", "p50<=13ms"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert "Ship **dense** within" in capsys.readouterr().out
    page = (tmp_path / "out" / "choice.md").read_text("utf-8")
    assert "](plots/choice-models-test.svg)" in page
    assert (tmp_path / "out" / "plots" / "choice-models-test.svg").stat().st_size > 1000
    (found,) = json.loads((tmp_path / "out" / "choice.json").read_text())
    assert found["chosen"] == "dense"
    assert main(["choose", str(tmp_path / "in"), "--budget", "p50<=1us"]) == 1
    assert main(["choose", str(tmp_path / "in"), "--suite", "qa"]) == 2


def test_an_experiment_chooses_on_dev_and_confirms_on_test(tmp_path, capsys, monkeypatch):
    """The chosen system and its rivals are run on the test split, without cost."""
    from bench import runner

    asked = []
    real = runner.run_experiment
    monkeypatch.setattr(
        "bench.runner.run_experiment",
        lambda experiment, folder, options, say: (
            asked.append((experiment.split, options.protocol))
            or real(experiment, folder, replace(options, protocol=None), say)
        ),
    )
    (tmp_path / "x.toml").write_text(
        'suites = ["datasets"]\n[[system]]\nretriever = "bm25"\n[[system]]\nname = "b0"\n'
        'retriever = "bm25"\nparams = { b = 0.0 }\n'
    )
    assert main(["choose", str(tmp_path / "x.toml")]) == 0
    assert [split for split, _ in asked] == ["dev", "test"]
    assert asked[0][1] is not None
    assert asked[1][1] is None
    out = capsys.readouterr().out
    assert "Confirmed on datasets (test) (41 queries)" in out
