"""The Markdown report of a record: the answer first, then what it rests on."""

from collections.abc import Callable, Mapping
from typing import Any

from reports import answers, sections
from reports.approximate import approximate
from reports.record import Record, SystemInfo
from reports.sections import joined
from reports.standing import Standing, plot_name, standings
from reports.summary import across, answer, place
from reports.table import code, escape, fenced, markdown
from reports.units import NONE, size

Plots = Mapping[str, str]

SECTIONS: Mapping[str, Callable[[Standing], str]] = {
    "Leaderboard": sections.board,
    "Floor and ceiling": answers.bounds,
    "Other measures": sections.measures,
    "Failures": sections.failures,
    "Abstention": answers.abstention,
    "Latency": sections.latency,
    "Generation": answers.speed,
    "Build, size and throughput": sections.costs,
    "Approximate search": approximate,
    "Pairwise comparisons": sections.pairs,
    "By kind of query": sections.kinds,
    "Queries worth reading": sections.examples,
    "Suite": sections.suite,
}
PICTURES: Mapping[str, Mapping[str, str]] = {
    "Leaderboard": {
        "leaderboard": "Quality with intervals",
        "quality-latency": "Quality against latency",
    },
    "Floor and ceiling": {"bounds": "Each system between its floor and its ceiling"},
    "Latency": {"stages": "Median latency by stage"},
    "By kind of query": {"kinds": "Quality by kind of query"},
}
"""By section the plots it shows, each with its alternative text."""


def render(record: Record, plots: Plots) -> str:
    """The report; the same record gives the same text.

    plots: by name the path of each plot relative to the report, as `plots.draw` returns them.
    """
    found = standings(record)
    several = len(found) > 1
    parts = [f"# {escape(record.name)}"]
    if record.status == "partial":
        parts.append("**This run was interrupted: what follows covers only what had finished.**")
    if several:
        parts.append("\n".join(f"- {' '.join(answer(standing))}" for standing in found))
        parts.append(across(found, record))
    else:
        parts += [paragraph for standing in found for paragraph in answer(standing)]
    parts.append(sections.pointer(record))
    for standing in found:
        parts += [f"## {place(standing)}"] if several else []
        parts += _suite(standing, plots, "###" if several else "##")
    return joined(*parts, sections.checks(record), *_appendix(record)) + "\n"


def _suite(standing: Standing, plots: Plots, mark: str) -> list[str]:
    """The sections of one suite that have something to say, under headings of one level."""
    found = []
    for title, section in SECTIONS.items():
        if body := section(standing):
            pictures = _pictures(PICTURES.get(title, {}), standing, plots)
            found.append(joined(f"{mark} {title}", body, *pictures))
    return found


def _pictures(wanted: Mapping[str, str], standing: Standing, plots: Plots) -> list[str]:
    """Those of the *wanted* plots that were drawn."""
    names = {plot_name(kind, standing.suite): text for kind, text in wanted.items()}
    return [f"![{text}]({plots[name]})" for name, text in names.items() if name in plots]


def _appendix(record: Record) -> list[str]:
    """Systems, environment and the command: what is common to all suites."""
    rows = [[escape(key), _sized(key, value)] for key, value in record.environment.items()]
    rows += [["created", escape(record.created)], ["seed", str(record.seed)]]
    return [
        "## Systems",
        *map(_system, record.systems),
        "## Environment",
        markdown(["", "measured on"], rows, "ll"),
        "## To reproduce",
        fenced(record.command) if record.command else "The command is not known.",
    ]


def _system(system: SystemInfo) -> str:
    """A system with every parameter, defaults included."""
    lines = [f"- **{escape(system.name)}**", *_part("retriever", system.retriever, system.params)]
    if system.reranker is not None:
        lines += _part("reranker", system.reranker, system.reranker_params)
        lines.append(f"  - rerank depth: {system.rerank_depth}")
    if system.generator is not None:
        lines += _part("generator", system.generator, system.generator_params)
        lines += _part("context", "", system.context) if system.context else []
    lines += [f"  - encoder {escape(name)}: {_text(of)}" for name, of in system.encoders.items()]
    return "\n".join(lines)


def _part(role: str, name: str, params: Mapping[str, Any]) -> list[str]:
    shown = ", ".join(code(f"{key} = {_value(value)}") for key, value in params.items())
    return [f"  - {role} {escape(name)}" + (f": {shown}" if shown else "")]


def _value(value: object) -> str:
    """A parameter as TOML users write it."""
    words = {None: "none", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else repr(value)


def _text(value: object) -> str:
    """Whatever JSON a description holds, on one line."""
    if isinstance(value, Mapping):
        parts = (f"{escape(str(key))} {_sized(str(key), item)}" for key, item in value.items())
        return ", ".join(parts)
    return NONE if value is None else escape(str(value))


def _sized(key: str, value: object) -> str:
    """A number of bytes in units that fit, anything else as it is."""
    return size(value) if key.endswith("_bytes") and isinstance(value, int) else _text(value)
