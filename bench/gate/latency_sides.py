"""Worker processes of a latency gate: started together, asked in turn, always ended."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.gate.latency_worker import Task
from qrels.errors import PluginError

SCRIPT = Path(__file__).with_name("latency_worker.py")
PATIENCE = 10
"""Seconds that a worker gets to end after its input has."""


class Worker:
    """One worker process; *name* is what messages call it."""

    def __init__(self, name: str, task: Task) -> None:
        self.name = name
        self.task = task

    def __enter__(self) -> "Worker":
        """Start it and give it its task, without waiting for the answer."""
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(  # noqa: S603  our own script, no shell
            [sys.executable, "-P", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            encoding="utf-8",
        )
        self.send(json.dumps(asdict(self.task)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it: nicely after a good run, else at once."""
        if error is not None:
            self.process.kill()
        try:
            self.process.communicate(timeout=PATIENCE)
        except (subprocess.TimeoutExpired, OSError, ValueError):
            self.process.kill()
            self.process.wait()
        self.errors.close()

    def send(self, line: str) -> None:
        """A line to the worker; where it has died `receive` says so."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            pass

    def receive(self) -> dict[str, Any]:  # JSON
        """The next answer; PluginError where it is an error or the worker died."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": self.last_words()}
        if "error" in answer:
            raise PluginError(f"{self.name}: {answer['error']}")
        found: dict[str, Any] = answer
        return found

    def last_words(self) -> str:
        """How it died, with the last line that it wrote to stderr."""
        code = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().strip().splitlines()
        return f"the measuring process died with exit code {code}" + (
            f": {lines[-1]}" if lines else ""
        )

    def round(self) -> dict[str, list[int]]:
        """Nanoseconds of each sampled query by stage, asked now."""
        self.send("")
        found: dict[str, list[int]] = self.receive()["latency_ns"]
        return found


@contextmanager
def started(
    tasks: Sequence[tuple[str, Task]], together: bool = True
) -> Iterator[list[tuple[Worker, dict[str, Any]]]]:
    """Workers that have built and warmed up, each with its first answer.

    together: they build at the same time; else one after the other, so that the first fills
    caches for the others.
    """
    with ExitStack() as stack:
        if together:
            workers = [stack.enter_context(Worker(*task)) for task in tasks]
            yield [(worker, worker.receive()) for worker in workers]
        else:
            ready = []
            for task in tasks:
                worker = stack.enter_context(Worker(*task))
                ready.append((worker, worker.receive()))
            yield ready
