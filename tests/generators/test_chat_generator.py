"""A chat endpoint asked over HTTP, against a server on loopback that this test starts."""

import json
import pickle
import random
import ssl
import threading
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from email.message import Message
from http.client import BadStatusLine
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError

import pytest

import generators
from encoders.cache import cache_folder, cache_policy
from generators.base import Answer, Generator, Passage
from generators.chat import Chat
from generators.kept import FORMAT, read_entry
from generators.server import Server, backoff, opener_for, wished
from qrels.errors import DataError, UsageError

KEY = "sk-very-secret-0123456789"
PASSAGES = [Passage("a", "Oslo is in Norway.", "Oslo"), Passage("b", "Rain falls.")]


def said(text, **usage):
    """A chat completion that says *text*."""
    message = {"role": "assistant", "content": text}
    return 200, json.dumps({"choices": [{"index": 0, "message": message}], "usage": usage}), {}


def fault(status, message="no", **headers):
    return status, json.dumps({"error": {"message": message}}), headers


OK = said("Norway [1]", prompt_tokens=40, completion_tokens=3)
HANG, DRIP, RESET, CUT = "hang", "drip", "reset", "cut"


class Handler(BaseHTTPRequestHandler):
    """Notes each request and plays the next step of the script, the last one over and over."""

    def do_POST(self):
        play = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with play.lock:
            play.asked.append((self.path, dict(self.headers), json.loads(body)))
            step = play.script.pop(0) if len(play.script) > 1 else play.script[0]
            play.active += 1
            play.most = max(play.most, play.active)
        try:
            if play.barrier is not None:
                play.barrier.wait(timeout=30)
        finally:
            with play.lock:  # before the answer, after which the next request may come
                play.active -= 1
        self.play(step(json.loads(body)) if callable(step) else step)

    def play(self, step):
        if step == HANG:
            self.server.release.wait(30)
            self.close_connection = True
        elif step == DRIP:
            self.start(200, {"Content-Length": "9999"})
            with suppress(OSError):
                while not self.server.release.wait(0.01):
                    self.wfile.write(b" ")
        elif step == RESET:
            self.close_connection = True
        elif step == CUT:
            self.start(200, {"Content-Length": str(len(OK[1]))})
            self.wfile.write(OK[1][:40].encode())
        else:
            status, text, headers = step
            self.start(status, {**headers, "Content-Length": str(len(text.encode()))})
            self.wfile.write(text.encode())

    def start(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_):
        """Nothing on the terminal."""


class Play(ThreadingHTTPServer):
    """A server with a script, and what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock, self.release = threading.Lock(), threading.Event()
        self.script, self.asked, self.barrier = [OK], [], None
        self.active = self.most = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_):
        """A client that went away is no news."""


@pytest.fixture
def play(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # never used for loopback
    server = Play()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def chat(play, **params):
    return Chat(**{"base_url": play.url, "model": "m", "pause": 0.001, **params})


def ask(play, question="Where is Oslo?", **params):
    (answer,) = chat(play, **params).generate([question], [PASSAGES])
    return answer


def test_an_answer_is_asked_for_as_the_protocol_has_it(play):
    """Path, key, model, turns and settings go out; answer, citations and tokens come back."""
    answer = ask(play, stop=["\n\n"], extra={"top_k": 1})
    ((path, headers, body),) = play.asked
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    turns = body.pop("messages")
    assert body == {
        "model": "m", "temperature": 0.0, "seed": 0, "max_tokens": 256, "stop": ["\n\n"],
        "top_k": 1,
    }  # fmt: skip
    assert [turn["role"] for turn in turns] == ["system", "user"]
    assert "[1] Oslo\nOslo is in Norway.\n\n[2] Rain falls." in turns[1]["content"]
    assert turns[1]["content"].endswith("Where is Oslo?")
    prompt = "\n\n".join(turn["content"] for turn in turns)
    assert answer == Answer("Norway", ("a",), prompt=prompt, prompt_tokens=40, tokens=3)


def test_what_is_none_or_empty_is_left_out_of_the_request(play, monkeypatch):
    """No key in the environment, no header; no system line, no turn; no seed, no field."""
    monkeypatch.delenv("OPENAI_API_KEY")
    ask(play, system="", temperature=None, seed=None, max_tokens=None, template="plain")
    ((_, headers, body),) = play.asked
    assert "Authorization" not in headers
    assert body.keys() == {"model", "messages"}
    assert [turn["role"] for turn in body["messages"]] == ["user"]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (said("Norway [2][1]."), ("Norway.", ("b", "a"), False)),
        (said(" I don't know. "), ("", (), True)),
        (said(None), ("", (), True)),
        (said(""), ("", (), True)),
        (said("<think>Is it [2]?\nNo.</think>\nNorway [1]"), ("Norway", ("a",), False)),
        (said("Norway ###and more"), ("Norway", (), False)),
        (said("Norway [7]"), ("Norway [7]", (), False)),
        (said("Nor\ud83dway"), ("Nor?way", (), False)),
        ((200, '{"choices": [{"message": {"content": "x"}}]}', {}), ("x", (), False)),
        ((200, '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": null}}',
          {}), ("x", (), False)),
    ],
    ids=["cites", "abstains", "refuses", "empty", "thinks", "stops", "strange-number",
         "half-surrogate", "no-usage", "null-usage"],
)  # fmt: skip
def test_replies_become_answers(play, reply, answer):
    """Citations are taken out of the text, thoughts and what follows a stop are dropped."""
    play.script = [reply]
    found = ask(play, stop=["###"])
    assert (found.text, found.citations, found.abstained) == answer


@pytest.mark.parametrize(
    ("steps", "requests"),
    [
        ([fault(429, Retry_After="0"), OK], 2),
        ([fault(500), fault(502), fault(503), fault(529), OK], 5),
        ([fault(408), OK], 2),
        ([RESET, OK], 2),
        ([CUT, OK], 2),
        ([(200, "<html>busy</html>", {}), OK], 2),
        ([(200, "[" * 100_000, {}), OK], 2),
        ([HANG, OK], 2),
        ([DRIP, OK], 2),
    ],
    ids=["429", "5xx", "408", "reset", "cut", "no-json", "too-deep", "hang", "drip"],
)
def test_what_may_pass_is_asked_again(play, steps, requests):
    """Rate limits, faults of the server, lost connections, cut bodies and time-outs."""
    play.script = steps
    assert ask(play, timeout=0.3 if steps[0] in (HANG, DRIP) else 30.0).text == "Norway"
    assert len(play.asked) == requests


@pytest.mark.parametrize(
    ("step", "requests", "message"),
    [
        (fault(500, "broken\n disk"), 3, "the server answered 500: broken disk; tried 3 times"),
        ((503, "", {}), 3, "the server answered 503; tried 3 times"),
        (HANG, 3, "no answer within 0.2 s; tried 3 times"),
        (DRIP, 3, "no answer within 0.2 s; tried 3 times"),
        (CUT, 3, "the answer is no JSON, or was cut off; tried 3 times"),
        (fault(429, "slow", Retry_After="7200"), 1,
         "the server answered 429: slow; it asks to wait 7200 s"),
        (fault(400, "max_tokens is unknown"), 1, "the server answered 400: max_tokens is unknown"),
        (fault(404, "no model 'm'"), 1, "the server answered 404: no model 'm'"),
        (fault(401, f"wrong key {KEY[:12]}"), 1,
         "the server answered 401; OPENAI_API_KEY was refused"),
        (fault(403), 1, "the server answered 403; OPENAI_API_KEY was refused"),
        ((302, "", {"Location": "http://127.0.0.1:9/"}), 1, "the server answered 302"),
        ((204, "", {}), 1, "the server answered 204"),
        ((200, "[]", {}), 1, "the answer is no chat completion: []"),
        ((200, '{"choices": []}', {}), 1, "the answer is no chat completion: {'choices': []}"),
        ((200, '{"choices": [{"message": null}]}', {}), 1,
         "the answer is no chat completion: {'choices': [{'message': None}]}"),
        ((200, '{"choices": [{"message": {"content": 7}}]}', {}), 1,
         "the answer is no chat completion: {'choices': [{'message': {'content': 7}}]}"),
        ((200, '{"choices": [{"message": {"content": "x"}}], "usage": 3}', {}), 1,
         "the answer is no chat completion: "
         "{'choices': [{'message': {'content': 'x'}}], 'usage': 3}"),
    ],
    ids=["500", "503", "hang", "drip", "cut", "429-long", "400", "404", "401", "403", "redirect",
         "204", "list", "no-choice", "no-message", "number", "usage"],
)  # fmt: skip
def test_what_does_not_pass_is_told_in_a_line(play, step, requests, message):
    """Address, reason and number of tries; a fault of the request is not asked twice."""
    play.script = [step]
    with pytest.raises(DataError) as caught:
        ask(play, tries=3, timeout=0.2 if step in (HANG, DRIP) else 30.0)
    assert str(caught.value) == f"{play.url}/chat/completions: {message}"
    assert len(play.asked) == requests


def test_a_server_that_is_not_there_is_told_in_a_line(play):
    """The connection's own fault is named, after all tries."""
    gone = Play()
    gone.server_close()
    with pytest.raises(DataError, match=r"^http\S+: ConnectionRefusedError: .*; tried 2 times$"):
        ask(gone, tries=2)


class Fails:
    """An opener whose connections all fail with one error."""

    def __init__(self, error):
        self.error, self.tries = error, 0

    def open(self, *_, **__):
        self.tries += 1
        raise self.error


UNTRUSTED = ssl.SSLCertVerificationError(1, "certificate verify failed")
UNTRUSTED.verify_message = "self-signed certificate"


@pytest.mark.parametrize(
    ("error", "tries", "message"),
    [
        (URLError(UNTRUSTED), 1, "its certificate is not trusted: self-signed certificate"),
        (URLError("no host given"), 2, "no host given; tried 2 times"),
        (URLError(TimeoutError()), 2, "no answer within 30 s; tried 2 times"),
        (BadStatusLine("x"), 2, "BadStatusLine: x; tried 2 times"),
        (ssl.SSLError(1, "wrong version"), 2,
         "SSLError: wrong version; tried 2 times"),
    ],
    ids=["untrusted", "text", "timeout", "status-line", "ssl"],
)  # fmt: skip
def test_a_connection_that_fails_is_told_in_a_line(error, tries, message):
    """An untrusted server is not tried again."""
    opener = Fails(error)
    server = Server("https://h/v1", KEY, "KEY", 30.0, 2, 0.0, opener)
    with pytest.raises(DataError) as caught:
        server.ask(b"{}", random.Random(1), threading.Event())
    assert str(caught.value) == f"https://h/v1: {message}"
    assert opener.tries == tries


@pytest.mark.parametrize(
    "step",
    [
        fault(400, f"bad key {KEY}"), fault(401, f"bad key {KEY[:14]}"), fault(500, f"{KEY} x"),
        fault(429, f"{'x' * 190} {KEY}"), (404, KEY, {}), (200, json.dumps({"key": KEY}), {}),
        (200, json.dumps(["x" * 85 + KEY]), {}), (200, f"no JSON {KEY}", {}), HANG,
    ],
    ids=["400", "401", "500", "429-at-the-cut", "plain", "schema", "schema-at-the-cut", "no-json",
         "hang"],
)  # fmt: skip
def test_the_key_is_in_no_message(play, step, capfd, caplog):
    """Not even a part of it, whatever the server sends back; not in tracebacks either."""
    play.script = [step]
    with pytest.raises(DataError) as caught:
        ask(play, tries=2, timeout=0.2 if step == HANG else 30.0)
    shown = "".join(traceback.format_exception(caught.value, chain=True))
    captured = capfd.readouterr()
    assert KEY[:10] not in shown + captured.out + captured.err + caplog.text


def test_the_key_is_in_nothing_that_is_kept(play):
    """Not in the record, the digest's sources, a pickle, a repr, the prompt or the cache."""
    made = chat(play)
    (answer,) = made.generate(["q"], [PASSAGES])
    server = made._server()
    kept = [path.read_text() for path in cache_folder().rglob("*.json")]
    texts = [json.dumps(made.describe()), repr(pickle.dumps(made)), repr(made), repr(server),
             repr(answer), *kept]  # fmt: skip
    assert kept
    assert server.key == KEY
    assert not [text for text in texts if KEY in text]


@pytest.mark.parametrize("key", ["sk secret", "sk\r\nX: secret", "sk-sécret", '"secret"'])
def test_a_key_that_no_header_can_hold_is_not_shown(play, monkeypatch, key):
    """It is refused by the name of its variable before anything is sent."""
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(UsageError) as caught:
        ask(play)
    assert str(caught.value) == (
        "OPENAI_API_KEY holds no key: white space, quotes or letters beyond ASCII"
    )
    assert caught.value.__context__ is None  # http.client's own words would hold it
    assert not play.asked


def test_the_key_may_be_in_a_variable_of_another_name(play, monkeypatch):
    """And has the white space around it taken off."""
    monkeypatch.setenv("MY_KEY", " other\n")
    ask(play, key_variable="MY_KEY")
    assert play.asked[0][1]["Authorization"] == "Bearer other"


def test_a_second_run_asks_nothing(play):
    """Answers come from the cache, by all of the request; the same question is asked once."""
    questions, contexts = ["a?", "b?", "a?"], [PASSAGES, PASSAGES, PASSAGES]
    first = chat(play).generate(questions, contexts)
    again = chat(play, concurrency=1, tries=1).generate(questions, contexts)
    assert (first, len(play.asked)) == (again, 2)


@pytest.mark.parametrize(
    "changed",
    [{"model": "n"}, {"temperature": 1.0}, {"seed": 1}, {"max_tokens": 9}, {"template": "plain"},
     {"system": "Be brief."}, {"stop": ["x"]}, {"extra": {"top_k": 1}}],
)  # fmt: skip
def test_another_request_is_asked_anew(play, changed):
    """Whatever changes the request changes the digest too."""
    ask(play)
    ask(play, **changed)
    assert len(play.asked) == 2
    assert chat(play).digest != chat(play, **changed).digest


def test_patience_is_no_part_of_the_digest(play):
    """How often and how many at once a server is asked decides no answer."""
    assert chat(play).digest == chat(play, tries=9, timeout=9.0, concurrency=9).digest


def test_while_queries_are_timed_nothing_is_kept(play):
    """A latency is never that of the disk."""
    with cache_policy(queries=False):
        ask(play)
        ask(play)
    assert len(play.asked) == 2
    assert not list(cache_folder().rglob("*.json"))


def test_a_damaged_entry_is_asked_for_again(play):
    """An answer that was changed on disk is never used, and mended."""
    answer = ask(play)
    (path,) = (cache_folder() / f"answers-{FORMAT}").iterdir()
    for damage in (path.read_bytes()[:-9], path.read_bytes().replace(b"Norway", b"Sweden"), b"[]"):
        path.write_bytes(damage)
        assert read_entry(path) is None
        assert ask(play) == answer
        assert read_entry(path) is not None
    assert len(play.asked) == 4


def test_answers_that_came_are_kept_when_a_later_one_fails(play):
    """A second run asks for the rest alone."""
    play.script = [OK, fault(400), OK]
    with pytest.raises(DataError):
        chat(play, concurrency=1).generate(["a?", "b?"], [PASSAGES, PASSAGES])
    chat(play).generate(["a?", "b?"], [PASSAGES, PASSAGES])
    assert len(play.asked) == 3


def test_a_failure_stops_the_others(play):
    """Nothing more is asked once an answer is not to be had."""
    play.script = [fault(400)]
    questions = [f"{number}?" for number in range(50)]
    with pytest.raises(DataError):
        chat(play, concurrency=1).generate(questions, [PASSAGES] * 50)
    assert len(play.asked) == 1


def test_of_many_failures_at_once_one_is_told(play):
    """It is a real one, not that the others were stopped."""
    play.barrier, play.script = threading.Barrier(4), [fault(400, "too bad")]
    with pytest.raises(DataError, match="too bad"):
        chat(play, concurrency=4).generate(["a", "b", "c", "d"], [PASSAGES] * 4)
    assert len(play.asked) == 4


def test_a_pause_ends_when_another_request_failed(play):
    """No request sleeps through its back-off, here of an hour's tries, once all is lost."""
    play.barrier = threading.Barrier(2)
    wait = {"a": fault(500), "b": fault(400, "too bad")}
    play.script = [lambda body: wait[body["messages"][-1]["content"][-1]]]
    with pytest.raises(DataError, match="too bad"):
        chat(play, concurrency=2, pause=60.0, tries=60).generate(["a", "b"], [PASSAGES] * 2)
    assert len(play.asked) == 2


def test_a_cache_that_cannot_be_written_is_done_without(play, monkeypatch, tmp_path):
    """One warning, and the answer."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="answers are not cached"):
        assert ask(play).text == "Norway"


def test_as_many_are_asked_at_once_as_allowed(play):
    """Three at a time, never more; answers come back in the order of the questions."""
    play.barrier = threading.Barrier(3)
    play.script = [lambda body: said(body["messages"][-1]["content"][-3:])]
    questions = [f"q{number}" for number in range(10, 22)]
    answers = chat(play, concurrency=3).generate(questions, [[]] * 12)
    assert [answer.text for answer in answers] == questions
    assert play.most == 3


class Waits(threading.Event):
    """Notes how long it would have been waited for."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def wait(self, timeout=None):
        self.seconds.append(timeout)
        return self.is_set()


def test_a_retry_after_is_waited_for_and_pauses_grow(play):
    """What the server asks for comes on top of a pause that doubles, less up to a half."""
    play.script = [fault(429, Retry_After="7"), fault(500), fault(500), OK]
    url, waits = f"{play.url}/chat/completions", Waits()
    server = Server(url, None, "KEY", 30.0, 5, 2.0, opener_for(url))
    server.ask(b"{}", random.Random(3), waits)
    first, second, third = waits.seconds
    assert 8 <= first <= 9
    assert 2 <= second <= 4
    assert 4 <= third <= 8


def test_the_pauses_of_a_request_are_always_the_same():
    """Its random part comes from a seed; it never grows beyond a minute."""
    pauses = [[backoff(1.0, past, rng) for past in range(9)] for rng in map(random.Random, (1, 1))]
    assert pauses[0] == pauses[1]
    assert all(30 <= pause <= 60 for pause in pauses[0][6:])
    assert backoff(1.0, 10_000, random.Random(1)) <= 60


NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0), ("", 0), ("7", 7), ("0.5", 0.5), ("-3", 0), ("1e9", 0), ("soon", 0), ("²", 0),
        ("Fri, 02 Jan 2026 03:04:15 GMT", 10), ("Fri, 02 Jan 2026 03:04:00 GMT", 0),
        ("Fri, 02 Jan 2026 03:04:15 -0000", 10),
    ],
)  # fmt: skip
def test_a_retry_after_is_a_number_or_a_date(text, seconds):
    """Anything else asks for nothing."""
    headers = Message()
    if text is not None:
        headers["Retry-After"] = text
    assert wished(headers, NOW) == seconds


SECRET = "http://user:secret@h/v1"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"base_url": "localhost:8000"}, "base_url is no address"),
        ({"base_url": "file:///etc/passwd"}, "base_url is no address"),
        ({"base_url": "http://h:port/v1"}, "base_url is no address"),
        ({"base_url": "http://"}, "base_url is no address"),
        ({"base_url": "http://h/v 1"}, "base_url is no address"),
        ({"base_url": "http://h/v1\r\nX: y"}, "base_url is no address"),
        ({"base_url": 7}, "base_url is no address"),
        ({"base_url": SECRET}, "base_url on h has a user, a query or a fragment"),
        ({"base_url": "http://h/v1?key=secret"}, "base_url on h has a user, a query"),
        ({"key_variable": "sk-secret"}, "key_variable is no name of an environment variable"),
        ({"tries": 0}, "tries is 0; expected at least 1"),
        ({"concurrency": 0}, "concurrency is 0; expected at least 1"),
        ({"timeout": 0}, "timeout is 0, pause 0.001; expected seconds"),
        ({"pause": -1}, "timeout is 120.0, pause -1; expected seconds"),
        ({"model": 7}, "model is 7; expected str"),
        ({"tries": "many"}, "tries is 'many'; expected int"),
        ({"seed": 0.5}, "seed is 0.5; expected int | None"),
        ({"temperature": "hot"}, "temperature is 'hot'; expected int | float | None"),
        ({"extra": "x"}, "extra is 'x'; expected dict | None"),
        ({"key_variable": 7}, "key_variable is no name of an environment variable"),
        ({"stop": "x"}, "stop is 'x'; expected a list of strings, none empty"),
        ({"stop": [""]}, "stop is ['']; expected a list of strings, none empty"),
        ({"extra": {"stream": True}}, "extra holds 'stream'"),
        ({"template": "chta"}, "unknown template 'chta'; did you mean 'chat'?"),
    ],
)
def test_a_wrong_parameter_is_told_in_a_line(play, params, message):
    """The name and what is allowed; what may be secret is not shown. Nothing is sent."""
    with pytest.raises(UsageError) as caught:
        ask(play, **params)
    assert str(caught.value).startswith(message)
    assert "secret" not in str(caught.value)
    assert not play.asked


def test_it_is_a_generator_of_the_registry(play):
    """Made by name, with an address in the spec; no question, no request."""
    made = generators.create(f"chat?base_url={play.url}&model=m")
    assert isinstance(made, Generator)
    assert made.generate([], []) == []
    assert not play.asked
