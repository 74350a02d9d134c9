"""The documents of a suite that still need a judgement: the pool of several systems' best.

    python -m tools.pool SUITE_FOLDER --split dev --split test --out pool.tsv

For each query, the union of the first DEPTH documents of SYSTEMS and of what the suite's
facts.tsv adds (documents that meet all conditions of a row, written as `bench search --filter`
takes them), less what its log, judgements.tsv, has already; in an order that does not tell where
a document came from.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.config import parse_system
from bench.system import index, make, rerank, retrieve
from qrels.data import ABSENT, Suite
from qrels.suites import load_suite
from retrievers.filters import matching, parse_filter

DEPTH = 20
SYSTEMS = (
    "bm25",
    'bm25?fields=["title","text"]&k1=1.2&b=0.75',
    "bm25f",
    "lsa",
    "dense",
    "fielded",
    "hybrid",
    "dense+late-interaction",
)


def pool(suite: Suite, specs: Sequence[str], depth: int) -> dict[str, set[str]]:
    """For each query id, the ids in the first *depth* of any of the systems."""
    found: dict[str, set[str]] = {query_id: set() for query_id in suite.queries.query_ids}
    for spec in specs:
        print(f"{suite.split}: {spec}", file=sys.stderr, flush=True)
        built = make(parse_system(spec), suite.corpus)
        index(built)
        texts = suite.queries.texts
        run = rerank(built, texts, retrieve(built, texts, max(depth, 50)))
        for query_id, docs in zip(found, run.docs[:, :depth], strict=True):
            found[query_id] |= {suite.corpus.doc_ids[doc] for doc in docs if doc != ABSENT}
    return found


def by_facts(suite: Suite, table: Path) -> dict[str, set[str]]:
    """For each query id, the ids of the documents that the rows of facts.tsv name."""
    found: dict[str, set[str]] = {}
    for row in rows_of(table):
        where = [parse_filter(text) for text in row["conditions"].split(";")]
        keep = matching(suite.corpus.metadata, where, len(suite.corpus))
        chosen = {suite.corpus.doc_ids[doc] for doc in np.flatnonzero(keep)}
        found.setdefault(row["query_id"], set()).update(chosen)
    return found


def rows_of(table: Path) -> list[dict[str, str]]:
    """The rows of a tab-separated file with a header, none where there is no such file."""
    if not table.exists():
        return []
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def judged(log: Path) -> set[tuple[str, str]]:
    """The pairs that the log has a row for."""
    return {(row["query_id"], row["doc_id"]) for row in rows_of(log)}


def shuffled(query_id: str, doc_ids: set[str]) -> list[str]:
    """An order that depends on nothing but the ids."""
    return sorted(doc_ids, key=lambda d: hashlib.sha256(f"{query_id}\t{d}".encode()).digest())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--split", action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--depth", type=int, default=DEPTH)
    options = parser.parse_args()
    known = judged(options.suite / "judgements.tsv")
    with options.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(["query_id", "doc_id"])
        for split in options.split:
            suite = load_suite(str(options.suite), split)
            facts = by_facts(suite, options.suite / "facts.tsv")
            for query_id, doc_ids in pool(suite, SYSTEMS, options.depth).items():
                all_ids = doc_ids | facts.get(query_id, set())
                rows = [d for d in shuffled(query_id, all_ids) if (query_id, d) not in known]
                writer.writerows((query_id, doc_id) for doc_id in rows)


if __name__ == "__main__":
    main()
