"""How much memory a system will need, and a limit that holds while it works: `--memory`."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import generators
from bench.config import System
from bench.environment import status_kib
from generators import GENERATORS
from qrels.data import Suite
from qrels.errors import BenchError, UsageError
from qrels.text_column import TextColumn
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import parse_spec

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)B?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """The bytes that a size such as 8GB, 500MB or 1.5G stands for, in powers of ten."""
    found = SIZE.fullmatch(text.strip())
    if found is None or not (size := round(float(found[1]) * UNITS[found[2].upper()])):
        raise UsageError(f"{text!r} is not a size; expected one such as 8GB or 500MB")
    return size


def show_size(size: float) -> str:
    """A size as people write it, three digits."""
    for unit, factor in reversed(UNITS.items()):
        if size >= factor:
            return f"{size / factor:.3g} {unit}B"
    return "0 B"


@contextlib.contextmanager
def limited(limit: int | None) -> Iterator[None]:
    """Inside, this process and those that it starts may hold *limit* bytes of data of their own.

    Linux's RLIMIT_DATA counts private writable memory: neither files mapped for reading nor code.
    Going over it is a MemoryError, or the end of a process in a library that does not look.
    """
    if limit is None:
        yield
        return
    try:
        import resource
    except ImportError as error:
        raise UsageError("--memory needs the memory limits of Linux") from error
    before = resource.getrlimit(resource.RLIMIT_DATA)
    hard = before[1]
    soft = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


class Facts(NamedTuple):
    """What an estimate is made from; corpus_bytes: what the corpus takes in a process."""

    documents: int
    text_bytes: int
    queries: int
    depth: int
    corpus_bytes: int


def facts_of(suite: Suite) -> Facts:
    sizes = [_sizes(texts) for texts in (suite.corpus.doc_ids, *suite.corpus.fields.values())]
    held = sum(held for _, held in sizes)
    text = sum(size for size, _ in sizes[1:])
    return Facts(len(suite.corpus), text, len(suite.queries), suite.depth, held)


def _sizes(texts: Sequence[str]) -> tuple[int, int]:
    """The bytes of texts, and what they take; strings twice, as they are sent to processes."""
    if isinstance(texts, TextColumn):
        size = int(texts.utf8()[1][-1])
        return size, size
    size = sum(map(len, texts))
    return size, 2 * (size + STRING * len(texts))


MB = 10**6
BASE, NUMBA, SCIPY, TORCH, FAISS = 100 * MB, 110 * MB, 60 * MB, 500 * MB, 40 * MB
"""What the interpreter with NumPy takes, and each library on top, measured on Linux x86-64."""

STRING = 60
"""Bytes that Python adds to a text in memory."""

DIMENSIONS = {"minilm": 384, "hashing": 256}
UNSEEN_MODEL = 1000 * MB
"""What a model takes that is not in a folder."""

WIDEST = 1024
"""Dimensions of an encoder that is not in the table."""

Params = Mapping[str, Any]  # constructor arguments


def _bm25(facts: Facts, params: Params) -> float:  # noqa: ARG001 - one signature for all
    return NUMBA + 3.3 * facts.text_bytes


def _bm25f(facts: Facts, params: Params) -> float:  # noqa: ARG001 - the same
    return NUMBA + 9.0 * facts.text_bytes


def _okapi(facts: Facts, params: Params) -> float:  # noqa: ARG001 - the same
    return 20 * MB + 25 * facts.text_bytes


def _lsa(facts: Facts, params: Params) -> float:
    """The decomposition of at most *training* documents, then float32 vectors of all."""
    trained = min(facts.documents, int(params["training"]))
    floats = float(params["dimensions"]) * (110 * trained + 5.2 * facts.documents)
    return NUMBA + SCIPY + 2 * facts.text_bytes + floats


def _vectors(facts: Facts, params: Params) -> float:
    """Encoded in blocks, merged into one file, mapped; as float16 a copy beside it."""
    name, _, _ = params["encoder"].partition("?")
    given = parse_spec(params["encoder"])[1]
    width = given.get("dimensions") or given.get("dimension") or DIMENSIONS.get(name, WIDEST)
    model = 0 if name == "hashing" else TORCH
    return model + 8 * facts.documents * float(width) + 2.0 * facts.text_bytes


def _faiss(facts: Facts, params: Params) -> float:
    return FAISS + 1.7 * _vectors(facts, params)


def _hybrid(facts: Facts, params: Params) -> float:
    parts = [_retriever(spec, {}, facts) for spec in params["retrievers"]]
    return sum(part or 0.0 for part in parts)


def _wrapped(facts: Facts, params: Params) -> float:
    """The retriever inside; the texts of overlapping chunks go beside the documents'."""
    copies = 2 * facts.text_bytes if "overlap" in params else 0
    return (_retriever(params["retriever"], {}, facts) or 0.0) + copies


def _nothing(facts: Facts, params: Params) -> float:  # noqa: ARG001 - the same
    return 0.0


NEEDS: Mapping[str, Callable[[Facts, Params], float]] = {
    "bm25": _bm25, "bm25f": _bm25f, "bm25-okapi": _okapi, "lsa": _lsa, "dense": _vectors,
    "faiss": _faiss, "fielded": _vectors, "none": _nothing, "random": _nothing, "gold": _nothing,
    "chunked": _wrapped, "filtered": _wrapped,
    "hybrid": _hybrid, "precomputed": _vectors,
}  # fmt: skip
"""Bytes that a built-in takes beyond BASE, corpus and rankings, from measurements at 5,000 to
200,000 documents of 60 words."""


def _model(facts: Facts, params: Params) -> float:  # noqa: ARG001 - the same
    """Weights in the dtype of the file, and again while they are read."""
    folder = Path(params["model"])
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    return TORCH + (2.0 * size or UNSEEN_MODEL)


def _tokens(facts: Facts, params: Params) -> float:
    """A vector for each token, of 5 bytes or so, and blocks of them beside the whole."""
    return _vectors(facts._replace(documents=facts.text_bytes // 5), params) / 3


RERANKERS_NEED: Mapping[str, Callable[[Facts, Params], float]] = {
    "cross-encoder": _model, "llm-yes-no": _model, "late-interaction": _tokens, "mmr": _vectors,
}  # fmt: skip


def peak_bytes(system: System, facts: Facts) -> int | None:
    """The largest resident memory of a process that makes the system's rankings, estimated.

    None for a plug-in that does not say: its class may have `peak_bytes(documents, text_bytes)`,
    what it takes beyond the corpus.
    """
    own = _retriever(system.retriever, system.params, facts)
    if own is None:
        return None
    reranker = _reranker(system.reranker, system.reranker_params, facts) if system.reranker else 0
    runs = 24 * facts.queries * facts.depth
    generator = _generator(system, facts) if system.generator else 0
    return round(BASE + facts.corpus_bytes + own + reranker + generator + runs)


def _retriever(spec: str, given: Params, facts: Facts) -> float | None:
    name, written = parse_spec(spec)
    made = RETRIEVERS.create(name, {**written, **given})
    if name in NEEDS:
        return NEEDS[name](facts, vars(made))
    says = getattr(made, "peak_bytes", None)
    return None if says is None else float(says(facts.documents, facts.text_bytes))


def _reranker(spec: str, given: Params, facts: Facts) -> float:
    name, written = parse_spec(spec)
    if name not in RERANKERS_NEED:
        return 0
    return RERANKERS_NEED[name](facts, vars(RERANKERS.create(name, {**written, **given})))


def _generator(system: System, facts: Facts) -> float:
    """A model's weights; sentences of `extractive` take no more than torch does."""
    assert system.generator is not None  # the caller's condition
    if parse_spec(system.generator)[0] not in GENERATORS.builtins:
        return 0
    params = vars(generators.create(system.generator, system.generator_params))
    return _model(facts, params) if "revision" in params else TORCH


def shown(peak: int | None) -> str:
    return "peak memory unknown" if peak is None else f"peak memory about {show_size(peak)}"


def check_plan(
    plan: Sequence[tuple[Suite, Sequence[System]]], limit: int | None, jobs: int = 1
) -> str:
    """A line about the system that needs most; UsageError where it is more than it may have."""
    most: tuple[int, System, Suite] | None = None
    for suite, systems in plan:
        facts = facts_of(suite)
        for system in systems:
            peak = peak_bytes(system, facts)
            if peak is not None and (most is None or peak > most[0]):
                most = peak, system, suite
    if most is None:
        return shown(None)
    peak, system, suite = most
    if limit is not None and peak > share(limit, jobs):
        raise UsageError(
            f"{system.name} on {suite.name} needs about {show_size(peak)}; --memory leaves each of "
            f"{jobs} processes {show_size(share(limit, jobs))}{_advice(system, suite, limit, jobs)}"
        )
    return f"{shown(peak)}, of {system.name} on {suite.name}"


def _advice(system: System, suite: Suite, limit: int, jobs: int) -> str:
    """What would fit, where something would."""
    facts, allowed = facts_of(suite), share(limit, jobs)
    for changes in ({"training": 10_000}, {"encoder": "minilm?dimensions=128"}):
        try:
            other = replace(system, params={**system.params, **changes})
            if (peak_bytes(other, facts) or allowed + 1) <= allowed:
                ((name, value),) = changes.items()
                return f"; {name}={value} would fit"
        except BenchError:  # it has no such parameter
            continue
    if jobs > 1 and (peak_bytes(system, facts) or 0) <= share(limit, 1):
        return "; --jobs 1 would fit"
    return ""


def share(limit: int, jobs: int) -> int:
    """What each of *jobs* processes may hold beside this one, at least 1 MB."""
    return max(10**6, (limit - own_bytes()) // jobs)


def own_bytes() -> int:
    """The memory of this process that is no file's; 0 where the platform does not say."""
    return status_kib("RssAnon") * 1024


REFUSED = re.compile(r"alloc|out of memory|not enough memory", re.IGNORECASE)
DIED = re.compile(r"its process (died|was killed)")


def needs_more(message: str, limit: int | None, error: BaseException | None = None) -> str:
    """The reason of a failure, with the limit where that was the cause, or may have been."""
    if limit is None:
        return message
    if isinstance(error, MemoryError) or REFUSED.search(message):
        return f"needs more than the {show_size(limit)} that --memory leaves it ({message})"
    if DIED.search(message):
        return f"{message}; --memory leaves it {show_size(limit)}, which may be too little"
    return message
