"""The hub over HTTP: its lists, page by page, and READMEs; tries again what may pass."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

from bench.acquire.items import Kind, item_id
from bench.acquire.waiting import Limit, Patience, Stopped, told
from qrels.errors import DataError, UsageError

ENDPOINT = "https://huggingface.co"
LARGEST = 2 << 20
"""Bytes of a README that are read."""

PAGE = 1000
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
NO_README, GATED = frozenset({404, 410}), frozenset({401, 403, 451})
"""What a README that is not there, or not to be had, is answered with."""


class Unreachable(DataError):  # noqa: N818  a state of the network
    """What did not come after all tries; a later run may get it."""


class Answer(NamedTuple):
    """What the hub said; link: to the next page, or ""; told: seconds that it says to wait."""

    status: int
    data: bytes
    link: str
    told: float


@dataclass(frozen=True)
class Hub:
    """A hub at *endpoint*. One object serves several threads; a rate limit holds for them all."""

    endpoint: str = ENDPOINT
    patience: Patience = field(default_factory=Patience)
    say: Callable[[str], None] = lambda _: None
    stop: threading.Event = field(default_factory=threading.Event)
    _limited: Limit = field(default_factory=Limit)

    def listed(self, kind: Kind, limit: int, **chosen: str) -> Iterator[dict[str, Any]]:
        """The *limit* most downloaded items as the hub's JSON, each id once; fewer where it ends.

        chosen: search, author. Raises Unreachable, and DataError for an answer that is no list.
        """
        asked: Any = [("limit", min(limit, PAGE)), ("sort", "downloads"), *chosen.items()]
        asked += [("expand", name) for name in kind.expand]
        url: str | None = f"{self.endpoint}/api/{kind.name}"
        seen: set[str] = set()
        while url:
            page, link = self._page(url, asked)
            for item in page:
                name = item_id(item)
                if name and name not in seen:
                    seen.add(name)
                    yield item
                if len(seen) == limit:
                    return
            url, asked = self._next(link, url), None

    def readme(self, kind: Kind, name: str) -> str:
        """The README.md of an item, "" where there is none or it is not to be had."""
        path = f"/{kind.folder}{quote(name)}/resolve/main/README.md"
        answer = self._ask(self.endpoint + path, None, LARGEST)
        if answer.status in NO_README | GATED:
            return ""
        if answer.status != 200:
            raise Unreachable(f"{name}: the hub answered {answer.status}")
        return answer.data.decode("utf-8", "replace")

    def _page(self, url: str, asked: Any) -> tuple[Sequence[Any], str]:  # asked: httpx's params
        answer = self._ask(url, asked, None, json.loads)
        if answer.status in GATED:
            why = "HF_TOKEN may be wrong or missing"
            raise UsageError(f"{url}: the hub answered {answer.status}; {why}")
        if answer.status != 200:
            raise DataError(f"{url}: the hub answered {answer.status}")
        page = json.loads(answer.data)
        if not isinstance(page, list) or not all(isinstance(item, dict) for item in page):
            raise DataError(f"{url}: the hub's answer is no list of items")
        return page, answer.link

    def _next(self, link: str, url: str) -> str | None:
        """The address of the next page, only ever on the same host."""
        if not link:
            return None
        here = urlsplit(self.endpoint)
        following = urlsplit(urljoin(url, link))._replace(scheme=here.scheme, netloc=here.netloc)
        if (address := following.geturl()) == url:
            raise DataError(f"{url}: the hub names this page as the next one")
        return address

    def _ask(
        self,
        url: str,
        params: Any,  # httpx's
        largest: int | None,
        check: Callable[[bytes], object] = bytes,
    ) -> Answer:
        """The answer, of at most *largest* bytes; Unreachable after all tries.

        check: raises ValueError for a body that was cut off.
        """
        from httpx2 import HTTPError

        pause = self.patience.first
        for left in reversed(range(self.patience.tries)):
            self._limited.wait(self.stop)
            answer = None
            try:
                answer = self._once(url, params, largest)
                if answer.status == 200:
                    check(answer.data)
                if answer.status not in AGAIN:
                    return answer
                reason = f"the hub answered {answer.status}"
            except (HTTPError, ValueError) as error:  # ValueError: JSON that was cut off
                reason = f"{type(error).__name__}: {error}"
            if left:
                wait = max(pause, answer.told if answer else 0.0)
                self.say(f"{url}: {reason}; again in {wait:.0f} s")
                if answer and answer.status == 429:
                    self._limited.until(time.monotonic() + wait)
                elif self.stop.wait(wait):
                    raise Stopped
                pause = min(2 * pause, self.patience.longest)
        raise Unreachable(f"{url}: {reason}; tried {self.patience.tries} times")

    def _once(self, url: str, params: Any, largest: int | None) -> Answer:  # params: httpx's
        from huggingface_hub import get_session
        from huggingface_hub.errors import OfflineModeIsEnabled

        end = time.monotonic() + 4 * self.patience.timeout  # a body may come a byte at a time
        parts, size = [], 0
        try:
            with get_session().stream(
                "GET", url, params=params, headers=headers(self.endpoint),
                timeout=self.patience.timeout,
            ) as answer:  # fmt: skip
                for part in answer.iter_bytes():
                    parts.append(part)
                    size += len(part)
                    if largest is not None and size >= largest:
                        break
                    if time.monotonic() > end:
                        raise ValueError("the answer takes too long")
        except OfflineModeIsEnabled as error:
            raise UsageError("HF_HUB_OFFLINE is set; unset it to acquire") from error
        link = answer.links.get("next", {}).get("url", "")
        return Answer(answer.status_code, b"".join(parts)[:largest], link, told(answer.headers))


def headers(endpoint: str) -> dict[str, str]:
    """What every request says; HF_TOKEN goes over HTTPS, or to this machine, alone."""
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, though not so marked

    token = os.environ.get("HF_TOKEN", "").strip()
    found = urlsplit(endpoint)
    private = found.scheme == "https" or found.hostname in ("localhost", "127.0.0.1", "::1")
    return build_hf_headers(
        token=token if token and private else False, library_name="retrieval-bench"
    )


def check_endpoint(text: str) -> str:
    """The address of a hub without a slash at its end; UsageError for anything that is none."""
    found = urlsplit(text)
    if found.scheme not in ("http", "https") or not found.hostname or found.query:
        raise UsageError(f"endpoint {text!r}; expected an address such as {ENDPOINT}")
    if "@" in found.netloc:
        raise UsageError("the endpoint holds a user or a password; use HF_TOKEN")
    return text.rstrip("/")
