"""Finished cells of a run that is not finished: the next run of the same experiment takes them.

    CACHE/journal-1/KEY/        KEY: everything that the cells depend on
        lock                    held by the run that writes here
        NAME.cell               retrieval-bench journal 1 SHA256-OF-ALL-THAT-FOLLOWS
                                {"cell": ..., "shape": ..., "answers": ...}
                                docs, int32, then scores, float32

An entry appears whole by os.replace and is taken only where its checksum holds. Failed cells are
not kept: the next run tries them again. A run that completes removes its journal.
"""

import hashlib
import inspect
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.about import suite_info, system_info
from bench.config import System
from bench.environment import environment
from bench.locks import locked
from bench.parts import parts
from bench.plan import Plan
from bench.plugins import code_digest, foreign_code, is_plugin
from encoders.cache import cache_folder
from encoders.digests import folder_digest
from qrels.content import sha256
from qrels.data import Run, Suite
from reports.record import Cell
from reports.serial import RecordError, build, dumps
from retrievers.registry import parse_spec

FORMAT = 1
MAGIC = f"retrieval-bench journal {FORMAT} ".encode()
SUFFIX = ".cell"
LOCK = "lock"


class Finished(NamedTuple):
    """A cell, its rankings, and of a system that answers the text of its answers' file."""

    cell: Cell
    run: Run
    answers: str | None = None


@dataclass(frozen=True)
class Journal:
    """The finished cells of one experiment; folder is None where none are kept."""

    folder: Path | None = None

    def take(self, suite: Suite, system: System) -> Finished | None:
        """The finished cell with its rankings, None where there is no whole entry."""
        if self.folder is None:
            return None
        try:
            return read_entry(self._path(self.folder, suite, system))
        except (OSError, RecordError, ValueError, KeyError, TypeError):
            return None

    def finished(self, plan: Plan) -> dict[tuple[str, str, str], Finished]:
        """All that it has of *plan*, by suite, split and system."""
        return {
            (suite.name, suite.split, system.name): found
            for suite, systems in plan
            for system in systems
            if (found := self.take(suite, system)) is not None
        }

    def add(
        self, suite: Suite, system: System, cell: Cell, run: Run, answers: str | None = None
    ) -> None:
        """Keep a finished cell. Raises OSError where it cannot be written."""
        if self.folder is not None:
            path = self._path(self.folder, suite, system)
            write_entry(path, cell, run, answers)

    def remove(self) -> None:
        """Forget it all, once the result is where it belongs."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _path(folder: Path, suite: Suite, system: System) -> Path:
        return folder / f"{_key([suite.name, suite.split, system.name])}{SUFFIX}"


NO_JOURNAL = Journal()


@contextmanager
def journal(
    key: str, fresh: bool = False, say: Callable[[str], None] = lambda _: None
) -> Iterator[Journal]:
    """The journal of the experiment with that *key*, this run's alone until the block ends.

    fresh: what it holds is forgotten first. A journal that another run has, or that cannot be
    written, is done without; *say* gets a line about that.
    """
    folder = cache_folder() / f"journal-{FORMAT}" / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        say(f"note: nothing to resume from is kept; {folder} cannot be made ({error.strerror})")
        yield NO_JOURNAL
        return
    with locked(folder / LOCK) as mine:
        if not mine:
            say("note: nothing to resume from is kept; the same experiment is being run elsewhere")
            yield NO_JOURNAL
            return
        for path in folder.iterdir():  # drafts of runs that were killed; with *fresh*, all
            if path.name != LOCK and (fresh or path.suffix != SUFFIX):
                path.unlink(missing_ok=True)
        yield Journal(folder)


def experiment_key(plan: Plan, seed: int, options: Mapping[str, Any]) -> str:
    """What the cells of *plan* depend on, as a name: data, systems, options, code, versions.

    options: JSON-ready, those that change a cell.
    """
    about = environment()
    suites = [
        {
            "suite": vars(replace(suite_info(suite, False), query_ids=(), kinds=())),
            "systems": [_system(system) for system in systems],
        }
        for suite, systems in plan
    ]
    machine = [about[name] for name in ("python", "platform", "processor", "cores", "packages")]
    foreign = any(is_plugin(system) for _, systems in plan for system in systems)
    code = [code_digest(), *(foreign_code() if foreign else ())]
    return _key([FORMAT, suites, seed, options, code, machine])


def _system(system: System) -> list[Any]:
    """The system with what its record says, the code of plug-ins, files and models it names."""
    code = [
        _code(part.spec, part.registry.load(parse_spec(part.spec)[0])) for part in parts(system)
    ]
    values = [value for part in parts(system) for value in part.params.values()]
    files = {value: found for value in values if (found := _content(value)) is not None}
    return [vars(system_info(system)), code, files]


def _code(spec: str, found: type[Any]) -> str:
    """The digest of the file that a class is in, its own name where it has none."""
    try:
        return sha256(Path(inspect.getfile(found)))
    except (OSError, TypeError):
        return spec


def write_entry(path: Path, cell: Cell, run: Run, answers: str | None = None) -> None:
    """Write one entry, whole or not at all."""
    rest = json.dumps({"shape": run.docs.shape, "answers": answers})
    about = f'{{"cell": {dumps(cell)}, {rest[1:]}\n'
    body = b"".join(
        (
            about.encode("utf-8", "surrogatepass"),
            np.ascontiguousarray(run.docs, "<i4").tobytes(),
            np.ascontiguousarray(run.scores, "<f4").tobytes(),
        )
    )
    draft = path.with_name(f"{uuid.uuid4().hex}.draft")
    try:
        draft.write_bytes(MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
        os.replace(draft, path)  # noqa: PTH105  this name says that it replaces
    finally:
        draft.unlink(missing_ok=True)


def read_entry(path: Path) -> Finished:
    """The cell with its rankings; ValueError or RecordError where the entry is not whole."""
    first, _, body = path.read_bytes().partition(b"\n")
    if first != MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise ValueError(f"{path}: not a whole entry")
    line, _, arrays = body.partition(b"\n")
    about = json.loads(line.decode("utf-8", "surrogatepass"))
    docs, scores = np.frombuffer(arrays, "<i4").reshape(2, *about["shape"])
    run = Run(docs.astype(np.int32), scores.view("<f4").astype(np.float32))
    return Finished(build(Cell, about["cell"], "cell"), run, about["answers"])


def _key(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _content(value: object) -> str | None:
    """The digest of the file, or of the model's folder, that a parameter names."""
    try:
        path = Path(value) if isinstance(value, str) and value else None
        if path is not None and path.is_dir():
            return folder_digest(path)
        return sha256(path) if path is not None and path.is_file() else None
    except (OSError, ValueError):
        return None
