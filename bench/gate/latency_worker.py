"""One side of a latency gate: a fresh process that builds a system and answers on command.

Run as a script (`python -P latency_worker.py`), so that the same worker drives any revision of
the code. Only the standard library is imported before the search path is set; from the tree come
`bench.config`, `bench.environment`, `bench.latency`, `bench.system`, `encoders` and `qrels`.

The protocol is a line of JSON each way. First comes the task (the fields of `Task`), answered by
{"texts": digest, "inside": n, "foreign": [path]}; then each line received is a round, answered by
{"latency_ns": {stage: [ns a query]}}. A failure is {"error": text}. It ends when its input ends.
"""

import gc
import hashlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:  # at run time from the tree in question
    from qrels.data import Suite

LAST = -1  # a traceback's innermost line is enough


@dataclass(frozen=True)
class Task:
    """What to build and how to ask it.

    suite, split, depth: as `load_suite` takes them. system: the fields of a `System`. queries:
    how many are sampled. here: the working directory in the tree in question; root: that tree,
    None where no revision is compared; present: the user's own tree, whose entries on the search
    path are moved to *root*. package: the folder that holds `bench` where the tree has none.
    """

    suite: str
    split: str
    depth: int
    system: dict[str, Any]  # a System's parameters are any JSON
    queries: int
    threads: int
    device: str
    here: str
    root: str | None
    present: str | None
    package: str


def main() -> int:
    """Serve until the input ends; the exit code is 1 after an error was reported."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a plug-in prints must not get among the answers
    try:
        serve(Task(**json.loads(sys.stdin.readline())), sys.stdin, answers)
    except BrokenPipeError:  # the driver has gone
        return 1
    except Exception as error:  # a tree of any age and a plug-in may raise anything
        send(answers, {"error": described(error)})
        return 1
    return 0


def serve(task: Task, commands: Iterable[str], answers: TextIO) -> None:
    """Build, warm up, say what was loaded; then one round for each line of *commands*."""
    sys.path[:] = search_path(task, sys.path)
    os.chdir(task.here)
    with ExitStack() as scope:
        answer, texts = build(task, scope)
        answer()
        gc.collect()
        gc.freeze()  # the index is no garbage; the collection before each round stays short
        send(answers, {"texts": texts, **loaded(task)})
        for _ in commands:
            rows = answer()
            stages = [one for one in rows[0] if one != "tokens" and all(one in row for row in rows)]
            send(answers, {"latency_ns": {stage: [row[stage] for row in rows] for stage in stages}})


def build(task: Task, scope: ExitStack) -> tuple[Callable[[], list[dict[str, int]]], str]:
    """What answers the sample once, timing each query by stage; and the digest of all texts."""
    from bench.environment import pinned_threads

    scope.enter_context(pinned_threads(task.threads))
    from bench.config import System
    from bench.latency import answer_all, sample_queries
    from bench.system import index, make
    from encoders.base import device_scope
    from encoders.cache import cache_policy
    from qrels.suites import load_suite

    suite = load_suite(task.suite, task.split or None)
    scope.enter_context(device_scope(task.device))
    scope.enter_context(cache_policy(queries=False))  # documents' vectors may come from it
    given = {key: value for key, value in task.system.items() if value not in (None, {})}
    built = make(System(**given), suite.corpus)  # an older tree has fewer fields
    index(built)
    sample = sample_queries(suite.queries.texts, task.queries)
    answer_all(built, sample, task.depth)
    scope.enter_context(pinned_threads(task.threads))  # for libraries imported since
    return (lambda: answer_all(built, sample, task.depth)), digest(suite)


def digest(suite: "Suite") -> str:
    """SHA-256 of the documents and queries, in hex; it does not depend on the tree's own digest."""
    found = hashlib.sha256()
    for texts in (suite.corpus.doc_ids, *suite.corpus.fields.values(), suite.queries.texts):
        found.update(json.dumps(list(texts)).encode())
    return found.hexdigest()


def search_path(task: Task, path: list[str]) -> list[str]:
    """*path* as the tree in question has it: its working directory first, the package last."""
    if task.root is None or task.present is None:
        return [task.here, *path, task.package]
    return [task.here, *(moved(entry, task.present, task.root) for entry in path), task.package]


def moved(entry: str, present: str, root: str) -> str:
    """*entry* in *root* where it lies in *present* and *root* has it too, as a virtual
    environment inside the project does not."""
    if not Path(entry).is_relative_to(present):
        return entry
    there = Path(root) / Path(entry).relative_to(present)
    return str(there) if there.is_dir() else entry


def loaded(task: Task) -> dict[str, Any]:
    """How many modules came from the tree in question, and the files that came from the other.

    This file and what is installed do not count.
    """
    if task.root is None or task.present is None:
        return {"inside": 0, "foreign": []}
    named = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    files = {Path(name).resolve() for name in named if name} - {Path(__file__).resolve()}
    files = {file for file in files if "site-packages" not in file.parts}
    inside = {file for file in files if file.is_relative_to(task.root)}
    foreign = {file for file in files - inside if file.is_relative_to(task.present)}
    return {"inside": len(inside), "foreign": sorted(map(str, foreign))}


def described(error: Exception) -> str:
    """One line: the message of our own errors, type and place of any other."""
    if any(kind.__name__ == "BenchError" for kind in type(error).__mro__):
        return str(error)
    at = traceback.extract_tb(error.__traceback__)[LAST]
    return f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno})"


def send(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
