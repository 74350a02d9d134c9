"""The one order of equal scores, and the one gate for what a plug-in returns.

Everywhere: score down, compared as float32, then doc_id down, as trec_eval does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, Run
from qrels.errors import PluginError


def top_k(
    scores: NDArray[np.float32],
    k: int,
    tie_order: NDArray[np.int32],
    allowed: NDArray[np.bool_] | None = None,
) -> Run:
    """The k best documents of each row, exact ties across the cut included in the one order.

    scores: float32 (n_queries, n_docs), -inf where a document must not be returned;
    tie_order: int32 (n_docs,), `Corpus.tie_order`; allowed: bool (n_docs,) or None for all.
    Returns docs int32 (n_queries, k) and scores float32 (n_queries, k), padded by -1 and -inf.
    """
    n_queries, n_docs = scores.shape
    docs = np.full((n_queries, k), ABSENT, np.int32)
    best = np.full((n_queries, k), -np.inf, np.float32)
    pool = np.arange(n_docs) if allowed is None else np.flatnonzero(allowed)
    take = min(k, len(pool))
    if take == 0:
        return Run(docs, best)
    for row in range(n_queries):
        values = scores[row] if allowed is None else scores[row, pool]
        chosen = _contenders(values, take)
        order = np.lexsort((tie_order[pool[chosen]], -values[chosen]))[:take]
        found = chosen[order]
        docs[row, : len(found)] = pool[found]
        best[row, : len(found)] = values[found]
    return Run(docs, best)


def _contenders(values: NDArray[np.float32], take: int) -> NDArray[np.intp]:
    """The places, ascending, of all finite values not below the *take*-th largest.

    Partitioning is the slow part, and far slower where many values are equal, as -inf is in a
    sparse ranking: so first the *take*-th largest of the maxima of disjoint groups, which the
    *take*-th largest value cannot be below, thins the values out.
    """
    groups = max(1024, 4 * take)
    least = np.float32(-np.inf)
    if len(values) >= 2 * groups:
        whole = len(values) - len(values) % groups
        least = _kth_largest(values[:whole].reshape(-1, groups).max(axis=0), take)
    chosen = np.flatnonzero((values >= least) & (values > -np.inf))
    kept = values[chosen]
    return chosen[kept >= _kth_largest(kept, take)]


def _kth_largest(values: NDArray[np.float32], k: int) -> np.float32:
    """-inf where fewer than k values are finite."""
    finite = values[values > -np.inf]
    if len(finite) < k:
        return np.float32(-np.inf)
    cut: np.float32 = np.partition(finite, len(finite) - k)[len(finite) - k]
    return cut


def order_ties(run: Run, tie_order: NDArray[np.int32]) -> Run:
    """The same rankings sorted by score down (float32), ties by doc_id down, padding last."""
    padding = run.docs == ABSENT
    ties = np.where(padding, np.iinfo(np.int32).max, tie_order[np.where(padding, 0, run.docs)])
    scores = np.where(padding, -np.inf, run.scores).astype(np.float32)
    order = np.lexsort((ties, -scores, padding), axis=-1)
    return Run(
        np.take_along_axis(run.docs, order, axis=1), np.take_along_axis(scores, order, axis=1)
    )


def check_run(
    docs: NDArray[Any],  # whatever a plug-in returned, any dtype
    scores: NDArray[Any],
    shape: tuple[int, int],
    tie_order: NDArray[np.int32],
    name: str,
) -> Run:
    """What *name* returned as a Run, in the one order; PluginError where it breaks the protocol.

    docs and scores must have *shape* (n_queries, k), docs be integers in [-1, n_docs) with none
    twice in a ranking, scores finite where docs >= 0 and sorted best first.
    """
    docs, scores = np.asarray(docs), np.asarray(scores)
    for label, array in (("docs", docs), ("scores", scores)):
        if array.shape != shape:
            raise PluginError(f"{name} returned {label} {array.shape}; expected {shape}")
    if not np.issubdtype(docs.dtype, np.integer):
        raise PluginError(f"{name} returned docs of type {docs.dtype}; expected integers")
    if scores.dtype.kind not in "fiu":
        raise PluginError(f"{name} returned scores of type {scores.dtype}; expected real numbers")
    if docs.size and (docs.min() < ABSENT or docs.max() >= len(tie_order)):
        bad = docs[(docs < ABSENT) | (docs >= len(tie_order))][0]
        raise PluginError(f"{name} returned position {bad}; allowed: -1 to {len(tie_order) - 1}")
    present = docs >= 0
    with np.errstate(over="ignore"):
        values = scores.astype(np.float32)
    if not np.isfinite(values[present]).all():
        row, column = np.argwhere(present & ~np.isfinite(values))[0]
        raise PluginError(
            f"{name} returned score {values[row, column]} in query {row} at rank {column + 1}; "
            "scores must be finite"
        )
    in_order = np.sort(np.where(present, docs, -1 - np.arange(docs.shape[1])), axis=1)
    repeated = (in_order[:, 1:] == in_order[:, :-1]).any(axis=1)
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        raise PluginError(f"{name} returned a document twice in query {row}")
    values = np.where(present, values, -np.inf).astype(np.float32)
    with np.errstate(invalid="ignore"):  # -inf beside -inf in the padding
        unsorted = (np.diff(values, axis=1) > 0).any(axis=1)
    if unsorted.any():
        row = int(np.flatnonzero(unsorted)[0])
        raise PluginError(f"{name} returned query {row} unsorted; scores must go down")
    return order_ties(Run(docs.astype(np.int32), values), tie_order)
