"""Numbers as people read them: three significant digits, units that fit."""

import math

NONE = "–"

TIMES = ((60e9, "min"), (1e9, "s"), (1e6, "ms"), (1e3, "µs"))
SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


def digits(value: float) -> str:
    """*value* with three significant digits and thousands separated: 0.0421, 4.21, 4,210."""
    if value == 0:
        return "0"
    decimals = 2 - math.floor(math.log10(abs(float(f"{value:.2e}"))))
    return f"{round(value, decimals):,.{min(max(0, decimals), 6)}f}"


def duration(ns: float) -> str:
    """12.3 ms: the largest unit of which there is at least one; minutes from two on."""
    size, unit = next(
        ((size, unit) for size, unit in TIMES if ns >= size * (2 if unit == "min" else 1)),
        TIMES[-1],
    )
    return f"{digits(ns / size)} {unit}"


def milliseconds(ns: float | None) -> str:
    """The bare number of milliseconds, for a column; a dash where there is none."""
    return NONE if ns is None else digits(ns / 1e6)


def size(count: int | None) -> str:
    """3.40 MB, in decimal units; a dash where there is none."""
    if count is None:
        return NONE
    unit = next(((unit, name) for unit, name in SIZES if count >= unit), None)
    return f"{digits(count / unit[0])} {unit[1]}" if unit else f"{count} B"


def figure(value: float) -> str:
    """A measure's value: 0.712."""
    return f"{value:.3f}"


def signed(value: float) -> str:
    """A difference: +0.012, -0.003, and 0.000 without a sign."""
    text = f"{value:+.3f}"
    return text if text.strip("+-0.") else "0.000"


def bounds(low: float, high: float) -> str:
    """An interval: [0.661, 0.763]."""
    return f"[{_plain(low)}, {_plain(high)}]"


def _plain(value: float) -> str:
    """Three decimals, without the sign of a zero."""
    text = f"{value:.3f}"
    return "0.000" if text == "-0.000" else text


def p_value(p: float) -> str:
    """A p-value for a column: 0.012, or < 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_is(p: float) -> str:
    """A p-value in a sentence: p = 0.012, or p < 0.001."""
    return f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"


def count(number: int, noun: str) -> str:
    """1 query, 60 queries, 5,183 documents."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
