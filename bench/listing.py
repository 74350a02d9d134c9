"""`bench list`: what there is, a line each, with parameters and their defaults."""

from collections.abc import Callable, Iterator, Mapping

from bench.metrics import MEASURES
from generators import GENERATORS
from qrels.errors import BenchError
from qrels.suite_file import read_suite_file
from qrels.suites import SETS, shipped, splits
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import REQUIRED, Registry, parameters, summary


def registered(registry: Registry) -> Iterator[str]:
    """Each name with its summary, and beneath it its parameters with their defaults."""
    for name in registry.targets():
        try:
            found = registry.load(name)
        except BenchError as error:  # a broken plug-in must not hide the others
            yield f"{name}  (cannot be loaded: {error})"
            continue
        yield f"{name}  {summary(found)}"
        written = ", ".join(
            key if default is REQUIRED else f"{key}={default!r}"
            for key, default in parameters(found).items()
        )
        yield f"    {written}" if written else "    (no parameters)"


def suites() -> Iterator[str]:
    for name in shipped():
        found = read_suite_file(SETS / name)
        yield f"{name} {found.version}  {found.description} [{', '.join(splits(SETS / name))}]"


def systems() -> Iterator[str]:
    suites_of: dict[str, list[str]] = {}
    for name in shipped():
        for system in read_suite_file(SETS / name).systems or ():
            suites_of.setdefault(system, []).append(name)
    for system, names in suites_of.items():
        yield f"{system}  (default of {', '.join(names)})"


def measures() -> Iterator[str]:
    for name, definition in MEASURES.items():
        yield f"{name}  {definition.summary}"


SECTIONS: Mapping[str, Callable[[], Iterator[str]]] = {
    "suites": suites,
    "systems": systems,
    "retrievers": lambda: registered(RETRIEVERS),
    "rerankers": lambda: registered(RERANKERS),
    "generators": lambda: registered(GENERATORS),
    "measures": measures,
}


def listing(section: str | None) -> str:
    """The lines of one section, or of all of them under headings."""
    if section is not None:
        return "\n".join(SECTIONS[section]())
    return "\n\n".join(
        "\n".join([f"{name.upper()}", *(f"  {line}" for line in lines())])
        for name, lines in SECTIONS.items()
    )
