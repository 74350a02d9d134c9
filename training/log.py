"""What training says of itself: a line of JSON a step, lines of progress, a plot at the end."""

import json
import resource
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from qrels.files import write_whole

FILE, PLOT = "log.jsonl", "loss.png"

Row = Mapping[str, Any]  # JSON values, "step" among them


class Log:
    """The file log.jsonl of a run, which goes on after *step*; later lines are left out."""

    def __init__(self, folder: Path, step: int = -1) -> None:
        self.folder = folder
        self.step = step
        self._file: IO[str] | None = None

    def __enter__(self) -> "Log":
        path = self.folder / FILE
        kept = [row for row in read_log(path) if row["step"] <= self.step]
        write_whole(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()

    def add(self, row: Row) -> None:
        """Write a line, at once."""
        assert self._file is not None
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()


def read_log(path: Path) -> list[dict[str, Any]]:  # JSON values
    """The rows of a log; a line that a killed process left unfinished is left out."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def progress_line(row: Row, total: int, seconds_left: float) -> str:
    """One line about a finished step: loss, tokens a second, time left, memory."""
    parts = "".join(f"  {name} {value:.4f}" for name, value in row["parts"].items())
    return (
        f"step {row['step']}/{total}  epoch {row['epoch'] + 1}  loss {row['loss']:.4f}{parts}  "
        f"rate {row['rate']:.2e}  {row['tokens_per_second']:,.0f} tokens/s  "
        f"{duration(seconds_left)} left  {row['memory_bytes'] / 1e6:,.0f} MB"
    )


def duration(seconds: float) -> str:
    """Seconds as 1:02:03 or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def memory_bytes(device_type: str) -> int:
    """The most memory that was held so far: of the GPU, or of this process."""
    if device_type == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def plot(folder: Path, measure: str) -> None:
    """Draw loss.png from the log: the loss of each step, and the measure where there is one."""
    from matplotlib.figure import Figure

    rows = read_log(folder / FILE)
    losses = [(row["step"], row["loss"]) for row in rows if "loss" in row]
    values = [(row["step"], row["value"]) for row in rows if "value" in row]
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel("step")
    axes.set_ylabel("loss", color="#0072B2")
    if losses:
        axes.plot(*zip(*losses, strict=True), color="#0072B2", linewidth=1)
    if values:
        right = axes.twinx()
        right.plot(*zip(*values, strict=True), color="#D55E00", marker="o")
        right.set_ylabel(measure, color="#D55E00")
    figure.savefig(folder / PLOT, dpi=120, metadata={"Software": None})
