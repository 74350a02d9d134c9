"""What answers the cases: this project, pytrec-eval-terrier, ir-measures, each in its own way.

An implementation takes a case and a measure and gives a value by query; a query that it leaves
out is not among them. It raises UnsupportedError for a measure that it does not have, and its
own kind of error for a run that it refuses.
"""

import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from conformance.cases import Case


class UnsupportedError(Exception):
    """The implementation has no such measure."""


def ours(case: Case, measure: str) -> dict[str, float]:
    """Through TREC files and `bench evaluate`, as a user would."""
    from bench.evaluate import evaluate_files

    with tempfile.TemporaryDirectory() as name:
        qrels, run = Path(name, "qrels"), Path(name, "run")
        qrels.write_text(
            "".join(f"{q} 0 {d} {g}\n" for q, docs in case.qrels.items() for d, g in docs.items()),
            encoding="utf-8",
        )
        run.write_text(
            "".join(
                f"{query} Q0 {doc} {rank} {score!r} tag\n"
                for query, docs in case.run.items()
                for rank, (doc, score) in enumerate(docs, 1)
            ),
            encoding="utf-8",
        )
        result = evaluate_files(qrels, run, [measure])
    (values,) = result.values.values()
    return dict(zip(result.query_ids, values.tolist(), strict=True))


_TREC_NAMES = {
    "nDCG": "ndcg", "nDCG@": "ndcg_cut.", "RR": "recip_rank", "AP": "map", "AP@": "map_cut.",
    "P@": "P.", "R@": "recall.", "Success@": "success.", "Rprec": "Rprec", "Bpref": "bpref",
}  # fmt: skip
"""What pytrec_eval calls a measure, with and without a cutoff."""


def pytrec_eval(case: Case, measure: str) -> dict[str, float]:
    """trec_eval's own C code, by dictionaries, which cannot hold a document twice."""
    import pytrec_eval as library

    if any(len(dict(docs)) < len(docs) for docs in case.run.values()):
        raise UnsupportedError(measure)
    found = re.fullmatch(r"(\w+)(?:\(rel=(\d+)\))?(@)?(\d+)?", measure)
    key = f"{found[1]}{found[3] or ''}" if found else measure
    if found is None or key not in _TREC_NAMES:
        raise UnsupportedError(measure)
    name = _TREC_NAMES[key] + (found[4] or "")
    evaluator = library.RelevanceEvaluator(case.qrels, {name}, relevance_level=int(found[2] or 1))
    answer = evaluator.evaluate({query: dict(docs) for query, docs in case.run.items()})
    return {query: row[name.replace(".", "_")] for query, row in answer.items()}


def ir_measures(case: Case, measure: str) -> dict[str, float]:
    """The measure that ir_measures parses from the same name, by whichever of its providers."""
    import ir_measures as library

    try:
        parsed = library.parse_measure(measure)
        qrels = [
            library.Qrel(query, doc, grade)
            for query, docs in case.qrels.items()
            for doc, grade in docs.items()
        ]
        run = [
            library.ScoredDoc(query, doc, score)
            for query, docs in case.run.items()
            for doc, score in docs
        ]
        found = list(library.iter_calc([parsed], qrels, run))
    except (NameError, ValueError, RuntimeError) as error:
        raise UnsupportedError(measure) from error
    return {one.query_id: float(one.value) for one in found}


IMPLEMENTATIONS: Mapping[str, Callable[[Case, str], dict[str, float]]] = {
    "ours": ours,
    "pytrec-eval": pytrec_eval,
    "ir-measures": ir_measures,
}
