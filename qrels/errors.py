"""Every error that a user, a file or a plug-in can cause.

BenchError                  the command line prints it as one line and exits with 2
|-- DataError               a file, or what it holds
|-- UsageError              a name, an option or a parameter
|-- MissingPackageError     an optional package that this feature needs
`-- PluginError             what a retriever or reranker returned or raised
"""

from collections.abc import Iterable


class BenchError(Exception):
    """What the user can mend; anything else is a bug and keeps its traceback."""


class DataError(BenchError):
    """A file, or what it holds; the message names file, line and value."""


class UsageError(BenchError):
    """A name, an option or a parameter that is not allowed."""


class MissingPackageError(BenchError):
    """An optional package is missing; the message says how to install it."""


class PluginError(BenchError):
    """A retriever or reranker raised, or returned what `check_run` refuses."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UsageError:
    """The error for a mistyped *name*, with the closest allowed one where there is one."""
    import difflib  # only a mistake needs it

    choices = sorted(allowed)
    close = difflib.get_close_matches(name, choices, n=1)
    listed = ", ".join(map(_readable, choices)) or "none"
    hint = f"did you mean {close[0]!r}?" if close else f"allowed: {listed}"
    return UsageError(f"unknown {kind} {name!r}; {hint}")


def _readable(name: str) -> str:
    """A name from a file on one line, never long."""
    name = name if name.isprintable() else repr(name)
    return name if len(name) <= 60 else f"{name[:57]}..."
