"""Work in a process of its own, which may fail, hang or die without taking this one along."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from qrels.errors import PluginError

PATIENCE = 10
"""Seconds that a child gets to end after its answer."""

GRACE = 2
"""Seconds that a child gets to end when it is told to."""

_PDEATHSIG = 1  # of Linux's prctl(2): the signal that a process gets when its parent dies

Answer = tuple[str | None, Any]
"""Why the work failed, or None and what it gave: whatever can be pickled."""


class Deadline(NamedTuple):
    """When work must be done: *seconds* after its start, *at* on time.monotonic's clock."""

    seconds: float
    at: float

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        return cls(seconds, time.monotonic() + seconds)

    @property
    def left(self) -> float:
        return max(0.0, self.at - time.monotonic())


def ask_child(
    name: str,
    entry: Callable[..., None],
    arguments: tuple[Any, ...],  # what *entry* gets behind the pipe when the child starts
    message: object,
    deadline: Deadline | None = None,
) -> Any:  # whatever the entry sends
    """What *entry*, run in a spawned process, answers to *message*, both sent through a pipe.

    entry(pipe, *arguments) calls `prepare`, receives the message and sends an `Answer`. Raises
    PluginError with the child's reason, with how it died, or where *deadline* passes; the child
    and the processes that it started are gone when this returns.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=entry, args=(theirs, *arguments), daemon=False)
    child.start()
    theirs.close()
    patience = PATIENCE
    try:
        ours.send(message)
        if deadline is not None and not ours.poll(deadline.left):
            raise PluginError(f"{name}: not finished after {deadline.seconds:g} s, so stopped")
        failure, answer = ours.recv()
    except (EOFError, OSError):
        child.join(PATIENCE)
        raise PluginError(f"{name}: its process {_end(child)}") from None
    except BaseException:
        patience = GRACE
        child.terminate()
        raise
    finally:
        ours.close()
        child.join(patience)
        _kill(child)
    if failure is not None:
        raise PluginError(failure)
    return answer


def prepare() -> None:
    """What every child does first: signals, output and fate apart from its parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that temporary folders go
    with contextlib.suppress(OSError, AttributeError):
        os.setsid()  # a group, so that what a plug-in starts can be ended with it
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")  # goes before its parent
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid != os.getppid():  # it died before prctl
        os._exit(1)
    os.dup2(2, 1)  # what a plug-in prints is no part of the command's output


def send(pipe: Connection, answer: Answer) -> None:
    """Send the answer, to a parent that may no longer be listening."""
    with contextlib.suppress(OSError):
        pipe.send(answer)


def _end(child: BaseProcess) -> str:
    """How a dead child died, in words."""
    code = child.exitcode
    if code is None:
        return "closed its connection"
    if code >= 0:
        return f"died with exit code {code}"
    return f"was killed by {signal.Signals(-code).name}"


def _kill(child: BaseProcess) -> None:
    """End the child, and what it started and left running."""
    assert child.pid is not None  # it was started
    with contextlib.suppress(OSError, AttributeError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.is_alive():  # before it made a group
        child.kill()
    child.join()
