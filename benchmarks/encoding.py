"""MiniLM's vectors by each backend, beside sentence-transformers: passages and one query alone."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np

from bench.environment import available_cores, pinned_threads
from bench.judge import judge
from bench.metrics.measures import ndcg
from benchmarks.common import Fact, Mark, Missing, Result, Timing, by_turns, need, timings
from benchmarks.corpus import shared
from encoders.minilm import MAX_LENGTH, MiniLM, find_model
from qrels.suites import load_suite
from retrievers.dense import Dense

Sides = Mapping[str, Callable[[], object]]
TITLE = "Encoding: all-MiniLM-L6-v2"
PEER = "sentence-transformers"
BACKENDS = {"torch": "torch", "onnx": "onnxruntime", "openvino": "openvino"}
DTYPES = ("float32", "int8")
PASSAGES = {"float32": 1.4, "int8": 3.0}
QUERIES = {"float32": 2.5}
"""What was promised of each dtype."""

ENGINES = ("onnx", "openvino")
TOKENS = 172
QUERY = "Which planet is the biggest?"
SUITES = ("scifact", "squad-v1.1-dev")
MEASURED = ("onnx float32", "torch int8", "onnx int8", "openvino int8")
"""Whose nDCG@10 is taken; the float32 ones give the same vectors to 1e-5."""

NOTES = (
    f"Passages are SciFact's abstracts cut to {TOKENS} word pieces, 32 a call; texts in, unit "
    "vectors out, tokenising included, on both sides. Vectors are checked first: float32 to 1e-5, "
    "int8 by a cosine above .97.",
    "int8 rounds weights by column and activations by token. ONNX Runtime's and torch's recipes "
    "are the same; OpenVINO rounds activations by itself.",
    "nDCG@10 is over all documents and all judged queries; vectors are taken from the cache where "
    "an earlier run left them.",
)
IMPORTS = ("sentence_transformers", "torch", "onnxruntime", "openvino", "tokenizers")


def run(quick: bool) -> Result:
    found: list[Timing] = []
    for number in sorted({1, min(2, available_cores())}):
        with pinned_threads(number):
            found += _timed(number, quick)
    works, sides = (list(dict.fromkeys(names)) for names in _names(found))
    facts = _imports() + ([] if quick else _quality())
    return Result(tuple(found), tuple(_marks(works, sides)), tuple(facts), NOTES)


def _names(found: Sequence[Timing]) -> tuple[list[str], list[str]]:
    """Works and sides of all timings."""
    return [timing.work for timing in found], [timing.side for timing in found]


def _timed(number: int, quick: bool) -> list[Timing]:
    """Passages and one query alone, with *number* threads."""
    peer, ours = _peer(), dict(_encoders())
    about = f"{number} thread{'s' if number > 1 else ''}"
    passages = _passages(8 if quick else 32)
    works = {f"passages of {TOKENS} tokens, {about}": (passages, 3 if quick else 7)}
    works[f"one query alone, {about}"] = [QUERY], 20 if quick else 100
    found: list[Timing] = []
    for work, (texts, rounds) in works.items():
        calls: dict[str, Callable[[], object]] = {PEER: partial(peer, texts)}
        calls |= {name: partial(each.encode, texts, "passage") for name, each in ours.items()}
        _check(calls)
        found += timings(work, by_turns(calls, rounds), len(texts))
    return found


def _marks(works: Sequence[str], sides: Sequence[str]) -> Iterator[Mark]:
    """What was promised of both engines: of passages in either dtype, of a query in float32."""
    for work, side in product(works, sides):
        backend, _, dtype = side.partition(" ")
        promised = (PASSAGES if work.startswith("passages") else QUERIES).get(dtype)
        if backend in ENGINES and promised:
            yield Mark(work, side, PEER, promised)


def _encoders() -> Iterator[tuple[str, MiniLM]]:
    """Every backend whose package is installed, loaded."""
    for backend, package in BACKENDS.items():
        try:
            need(package)
        except Missing:
            continue
        for dtype in DTYPES:
            encoder = MiniLM(backend=backend, dtype=dtype)
            encoder.load()
            yield f"{backend} {dtype}", encoder


def _peer() -> Callable[[list[str]], Any]:
    library = need("sentence_transformers")
    model = library.SentenceTransformer(
        str(find_model().folder), device="cpu", local_files_only=True
    )
    model.max_seq_length = MAX_LENGTH
    return partial(model.encode, normalize_embeddings=True, show_progress_bar=False)


def _check(calls: Sides) -> None:
    """SystemExit unless every side gives the peer's vectors, as near as its dtype allows."""
    expected = np.asarray(calls[PEER]())
    for name, call in calls.items():
        vectors = np.asarray(call())
        if name.endswith("int8"):
            nearness = float((vectors * expected).sum(axis=1).min())
            if nearness < 0.97:
                raise SystemExit(f"{name}: cosine {nearness}")
        elif np.abs(vectors - expected).max() > 1e-5:
            raise SystemExit(f"{name}: off by {np.abs(vectors - expected).max()}")


def _passages(number: int) -> list[str]:
    """The first abstracts of SciFact that are long enough, cut to as many tokens."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(find_model().folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    found: list[str] = []
    with (shared() / "scifact" / "corpus.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            encoding = tokenizer.encode(text)
            if len(encoding.ids) > TOKENS:
                cut = text[: encoding.offsets[TOKENS - 2][1]]  # [CLS] is first, [SEP] comes last
                found += [cut] if len(tokenizer.encode(cut).ids) == TOKENS else []
            if len(found) == number:
                return found
    raise SystemExit(f"SciFact has {len(found)} passages of {TOKENS} tokens; {number} are needed")


def _imports() -> list[Fact]:
    """How long a new process takes to import each package, the least of three."""
    code = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"
    found = []
    for name in IMPORTS:
        call = [sys.executable, "-c", code.format(name)]
        answers = [subprocess.run(call, capture_output=True, text=True) for _ in range(3)]
        if all(answer.returncode == 0 for answer in answers):
            seconds = min(float(answer.stdout) for answer in answers)
            found.append(Fact(f"import {name}", seconds, "s"))
    return found


def _quality() -> list[Fact]:
    """nDCG@10 of each backend on each suite."""
    found = []
    for name in SUITES:
        if not (shared() / name).is_dir():
            continue
        suite = load_suite(shared() / name)
        for side in MEASURED:
            backend, _, dtype = side.partition(" ")
            if find_spec(BACKENDS[backend]):
                retriever = Dense(encoder=f"minilm?backend={backend}&dtype={dtype}")
                retriever.index(suite.corpus)
                judged = judge(retriever.search(suite.queries.texts, 10), suite.qrels)
                value = float(ndcg(judged, 10).mean())
                found.append(Fact(f"nDCG@10, {name}, {side}", value, ""))
    return found
