"""Text at scale with known answers: real sentences recombined, relevant documents planted.

    python -m benchmarks.corpus FOLDER --documents 1000000 --queries 100000

A document is sentences of real text drawn at random; a query is words of two sentences, and just
the documents into which that pair was planted are relevant (another has both by chance for some
three queries in a thousand, at a million documents). So the corpus is as large as asked, its words
are distributed as those of real text, and what ought to be found is known.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qrels.saved import with_file
from retrievers.tokenise import Analysis, Tokens

SETS = ("scifact", "squad-v1.1-dev", "nfcorpus-stripped", "hotpotqa-sample", "musique-sample",
        "trec-dl19-pool", "cranfield")  # fmt: skip
SENTENCE = re.compile(r"(?<=[.!?])\s+")
LENGTHS = (2, 12)
"""Sentences of a document: from the first number to below the second, all as likely."""

WORDS = 4
"""Words that a query takes of each of its two sentences."""

PLANTED = 3
"""Documents at most that answer a query."""

DIMENSION = 128
"""Of the vectors given with a suite: those of the hashing encoder."""

EXPERIMENT = """\
# Three exact systems at scale. From the folder that holds this file's:
#   python -m bench run --experiment FOLDER/scale.toml --no-latency --memory 8GB
suites = ["."]
depth = 100

[[system]]
retriever = "bm25"

[[system]]
retriever = "lsa"

[[system]]
name = "given vectors"
retriever = "precomputed"
params = {{ path = "{vectors}", encoder = "hashing?dimension={dimension}", similarity = "cosine" }}
"""


@dataclass(frozen=True)
class Plan:
    """Which sentences make which document, and which documents answer which query.

    indptr: int64 (n_docs + 1,); sentences: int32, of each document in order; pairs: int32
    (n_queries, 2); answers: int64 (n_queries, PLANTED), -1 where fewer.
    """

    indptr: NDArray[np.int64]
    sentences: NDArray[np.int32]
    pairs: NDArray[np.int32]
    answers: NDArray[np.int64]


def shared() -> Path:
    """The folder of real sets: BENCH_SHARED, else ../shared/data beside the checkout."""
    named = os.environ.get("BENCH_SHARED")
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        raise SystemExit(f"no text at {folder}; set BENCH_SHARED to a folder of BEIR sets")
    return folder


@cache
def sentences() -> tuple[str, ...]:
    """The distinct sentences of 4 to 60 words of the real sets, in the order of the files."""
    found: dict[str, None] = {}
    for name in SETS:
        path = shared() / name / "corpus.jsonl"
        if not path.exists():
            continue
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                text = " ".join(json.loads(line)["text"].split())
                parts = SENTENCE.split(text)
                found.update((part, None) for part in parts if 4 <= len(part.split()) <= 60)
    return tuple(found)


def plan(n_docs: int, n_queries: int, seed: int = 0) -> Plan:
    """Draw documents and queries; the same arguments give the same plan."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(*LENGTHS, n_docs)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    drawn = rng.integers(0, len(sentences()), indptr[-1], dtype=np.int32)
    pairs = rng.integers(0, len(sentences()), (n_queries, 2), dtype=np.int32)
    homes = rng.integers(0, n_docs, (n_queries, PLANTED))
    homes[np.arange(PLANTED) >= rng.integers(1, PLANTED + 1, n_queries)[:, None]] = -1
    for query, (pair, row) in enumerate(zip(pairs, homes, strict=True)):
        for place, doc in enumerate(row):
            if doc < 0:
                continue
            start = indptr[doc]
            at = rng.choice(lengths[doc], 2, replace=False) + start
            drawn[at] = pair
            homes[query, place] = doc
    return Plan(indptr, drawn, pairs, _kept(indptr, drawn, pairs, homes))


def _kept(
    indptr: NDArray[np.int64],
    drawn: NDArray[np.int32],
    pairs: NDArray[np.int32],
    homes: NDArray[np.int64],
) -> NDArray[np.int64]:
    """*homes* without those in which a later query's pair has overwritten this one's."""
    found = homes.copy()
    for query, place in np.argwhere(homes >= 0):
        doc = homes[query, place]
        inside = drawn[indptr[doc] : indptr[doc + 1]]
        if not np.isin(pairs[query], inside).all() or doc in found[query, :place]:
            found[query, place] = -1
    return found


def texts(plan: Plan) -> Iterator[str]:
    """The documents, one by one."""
    every = sentences()
    for start, end in zip(plan.indptr[:-1], plan.indptr[1:], strict=True):
        yield " ".join([every[number] for number in plan.sentences[start:end]])


def queries(plan: Plan, seed: int = 1) -> list[str]:
    """Words of both sentences of each pair, WORDS of each, at random without repetition."""
    rng = np.random.default_rng(seed)
    found = []
    for pair in plan.pairs:
        words: list[str] = []
        for number in pair:
            known = list(dict.fromkeys(sentences()[number].split()))
            chosen = rng.choice(len(known), min(WORDS, len(known)), replace=False)
            words += [known[i] for i in np.sort(chosen)]
        found.append(" ".join(words))
    return found


@cache
def sentence_features(dimension: int) -> NDArray[np.float32]:
    """float32 (n_sentences, dimension): the hashing encoder's features before they are scaled."""
    from encoders.hashing import WORD, features

    path = _scratch() / f"features-{dimension}.npy"
    if path.exists():
        kept: NDArray[np.float32] = np.load(path, allow_pickle=False)
        return kept
    found = np.zeros((len(sentences()), dimension), np.float32)
    for row, sentence in zip(found, sentences(), strict=True):
        for word in WORD.findall(sentence.lower()):
            np.add.at(row, *features(word, dimension, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    with_file(path, lambda file: np.save(file, found, allow_pickle=False))
    return found


def vectors(plan: Plan, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """float32 (n_docs, dimension): what the hashing encoder gives, by adding up sentences."""
    return np.concatenate(list(vector_blocks(plan, dimension)))


def vector_blocks(plan: Plan, dimension: int, block: int = 50_000) -> Iterator[NDArray[np.float32]]:
    """The same, block by block; a document's features are the sum of its sentences'."""
    each = sentence_features(dimension)
    for start in range(0, len(plan.indptr) - 1, block):
        ends = plan.indptr[start : start + block + 1]
        summed = np.add.reduceat(each[plan.sentences[ends[0] : ends[-1]]], ends[:-1] - ends[0])
        lengths = np.linalg.norm(summed, axis=1, keepdims=True)
        yield (summed / np.where(lengths > 0, lengths, 1)).astype(np.float32)


@cache
def _sentence_tokens() -> tuple[dict[str, int], Tokens]:
    return Analysis().build(sentences())


def token_ids(n_docs: int, n_queries: int = 1000, seed: int = 0) -> tuple[Tokens, int, Tokens]:
    """The terms of the documents, how many distinct ones there are, and those of the queries.

    As `Analysis` gives them for the texts, but without making the texts.
    """
    made = plan(n_docs, n_queries, seed)
    known, tokens = _sentence_tokens()
    lengths = np.diff(tokens.indptr)
    each = lengths[made.sentences]
    starts = np.repeat(tokens.indptr[:-1][made.sentences] - (np.cumsum(each) - each), each)
    terms = tokens.terms[starts + np.arange(each.sum())]
    ends = np.concatenate([[0], np.cumsum(each)])[made.indptr]
    return Tokens(ends, terms), len(known), Analysis().encode(queries(made), known)


def write_suite(folder: Path, n_docs: int, n_queries: int, seed: int = 0) -> None:
    """A suite as a BEIR folder; *folder* appears whole or not at all."""
    made = plan(n_docs, n_queries, seed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as name:
        draft = Path(name) / "suite"
        (draft / "qrels").mkdir(parents=True)
        _write(draft / "corpus.jsonl", _documents(made))
        asked = ({"_id": f"q{i}", "text": text} for i, text in enumerate(queries(made)))
        answered = (made.answers >= 0).any(axis=1)
        _write(
            draft / "queries.jsonl", (o for o, kept in zip(asked, answered, strict=True) if kept)
        )
        with (draft / "qrels" / "test.tsv").open("w", encoding="utf-8") as out:
            out.write("query-id\tcorpus-id\tscore\n")
            for query, place in np.argwhere(made.answers >= 0):
                out.write(f"q{query}\td{made.answers[query, place]}\t1\n")
        with (draft / "vectors.npy").open("wb") as out:
            head = {"descr": "<f4", "fortran_order": False, "shape": (n_docs, DIMENSION)}
            np.lib.format.write_array_header_1_0(out, head)
            for block in vector_blocks(made, DIMENSION):
                out.write(block.tobytes())
        path = str((folder / "vectors.npy").resolve())
        (draft / "scale.toml").write_text(EXPERIMENT.format(vectors=path, dimension=DIMENSION))
        draft.rename(folder)


def _documents(made: Plan) -> Iterator[dict[str, str]]:
    return ({"_id": f"d{i}", "title": "", "text": text} for i, text in enumerate(texts(made)))


def _write(path: Path, rows: Iterator[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def suite_folder(n_docs: int, n_queries: int = 1000, seed: int = 0) -> Path:
    """The folder of such a suite, written once into the cache."""
    folder = _scratch() / f"suite-{n_docs}-{n_queries}-{seed}"
    if not folder.exists():
        write_suite(folder, n_docs, n_queries, seed)
    return folder


def _scratch() -> Path:
    """Where what is made of these sentences is kept, in the cache."""
    from encoders.cache import cache_folder

    source = hashlib.sha256("\n".join(sentences()).encode()).hexdigest()[:12]
    return cache_folder() / "benchmarks" / source


def corpus_file(n_docs: int, seed: int = 0) -> Path:
    """The corpus.jsonl of `suite_folder`."""
    return suite_folder(n_docs, seed=seed) / "corpus.jsonl"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if options.folder.exists():
        parser.error(f"{options.folder} exists")
    write_suite(options.folder, options.documents, options.queries, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
