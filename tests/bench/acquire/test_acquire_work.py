"""Acquisition against a real server on loopback: whole, in spite of faults, and after a kill."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bench.acquire.hub import Hub, check_endpoint
from bench.acquire.journal import FOLDER, ITEMS
from bench.acquire.waiting import Patience
from bench.acquire.work import Wanted, acquire
from bench.cli import main
from qrels.errors import DataError, UsageError
from qrels.plain import read_plain
from qrels.suites import load_suite

SOON = Patience(timeout=0.5, tries=4, first=0.01, longest=0.02)
README = "/org-0/item-0/resolve/main/README.md"
MODELS = "/api/models"


@pytest.fixture
def get(fake_hub, tmp_path):
    """get(limit) acquires models into tmp_path/out; what it said is in get.said."""

    def run(limit=7, kind="models", patience=SOON, workers=3, **chosen):
        hub = Hub(fake_hub.url, patience, run.said.append)
        return acquire(
            Wanted(kind, limit, **chosen), tmp_path / "out", hub, workers, run.said.append
        )

    run.said, run.out = [], tmp_path / "out"
    return run


def rows(out):
    return [json.loads(line) for line in (out / "corpus.jsonl").read_text().splitlines()]


def ids(out):
    return [row["_id"] for row in rows(out)]


def listed(hub, count=7):
    return [item["id"] for item in hub.items[:count]]


def test_a_folder_holds_what_the_hub_lists_in_its_order(get, fake_hub):
    """Every item once, across pages, with prose and metadata."""
    assert get().items == 7
    assert ids(get.out) == listed(fake_hub)
    assert rows(get.out)[1] == {
        "_id": "org-1/item-1",
        "title": "item-1",
        "text": "org-1/item-1\nRead me.",
        "metadata": {
            "author": "org-1", "base_model": ["org/base"], "license": "mit",
            "language": ["en", "it"],
            "tags": ["license:mit", "task_categories:text-retrieval", "tag-1"],
            "pipeline_tag": "fill-mask", "library_name": "transformers", "downloads": 999,
            "likes": 1, "created_at": "2024-01-02T10:00:00.000Z",
        },
    }  # fmt: skip


def test_items_parquet_holds_the_same_rows_with_the_readme_as_it_was(get, fake_hub):
    """The columns are the fields of the task; dates and lists have their types."""
    get()
    table = pq.read_table(get.out / "items.parquet")
    assert table.column("model_id").to_pylist() == listed(fake_hub)
    assert table.column("readme").to_pylist() == list(fake_hub.readmes.values())
    assert set(table.column_names) == {
        "model_id", "base_model", "author", "license", "language", "tags", "pipeline_tag",
        "library_name", "downloads", "likes", "created_at", "readme", "text",
    }  # fmt: skip
    assert table.column("created_at").to_pylist()[0].isoformat() == "2024-01-01T10:00:00+00:00"


def test_datasets_have_columns_and_addresses_of_their_own(get, fake_hub):
    """READMEs of datasets are under /datasets, and their tasks come from tags."""
    get(kind="datasets")
    assert fake_hub.asked["/datasets/org-0/item-0/resolve/main/README.md"] == 1
    assert rows(get.out)[0]["metadata"]["task_categories"] == ["text-retrieval"]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        ({"limit": 2}, [0, 1]),
        ({"limit": 4}, [0, 1, 2, 3]),
        ({"limit": 100}, range(7)),
        ({"search": "item-5"}, [5]),
        ({"author": "org-1"}, [1, 4]),
    ],
    ids=["within-a-page", "across-pages", "more-than-there-are", "search", "author"],
)
def test_limit_search_and_author_choose(get, fake_hub, chosen, found):
    """As many as were asked for, of those that the hub finds."""
    get(**chosen)
    assert ids(get.out) == [fake_hub.items[i]["id"] for i in found]


@pytest.mark.parametrize(
    "fault",
    [
        "429", "429 for a second", "429, limit spent", "500", "503", "timeout", "cut off",
        "cut off, chunked", "hung up",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", [MODELS, README], ids=["list", "readme"])
def test_what_passes_is_tried_again(get, fake_hub, path, fault):
    """A rate limit, a server error, silence and half an answer change nothing in the result."""
    fake_hub.faults[path].append(fault)
    result = get()
    assert (result.items, result.failed) == (7, {})
    assert rows(get.out)[0]["text"] == "org-0/item-0\nRead me."
    assert fake_hub.asked[path] >= 2
    assert any("again in" in line for line in get.said)


def test_half_a_list_is_tried_again(get, fake_hub):
    """JSON that ends too early is no list, though the server says that it is whole."""
    fake_hub.faults[MODELS].append("half of JSON")
    assert get().items == 7


@pytest.mark.parametrize("how", ["missing", "gated", "moved", "empty", "not-utf8-free"])
def test_a_readme_that_is_not_there_is_empty_text(get, fake_hub, how):
    """Missing and gated READMEs are empty, a moved one is followed; the item is there anyway."""
    name = "org-0/item-0"
    if how == "gated":
        fake_hub.gated.add(name)
    elif how == "moved":
        fake_hub.moved[name] = "org-1/item-1"
    elif how == "empty":
        fake_hub.readmes[name] = ""
    elif how == "not-utf8-free":
        fake_hub.readmes[name] = "\x00\ufffd"
    else:
        del fake_hub.readmes[name]
    assert get().failed == {}
    texts = {"moved": "org-1/item-1\nRead me.", "not-utf8-free": "\ufffd\ufffd"}
    assert rows(get.out)[0]["text"] == texts.get(how, "")


def test_one_readme_that_never_comes_leaves_the_others(get, fake_hub):
    """It is named, left out, and fetched by the next call, alone."""
    fake_hub.faults[README].extend(["500"] * SOON.tries)
    result = get()
    assert list(result.failed) == ["org-0/item-0"]
    assert "500" in result.failed["org-0/item-0"]
    assert ids(get.out) == listed(fake_hub)[1:]
    before = dict(fake_hub.asked)
    assert get().failed == {}
    assert ids(get.out) == listed(fake_hub)
    changed = {path for path, count in fake_hub.asked.items() if count != before.get(path)}
    assert changed == {README}


def test_a_second_call_asks_for_nothing_and_writes_the_same(get, fake_hub):
    """A finished acquisition is finished."""
    get()
    before, files = sum(fake_hub.asked.values()), [(get.out / n).read_bytes() for n in OUTPUT]
    get()
    assert sum(fake_hub.asked.values()) == before
    assert [(get.out / name).read_bytes() for name in OUTPUT] == files


OUTPUT = ("corpus.jsonl", "suite.toml", "items.parquet")


def test_another_acquisition_in_the_same_folder_is_refused(get, fake_hub):
    """Two lists never mix."""
    get(limit=2)
    with pytest.raises(UsageError, match=r"holds another acquisition \(kind models, limit 2"):
        get(limit=3)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("no list", "is no list of items"),
        ("itself", "names this page as the next one"),
        ("401", "HF_TOKEN may be wrong"),
    ],
)
def test_a_hub_that_answers_nonsense_is_named(get, fake_hub, fault, error):
    """One line instead of an endless loop or a traceback."""
    fake_hub.faults[MODELS].extend([fault] * 5)
    with pytest.raises((DataError, UsageError), match=error):
        get()


def test_a_hub_that_is_down_is_given_up(get, fake_hub):
    """After all tries, with the reason."""
    fake_hub.faults[MODELS].extend(["503"] * SOON.tries)
    with pytest.raises(DataError, match="answered 503; tried 4 times"):
        get()


def test_nothing_found_is_an_error(get):
    """An empty corpus cannot be searched."""
    with pytest.raises(DataError, match="lists no models"):
        get(search="no such item")


def test_a_next_link_to_another_host_stays_at_the_endpoint(get, fake_hub):
    """A mirror that repeats the hub's own links is asked itself, and no other host gets a token."""
    fake_hub.link_host = "https://hub.invalid"
    assert get().items == 7


def test_the_token_comes_from_the_environment_alone_and_is_written_nowhere(
    get, fake_hub, monkeypatch, capfd
):
    """It is in the headers of every request and in no file, no line."""
    secret = "hf_" + "secret" * 6
    monkeypatch.setenv("HF_TOKEN", secret)
    fake_hub.faults[README].append("429")
    get()
    assert {headers["authorization"] for headers, _, _ in fake_hub.seen} == {f"Bearer {secret}"}
    for path in get.out.rglob("*"):
        assert path.is_dir() or secret.encode() not in path.read_bytes()
    assert secret not in "\n".join(get.said) + "".join(capfd.readouterr())


def test_without_a_token_none_is_sent(get, fake_hub):
    """Not even one that another program stored."""
    get(limit=1)
    assert all("authorization" not in headers for headers, _, _ in fake_hub.seen)


@pytest.mark.parametrize(
    "address",
    ["huggingface.co", "ftp://hub.test", "https://user:key@hub.test", "http://", "https://h?x=1"],
)
def test_an_endpoint_is_an_address_without_secrets(address):
    """Anything else is refused before a request is made."""
    with pytest.raises(UsageError, match="endpoint"):
        check_endpoint(address)


def test_the_folder_is_a_corpus_for_search_at_once(get):
    """`bench search --corpus` reads it with the kinds of its columns."""
    get()
    corpus = read_plain(get.out / "corpus.jsonl")
    assert len(corpus) == 7
    kinds = {name: column.kind for name, column in corpus.metadata.items()}
    assert (kinds["downloads"], kinds["created_at"], kinds["tags"]) == ("int", "date", "list")


@pytest.mark.parametrize("kind", ["models", "datasets"])
def test_the_folder_is_a_suite_once_it_has_queries_and_qrels(get, fake_hub, kind):
    """suite.toml names only what the corpus has, also where every value is missing."""
    for item in fake_hub.items:
        for key in ("library_name", "cardData", "createdAt"):
            del item[key]
    get(kind=kind)
    (get.out / "queries.jsonl").write_text('{"_id": "q", "text": "read"}\n')
    (get.out / "qrels").mkdir()
    (get.out / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\torg-0/item-0\t1\n")
    suite = load_suite(get.out)
    assert (suite.name, len(suite.corpus)) == ("out", 7)
    assert suite.corpus.metadata["downloads"].values[0] == 1000


def test_a_suite_toml_of_the_users_stays(get):
    """What was edited is not written over."""
    get.out.mkdir()
    (get.out / "suite.toml").write_text('name = "mine"\n')
    get()
    assert (get.out / "suite.toml").read_text() == 'name = "mine"\n'


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_last_line_is_fetched_again(get, fake_hub, cut):
    """Wherever the last line was cut off, nothing is lost and nothing is there twice."""
    get()
    whole = (get.out / "corpus.jsonl").read_bytes()
    path = get.out / FOLDER / ITEMS
    path.write_bytes(path.read_bytes()[:-cut])
    before = sum(fake_hub.asked.values())
    for _ in range(2):  # the second time there is nothing left to do
        get()
        assert (get.out / "corpus.jsonl").read_bytes() == whole
        assert sum(fake_hub.asked.values()) == before + (cut > 1)  # 1: only the line's end


def test_a_damaged_line_is_fetched_again(get, fake_hub):
    """A checksum that does not hold makes a line as good as missing."""
    get()
    path = get.out / FOLDER / ITEMS
    path.write_bytes(path.read_bytes().replace(b"Read me.", b"Read us.", 1))
    before = sum(fake_hub.asked.values())
    get()
    assert all(row["text"].endswith("Read me.") for row in rows(get.out))
    assert sum(fake_hub.asked.values()) == before + 1


def command(fake_hub, out):
    return [
        "acquire", "models", "--limit", "7", "--out", str(out), "--endpoint", fake_hub.url,
        "--workers", "2",
    ]  # fmt: skip


def test_the_command_prints_what_it_got(fake_hub, tmp_path, capsys):
    """Exit code 0, the count on standard output, progress on standard error."""
    assert main(command(fake_hub, tmp_path / "out")) == 0
    output = capsys.readouterr()
    assert output.out == f"7 models in {tmp_path / 'out'}\n"
    assert "7 of 7" in output.err


@pytest.mark.parametrize("kill", ["kill", "terminate", "interrupt"])
def test_after_a_kill_the_same_command_goes_on(fake_hub, tmp_path, kill):
    """kill -9, SIGTERM or Ctrl-C in the midst: what came is kept, nothing is lost or doubled."""
    import signal

    out = tmp_path / "out"
    fake_hub.gate.clear()
    fake_hub.free = 3
    child = start(fake_hub, out)
    for _ in range(5):  # three READMEs came, two are on their way: two workers
        assert fake_hub.reached.acquire(timeout=60)
    wait_for_lines(out / FOLDER / ITEMS, 3)
    child.send_signal(
        {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "interrupt": signal.SIGINT}[kill]
    )
    _, err = child.communicate(timeout=60)
    assert child.returncode == (-signal.SIGKILL if kill == "kill" else 130)
    assert (kill == "kill") != ("To go on: python -m bench acquire models --limit 7" in err)
    assert not (out / "corpus.jsonl").exists()
    before = fake_hub.asked.copy()
    fake_hub.free = 10**9
    fake_hub.gate.set()
    child = start(fake_hub, out)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    assert "3 of 7 are here already" in err
    assert ids(out) == listed(fake_hub)
    assert sum((fake_hub.asked - before).values()) == 4  # the rest, and the list not again
    assert fake_hub.asked[MODELS] == before[MODELS]


def start(fake_hub, out):
    import bench

    env = {**os.environ, "PYTHONPATH": str(Path(bench.__file__).parents[1]), "HF_HUB_OFFLINE": "0"}
    return subprocess.Popen(
        [sys.executable, "-m", "bench", *command(fake_hub, out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


def wait_for_lines(path, count):
    done = threading.Event()
    for _ in range(600):
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        done.wait(0.05)
    raise AssertionError(f"{path} never had {count} lines")


def test_two_at_once_in_one_folder_are_refused(get, fake_hub):
    """The second says so, and the first goes on."""
    fake_hub.gate.clear()
    fake_hub.free = 0
    first = threading.Thread(target=get, kwargs={"patience": Patience(timeout=30)})
    first.start()
    assert fake_hub.reached.acquire(timeout=30)
    with pytest.raises(UsageError, match="another process is writing there"):
        get()
    fake_hub.gate.set()
    first.join(30)
    assert ids(get.out) == listed(fake_hub)
