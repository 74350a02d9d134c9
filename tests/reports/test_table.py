import re
from dataclasses import replace

import pytest

from reports import table, units
from reports.standing import interval, median_ns, percentile, shown, standings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, 1.5 (ok)!", "plain text, 1.5 (ok)!"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a & b", "a &amp; b"),
        ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
        ("a|b", r"a\|b"),
        ("*a* __b__ ~c~", r"\*a\* \_\_b\_\_ \~c\~"),
        ("max_length", "max_length"),
        ("`x`", r"\`x\`"),
        ("[t](u) ![i](j)", r"\[t\](u) !\[i\](j)"),
        ("back\\slash", r"back\\slash"),
        ("# title", r"\# title"),
        ("- item", r"\- item"),
        ("1. item", r"1\. item"),
        ("1.5", "1.5"),
        ("two\nlines\r\n\tand a tab", "two lines and a tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link", "link"),
        ("bell\x07 nul\x00", "bell nul"),
        ("a\u202eb\u2066c", "abc"),
        ("\ud800", "\ufffd"),
        ("$x$", r"\$x\$"),
        ("see http://a.b and WWW.c.d", "see http&#58;//a.b and www&#46;c.d"),
        ("", ""),
    ],
)
def test_escape(text, shown):
    """Text from data shows as it is: no Markdown, HTML, link, maths or control character works."""
    assert table.escape(text) == shown


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("k1 = 0.9", "`k1 = 0.9`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("a|b", r"`a\|b`"),
        ("<b>", "`<b>`"),
        ("", "`  `"),
    ],
)
def test_code(text, span):
    """A code span is fenced by more backticks than it holds; a bar does not end a table cell."""
    assert table.code(text) == span


def test_fenced_cannot_be_closed_from_inside():
    """The fence is longer than any run of backticks in the text, and lines are kept."""
    block = table.fenced("one\n````\ntwo")
    assert block == "`````\none\n````\ntwo\n`````"


def test_plain_table_aligns_wide_characters():
    """Columns line up where characters take two places or none, and numbers stand right."""
    found = table.plain(["name", "n"], [["日本", "1"], ["e\u0301te", "1,234"]], "lr")
    assert found == "name      n\n-----------\n日本      1\ne\u0301te   1,234"


def test_plain_table_is_harmless():
    """No control character of a name reaches the terminal."""
    assert "\x1b" not in table.plain(["a"], [["\x1b[2Jx\x07"]], "l")


def test_markdown_table_has_as_many_bars_everywhere():
    """Each line has the same bars, numbers are right-aligned, and rows are padded alike."""
    found = table.markdown(["name", "n"], [["a", "1"], ["long name", "1,234"]], "lr")
    assert found == (
        "| name      |     n |\n| --------- | ----: |\n| a         |     1 |\n| long name | 1,234 |"
    )


def test_leaderboard_for_a_terminal(record):
    """Best first, with interval, group, other measures, latency and index; failures below."""
    lines = table.leaderboard(record).splitlines()
    assert lines[0] == "models (test): 5,183 documents, 20 queries"
    assert lines[1].split() == [
        "system", "nDCG@10", "95", "%", "interval", "group", "Judged@10", "MRR@10", "R@100",
        "p50", "index",
    ]  # fmt: skip
    assert re.split(r"\s{2,}", lines[3]) == [
        "hybrid", "0.750", "[0.690, 0.800]", "a", "0.750", "0.750", "0.750", "14.2 ms", "3.40 MB",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[3:6]] == ["hybrid", "dense", "bm25"]
    assert lines[-1] == "cross-encoder failed: OSError: no model <script> at `x`"


def test_leaderboard_without_cost_or_finished_systems(make_record):
    """Without latency there are dashes; where all failed only the reasons are left."""
    assert table.leaderboard(make_record(cost=False)).splitlines()[3].split()[-2:] == ["–", "–"]
    lines = table.leaderboard(make_record(systems=(), different=())).splitlines()
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0 µs"), (512, "0.512 µs"), (310_000, "310 µs"), (14_230_000, "14.2 ms"),
     (999_960_000, "1,000 ms"), (2_500_000_000, "2.50 s"), (90e9, "90.0 s"), (150e9, "2.50 min")],
)  # fmt: skip
def test_duration(ns, text):
    """Three significant digits in the unit that fits."""
    assert units.duration(ns) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "–"), (0, "0 B"), (999, "999 B"), (12_345, "12.3 kB"), (3_400_000, "3.40 MB"),
     (2_000_000_000, "2.00 GB")],
)  # fmt: skip
def test_size(count, text):
    """Decimal units; a dash where there is no size."""
    assert units.size(count) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.012, "+0.012"), (-0.003, "-0.003"), (0.0, "0.000"), (-1e-9, "0.000")]
)
def test_signed(value, text):
    """A difference has its sign, unless it rounds to nothing."""
    assert units.signed(value) == text


@pytest.mark.parametrize(
    ("percent", "samples", "printed"),
    [(50, 1, True), (95, 99, False), (95, 100, True), (99, 499, False), (99, 500, True)],
)
def test_percentiles_need_samples(record, percent, samples, printed):
    """A percentile q is given from 5 / (1 - q) samples on, all rounds together."""
    cost = replace(record.cells[0].cost, latency_ns={"total": ((1,) * (samples - 1), (1,))})
    assert (percentile(cost, "total", percent) is not None) == printed


def test_percentiles_are_linear_between_samples(record):
    """The median of 1, 2 and 10, 20 over two rounds is 6; a stage without samples has none."""
    cost = replace(record.cells[0].cost, latency_ns={"total": ((1, 2), (10, 20))})
    assert percentile(cost, "total", 50) == 6.0
    assert percentile(cost, "rerank", 50) is None
    assert median_ns(replace(record.cells[0], cost=None)) is None


def test_slice_interval():
    """A slice's interval holds its mean, repeats for the same seed, and has no width at n = 1."""
    values = [0.1, 0.9, 0.4, 0.6]
    mean, low, high = interval(values, 13)
    assert mean == pytest.approx(0.5)
    assert 0.1 <= low < mean < high <= 0.9
    assert interval(values, 13) == (mean, low, high)
    assert interval([0.3], 13) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize(
    ("measure", "name"),
    [("RR@10", "MRR@10"), ("AP(rel=2)@100", "MAP(rel=2)@100"), ("nDCG@10", "nDCG@10"),
     ("Rprec", "Rprec"), ("R@100", "R@100"), ("RR", "MRR")],
)  # fmt: skip
def test_shown(measure, name):
    """Means go by the names that people look for."""
    assert shown(measure) == name


def test_judged_is_beside_ndcg(record):
    """Judged@k follows nDCG@k in tables, wherever the suite names it and even where it does not."""
    (standing,) = standings(record)
    assert standing.columns == ["nDCG@10", "Judged@10", "RR@10", "R@100"]
    suite = replace(standing.suite, measures=("RR@10", "nDCG@5", "nDCG(dcg='exp-log2')@20"))
    assert replace(standing, suite=suite).columns == [
        "RR@10", "nDCG@5", "Judged@5", "nDCG(dcg='exp-log2')@20", "Judged@20",
    ]  # fmt: skip
