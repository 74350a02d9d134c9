"""How long to wait for a hub, and before it is asked again."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST = 3600.0
"""Seconds that are waited at most, whatever the hub says."""


class Stopped(Exception):  # noqa: N818  no error: the user wants it so
    """Raised in a worker that is to stop."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for an answer, how often to ask, and for how long in between, in seconds.

    The pause doubles from *first* to *longest*; what the hub says counts where it is more.
    """

    timeout: float = 30.0
    tries: int = 8
    first: float = 1.0
    longest: float = 60.0


@dataclass
class Limit:
    """Until when nobody is to ask, as time.monotonic() has it."""

    end: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def until(self, end: float) -> None:
        with self.lock:
            self.end = max(self.end, end)

    def wait(self, stop: threading.Event) -> None:
        while (left := self.end - time.monotonic()) > 0:
            if stop.wait(left):
                raise Stopped
        if stop.is_set():
            raise Stopped


def told(headers: Mapping[str, str]) -> float:
    """The seconds that the hub's headers say to wait, an hour at most; 0 where they say nothing.

    RateLimit, when nothing is left of it, goes before Retry-After.
    """
    from huggingface_hub.utils import parse_ratelimit_headers  # type: ignore[attr-defined]  # public, though not so marked

    limit = parse_ratelimit_headers(headers)
    if limit is not None and not limit.remaining:
        return min(limit.reset_in_seconds + 1.0, LONGEST)
    after = headers.get("retry-after", "")
    return min(float(after), LONGEST) if after.isascii() and after.isdigit() else 0.0
