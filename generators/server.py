"""One request to a server that answers in JSON: tried again where that may help, its key kept back.

No redirect is followed, so that the key goes to the server named and to no other.
"""

import json
import random
import re
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPRedirectHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from qrels.errors import DataError, UsageError

AGAIN = frozenset({408, 425, 429})
"""What passes, beside all from 500."""

REFUSED = frozenset({401, 403})
LONGEST_PAUSE, LONGEST_TOLD = 60.0, 300.0
"""Seconds: the most that back-off grows to, and that a Retry-After is obeyed for."""

LARGEST = 32 << 20
"""Bytes of an answer that are read."""

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
KEY = re.compile(r"[!#-&(-\[\]-~]+")


class Stopped(Exception):  # noqa: N818  no error: another request failed
    """Raised in place of trying again once the stop is set."""


@dataclass(frozen=True)
class Server:
    """Where to ask, and how patiently.

    timeout: seconds for an answer; tries: how often to ask; pause: seconds before the second
    try, doubled for each after it, less up to a half at random.
    """

    url: str
    key: str | None = field(repr=False)
    key_variable: str
    timeout: float
    tries: int
    pause: float
    opener: OpenerDirector = field(repr=False)

    def ask(self, body: bytes, rng: random.Random, stop: threading.Event) -> Any:  # a JSON value
        """What the server answers to *body*, whole JSON.

        Tries again after 408, 425, 429, 5xx, a time-out, a connection lost and a body that is no
        JSON. Raises DataError in the end, and at once for every other status.
        """
        reason = ""
        for past in range(self.tries):
            told = 0.0
            try:
                status, data, headers = self._once(body)
                if status == 200:
                    return json.loads(data)
                self._check_status(status, data)
                reason, told = f"the server answered {status}{self._said(data)}", wished(headers)
            except (ValueError, RecursionError):
                reason = "the answer is no JSON, or was cut off"
            except (OSError, HTTPException) as error:
                reason = self._lost(error)
            if told > LONGEST_TOLD:
                raise self.error(f"{reason}; it asks to wait {told:.0f} s")
            if past + 1 < self.tries and stop.wait(told + backoff(self.pause, past, rng)):
                raise Stopped
        raise self.error(f"{reason}; tried {self.tries} times")

    def error(self, reason: str) -> DataError:
        """The error of one line, without the key."""
        return DataError(f"{self.url}: {self.cleaned(reason, 400)}")

    def cleaned(self, text: str, length: int) -> str:
        """*text* on one line of at most *length* characters, without the key."""
        text = text.replace(self.key, "***") if self.key else text
        text = "".join(c if c.isprintable() else " " for c in text)
        text = " ".join(text.split())
        return text if len(text) <= length else text[: length - 3] + "..."

    def _once(self, body: bytes) -> "tuple[int, bytes, Message[str, str]]":
        end = time.monotonic() + self.timeout  # a body may come a byte at a time
        headers = {"Content-Type": "application/json", "User-Agent": "retrieval-bench"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = Request(self.url, body, headers)  # noqa: S310  the scheme was checked
        try:
            with self.opener.open(request, timeout=self.timeout) as answer:
                return answer.status, _read(answer, end), answer.headers
        except HTTPError as error:
            with error:
                return error.code, _read(error, end), error.headers

    def _check_status(self, status: int, data: bytes) -> None:
        """DataError where asking again is of no use."""
        if status in REFUSED:  # the server's own words may hold a part of the key
            fault = "was refused" if self.key else "is not set"
            raise self.error(f"the server answered {status}; {self.key_variable} {fault}")
        if status not in AGAIN and status < 500:
            raise self.error(f"the server answered {status}{self._said(data)}")

    def _said(self, data: bytes) -> str:
        """What the server says of its error, for the end of a sentence."""
        text = data.decode("utf-8", "replace")
        with suppress(ValueError, RecursionError, KeyError, TypeError, IndexError):
            text = json.loads(text)["error"]["message"]
        said = self.cleaned(str(text), 200)
        return f": {said}" if said else ""

    def _lost(self, error: OSError | HTTPException) -> str:
        """What happened to a connection; DataError where the server is not whom it says it is."""
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            raise self.error(f"its certificate is not trusted: {cause.verify_message}") from None
        if isinstance(cause, TimeoutError):
            return f"no answer within {self.timeout:g} s"
        return cause if isinstance(cause, str) else f"{type(cause).__name__}: {cause}"


def opener_for(url: str) -> OpenerDirector:
    """Opens addresses by the environment's proxy, a loopback one directly."""
    direct = [ProxyHandler({})] if urlsplit(url).hostname in LOOPBACK else []
    return build_opener(_Stay, *direct)


def check_url(url: object) -> str:
    """*url* without a slash at its end; UsageError where it is no plain http address.

    User, password, query and fragment are refused and not shown: they may be secret.
    """
    try:
        parts = urlsplit(url if isinstance(url, str) and url.isprintable() else "")
        plain = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:  # a port that is none
        plain = False
    if not plain or " " in parts.netloc + parts.path:
        raise UsageError("base_url is no address; expected one like http://localhost:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"base_url on {parts.hostname} has a user, a query or a fragment; expected "
            "http://HOST/PATH, and a key in the environment"
        )
    return parts.geturl().rstrip("/")


def checked_key(key: str, variable: str) -> str | None:
    """A key without white space around it, None for an empty one; UsageError never shows it."""
    key = key.strip()
    if key and not KEY.fullmatch(key):
        raise UsageError(f"{variable} holds no key: white space, quotes or letters beyond ASCII")
    return key or None


def backoff(pause: float, past: int, rng: random.Random) -> float:
    """Seconds to wait after *past* + 1 tries: half of it certain, half at random."""
    return min(LONGEST_PAUSE, pause * 2.0 ** min(past, 60)) * (1 + rng.random()) / 2


def wished(headers: "Message[str, str]", now: datetime | None = None) -> float:
    """The seconds that Retry-After asks for, as a number or a date; 0 where it does not."""
    text = (headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - (now or datetime.now(UTC))).total_seconds())


def _read(answer: Any, end: float) -> bytes:  # an HTTPResponse, or an HTTPError around one
    """The body; TimeoutError where it is not there by *end*, OSError where it is too large."""
    parts, size = [], 0
    while part := answer.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise OSError(f"the answer has more than {LARGEST >> 20} MiB")
        if time.monotonic() > end:
            raise TimeoutError
    return b"".join(parts)


class _Stay(HTTPRedirectHandler):
    """Makes an error of a redirect."""

    def redirect_request(self, *_: Any, **__: Any) -> None:  # Any: six of urllib's own
        return None
