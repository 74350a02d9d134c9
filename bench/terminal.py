"""Output that a terminal shows and never obeys: what data may hold is written visibly."""

import contextlib
import io
import os
import re
import sys

STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"  # what turns the reading direction
)


def visible(text: str) -> str:
    r"""*text* with control and direction characters as escapes: \x1b, \u202e."""
    return STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class Visible(io.TextIOWrapper):
    """A text stream that writes the visible form; what cannot be encoded becomes ?."""

    def write(self, text: str) -> int:
        super().write(visible(text))
        return len(text)


def protect() -> None:
    """Make standard error visible, and standard output where it is a terminal.

    What goes to a file or a pipe is data and stays as it is.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper):
            continue
        if name == "stdout" and not stream.isatty():
            stream.reconfigure(errors="replace")  # a locale without Unicode
            continue
        stream.flush()
        lines, encoding = stream.line_buffering or name == "stderr", stream.encoding
        shown = Visible(stream.detach(), encoding, "replace", line_buffering=lines)
        setattr(sys, name, shown)


def settle() -> None:
    """Flush standard output; what it refuses goes nowhere, so that the exit does not fail on it."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
