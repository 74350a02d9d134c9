"""A hub on loopback: lists in pages, READMEs, and whatever goes wrong on the way."""

import json
import threading
from collections import Counter, defaultdict, deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest


def make_items(count):
    return [
        {
            "id": f"org-{n % 3}/item-{n}",
            "author": f"org-{n % 3}",
            "cardData": {"license": "mit", "language": ["en", "it"], "base_model": "org/base"},
            "createdAt": f"2024-01-{n % 28 + 1:02d}T10:00:00.000Z",
            "downloads": 1000 - n,
            "likes": n,
            "tags": ["license:mit", "task_categories:text-retrieval", f"tag-{n}"],
            "pipeline_tag": "fill-mask",
            "library_name": "transformers",
        }
        for n in range(count)
    ]


class FakeHub(ThreadingHTTPServer):
    """items: what it lists, *page* at a time. readmes: by id; others answer 404.

    faults: by path, what to do instead of answering, one a request, then it answers. gate: a
    request for a README waits until it is set. asked: how often each path was asked for; seen:
    the headers and queries of every request.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.items, self.page = make_items(7), 3
        self.readmes = {item["id"]: f"# {item['id']}\n\nRead me." for item in self.items}
        self.faults = defaultdict(deque)
        self.moved, self.gated = {}, set()
        self.asked, self.seen = Counter(), []
        self.gate, self.reached = threading.Event(), threading.Semaphore(0)
        self.gate.set()
        self.free = 10**9  # so many READMEs pass the gate though it is shut
        self.link_host = None
        self.lock = threading.Lock()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request, client_address):
        """A client that was killed is no error of the server's."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        hub, url = self.server, urlsplit(self.path)
        with hub.lock:
            hub.asked[url.path] += 1
            hub.seen.append((dict(self.headers), url.path, parse_qs(url.query)))
            fault = hub.faults[url.path].popleft() if hub.faults[url.path] else None
        if fault is not None:
            return FAULTS[fault](self)
        if url.path in ("/api/models", "/api/datasets"):
            return self.list(url)
        return self.resolve(url.path)

    def list(self, url):
        hub, query = self.server, parse_qs(url.query)
        start = int(query.get("cursor", ["0"])[0])
        chosen = [
            item for item in hub.items
            if query.get("search", [""])[0] in item["id"]
            and query.get("author", [item["author"]])[0] == item["author"]
        ]  # fmt: skip
        size = min(hub.page, int(query.get("limit", [hub.page])[0]))
        headers = {}
        if start + size < len(chosen):
            base = f"{hub.link_host or hub.url}{url.path}"
            headers["Link"] = f'<{base}?cursor={start + size}&limit={size}>; rel="next"'
        self.answer(200, json.dumps(chosen[start : start + size]).encode(), headers)

    def resolve(self, path):
        hub = self.server
        name, _, rest = path.removeprefix("/datasets").lstrip("/").partition("/resolve/main/")
        assert rest == "README.md"
        with hub.lock:
            hub.free -= 1
            passes = hub.free >= 0
        hub.reached.release()
        if not passes:
            hub.gate.wait(30)
        if name in hub.moved:
            to = path.replace(name, hub.moved[name])
            self.answer(307, b"", {"Location": to})
        elif name in hub.gated:
            self.answer(403, b"Access to model is restricted", {"X-Error-Code": "GatedRepo"})
        elif name in hub.readmes:
            self.answer(200, hub.readmes[name].encode())
        else:
            self.answer(404, b"Entry not found", {"X-Error-Code": "EntryNotFound"})

    def answer(self, status, data, headers=()):
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def cut_off(self, chunked):
        """A body that ends before its end, in either way of saying how long it is."""
        self.send_response(200)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"400\r\n# Half a readme\r\n")
        else:
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"# Half a readme")
        self.close_connection = True


FAULTS = {
    "429": lambda h: h.answer(429, b"slow down", {"Retry-After": "0"}),
    "429 for a second": lambda h: h.answer(429, b"slow down", {"Retry-After": "1"}),
    "429, limit spent": lambda h: h.answer(429, b"", {"RateLimit": '"api";r=0;t=0'}),
    "500": lambda h: h.answer(500, b"oops"),
    "503": lambda h: h.answer(503, b"oops"),
    "401": lambda h: h.answer(401, b"who are you?"),
    "timeout": lambda h: threading.Event().wait(1.5),
    "cut off": lambda h: h.cut_off(chunked=False),
    "cut off, chunked": lambda h: h.cut_off(chunked=True),
    "hung up": lambda h: setattr(h, "close_connection", True),
    "half of JSON": lambda h: h.answer(200, b'[{"id": "org-0/it'),
    "no list": lambda h: h.answer(200, b'{"error": "no"}'),
    "itself": lambda h: h.answer(200, b"[]", {"Link": f'<{h.path}>; rel="next"'}),
}


@pytest.fixture
def fake_hub(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False, raising=False)
    hub = FakeHub()
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield hub
    hub.gate.set()
    hub.shutdown()
    thread.join()
    hub.server_close()
    from huggingface_hub.utils import close_session

    close_session()
