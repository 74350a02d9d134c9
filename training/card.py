"""The model card: what was trained on what, how, and what was measured, for those who load it."""

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encoders.digests import file_digest
from qrels.files import write_whole
from training.config import Options, as_table
from training.task import Task

FILE = "README.md"


def write_card(
    folder: Path, task: Task, options: Options, progress: Mapping[str, Any]
) -> None:  # progress: the loop's, as JSON
    """Write README.md beside a model's files."""
    lines = [
        f"# {task.name}",
        "",
        f"Trained by `{command()}`.",
        "",
        *(f"- {key}: {value}" for key, value in about(folder, task, progress).items()),
        "",
        "## Results",
        "",
        *results(task, progress),
        "",
        "## Configuration",
        "",
        "```toml",
        *(f"{key} = {toml(value)}" for key, value in as_table(options).items()),
        "```",
    ]
    write_whole(folder / FILE, "\n".join(lines) + "\n")


def command() -> str:
    """The command line, without the place where Python found the package."""
    return shlex.join(["python", "-m", "training", *sys.argv[1:]])


def about(folder: Path, task: Task, progress: Mapping[str, Any]) -> dict[str, str]:
    """What went in and what came out, with digests."""
    weights = sorted(folder.glob("**/*.safetensors"))
    return {
        **task.card,
        "data, SHA-256": task.data_digest,
        "steps": f"{progress['step']:,}, the best after {progress['best_step']:,}"
        if progress["history"]
        else f"{progress['step']:,}",
        "tokens": f"{progress['tokens']:,}",
        "seconds": f"{progress['seconds']:,.0f}",
        **{
            f"{path.relative_to(folder).as_posix()}, SHA-256": file_digest(path) for path in weights
        },
    }


def results(task: Task, progress: Mapping[str, Any]) -> list[str]:
    """A table of what was measured before training and of the best weights."""
    before, after = (progress["tests"].get(name, {}) for name in ("before", "after"))
    rows = [(name, before.get(name), value) for name, value in after.items()]
    if progress["history"]:
        first = progress["history"][0][1]
        rows.insert(0, (f"{task.measure_name}, validation", first, progress["best"]))
    if not rows:
        return ["Nothing was measured."]
    cells = [f"| {name} | {number(old)} | {number(new)} |" for name, old, new in rows]
    return ["| measure | before training | after |", "|---|---|---|", *cells]


def beside(**options: tuple[Any, Any]) -> str:
    """What has to be given when a model is loaded: options whose value is not the default.

    options: value and default of each, as its loader calls it, a dot written as two underscores.
    """
    found = {
        key.replace("__", "."): value for key, (value, usual) in options.items() if value != usual
    }
    shown = ", ".join(f"`{key} = {toml(value)}`" for key, value in found.items())
    return shown and f"; with {shown}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def toml(value: Any) -> str:  # a JSON value without null or tables
    """A value as TOML writes it, which for these types is JSON's way."""
    return json.dumps(value, ensure_ascii=False)
