"""Vectors to search in: real ones, of sentences of the shared sets, and synthetic ones.

    BENCH_CACHE=FOLDER python -m benchmarks.vectors --passages 50000

encodes them once, into the cache of embeddings: minutes of one core, which a benchmark then
finds there.
"""

import argparse
import json
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import encoders
from benchmarks.corpus import sentences, shared
from retrievers.approximate import cut

Floats = NDArray[np.float32]

ENCODER = "minilm"
PASSAGES, QUERIES = 50_000, 1_000
ASKING = ("scifact", "squad-v1.1-dev", "nfcorpus-stripped")
"""The sets whose queries are asked."""


class Vectors(NamedTuple):
    """Unit vectors, float32: passages (n, dimension), queries (m, dimension), and such queries
    as `retrievers.approximate` cuts from the passages, none where there is no text.
    """

    passages: Floats
    queries: Floats
    cuts: Floats


def real(passages: int = PASSAGES, queries: int = QUERIES, seed: int = 0) -> Vectors:
    """MiniLM's vectors of sentences and questions of real sets, drawn at random."""
    asked = [text for name in ASKING for text in questions(name)]
    texts, encoder = drawn(sentences(), passages, seed), encoders.load(ENCODER)
    return Vectors(
        encoder.encode(texts, "passage"),
        encoder.encode(drawn(asked, queries, seed), "query"),
        encoder.encode(cut(texts, seed), "query"),
    )


def questions(name: str) -> list[str]:
    """The texts of a set's queries."""
    with (shared() / name / "queries.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def drawn(texts: list[str] | tuple[str, ...], size: int, seed: int) -> list[str]:
    """*size* of the texts at random; the first of a larger draw are a smaller one."""
    order = np.random.default_rng(seed).permutation(len(texts))
    return [texts[place] for place in order[:size]]


def synthetic(passages: int, queries: int, dimension: int = 64, seed: int = 0) -> Vectors:
    """Unit vectors about random centres, queries drawn like passages.

    They flatter approximate search: queries lie where passages lie, and clusters are round.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, passages // 1000), dimension), np.float32)

    def some(size: int) -> Floats:
        found = rng.standard_normal((size, dimension), np.float32)
        found += centres[rng.integers(len(centres), size=size)]
        found /= np.linalg.norm(found, axis=1, keepdims=True)
        return found

    return Vectors(some(passages), some(queries), some(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--passages", type=int, default=PASSAGES)
    found = real(parser.parse_args().passages)
    print(f"{len(found.passages):,} passages and {len(found.queries):,} queries are encoded")


if __name__ == "__main__":
    main()
