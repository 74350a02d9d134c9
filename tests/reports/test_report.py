import re
from dataclasses import replace
from itertools import combinations

import pytest

from reports.markdown import render

ALL = tuple(combinations(("hybrid", "dense", "bm25"), 2))


def first(record):
    """The first paragraph after the title."""
    return render(record, {}).split("\n\n")[1]


def section(text, title):
    """The body under one heading."""
    return re.split(r"^#+ ", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_a_clear_winner_is_named_first(make_record):
    """Where all others differ, the best is called best, with how far ahead and how sure."""
    assert first(make_record(different=ALL)) == (
        "**hybrid** is best on models (test), 20 queries: nDCG@10 0.750 "
        "(95 % interval [0.690, 0.800]). The next, **dense**, is behind by 0.050 "
        "(95 % interval [0.030, 0.080], p < 0.001 after Holm's correction)."
    )


def test_systems_not_shown_to_differ_are_named(record):
    """Where one shares the best's letter, nothing is called best and the equals are named."""
    text = first(record)
    assert text.startswith("**hybrid** has the highest nDCG@10 on models (test), 20 queries: 0.750")
    assert "**dense** is not shown to differ from **hybrid**." in text
    assert "**bm25** is shown to be worse." in text
    assert "a pair tested alone must differ by about 0.042 to be likely to show it" in text
    assert "best" not in text


def test_nothing_differs(make_record):
    """Where no system differs from another, all are named and none is worse."""
    text = first(make_record(different=()))
    assert "**dense** and **bm25** are not shown to differ from **hybrid**." in text
    assert "worse" not in text


def test_equal_means_share_the_first_place(record):
    """Systems with exactly the same mean are named together, with no distance between them."""
    hybrid, dense, *others = record.cells
    dense = replace(dense, values=hybrid.values, means=hybrid.means)
    pairs = tuple(replace(p, difference=0.0) for p in record.comparisons[0].pairs)
    comparison = replace(record.comparisons[0], pairs=pairs)
    text = first(replace(record, cells=(hybrid, dense, *others), comparisons=(comparison,)))
    assert text.startswith("**dense** and **hybrid** share the highest nDCG@10")
    assert "behind" not in text


def test_a_single_system_is_compared_with_nothing(make_record):
    """One system alone is neither best nor worst, and the report says so."""
    made = make_record(systems=("bm25",), different=(), fails=())
    assert first(made) == (
        "**bm25** reaches nDCG@10 0.450 (95 % interval [0.390, 0.500]) on models (test), "
        "20 queries; there is no other system to compare it with."
    )
    assert "# Pairwise comparisons" not in render(made, {})


def test_no_comparison_is_no_claim(record):
    """Without tests in the record no system is called best or equal."""
    text = first(replace(record, comparisons=()))
    assert "The systems were not compared." in text
    assert "best" not in text


def test_no_finished_system(make_record):
    """Where everything failed the first line says so, and the reasons follow."""
    text = render(make_record(systems=(), different=()), {})
    assert "No system finished on models (test), 20 queries." in text
    assert "# Leaderboard" not in text
    assert "- **cross-encoder**: OSError: no model &lt;script&gt; at \\`x\\`" in text


def test_cost_follows_the_answer(record):
    """The second paragraph says what the best costs and what is faster."""
    assert render(record, {}).split("\n\n")[2] == (
        "**hybrid** answers a query in 14.2 ms (median), with an index of 3.40 MB. "
        "Of those not shown to differ from it, **dense** is the fastest: 12.1 ms. "
        "The fastest of all, **bm25**, takes 310 µs and scores 0.300 less."
    )


def test_failed_systems_are_reported(record):
    """A failed system is named at the top and its reason is given, escaped."""
    text = render(record, {})
    assert text.split("\n\n")[3] == "1 system failed: **cross-encoder**."
    assert "no model &lt;script&gt; at \\`x\\`" in section(text, "Failures")


def test_several_suites(make_record):
    """Each suite has its sentence at the top, a table spans them, and each has its sections."""
    text = render(make_record(suites=("models", "cacm"), name="both"), {})
    title, answers, table, *_ = text.split("\n\n")
    assert title == "# both"
    assert [line[:11] for line in answers.splitlines()] == ["- **hybrid*"] * 2
    assert "on cacm (test)" in answers
    assert "| system        | models (test), nDCG@10 | cacm (test), nDCG@10 |" in table
    assert "**0.750** a" in table
    assert text.count("\n### Leaderboard\n") == 2
    assert text.count("\n## Environment\n") == 1


def test_without_texts_only_ids_are_shown(make_record):
    """With texts left out neither query texts nor titles appear, ids and grades do."""
    made = make_record(with_text=False)
    text = section(render(made, {}), "Queries worth reading")
    assert "Italian" not in text
    assert "Title" not in text
    assert "1. org/doc-0 (2)\n    2. org/doc-1 (–)\n    3. org/doc-2 (0)" in text
    assert "Title 0" in render(make_record(), {})


def test_percentiles_without_samples_are_dashes(make_record):
    """63 samples give neither p95 nor p99, 105 the first, 525 both."""
    for rounds, dashes in ((3, 2), (5, 1), (25, 0)):
        text = section(render(make_record(rounds=rounds), {}), "Latency")
        row = next(line for line in text.splitlines() if line.startswith("| hybrid"))
        assert row.count("–") == dashes


def test_protocol_is_stated(record):
    """The report says how latency was measured, with the numbers of this run."""
    text = section(render(record, {}), "Latency")
    for words in ("10 warm-up queries", "21 queries are answered one at a time", "3 rounds",
                  "perf_counter_ns", "on cpu with 2 threads", "never read", "linear"):  # fmt: skip
        assert words in text


def test_without_latency_the_report_says_so(make_record):
    """A run without cost has no latency figures and says that there are none."""
    text = render(make_record(cost=False), {})
    assert "Latency was not measured." in text
    assert "Build, size and throughput" not in text
    assert "answers a query" not in text


def test_partial_run_is_marked(make_record):
    """An interrupted run says so before its answer."""
    assert "interrupted" in render(make_record(status="partial"), {}).split("\n\n")[1]


def test_everything_asked_for_is_there(record):
    """Counts, rules, parameters, digests, versions and the command are in the report."""
    text = render(record, {})
    for words in ("5,183", "| relevant from grade", "cd" * 32, "ab" * 32, "`k1 = 0.9`",
                  "`fields = none`", "rerank depth: 50", "numpy 2.4.0", "16.0 GB",
                  "python -m bench run --suite models --system 'a|b'", "| language |       8 |",
                  "Exploratory", "11 / 5 / 4", "21.0 s (cached)", "550 MB"):  # fmt: skip
        assert words in text
    assert text.startswith("# models\n\n**hybrid**")
    assert text.endswith("```\n")


def test_judged_is_shown_even_where_it_was_not_measured(record):
    """A suite without Judged@10 has its column beside nDCG@10, filled with dashes."""
    suite = replace(record.suites[0], measures=("nDCG@10", "RR@10"))
    cells = tuple(
        replace(c, means={k: v for k, v in c.means.items() if k != "Judged@10"})
        for c in record.cells
    )
    text = section(render(replace(record, suites=(suite,), cells=cells), {}), "Leaderboard")
    header, _, row = (re.split(r"\s*\|\s*", line) for line in text.strip().splitlines()[:3])
    assert row[header.index("Judged@10")] == "–"


HOSTILE = "<script>x</script>|`a` \x1b[31m=cmd [t](http://u)\n# h"


def test_hostile_data_is_harmless(record):
    """Ids, titles, kinds, errors and texts from data cannot become HTML, links or structure."""
    (suite,), (example, *_) = record.suites, record.examples
    document = replace(example.rankings["hybrid"][0], doc_id=HOSTILE, title=HOSTILE)
    made = replace(
        record,
        name=HOSTILE,
        environment={HOSTILE: {HOSTILE: HOSTILE}},
        suites=(
            replace(suite, description=HOSTILE, version=HOSTILE, kinds=(HOSTILE, "") * 10),
        ),
        systems=(replace(record.systems[0], retriever=HOSTILE, params={HOSTILE: HOSTILE}),),
        cells=(*record.cells[:3], replace(record.cells[3], system=HOSTILE, error=HOSTILE)),
        examples=(
            replace(example, query_id=HOSTILE, text=HOSTILE, rankings={"hybrid": (document,)}),
        ),
    )  # fmt: skip
    text = render(made, {})
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text.replace("\\`", ""))
    assert "<script" not in outside
    assert "http:" not in outside
    assert "\x1b" not in text
    assert not re.search(r"^# h", text, flags=re.MULTILINE)
    for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
        bars = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(bars) == 1


@pytest.mark.parametrize("suites", [("models",), ("models", "cacm")])
def test_rendering_repeats(make_record, suites):
    """The same record gives the same text."""
    made = make_record(suites=suites)
    assert render(made, {}) == render(made, {})


def test_plots_are_shown_where_they_were_drawn(record):
    """A drawn plot appears in its section; one that was not drawn leaves no trace."""
    text = render(record, {"stages.models.test": "plots/stages.models.test.svg"})
    assert "![Median latency by stage](plots/stages.models.test.svg)" in section(text, "Latency")
    assert text.count("![") == 1


def test_judged_is_also_given_over_the_queries_answered(record):
    """Queries with nothing returned count 0 in Judged@k; its share over the others is beside it."""
    first, *others = record.cells
    judged = (0.0, 0.0, *[1.0] * 17, 0.5)
    cell = replace(first, missing=2, values={**first.values, "Judged@10": judged})
    text = render(replace(record, cells=(cell, *others)), {})
    assert "**hybrid** for 2 queries" in text
    assert "Over the queries that it answers, **hybrid** has Judged@10 0.972." in text
