"""Measures a run file against a qrels file, as `trec_eval -c` does: `bench evaluate`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.judge import judge
from bench.metrics import parse_measure
from qrels.errors import DataError
from qrels.trec import align, read_judgements, read_run

DEFAULTS = ("nDCG@10", "RR@10", "AP", "R@100", "P@10", "Judged@10")


@dataclass(frozen=True)
class Evaluation:
    """The values of a run, by measure name, and the queries that could only give 0.

    values: float64 (n_queries,) each, over all queries of the qrels; missing: those that the run
    lacks; no_relevant: those without a grade of at least 1; not_judged: how many queries of the
    run the qrels lack, which are left out.
    """

    query_ids: Sequence[str]
    values: Mapping[str, NDArray[np.float64]]
    missing: Sequence[str]
    no_relevant: Sequence[str]
    not_judged: int

    @property
    def means(self) -> dict[str, float]:
        """The mean over all queries of the qrels, by measure name."""
        return {name: float(found.mean()) for name, found in self.values.items()}


def evaluate_files(
    qrels_path: Path | str, run_path: Path | str, measures: Sequence[str] = ()
) -> Evaluation:
    """What the run scores on the qrels, by the *measures* named, else the usual six.

    Raises UsageError for a measure, DataError for a file, or where the two share no query.
    """
    parsed = [parse_measure(text) for text in measures or DEFAULTS]
    joined = align(read_judgements(qrels_path), read_run(run_path))
    judged = judge(joined.run, joined.qrels)
    found = np.asarray(judged.present.any(axis=1))
    if not found.any():
        raise DataError(f"{run_path}: none of its queries is in {qrels_path}")
    return Evaluation(
        query_ids=joined.query_ids,
        values={str(measure): measure.values(judged) for measure in parsed},
        missing=_chosen(joined.query_ids, ~found),
        no_relevant=_chosen(joined.query_ids, judged.relevant(1) == 0),
        not_judged=joined.extra_queries,
    )


def format_table(result: Evaluation, per_query: bool = False) -> str:
    """Lines of measure, query and value to four digits, tab-separated, as trec_eval prints them.

    Each query's come first where asked for, then those of `all`, then the counts of queries.
    """
    lines = []
    if per_query:
        lines = [
            _line(name, query_id, f"{value:.4f}")
            for query_id, row in _by_query(result).items()
            for name, value in row.items()
        ]
    lines += [_line(name, "all", f"{mean:.4f}") for name, mean in result.means.items()]
    counts = {
        "missing": len(result.missing),
        "no_relevant": len(result.no_relevant),
        "not_judged": result.not_judged,
    }
    lines.append(_line("queries", "all", str(len(result.query_ids))))
    lines += [_line(name, "all", str(count)) for name, count in counts.items() if count]
    return "\n".join(lines)


def format_json(result: Evaluation, per_query: bool = False) -> str:
    """The same as one JSON object, with all digits and with the ids of the queries counted."""
    content = {
        "queries": len(result.query_ids),
        "missing": list(result.missing),
        "no_relevant": list(result.no_relevant),
        "not_judged": result.not_judged,
        "measures": result.means,
    }
    if per_query:
        content["per_query"] = _by_query(result)
    return json.dumps(content, indent=2, ensure_ascii=False)


def _by_query(result: Evaluation) -> dict[str, dict[str, float]]:
    columns = [found.tolist() for found in result.values.values()]
    return {
        query_id: dict(zip(result.values, row, strict=True))
        for query_id, row in zip(result.query_ids, zip(*columns, strict=True), strict=True)
    }


def _line(name: str, query_id: str, value: str) -> str:
    return f"{name:<22}\t{query_id}\t{value}"


def _chosen(ids: Sequence[str], rows: NDArray[np.bool_]) -> list[str]:
    return [ids[row] for row in np.flatnonzero(rows).tolist()]
