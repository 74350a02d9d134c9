"""Broken input for everything that reads: only a BenchError may come out, at once.

    python -m tools.fuzz [READER ...] [--seconds 60] [--save tests/reliability/corpus]

With atheris installed the bytes are steered by the coverage of our code (libFuzzer); --blind, or
its absence, changes the examples at random instead. What fails is written into the folder, where
the tests read it ever after.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import numpy as np

from qrels.errors import BenchError
from reports.serial import RecordError

CORPUS = Path("tests/reliability/corpus")

SECONDS = 10
"""A reading that takes longer hangs."""

LINES = (
    '{"_id": "a", "text": "one cat", "title": "T", "metadata": {"n": 1}}\n'
    '{"_id": "b", "text": ""}\n'
)
PLAIN = "model_id,likes,tags,created_at,readme\nx/y,3,\"['a', 'b']\",2024-01-02,text\nz,,[],,\n"
VECTORS = 'model_id,embeddings\na,"[1.0, 0, -2e-3]"\nb,"[0, 1, 2]"\n'
EXPERIMENT = """suites = ["models"]
measures = ["nDCG@10"]
depth = 10
[[system]]
name = "one"
retriever = "bm25"
params = { k1 = [0.6, 0.9], b = 0.4 }
reranker = "late-interaction"
rerank_depth = 5
[gate]
alpha = 0.05
margin = { "nDCG@10" = 0.01 }
floor = [{ measure = "nDCG@10", at_least = 0.4 }]
must_pass = [{ query = "q1", document = "d1", within = 3 }]
"""
SUITE = """name = "s"
version = "1"
measures = ["nDCG@10"]
depth = 100
exclude_self = true
[systems]
default = ["bm25"]
[fields]
text = { weight = 1.0, from = "text" }
title = { from = "title", weight = 2.0 }
[metadata]
likes = "int"
"""
TEXTS = {
    "filter": "likes>=10|language in en,fr|license=mit|name:x|created<2024-01-01",
    "budget": "p95<=50ms|index_mb<=500|qps>=100|build_s<1e3",
    "margin": "nDCG@10=0.01|0.02|*=1",
    "floor": "nDCG@10>=0.4|RR=1",
    "system": "bm25?k1=1.2&b=0.75|dense+late-interaction|hybrid?retrievers=[\"bm25\",\"dense\"]",
    "measure": "nDCG@10|nDCG(dcg=exp-log2)@5|RR(rel=2)|P@1|AP|R@1000|Judged@10|RBP(p=0.8)|bpref",
}  # fmt: skip


class Reader(NamedTuple):
    """What is fuzzed: reads the bytes, from a file in the folder where it reads files."""

    read: Callable[[bytes, Path], object]
    examples: tuple[bytes, ...]


class HangsError(Exception):
    """A reading took longer than SECONDS."""


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def wrapped(data: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return wrapped


def _text(parse: Callable[[str], object]) -> Callable[[bytes, Path], object]:
    return lambda data, _: parse(data.decode("utf-8", "replace"))


@cache
def readers() -> Mapping[str, Reader]:
    """By name; made when asked for, so that atheris can watch the imports."""
    from bench.choose.budget import parse_budget
    from bench.config import parse_system, read_experiment
    from bench.gate import baseline
    from bench.gate.rules import parse_floor, parse_margin, read_rules
    from bench.lint.run_file import read_lines
    from bench.metrics import parse_measure
    from qrels.beir import read_corpus, read_queries
    from qrels.plain import read_plain
    from qrels.suite_file import read_suite_file
    from qrels.trec import read_judgements, read_run
    from reports import record
    from retrievers.filters import parse_filter

    parsers = {
        "filter": parse_filter,
        "budget": parse_budget,
        "margin": parse_margin,
        "floor": parse_floor,
        "system": parse_system,
        "measure": parse_measure,
    }
    packed = __import__("gzip").compress(LINES.encode(), mtime=0)
    files: dict[str, tuple[str, Callable[[Path], object], tuple[str | bytes, ...]]] = {
        "corpus": ("corpus.jsonl", read_corpus, (LINES,)),
        "corpus-gz": ("corpus.jsonl.gz", read_corpus, (packed,)),
        "queries": ("queries.jsonl", read_queries, (LINES,)),
        "qrels": ("qrels.tsv", read_judgements,
                  ("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\t-1\n", "q1 0 d1 2\n")),
        "run": ("run.trec", read_run, ("q1 Q0 d1 1 3.5 x\nq1 Q0 d2 2 1e-3 x\n",)),
        "lint-run": ("run.trec", lambda path: read_lines(path, path.name), ("q1 Q0 d1 1 3.5 x\n",)),
        "plain-csv": ("items.csv", read_plain, (PLAIN,)),
        "plain-jsonl": ("items.jsonl", read_plain, (LINES,)),
        "vectors-csv": ("v.csv", _vectors, (VECTORS,)),
        "vectors-npy": ("v.npy", _vectors, (_npy(np.eye(2, 3, dtype=np.float32)),)),
        "experiment": ("e.toml", read_experiment, (EXPERIMENT,)),
        "gate-rules": ("e.toml", read_rules, (EXPERIMENT,)),
        "suite": ("suite.toml", lambda path: read_suite_file(path.parent), (SUITE,)),
        "record": ("record.json", record.load, (_record(),)),
        "baseline": ("baseline.json", baseline.load, (_baseline(),)),
    }  # fmt: skip
    found = {name: Reader(_text(parse), tuple(TEXTS[name].encode().split(b"|")))
             for name, parse in parsers.items()}  # fmt: skip
    for name, (file, read, examples) in files.items():
        as_bytes = (x if isinstance(x, bytes) else x.encode() for x in examples)
        found[name] = Reader(_file(file, read), tuple(as_bytes))
    for part in INDEX:
        found[f"index-{part}"] = Reader(_index_part(part), (_saved_index()[part],))
    return found


INDEX = ("index.json", "docs.npy", "indptr.npy", "impacts.npy")


def _toy() -> "object":
    from qrels.data import Corpus

    return Corpus(["a", "b"], {"text": ["one cat sat", "two dogs"]})


def _vectors(path: Path) -> object:
    from retrievers.precomputed import Precomputed

    retriever = Precomputed(str(path), encoder="hashing?dimension=3")
    retriever.index(_toy())  # type: ignore[arg-type]
    return retriever.search(["cat"], 2)


def _npy(array: "np.ndarray") -> bytes:  # type: ignore[type-arg]
    from io import BytesIO

    out = BytesIO()
    np.save(out, array, allow_pickle=False)
    return out.getvalue()


@cache
def _saved_index() -> dict[str, bytes]:
    """The files of a small BM25 index."""
    from retrievers.bm25 import BM25

    with tempfile.TemporaryDirectory() as name:
        retriever = BM25()
        retriever.index(_toy())  # type: ignore[arg-type]
        retriever.save(Path(name))
        return {path.name: path.read_bytes() for path in Path(name).iterdir()}


def _index_part(part: str) -> Callable[[bytes, Path], object]:
    def read(data: bytes, folder: Path) -> object:
        from retrievers.bm25 import BM25

        for name, content in {**_saved_index(), part: data}.items():
            (folder / name).write_bytes(content)
        retriever = BM25()
        retriever.load(folder, _toy())  # type: ignore[arg-type]
        return retriever.search(["cat", "dogs"], 2)

    return read


def _published() -> Path:
    return Path(__file__).parents[1] / "reports" / "published" / "qa" / "record.json"


def _record() -> bytes:
    """A published record, cut to its first cell."""
    found = json.loads(_published().read_text("utf-8"))
    for key in ("comparisons", "examples", "findings"):
        found[key] = []
    found["cells"], found["systems"] = found["cells"][:1], found["systems"][:1]
    return json.dumps(found).encode()


def _baseline() -> bytes:
    """The start of the committed baseline: one cell with one query."""
    path = Path(__file__).parents[1] / "baselines" / "models.json"
    found = json.loads(path.read_text("utf-8"))
    found["cells"] = found["cells"][:1]
    queries = found["cells"][0]["queries"]
    found["cells"][0]["queries"] = dict(list(queries.items())[:1])
    return json.dumps(found).encode()


def failure(reader: Reader, data: bytes, folder: Path) -> str | None:
    """What is wrong with how *data* was read; None where it was read or refused in one line."""
    try:
        with _limited(SECONDS):
            reader.read(data, folder)
    except (BenchError, RecordError) as error:
        return None if "\n" not in str(error) else f"a message of several lines: {str(error)!r}"
    except HangsError:
        return f"more than {SECONDS} s"
    except (Exception, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return None


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """HangsError inside once *seconds* have gone by."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise HangsError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


PIECES = (
    b'"', b"\n", b"\t", b"\x00", b"{", b"}", b"[" * 3000, b"1e999", b"9" * 5000, b"-1", b"nan",
    b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\\ud800", b"\xe2\x80\xae", b"null", b"true",
    b"\r\n", b" ", b",", b"=", b"../", b"\x1b[31m", b"<b>", b"0", b"NaN", b"{}", b"[]", b"a.b.c",
)  # fmt: skip


def changed(data: bytes, rng: random.Random) -> bytes:
    """*data* with some bytes taken out, doubled, flipped, or other things put in."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at = rng.randrange(len(out) + 1)
        span = rng.choice((1, 1, 3, 20, 400))
        match rng.randrange(5):
            case 0:
                del out[at : at + span]
            case 1:
                out[at:at] = rng.choice(PIECES)
            case 2:
                out[at : at + span] = rng.choice(PIECES)
            case 3:
                out[at:at] = out[at : at + span]
            case _:
                if at < len(out):
                    out[at] ^= 1 << rng.randrange(8)
    return bytes(out)


def blind(name: str, seconds: float, seed: int, keep: Path) -> int:
    """Change the examples at random for *seconds*; how many cases failed, each kind kept once."""
    rng, reader, seen = random.Random(seed), readers()[name], set()
    tried, end = 0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as scratch:
        while time.monotonic() < end:
            data = changed(rng.choice(reader.examples), rng)
            tried += 1
            found = failure(reader, data, Path(scratch))
            if found and (kind := found[:60]) not in seen:
                seen.add(kind)
                print(f"{name}: {found[:300]}: {keep_case(keep, name, data)}", flush=True)
    print(f"{name}: {tried:,} cases, {len(seen)} kinds of failure", flush=True)
    return len(seen)


def keep_case(folder: Path, name: str, data: bytes) -> Path:
    """Write a case that failed into the folder of its reader."""
    path = folder / name / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def steered(name: str, seconds: float, keep: Path) -> None:
    """Let atheris choose the bytes; does not return: libFuzzer ends the process."""
    import atheris  # type: ignore[import-not-found,unused-ignore]

    with atheris.instrument_imports(include=["bench", "qrels", "reports", "retrievers"]):
        reader = readers()[name]
    scratch = Path(tempfile.mkdtemp())
    seeds = scratch / "seeds"
    seeds.mkdir()
    for number, example in enumerate(reader.examples):
        (seeds / str(number)).write_bytes(example)

    def one(data: bytes) -> None:
        found = failure(reader, data, scratch)
        if found:
            print(f"{name}: {found[:300]}: {keep_case(keep, name, data)}", flush=True)
            raise RuntimeError(found)

    options = [
        f"-max_total_time={int(seconds)}",
        "-max_len=20000",
        "-verbosity=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(seeds)], one)
    atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("reader", nargs="*", help="all by default")
    parser.add_argument("--seconds", type=float, default=60, help="for each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blind", action="store_true", help="without atheris")
    parser.add_argument("--save", type=Path, default=CORPUS, metavar="DIR")
    parser.add_argument("--steered", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.steered:
        steered(options.reader[0], options.seconds, options.save)
    chosen = options.reader or list(readers())
    if wrong := set(chosen) - set(readers()):
        parser.error(f"no reader {min(wrong)!r}; there are: {', '.join(readers())}")
    if options.blind or not _has_atheris():
        kinds = [blind(name, options.seconds, options.seed, options.save) for name in chosen]
        return int(sum(kinds) > 0)
    return max(_apart(name, options) for name in chosen)


def _has_atheris() -> bool:
    import importlib.util

    return importlib.util.find_spec("atheris") is not None


def _apart(name: str, options: argparse.Namespace) -> int:
    """Fuzz one reader in a process of its own; 1 where a case failed."""
    command = [sys.executable, "-m", "tools.fuzz", name, "--steered",
               "--seconds", str(options.seconds), "--save", str(options.save)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    count = next((line for line in done.stderr.splitlines() if "number_of_executed" in line), "")
    ours = [line for line in done.stdout.splitlines() if line.startswith(f"{name}: ")]
    cases = count.split()[-1] if count else "?"
    ours.append(f"{name}: {cases} cases steered by coverage, {len(ours)} failed")
    print("\n".join(ours), flush=True)
    return int(bool(done.returncode))


if __name__ == "__main__":
    sys.exit(main())
