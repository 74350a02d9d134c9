"""The prose of a README: what a reader would read, told apart by a Markdown parser."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from markdown_it.token import Token

FENCE = "---"
LONGEST = 1 << 20
"""Characters of a README that are read; prose ends long before."""

DROPPED = {"table_open": "table_close"}
"""Blocks that are left out, up to the token that closes them."""

CITING = {"bibtex", "citation", "citations", "cite", "citing"}
BESIDE = {
    "a", "and", "as", "bib", "contact", "dataset", "entries", "entry", "for", "how", "info",
    "information", "model", "our", "paper", "please", "reference", "references", "the", "this",
    "to", "us", "work",
}  # fmt: skip
"""Words of headings over citations; one of the first, and beside them only the second."""

ADDRESSES = ("http://", "https://", "www.")


class Parts(NamedTuple):
    """The front matter of a README, {} where there is none that can be read, and the rest."""

    front: dict[str, Any]  # YAML values
    body: str


class Block(NamedTuple):
    """One heading (level 1 to 6), paragraph or item of a list (level 0)."""

    level: int
    text: str


def clean_readme(markdown: str) -> str:
    """The text of headings, paragraphs and lists, a line each; "" where there is none.

    Without front matter, HTML, images, addresses of links, tables, code blocks and citations
    (sections headed so, BibTeX anywhere). Code within a line is kept.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    body = split(markdown[:LONGEST]).body
    return "\n".join(block.text for block in _uncited(_blocks(parser.parse(body))))


def split(markdown: str) -> Parts:
    """A README taken apart; front matter stands between two lines `---` at its beginning."""
    lines = markdown.lstrip("\ufeff\r\n").splitlines(keepends=True)
    if not lines or lines[0].rstrip() != FENCE:
        return Parts({}, markdown)
    for number, line in enumerate(lines[1:], 1):
        if line.rstrip() == FENCE:
            return Parts(_yaml("".join(lines[1:number])), "".join(lines[number + 1 :]))
    return Parts({}, markdown)


def _yaml(text: str) -> dict[str, Any]:  # YAML values
    import yaml  # type: ignore[import-untyped]  # its types are a package of their own

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: the 31st of February
        return {}
    return found if isinstance(found, dict) else {}


def _blocks(tokens: Sequence["Token"]) -> Iterator[Block]:
    """Headings, paragraphs and items in order, without those that hold no text."""
    closing, level = "", 0
    for token in tokens:
        if closing:
            closing = "" if token.type == closing else closing
        elif token.type in DROPPED:
            closing = DROPPED[token.type]
        elif token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "inline":
            if text := " ".join(_words(token.children or [])):
                yield Block(level, text)
            level = 0


def _words(tokens: Sequence["Token"]) -> list[str]:
    """The words of one block; an address, written out or as its own link, is none."""
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return [word for word in "".join(parts).split() if not word.lstrip("<([").startswith(ADDRESSES)]


def _uncited(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks outside citations: sections headed so, and BibTeX to its last brace."""
    section, depth = 7, 0  # no heading is that deep
    for block in blocks:
        if block.level and block.level <= section:
            section = block.level if _heads_citation(block.text) else 7
        if section < 7:
            continue
        if depth > 0 or _is_bibtex(block.text):
            depth = 0 if block.level else depth + block.text.count("{") - block.text.count("}")
            if not block.level:
                continue
        yield block


def _heads_citation(heading: str) -> bool:
    words = {word.strip("*_:.,;!?()&/`'\"") for word in heading.lower().replace("/", " ").split()}
    words = {word for word in words if word and word.isalpha()}
    return bool(words & CITING) and words <= CITING | BESIDE


def _is_bibtex(text: str) -> bool:
    """Whether *text* begins as `@article{key,` does."""
    kind, _, rest = text.partition("{")
    key, comma, _ = rest.partition(",")
    return kind.startswith("@") and kind[1:].strip().isalpha() and bool(comma) and "}" not in key
