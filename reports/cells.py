"""Text in the cells of CSV and TSV files, which a spreadsheet must not run."""

import re

FORMULA = re.compile("'*[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]")
"""What a spreadsheet takes for the start of a formula, behind any number of apostrophes."""


def inert(text: str) -> str:
    """*text*, behind an apostrophe where a spreadsheet would run it; `as_written` gives it back."""
    return f"'{text}" if FORMULA.match(text) else text


def as_written(text: str) -> str:
    """The text that `inert` made this cell of."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text
