"""Interactive search: one query over a suite or a plain file, with what explains each hit."""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.config import System
from bench.output import drafted
from bench.system import Built, index, make, rerank, retrieve
from encoders.cache import cache_folder
from qrels.content import sha256, used
from qrels.data import ABSENT, Column, Corpus, Filter, Run
from qrels.errors import DataError, UsageError, unknown
from qrels.plain import has_vectors, read_plain
from reports.table import clean
from rerankers import RERANKERS
from rerankers.base import Prepares
from retrievers import RETRIEVERS
from retrievers.base import SavesIndex
from retrievers.registry import Registry, parse_spec
from retrievers.tokenise import Analysis

SNIPPET_WORDS = 30
INDEX_FORMAT = 1
RETRIEVER, RERANKER = "retriever", "reranker"
"""The folders of a saved index."""

LISTED = 8
UNFIT = (DataError, KeyError, RuntimeError, TypeError, ValueError)
"""What a saved index of another layout, or a damaged one, raises when it is loaded."""

SHOWN_COLUMNS = ("pipeline_tag", "license", "language", "downloads", "likes", "created_at")


@dataclass(frozen=True)
class Hit:
    """One answer: fields maps each field that shares words with the query to those words."""

    rank: int
    doc_id: str
    score: float
    fields: Mapping[str, Sequence[str]]
    snippet: str
    metadata: Mapping[str, str]


def search(
    built: Built, query: str, k: int, depth: int, where: Sequence[Filter], sort: str
) -> list[Hit]:
    """The k best hits; a *sort* other than relevance reorders the best *depth* by that column."""
    run = rerank(built, [query], retrieve(built, [query], max(k, depth), where))
    run = run if sort == "relevance" else by_column(run, built.corpus, sort, max(k, depth))
    return [
        hit(built.corpus, query, rank, int(position), float(score))
        for rank, (position, score) in enumerate(
            zip(run.docs[0, :k], run.scores[0, :k], strict=True), 1
        )
        if position != ABSENT
    ]


def by_column(run: Run, corpus: Corpus, name: str, depth: int) -> Run:
    """The best *depth* of a one-query run, largest value of the column first, missing last."""
    if name not in corpus.metadata:
        raise unknown("column to sort by", name, corpus.metadata)
    column = corpus.metadata[name]
    if column.kind not in ("int", "float", "date"):
        raise UsageError(f"cannot sort by {name!r}, a {column.kind} column; numbers and dates sort")
    docs = run.docs[0, :depth]
    docs = docs[docs != ABSENT]
    values = column.values[docs]
    missing = np.isnat(values) if column.kind == "date" else np.isnan(values)
    keys = np.where(missing, np.inf, -values.astype("int64" if column.kind == "date" else "f8"))
    order = np.argsort(keys, kind="stable")
    return Run(docs[None, order], run.scores[:, : len(docs)][:, order])


def matching_words(query: str, text: str) -> list[str]:
    """The distinct words of *text* that share a term with *query* under BM25's analysis."""
    analysis = Analysis()
    wanted = set(analysis.terms([query])[0])
    words = list(dict.fromkeys(re.findall(r"\w+", text.lower())))
    return [
        word for word, terms in zip(words, analysis.terms(words), strict=True)
        if wanted.intersection(terms)
    ]  # fmt: skip


def hit(corpus: Corpus, query: str, rank: int, position: int, score: float) -> Hit:
    """What to show of one document; the snippet is from the prose that matches best."""
    texts = {name: column[position] for name, column in corpus.fields.items()}
    matched = {name: matching_words(query, text) for name, text in texts.items()}
    prose = [name for name in texts if name not in corpus.metadata] or [
        name for name in texts if not is_list(corpus, name)
    ]
    best = max(prose or texts, key=lambda name: (len(matched[name]), len(texts[name])))
    shown = {name: show(column, position) for name, column in corpus.metadata.items()}
    return Hit(
        rank=rank,
        doc_id=corpus.doc_ids[position],
        score=score,
        fields={name: words for name, words in matched.items() if words},
        snippet=snippet(texts[best], set(matched[best])),
        metadata={name: value for name, value in shown.items() if value},
    )


def is_list(corpus: Corpus, name: str) -> bool:
    """Whether the field of that name shows a list column, tags or languages, say."""
    return name in corpus.metadata and corpus.metadata[name].kind == "list"


def snippet(text: str, wanted: set[str], size: int = SNIPPET_WORDS) -> str:
    """The *size* consecutive words of *text* that hold most of *wanted*, with … where cut."""
    parts = text.split()
    if len(parts) <= size:
        return " ".join(parts)
    matches = np.array([bool(wanted.intersection(re.findall(r"\w+", p.lower()))) for p in parts])
    counts = np.convolve(matches.astype(int), np.ones(size, int), mode="valid")
    start = int(counts.argmax())
    cut = " ".join(parts[start : start + size])
    return ("… " if start else "") + cut + (" …" if start + size < len(parts) else "")


def show(column: Column, position: int) -> str:
    """One metadata value as text, "" where missing."""
    value = column.values[position]
    if column.kind == "list":
        more = f", and {len(value) - LISTED} more" if len(value) > LISTED else ""
        return ", ".join(value[:LISTED]) + more
    if column.kind == "str":
        return value or ""
    if column.kind == "date":
        return "" if np.isnat(value) else str(value)[:10]
    return "" if np.isnan(value) else f"{value:,.0f}" if column.kind == "int" else f"{value:g}"


def index_folder(system: System, corpus_digest: str) -> Path:
    """Where the index of this system over this corpus is kept."""
    key: dict[str, Any] = {  # JSON-ready
        "format": INDEX_FORMAT,
        "corpus": corpus_digest,
        "retriever": system.retriever,
        "params": dict(system.params),
        "reranker": system.reranker,
        "reranker_params": dict(system.reranker_params),
        "files": {name: sha256(Path(name)) for name in system.params.values() if is_file(name)},
        "code": [code_of(RETRIEVERS, system.retriever), code_of(RERANKERS, system.reranker)],
    }
    text = json.dumps(key, sort_keys=True)
    return cache_folder() / "indexes" / hashlib.sha256(text.encode()).hexdigest()[:32]


def code_of(registry: Registry, spec: str | None) -> str | None:
    """The digest of the file that a plug-in's class is in; None for built-ins, and for none."""
    if spec is None or (name := parse_spec(spec)[0]) in registry.builtins:
        return None
    return sha256(Path(inspect.getfile(registry.load(name))))


def is_file(value: object) -> bool:
    """Whether a parameter names a file, whose content is then part of the index."""
    return isinstance(value, str) and len(value) < 1024 and Path(value).is_file()


def open_index(
    system: System, corpus: Corpus, folder: Path, say: Callable[[str], None] = lambda _: None
) -> Built:
    """The system ready to search: from *folder* where a fitting index was saved, else built now."""
    built = make(system, corpus)
    if (folder / RETRIEVER).is_dir():
        try:
            load_index(built, folder)
        except UNFIT as error:
            say(f"the saved index cannot be used: {error}; `bench index` makes it anew")
            built = make(system, corpus)
        else:
            used(folder)
            return built
    index(built)
    return built


def load_index(built: Built, folder: Path) -> None:
    """Take both parts from *folder*; DataError where what is there does not fit."""
    assert isinstance(built.retriever, SavesIndex)  # only such an index is ever saved
    built.retriever.load(folder / RETRIEVER, built.corpus)
    if isinstance(built.reranker, SavesIndex) and (folder / RERANKER).is_dir():
        built.reranker.load(folder / RERANKER, built.corpus)
    elif isinstance(built.reranker, Prepares):
        built.reranker.prepare(built.corpus)


def save_index(built: Built, folder: Path) -> int:
    """Save what can be saved into *folder*, whole or not at all; the bytes written."""
    if not isinstance(built.retriever, SavesIndex):
        raise UsageError(f"the index of {built.system.retriever!r} cannot be saved")
    with drafted(folder) as draft:
        for name, part in ((RETRIEVER, built.retriever), (RERANKER, built.reranker)):
            if isinstance(part, SavesIndex):
                (draft / name).mkdir()
                part.save(draft / name)
        return sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())


def plain_corpus(path: Path) -> tuple[Corpus, str, System]:
    """Corpus, digest and default system of a plain file: its own embeddings where it has them."""
    corpus = read_plain(path)
    digest = sha256(path)
    if has_vectors(path):
        return corpus, digest, System("precomputed", "precomputed", {"path": str(path)})
    return corpus, digest, System("dense", "dense")


def format_hits(hits: Sequence[Hit], sort: str = "relevance") -> str:
    """The hits as text: id and score, metadata, the words that matched in each field, a snippet."""
    if not hits:
        return "nothing found"
    return "\n".join(line for found in hits for line in _lines(found, sort))


def _lines(found: Hit, sort: str) -> list[str]:
    chosen = {key: found.metadata[key] for key in (sort, *SHOWN_COLUMNS) if key in found.metadata}
    facts = "; ".join(f"{key}: {value}" for key, value in chosen.items())
    matched = "; ".join(f"{name}: {', '.join(words)}" for name, words in found.fields.items())
    reason = f"matched in {matched}" if matched else "no word in common with the query"
    head = f"{found.rank:3d}  {found.score:9.4f}  {clean(found.doc_id)}"
    return [head, *(f"     {clean(line)}" for line in (facts, reason, found.snippet) if line)]
