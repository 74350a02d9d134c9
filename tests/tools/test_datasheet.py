"""The distributions in a datasheet: counted right, escaped, and kept fresh."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

SETS = Path(__file__).parents[2] / "qrels" / "sets"
DESCRIBED = sorted(path.parent.name for path in SETS.glob("*/README.md"))


@pytest.fixture(scope="session")
def datasheet(tool):
    return tool("datasheet")


@pytest.fixture(scope="session")
def distributions(tool):
    return tool("distributions")


@pytest.mark.parametrize(
    ("rows", "most", "expected"),
    [
        pytest.param([("a",), ("b",), ("a",)], 5, (3, 2, [("a", 2), ("b", 1)], 0), id="all shown"),
        pytest.param([("b",), ("a",), ()], 5, (2, 2, [("a", 1), ("b", 1)], 0), id="ties by name"),
        pytest.param([("a", "a")], 5, (1, 1, [("a", 1)], 0), id="twice in a row counts once"),
        pytest.param([("a", "b", "c"), ("a",)], 1, (2, 3, [("a", 2)], 1), id="others by row"),
        pytest.param([(), ()], 5, (0, 0, [], 0), id="empty"),
    ],
)
def test_counts_by_hand(distributions, rows, most, expected):
    """A value counts once a row; the rest is the rows that hold any other value."""
    assert distributions.count(rows, most) == expected


def test_only_columns_with_classes_are_shown(datasheet, suite):
    """One value for all, a value for each author, and kind and split are left out."""
    found = datasheet.read(suite)
    assert list(found.documents()) == ["task", "language"]
    assert list(found.topics()) == ["language"]


def test_too_many_values_are_no_classes(distributions):
    """A column that names each document on its own is not tabulated."""
    rows = [(str(i),) for i in range(distributions.MOST + 1)]
    assert list(distributions.classes([("few", rows[:-1]), ("many", rows)])) == ["few"]


def test_quantiles_are_plain_numbers(datasheet):
    """A value in between gets one decimal, a whole one none."""
    assert datasheet.quantiles([1, 2, 2000], (0, 25, 50, 100)) == ["1", "1.5", "2", "2,000"]


def test_the_block_by_hand(datasheet, suite):
    """Every figure of the small suite, data escaped, the unanswerable query out of the measures."""
    assert datasheet.block(datasheet.read(suite)).splitlines() == [
        "![Distributions of the suite small](../../../docs/suites/small.svg)",
        "",
        "**Documents** by metadata. Of 4 texts 1 are empty (25.0%).",
        "",
        "|  | documents with it | values | documents with the most frequent values |",
        "| --- | --: | --: | --- |",
        "| task | 3 | 2 | a 2, &lt;b&gt;\\| 1 |",
        "| language | 3 | 3 | en 2, de 1, fr 1 |",
        "",
        "**Queries** by metadata.",
        "",
        "|  | queries with it | values | queries with the most frequent values |",
        "| --- | --: | --: | --- |",
        "| language | 4 | 2 | en 3, de 1 |",
        "",
        "**Queries and grades** by kind. Relevant is grade 2 and above.",
        "",
        "| kind | dev | test | all | relevant a query: min | median | max "
        "| grade 3 | grade 2 | grade 1 | grade 0 |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
        "| easy | 1 | 1 | 2 | 1 | 1.5 | 2 | 2 | 1 | 0 | 2 |",
        "| hard | 0 | 1 | 1 | 1 | 1 | 1 | 1 | 0 | 1 | 0 |",
        "| none | 0 | 1 | 1 | – | – | – | 0 | 0 | 0 | 1 |",
        "| **all** | 1 | 3 | 4 | 1 | 1 | 2 | 3 | 1 | 1 | 3 |",
        "",
        "**Lengths.** Words are what white space separates: Chinese and Japanese have few.",
        "",
        "|  | 0 % | 10 % | 25 % | 50 % | 75 % | 90 % | 100 % |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
        "| text of a document, words | 0 | 0.3 | 0.8 | 1.5 | 2.2 | 2.7 | 3 |",
        "| query, words | 1 | 1 | 1 | 1.5 | 2.2 | 2.7 | 3 |",
        "| query, characters | 1 | 1.6 | 2.5 | 3.5 | 5.2 | 7.5 | 9 |",
        "| relevant documents a query | 1 | 1 | 1 | 1 | 1.5 | 1.8 | 2 |",
        "| accepted answers a query, where there are any | 1 | 1 | 1 | 1 | 1.5 | 1.8 | 2 |",
        "| first of them, words | 1 | 1 | 1 | 1 | 1 | 1 | 1 |",
    ]


def test_check_writes_nothing(datasheet, suite, checkout, capsys):
    """A stale block and a missing figure fail, and are mended only without --check."""
    before = (suite / "README.md").read_text()
    figure = checkout / "docs" / "suites" / "small.svg"
    assert datasheet.main([str(suite), "--check"]) == 1
    assert capsys.readouterr().err.count(" is not what the suite gives") == 2
    assert (suite / "README.md").read_text() == before
    assert not figure.exists()
    assert datasheet.main([str(suite)]) == 0
    assert datasheet.main([str(suite), "--check"]) == 0
    after = (suite / "README.md").read_text()
    head, tail = "<!-- distributions -->\n", "\n<!-- end of distributions -->"
    assert after.partition(head)[0] == before.partition(head)[0]
    assert after.partition(tail)[2] == before.partition(tail)[2]
    figure.unlink()
    assert datasheet.main([str(suite), "--check"]) == 1


@pytest.mark.parametrize(
    ("readme", "message"),
    [("no markers", "no lines <!-- distributions -->"), (None, "No such file")],
)
def test_a_readme_without_a_place_for_it(datasheet, suite, capsys, readme, message):
    """Without a README, or without its two lines, there is one line and exit code 2."""
    (suite / "README.md").unlink()
    if readme:
        (suite / "README.md").write_text(readme)
    assert datasheet.main([str(suite)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("datasheet: ")
    assert message in error
    assert error.count("\n") == 1


def test_the_figure_repeats(datasheet, suite, tool):
    """The same suite gives the same well-formed SVG without a date; settings stay as they were."""
    import matplotlib as mpl

    draw, found = tool("datasheet_figure").draw, datasheet.read(suite)
    with mpl.rc_context({"font.size": 23.0}):
        svg = draw(found)
        assert mpl.rcParams["font.size"] == 23.0
    assert svg == draw(found)
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<dc:date>" not in svg


def test_a_suite_without_metadata_has_a_figure(datasheet, suite, tool):
    """Where nothing is known of the documents their panels stay empty."""
    (suite / "suite.toml").write_text("relevance_level = 2\n")
    rows = (suite / "queries.jsonl").read_text().replace('"language"', '"kind_of_language"')
    (suite / "queries.jsonl").write_text(rows)
    assert tool("datasheet_figure").draw(datasheet.read(suite)).endswith("</svg>\n")


def test_there_are_datasheets():
    """The next test has suites to look at."""
    assert {"models", "datasets"} <= set(DESCRIBED)


@pytest.mark.parametrize("name", DESCRIBED)
def test_committed_distributions_are_fresh(datasheet, name):
    """The tables are what the committed files give, and there is a figure."""
    assert datasheet.main([str(SETS / name), "--check"]) == 0
