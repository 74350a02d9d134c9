"""The log of judgements of a suite into its qrels, and what the log says of itself.

    python -m tools.judgements SUITE_FOLDER [--check]

judgements.tsv has a row a judgement: query_id, doc_id, pass, grade, basis (read or rule), reason.
Pass 1 covers the pool; pass 2 a random part of it, blind to pass 1; pass 3 settles the pairs on
which the two differ by 2 or more; pass 4 judges anew pairs drawn within each grade of pass 1. The
grade that counts is that of pass 3 where there is one, else of pass 1. Writes qrels/SPLIT.tsv for
each split that queries.jsonl names, and puts the figures into README.md between its two marker
lines. --check writes nothing and fails where the files are not what the log gives.
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qrels.errors import DataError
from qrels.files import read_objects

GRADES = 4
START, END = "<!-- figures of the log -->", "<!-- end of figures -->"
Pairs = dict[tuple[str, str], int]


class Log(NamedTuple):
    """The grades of each pass by (query, document)."""

    passes: Mapping[int, Pairs]
    bases: Counter[str]

    @property
    def final(self) -> Pairs:
        return {**self.passes[1], **self.passes.get(3, {})}


def read_log(path: Path) -> Log:
    """The log; DataError names the line of a repeated pair, an unknown pass, grade or basis."""
    passes: dict[int, Pairs] = {}
    bases: Counter[str] = Counter()
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE), 2):
            number, grade, pair = row["pass"], row["grade"], (row["query_id"], row["doc_id"])
            if number not in ("1", "2", "3", "4") or grade not in ("0", "1", "2", "3"):
                raise DataError(f"{path}:{line}: pass {number!r}, grade {grade!r}")
            if row["basis"] not in ("read", "rule") or not row["reason"]:
                raise DataError(f"{path}:{line}: basis {row['basis']!r}, reason {row['reason']!r}")
            found = passes.setdefault(int(number), {})
            if pair in found:
                raise DataError(f"{path}:{line}: {pair} is judged twice in pass {number}")
            found[pair] = int(grade)
            bases[row["basis"]] += number == "1"
    return Log(passes, bases)


def weighted_kappa(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Quadratic-weighted kappa of two raters' grades, both int (n,).

    Source: Cohen 1968, doi 10.1037/h0026256.
    """
    seen = np.histogram2d(a, b, bins=[np.arange(GRADES + 1) - 0.5] * 2)[0] / len(a)
    chance = np.outer(seen.sum(axis=1), seen.sum(axis=0))
    weights = np.subtract.outer(np.arange(GRADES), np.arange(GRADES)) ** 2
    return float(1 - (weights * seen).sum() / (weights * chance).sum())


def agreement(log: Log, other: int, seed: int = 13) -> dict[str, float]:
    """Agreement of pass 1 and *other*: kappa with its 95 % bootstrap interval over queries."""
    pairs = sorted(set(log.passes[1]) & set(log.passes[other]))
    a = np.array([log.passes[1][pair] for pair in pairs])
    b = np.array([log.passes[other][pair] for pair in pairs])
    names, rows = np.unique([query for query, _ in pairs], return_inverse=True)
    groups = [np.flatnonzero(rows == i) for i in range(len(names))]
    rng = np.random.default_rng(seed)
    samples = []
    for _ in range(1000):
        at = np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])
        samples.append(weighted_kappa(a[at], b[at]))
    low, high = np.percentile(samples, [2.5, 97.5])
    return {
        "pairs": len(pairs),
        "share": len(pairs) / len(log.passes[1]),
        "kappa": weighted_kappa(a, b),
        "low": float(low),
        "high": float(high),
        "equal": float((a == b).mean()),
        "within_one": float((abs(a - b) <= 1).mean()),
        "relevant_kept": float((b[a >= 2] >= 2).mean()),
    }


def qrels_of(log: Log, splits: Mapping[str, str]) -> dict[str, str]:
    """The text of each split's qrels file. splits: the split of each query."""
    rows: dict[str, list[str]] = {split: [] for split in splits.values()}
    for (query_id, doc_id), grade in sorted(log.final.items()):
        rows[splits[query_id]].append(f"{query_id}\t{doc_id}\t{grade}")
    head = "query-id\tcorpus-id\tscore"
    return {split: "\n".join([head, *found]) + "\n" for split, found in rows.items()}


def figures(log: Log, splits: Mapping[str, str]) -> str:
    """The counts and the agreement, as Markdown."""
    final = log.final
    lines = ["| | " + " | ".join(sorted(set(splits.values()))) + " | all |", "|---|--:|--:|--:|"]
    groups = [*sorted(set(splits.values())), None]

    def row(name: str, values: Sequence[object]) -> None:
        lines.append(f"| {name} | " + " | ".join(map(str, values)) + " |")

    def grades(split: str | None) -> list[int]:
        return [g for (q, _), g in final.items() if split in (None, splits[q])]

    row("queries", [sum(split in (None, s) for s in splits.values()) for split in groups])
    row("judged pairs", [f"{len(grades(split)):,}" for split in groups])
    for grade in range(GRADES - 1, -1, -1):
        row(f"grade {grade}", [f"{grades(split).count(grade):,}" for split in groups])
    lines.append("")
    lines.append(
        f"Of the first pass, {log.bases['rule']:,} grades were decided by a rule on the facts and "
        f"{log.bases['read']:,} by reading."
    )
    if 2 in log.passes:
        a = agreement(log, 2)
        lines.append(
            f"A second pass judged {a['pairs']:,} pairs ({a['share']:.0%} of the pool, at random "
            f"within each query), blind to the first: the grades are equal in {a['equal']:.1%} and "
            f"within one in {a['within_one']:.1%}; quadratic-weighted kappa is {a['kappa']:.3f} "
            f"(95 % interval [{a['low']:.3f}, {a['high']:.3f}], bootstrap over queries). Of the "
            f"pairs with grade 2 or 3 in the first pass, {a['relevant_kept']:.0%} had it in the "
            f"second. {settled(log)}"
        )
    if 4 in log.passes:
        a = agreement(log, 4)
        lines.append(
            f"\n{a['pairs']:,} pairs, drawn at random within each grade, were judged anew from the "
            f"guidelines alone: equal in {a['equal']:.1%}, within one in {a['within_one']:.1%}; "
            f"kappa {a['kappa']:.3f} [{a['low']:.3f}, {a['high']:.3f}], which on a sample drawn by "
            "grade is not comparable with the one above. This check changes no grade."
        )
    return "\n".join(lines)


def settled(log: Log) -> str:
    """What became of the pairs on which the first two passes differ by 2 or more."""
    first, second = log.passes[1], log.passes[2]
    wide = {pair for pair in second if pair in first and abs(first[pair] - second[pair]) >= 2}
    if unsettled := wide - log.passes.get(3, {}).keys():
        raise DataError(f"{min(unsettled)}: passes 1 and 2 differ by 2 or more, and there is no 3")
    if not wide:
        return "No pair differed by 2 or more; where they differ by 1 the first pass counts."
    return f"{len(wide):,} pairs that differed by 2 or more were settled by a third reading."


def with_figures(readme: str, text: str, start: str = START, end: str = END) -> str:
    """The README with *text* between its two marker lines."""
    head, _, rest = readme.partition(start)
    _, found, tail = rest.partition(end)
    if not found:
        raise DataError(f"README.md: no lines {start} and {end}")
    return f"{head}{start}\n{text}\n{end}{tail}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    rows = [row for _, row in read_objects(options.suite / "queries.jsonl")]
    splits = {row["_id"]: row["metadata"]["split"] for row in rows}
    log = read_log(options.suite / "judgements.tsv")
    files = {
        options.suite / "qrels" / f"{split}.tsv": text
        for split, text in qrels_of(log, splits).items()
    }
    readme = options.suite / "README.md"
    if readme.exists():
        files[readme] = with_figures(readme.read_text("utf-8"), figures(log, splits))
    stale = [path for path, text in files.items() if path.read_text("utf-8") != text]
    if options.check:
        for path in stale:
            print(f"{path} is not what the log gives", file=sys.stderr)
        return bool(stale)
    for path in stale:
        path.write_text(files[path], encoding="utf-8")
    print(figures(log, splits))
    if 2 in log.passes:
        print(json.dumps(agreement(log, 2)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
