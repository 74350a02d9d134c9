"""Answers by any server with an OpenAI-compatible chat endpoint."""

import hashlib
import json
import os
import random
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from typing import Any

from generators.base import Answer, Passage
from generators.kept import Kept, Reply, kept_answers
from generators.prompts import (
    CHAT,
    SYSTEM,
    abstains,
    cited,
    clean,
    messages,
    template_text,
    without_citations,
)
from generators.server import Server, Stopped, check_url, checked_key, opener_for
from qrels.errors import DataError, UsageError

VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
OURS = frozenset({"messages", "model", "stream"})
"""Keys of a request that *extra* must leave alone."""

TYPES: Mapping[str, Any] = {  # types and unions of types, which have no common type
    "model": str,
    "template": str,
    "system": str,
    "temperature": int | float | None,
    "seed": int | None,
    "max_tokens": int | None,
    "extra": dict | None,
    "timeout": int | float,
    "tries": int,
    "pause": int | float,
    "concurrency": int,
}


class Chat:
    """A model behind BASE_URL/chat/completions, asked to answer from numbered passages.

    base_url: as in http://localhost:8000/v1; nothing is sent anywhere else. key_variable: the
    environment variable that holds the key, which goes to that server and nowhere else; where it
    is not set, none is sent. template: a name of `generators.prompts.TEMPLATES` or a text with
    {context} and {question}; system: the turn before it, "" for none. temperature, seed,
    max_tokens: None leaves one out of the request; extra: more of it, for servers that want
    another name. stop: strings that end an answer. timeout: seconds an answer may take; tries,
    pause: how often to ask, and the seconds before the second time, doubled after each.
    concurrency: requests under way at once.

    Answers are kept in the cache by all that is sent but the key; a server that changes its
    model behind a name goes unnoticed. What it thinks aloud in <think> is left out.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        key_variable: str = "OPENAI_API_KEY",
        template: str = CHAT,
        system: str = SYSTEM,
        temperature: float | None = 0.0,
        seed: int | None = 0,
        max_tokens: int | None = 256,
        stop: Sequence[str] = (),
        extra: Mapping[str, Any] | None = None,
        timeout: float = 120.0,
        tries: int = 5,
        pause: float = 1.0,
        concurrency: int = 4,
    ) -> None:
        self.base_url = base_url
        self.model = model
        self.key_variable = key_variable
        self.template = template
        self.system = system
        self.temperature = temperature
        self.seed = seed
        self.max_tokens = max_tokens
        self.stop = stop
        self.extra = extra
        self.timeout = timeout
        self.tries = tries
        self.pause = pause
        self.concurrency = concurrency

    def generate(
        self, questions: Sequence[str], contexts: Sequence[Sequence[Passage]]
    ) -> list[Answer]:
        """An answer a question, one request for those that are asked the same.

        Raises DataError where the server does not answer after all tries, or not as it should;
        the answers that came before are kept. UsageError for a parameter out of range.
        """
        self.check()
        server = self._server()
        asked = [
            messages(question, passages, self.template, self.system)
            for question, passages in zip(questions, contexts, strict=True)
        ]
        bodies = [self._body(turns) for turns in asked]
        replies = self._replies(server, bodies)
        return [
            self._answer(turns, replies[body], passages)
            for turns, body, passages in zip(asked, bodies, contexts, strict=True)
        ]

    def describe(self) -> dict[str, Any]:
        """The parameters, never the key, for the record."""
        self.check()
        return {**vars(self), "digest": self.digest}

    @property
    def digest(self) -> str:
        """What decides the answers, as far as it can be told from here: address and request."""
        self.check()
        return self._request(self._body([{"role": "user", "content": self._text}]))

    @property
    def _text(self) -> str:
        return f"{self.system}\n\n{template_text(self.template)}"

    def _server(self) -> Server:
        url = f"{check_url(self.base_url)}/chat/completions"
        key = checked_key(os.environ.get(self.key_variable, ""), self.key_variable)
        return Server(
            url, key, self.key_variable, self.timeout, self.tries, self.pause, opener_for(url)
        )

    def _body(self, turns: Sequence[Mapping[str, str]]) -> bytes:
        """The request, the same bytes for the same request."""
        values = {
            "model": self.model,
            "messages": list(turns),
            "temperature": self.temperature,
            "seed": self.seed,
            "max_tokens": self.max_tokens,
            "stop": list(self.stop) or None,
            **(self.extra or {}),
        }
        given = {key: value for key, value in values.items() if value is not None}
        return json.dumps(given, sort_keys=True).encode()

    def _request(self, body: bytes) -> str:
        """The SHA-256 of address and body."""
        return hashlib.sha256(check_url(self.base_url).encode() + b"\n" + body).hexdigest()

    def _replies(self, server: Server, bodies: Sequence[bytes]) -> dict[bytes, Reply]:
        """The reply to each body, from the cache or the server."""
        kept, stop = kept_answers(), threading.Event()
        known = {body: kept.read(self._request(body)) for body in dict.fromkeys(bodies)}
        found = {body: reply for body, reply in known.items() if reply is not None}
        with ThreadPoolExecutor(self.concurrency) as pool:
            asking = {
                pool.submit(self._ask, server, body, kept, stop): body
                for body in known
                if body not in found
            }
            try:
                for done in as_completed(asking):
                    with suppress(Stopped):  # the failure that stopped it is yet to come
                        found[asking[done]] = done.result()
            except BaseException:  # the user's interruption too
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return found

    def _ask(self, server: Server, body: bytes, kept: Kept, stop: threading.Event) -> Reply:
        """The server's reply, kept; runs in a thread of its own."""
        if stop.is_set():
            raise Stopped
        request = self._request(body)
        jitter = random.Random(f"{self.seed} {request}")  # noqa: S311  no secret
        try:
            reply = reply_in(server.ask(body, jitter, stop), server)
        except DataError:
            stop.set()
            raise
        kept.write(request, reply)
        return reply

    def _answer(
        self, turns: Sequence[Mapping[str, str]], reply: Reply, passages: Sequence[Passage]
    ) -> Answer:
        text = clean(
            THOUGHT.sub("", reply.text),
            turns[-1]["content"],
            template_text(self.template),
            self.stop,
        )
        citations = cited(text, passages)
        text = without_citations(text, passages)
        abstained = abstains(text)
        return Answer(
            text="" if abstained else text,
            citations=() if abstained else citations,
            abstained=abstained,
            prompt="\n\n".join(turn["content"] for turn in turns),
            prompt_tokens=reply.prompt_tokens,
            tokens=reply.tokens,
        )

    def check(self) -> None:
        """UsageError for a parameter out of range, before anything is sent; no secret is shown."""
        check_url(self.base_url)
        if not VARIABLE.fullmatch(str(self.key_variable)):  # perhaps the key itself: not shown
            raise UsageError(
                "key_variable is no name of an environment variable; expected one like "
                "OPENAI_API_KEY, with the key in the environment"
            )
        for name, kinds in TYPES.items():
            if not isinstance(value := getattr(self, name), kinds):
                expected = getattr(kinds, "__name__", kinds)
                raise UsageError(f"{name} is {value!r}; expected {expected}")
        for name in ("tries", "concurrency"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected at least 1")
        if self.timeout <= 0 or self.pause < 0:
            raise UsageError(
                f"timeout is {self.timeout!r}, pause {self.pause!r}; expected seconds, above 0 and "
                "from 0"
            )
        if isinstance(self.stop, str) or not all(self.stop):
            raise UsageError(f"stop is {self.stop!r}; expected a list of strings, none empty")
        if taken := OURS & set(self.extra or ()):
            raise UsageError(f"extra holds {min(taken)!r}, which has a parameter or is not for it")


def reply_in(found: Any, server: Server) -> Reply:  # found: any JSON value
    """The first choice of a chat completion; DataError where it is none."""
    try:
        content = found["choices"][0]["message"].get("content")
        usage = found.get("usage") or {}
        counts = [usage.get(key) for key in ("prompt_tokens", "completion_tokens")]
    except (KeyError, IndexError, TypeError, AttributeError):
        raise server.error(_no_completion(found, server)) from None
    if not isinstance(content, str | None):  # None: it refused
        raise server.error(_no_completion(found, server))
    text = (content or "").encode("utf-8", "replace").decode()  # no half surrogate pairs
    prompt_tokens, tokens = (count if isinstance(count, int) else 0 for count in counts)
    return Reply(text, prompt_tokens, tokens)


def _no_completion(found: object, server: Server) -> str:
    return f"the answer is no chat completion: {server.cleaned(repr(found), 100)}"
