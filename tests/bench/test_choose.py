"""What `bench choose` rests on: budgets, the choice, the front, and other queries."""

from dataclasses import replace

import numpy as np
import pytest

from bench.choose import budget, confirm, decide
from bench.choose.budget import NO, UNKNOWN, UNSURE, YES, Amount, parse_budget
from bench.commands import choose as command
from qrels.errors import UsageError


def rng(seed=1):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("text", "quantity", "sign", "limit"),
    [
        ("p95<=50ms", "p95", "<=", 50e6),
        ("p50 < 1.5 s", "p50", "<", 1.5e9),
        ("mean<=200us", "mean", "<=", 200e3),
        ("mean<=200µs", "mean", "<=", 200e3),
        ("index_mb<=500", "index_mb", "<=", 500),
        ("memory_mb<=1.5GB", "memory_mb", "<=", 1500),
        ("build_s<=2", "build_s", "<=", 2e9),
        ("encode_s<=2min", "encode_s", "<=", 120e9),
        ("qps>=1e3", "qps", ">=", 1000),
    ],
)
def test_budgets_are_read(text, quantity, sign, limit):
    """A budget has a quantity, an operator, a number and a unit where the quantity has several."""
    assert parse_budget(text) == (quantity, sign, limit, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p95", "cannot read budget 'p95'.*p95<=50ms.*index_mb, memory_mb"),
        ("p95=1ms", "cannot read budget"),
        ("p95<=-1ms", "cannot read budget"),
        ("p96<=1ms", "did you mean"),
        ("p95<=1", "unit ''; expected us or"),
        ("index_mb<=1kB", "expected no unit or MB or GB"),
        ("qps>=1ms", "expected no unit"),
        ("p95<=1.2.3ms", "is not a number"),
        ("p95<=0ms", "limit above 0"),
        ("p95<=1e999ms", "limit above 0"),
    ],
)
def test_wrong_budgets_are_refused(text, says):
    """The message names the value and says what is allowed, on one line."""
    with pytest.raises(UsageError, match=says) as caught:
        parse_budget(text)
    assert "\n" not in str(caught.value)


def test_help_names_every_quantity():
    """The text of --help, which imports nothing, lists what budgets can be on."""
    words = command.QUANTITIES.replace(",", " ").replace("(", " ").replace(")", " ").split()
    assert [word for word in words if word not in ("us", "ms", "s")] == list(budget.QUANTITIES)


@pytest.mark.parametrize(
    ("amount", "most", "least"),
    [
        (Amount(8, 7, 9), YES, NO),
        (Amount(9, 8, 11), UNSURE, NO),
        (Amount(10, 10, 10), YES, YES),
        (Amount(11, 9, 12), NO, UNSURE),
        (Amount(12, 11, 13), NO, YES),
        (None, UNKNOWN, UNKNOWN),
    ],
    ids=["below", "reaches-over", "at", "reaches-under", "above", "not-measured"],
)
def test_a_budget_is_met_only_by_the_whole_interval(amount, most, least):
    """The measured figure alone is not enough, whichever side the limit is on."""
    assert parse_budget("index_mb<=10").met(amount) == most
    assert parse_budget("index_mb>=10").met(amount) == least


def test_excess_is_a_ratio_to_the_limit():
    """Twice over a limit and half of a least amount are equally far off; nothing is infinitely."""
    assert parse_budget("index_mb<=10").excess(Amount(20, 20, 20)) == 2
    assert parse_budget("qps>=10").excess(Amount(5, 5, 5)) == 2
    assert parse_budget("qps>=10").excess(Amount(0, 0, 0)) == np.inf


def test_latency_resamples_queries_with_all_their_rounds(record):
    """The value is over all samples; one slow query moves the bound of the mean."""
    cost = record.cells[0].cost
    samples = np.full((3, 40), 10, np.int64)
    samples[:, 0] = 1000
    found = budget.latency(None)(replace(cost, latency_ns={"total": samples.tolist()}), rng())
    assert found.value == pytest.approx(samples.mean())
    assert found.low == 10
    assert found.high > 60
    slow_round = np.full((3, 40), 10, np.int64)
    slow_round[0] = 1000  # every query has it once: no query is slower than another
    found = budget.latency(None)(replace(cost, latency_ns={"total": slow_round.tolist()}), rng())
    assert found.low == found.value == found.high


@pytest.mark.parametrize(("percent", "enough"), [(50, 1), (95, 100), (99, 500), (None, 1)])
def test_a_percentile_wants_its_samples(record, percent, enough):
    """Too few of them give no figure rather than a wild one."""
    for size, known in ((enough, True), (enough - 1, False)):
        cost = replace(record.cells[0].cost, latency_ns={"total": [[5] * size]})
        assert (budget.latency(percent)(cost, rng()) is not None) == known


@pytest.mark.parametrize(
    ("name", "value"),
    [("index_mb", 3.4), ("memory_mb", 550), ("build_s", 40e6), ("encode_s", 21e9), ("qps", 700)],
)
def test_what_is_measured_once_has_no_width(record, name, value):
    """Sizes in MB less what importing took, durations in ns, queries per second."""
    found = budget.QUANTITIES[name].measure(record.cells[1].cost, rng())
    assert found == pytest.approx((value, value, value))


def candidate(name, values, p50=None, spread=0.1, index=None):
    between = (1 - spread, 1 + spread)
    amounts = {
        "p50": None if p50 is None else Amount(p50, *(p50 * bound for bound in between)),
        "index_mb": None if index is None else Amount(index, index, index),
        "qps": None if p50 is None else Amount(*[1e9 / p50] * 3),
    }
    return decide.Candidate(name, np.asarray(values, np.float64), amounts)


BASE = np.tile([0.3, 0.5, 0.7, 0.9], 10)
NOISE = np.tile([0.01, -0.009], 20)
SLOW = candidate("slow", BASE + NOISE, 100e6, index=5)
CHEAP = candidate("cheap", BASE, 10e6, index=5)
WORSE = candidate("worse", BASE - 0.2, 1e6, index=1)
ALL = (SLOW, CHEAP, WORSE)


def chosen(found, *budgets, cost="p50"):
    return decide.choose(found, [parse_budget(text) for text in budgets], cost, rng())


def test_the_cheapest_rival_is_chosen():
    """Not the highest mean but the cheapest that is not shown to differ from it."""
    found = chosen(ALL)
    assert (found.chosen, found.best, found.rivals) == ("cheap", "slow", ("cheap", "slow"))
    assert found.allowed == ("slow", "cheap", "worse")
    assert found.p["cheap"] > decide.ALPHA > found.p["worse"]
    assert found.contenders == ("cheap", "slow", "worse")


def test_a_system_shown_to_be_better_is_chosen_whatever_it_costs():
    """Within the budget, cost decides only among those not shown to differ."""
    assert chosen((candidate("dear", BASE + 0.1, 1e9), *ALL)).chosen == "dear"


def test_a_rival_hardly_dearer_is_preferred_for_its_mean():
    """Costs within a tenth, or whose intervals touch, are not told apart."""
    exact = candidate("exact", BASE, 10e6, spread=0)
    for p50, answer in ((10.9e6, "close"), (11.1e6, "exact")):
        close = candidate("close", BASE + NOISE, p50, spread=0)
        assert chosen((close, exact)).chosen == answer
    touching = candidate("touching", BASE + NOISE, 12e6, spread=0.1)
    apart = candidate("apart", BASE + NOISE, 13e6, spread=0.1)
    for other, answer in ((touching, "touching"), (apart, "cheap")):
        assert chosen((other, CHEAP)).chosen == answer


def test_more_queries_a_second_are_cheaper():
    """Where throughput is the cost, the order is turned round."""
    found = chosen(ALL, "qps>=5", cost="qps")
    assert (found.chosen, found.rivals) == ("cheap", ("cheap", "slow"))


@pytest.mark.parametrize(
    ("texts", "answer", "allowed"),
    [
        (("p50<=5ms",), "worse", ("worse",)),
        (("p50<=1us",), None, ()),
        (("p50<=50ms", "index_mb<=2"), "worse", ("worse",)),
        (("p50<=50ms", "index_mb<=0.5"), None, ()),
        (("p50<=10.5ms",), "worse", ("worse",)),
        (("p50<=10.5ms", "index_mb>=2"), "cheap", ("cheap",)),
    ],
    ids=["one", "none", "two", "one-of-two", "for-sure-before-noise", "noise-where-nothing-else"],
)
def test_budgets_limit_the_choice(texts, answer, allowed):
    """What does not keep to all of them for sure is out; what does within the noise comes next."""
    found = chosen(ALL, *texts)
    assert (found.chosen, found.allowed) == (answer, allowed)


def test_unknown_costs_come_last():
    """A system without the cost is the last among rivals and keeps to no budget on it."""
    unknown = candidate("unknown", BASE + NOISE)
    assert chosen((unknown, CHEAP)).chosen == "cheap"
    assert chosen((unknown,), "p50<=1s").chosen is None
    assert chosen((unknown, candidate("other", BASE))).chosen == "unknown"


def test_systems_that_all_tie_are_all_rivals():
    """Equal values: everything is a rival, and cost decides."""
    equal = [candidate(f"s{i}", BASE, (5 - i) * 10e6) for i in range(4)]
    found = chosen(equal)
    assert found.chosen == "s3"
    assert set(found.p.values()) == {1.0}


def test_many_systems_can_still_be_told_apart():
    """There are enough permutations for Holm's correction over any number of systems."""
    many = [SLOW, *(candidate(f"s{i}", BASE - 0.3 + i / 1000, 1e6) for i in range(60))]
    few = decide.choose(many, (), "p50", rng(), permutations=100)
    assert few.rivals == ("slow",)


def test_the_front_says_what_is_shown_and_what_is_only_measured():
    """no: one is shown better and cheaper; yes: each is shown worse or dearer; else not shown."""
    touching = candidate("touching", BASE - 0.001, 10.5e6)
    beaten = candidate("beaten", BASE - 0.3, 200e6)
    unknown = candidate("unknown", BASE)
    better = {(a, "beaten") for a in ("slow", "cheap", "touching", "worse")}
    better |= {(a, "worse") for a in ("slow", "cheap", "touching")}
    assert decide.front((SLOW, CHEAP, touching, WORSE, beaten, unknown), "p50", better) == {
        "slow": decide.LIKELY, "cheap": decide.LIKELY, "touching": decide.UNLIKELY,
        "worse": decide.ON, "beaten": decide.OFF,
    }  # fmt: skip


def test_other_queries_confirm_or_refute():
    """Optimism is the mean seen less the mean held; the p-values are of the held queries."""
    held = {"cheap": BASE[:20] - 0.1, "slow": BASE[:20] + 0.05, "worse": BASE[:20] - 0.3}
    found = confirm.confirmed("cheap", ALL, held, "toy (test)", 1)
    mine, slow, worse = found.contenders
    assert (found.where, found.queries, mine.name) == ("toy (test)", 20, "cheap")
    assert (mine.seen, mine.held[0]) == (pytest.approx(0.6), pytest.approx(0.5))
    assert found.optimism == mine.optimism
    assert mine.optimism[0] == pytest.approx(0.1)
    assert mine.optimism[1] < 0.1 < mine.optimism[2]
    assert (mine.against, mine.p) == (None, None)
    assert slow.against == pytest.approx((0.15, 0.15, 0.15))
    assert worse.against[0] == pytest.approx(-0.2)
    assert max(slow.p, worse.p) < 0.001
    # on dev it leads the mean of the two by 0.1 - 0.00025, on test by -0.1 + 0.175 - 0.05
    assert found.lead[0] == pytest.approx(0.09975 - 0.025)
    close = {**held, "slow": BASE[:20] - 0.1 + 0.02 * rng(8).normal(1, 2, 20)}
    one = confirm.confirmed("cheap", ALL, {k: close[k] for k in ("cheap", "slow")}, "", 1)
    two = confirm.confirmed("cheap", ALL, close, "", 1)
    assert 0.001 < one.contenders[1].p < 0.9
    three = {**close, "worse": close["slow"]}
    again = confirm.confirmed("cheap", ALL, three, "", 1)
    assert two.contenders[1].p == one.contenders[1].p  # the largest of two is not raised
    assert again.contenders[1].p == pytest.approx(2 * one.contenders[1].p, rel=0.05)
    alone = confirm.confirmed("cheap", ALL, {"cheap": BASE}, "toy (test)", 1)
    assert (len(alone.contenders), alone.lead) == (1, None)


def test_a_lucky_choice_is_optimistic():
    """Of ten systems of pure noise the best looks better than it is; one alone does not."""
    many = [candidate(f"s{i}", rng(i).random(60), 1e6) for i in range(10)]
    many.sort(key=lambda one: -one.mean)
    lucky = confirm.cross_validated(many, (), "p50", 1)
    assert lucky.where is None
    assert lucky.optimism[0] == pytest.approx(lucky.seen - lucky.held)
    assert lucky.optimism[0] > 0.02
    assert lucky.seen == pytest.approx(many[0].mean, abs=0.03)
    assert len(lucky.picks) > 1
    assert sum(lucky.picks.values()) == pytest.approx(1)
    alone = confirm.cross_validated(many[:1], (), "p50", 1)
    assert alone.optimism == (0, 0, 0)
    assert alone.picks == {many[0].name: 1}


def test_a_clear_choice_is_not_optimistic():
    """Where every fold chooses the same, the mean seen is the mean held."""
    found = confirm.cross_validated(ALL, [parse_budget("p50<=50ms")], "p50", 1)
    assert found.picks == {"cheap": 1.0}
    assert (found.optimism[0], found.seen) == (0, pytest.approx(CHEAP.mean))


def test_few_queries_are_not_cross_validated():
    """Below ten queries a fold would hold one."""
    assert confirm.cross_validated([candidate("x", [0.1] * 9, 1e6)], (), "p50", 1) is None
