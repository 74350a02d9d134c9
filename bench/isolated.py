"""A cell's rankings made in a process of its own: for plug-ins, and where time is limited."""

from multiprocessing.connection import Connection

from bench.child import Answer, Deadline, ask_child, prepare, send
from bench.config import System
from bench.shared import Shared
from encoders.base import device_scope
from qrels.data import Run, Suite
from qrels.errors import BenchError


def stages_apart(
    shared: Shared, system: System, device: str, deadline: Deadline | None
) -> tuple[Run, Run]:
    """As shared.stages(system), in a spawned process that is killed at *deadline*.

    Raises PluginError for whatever goes wrong there, the death of the process included.
    """

    def work(first: Run | None) -> tuple[Run, Run]:
        message = (shared.suite, system, device, first)
        found: tuple[Run, Run] = ask_child(system.name, _child, (), message, deadline)
        return found

    return shared.stages(system, work)


def _child(pipe: Connection) -> None:
    """Entry of the process: receive the work, send the rankings or why there are none."""
    prepare()
    send(pipe, _answer(*pipe.recv()))


def _answer(suite: Suite, system: System, device: str, first: Run | None) -> Answer:
    shared = Shared(suite, [system])
    try:
        with device_scope(device):
            if first is not None:
                shared.give(system, first)
            return None, shared.stages(system)
    except BenchError as error:
        return str(error), None
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        return f"{type(error).__name__}: {error}", None
