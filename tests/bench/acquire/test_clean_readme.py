"""What is left of a README, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.acquire.clean import clean_readme, split

KEPT = {
    "paragraph": ("One line\nand the next.\n\nAnother.", "One line and the next.\nAnother."),
    "headings": ("# A *big* one\n\nUnder\n=====\n\n###### Six", "A big one\nUnder\nSix"),
    "lists": ("- one\n- two\n  1. inner\n  2. more\n", "one\ntwo\ninner\nmore"),
    "quote": ("> quoted\n> text", "quoted text"),
    "emphasis": ("**bold**, _thin_, ~~struck~~", "bold, thin, struck"),
    "link": ("See [the paper](https://x.test/a 'title') now.", "See the paper now."),
    "reference-link": ("See [it][1].\n\n[1]: https://x.test", "See it."),
    "code-in-a-line": ("Call `fit(x)` first.", "Call fit(x) first."),
    "entity": ("AT&amp;T &lt;b&gt;", "AT&T <b>"),
    "escaped": (r"2 \* 3 \_ 4", "2 * 3 _ 4"),
    "hard-break": ("one  \ntwo", "one two"),
    "braces": ("@user{name} is no BibTeX here", "@user{name} is no BibTeX here"),
    "windows-lines": ("# A\r\n\r\nb\r\nc\r\n", "A\nb c"),
    "rule-is-no-front-matter": ("Text\n\n---\n\nMore", "Text\nMore"),
    "citing-in-a-longer-heading": ("# Citation networks\n\nGraphs.", "Citation networks\nGraphs."),
}
DROPPED = {
    "front-matter": ("---\nlicense: mit\ntags:\n- x\n---\n# T", "T"),
    "front-matter-windows": ("\ufeff---\r\nlicense: mit\r\n---\r\nT", "T"),
    "front-matter-broken": ("---\na: [\n---\nT", "T"),
    "html-block": ("<div align='center'>\n<b>Hi</b>\n</div>\n\nT", "T"),
    "html-in-a-line": ("a <b>b</b><br/> c <!-- d -->", "a b c"),
    "script": ("<script>\nalert(1)\n\n</script>\n\nT", "T"),
    "image": ("![a cat](cat.png) T", "T"),
    "badge": ("[![build](b.svg)](https://ci.test)\n\nT", "T"),
    "address": ("See https://x.test/a?b=c or <https://y.test>.", "See or"),
    "link-that-is-an-address": ("[https://x.test](https://x.test) T", "T"),
    "table": ("T\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nU", "T\nU"),
    "fence": ("T\n\n```python\nimport x\n```\n\nU", "T\nU"),
    "fence-left-open": ("T\n\n~~~\nimport x", "T"),
    "indented-code": ("T\n\n    import x\n\nU", "T\nU"),
    "citation-section": (
        "# A\n\n## Citation\n\nDoe 2020.\n\n### More\n\nx\n\n## B\n\ny",
        "A\nB\ny",
    ),
    "citation-heading-in-words": ("## How to cite our work?\n\nDoe 2020.\n\n## B", "B"),
    "citation-to-the-end": ("A\n\n# **BibTeX**\n\nDoe 2020.", "A"),
    "bibtex-paragraph": ("A\n\n@article{doe,\n title={T},\n year={2020}\n}\n\nB", "A\nB"),
    "bibtex-with-a-gap": ("A\n\n@misc{doe,\n title={T},\n\n year={2020}}\n\nB", "A\nB"),
    "bibtex-never-closed": ("@misc{doe,\n title={T}\n\ninside\n\n# B", "B"),
    "nothing": ("", ""),
    "white-space": (" \n\t\n", ""),
}


@pytest.mark.parametrize(("markdown", "text"), KEPT.values(), ids=KEPT)
def test_headings_paragraphs_and_lists_are_kept(markdown, text):
    """A line for each, as a reader would read it."""
    assert clean_readme(markdown) == text


@pytest.mark.parametrize(("markdown", "text"), DROPPED.values(), ids=DROPPED)
def test_what_is_no_prose_is_dropped(markdown, text):
    """Front matter, HTML, images, addresses, tables, code and citations leave nothing behind."""
    assert clean_readme(markdown) == text


@pytest.mark.parametrize(
    ("markdown", "front"),
    [
        ("---\na: mit\nb: [en, it]\n---\nx", {"a": "mit", "b": ["en", "it"]}),
        ("---\n- a list\n---\nx", {}),
        ("---\na: 2024-02-31\n---\nx", {}),
        ("---\na: !!python/object/apply:os.getcwd []\n---\nx", {}),
        ("---\nlicense: mit\nx", {}),
        ("x\n---\nlicense: mit\n---\n", {}),
    ],
    ids=["mapping", "list", "no-such-day", "object", "never-closed", "not-at-the-beginning"],
)  # fmt: skip
def test_front_matter_is_a_mapping_or_nothing(markdown, front):
    """Nothing but plain values is ever made of it."""
    assert split(markdown).front == front


@given(st.text(alphabet="ab #*_`[]()<>!|-~@{}:/\n\t\\&;1.\"'é", max_size=200))
def test_any_text_can_be_cleaned(markdown):
    """No README stops an acquisition, and no line of the result is blank."""
    text = clean_readme(markdown)
    assert not text or all(line.strip() for line in text.split("\n"))
