"""What FAISS indexes can be set to, by their factory strings and by their search parameters."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from retrievers.approximate import ladder

KINDS: Mapping[str, str] = {
    "hnsw": "HNSW32",
    "ivf": "IVF{lists},Flat",
    "ivfpq": "IVF{lists},PQ{codes}x4fs,Refine(SQ8)",
    "sq8": "SQ8",
}
"""Factory strings by a name of their own; lists and codes follow the vectors."""

TRIED: Mapping[str, Sequence[int]] = {
    "k_factor_rf": (1, 2, 4, 8, 16, 32),
    "nprobe": (),  # up to all lists
    "efSearch": ladder(2048),
}
"""Values of each search parameter to try, the last to vary first."""

POINTS = 39
"""Vectors a list that FAISS wants for clustering, at the least."""


def factory_string(name: str, size: int, dimension: int) -> str:
    """The factory string of a name in KINDS, for *size* vectors; any other name is one itself.

    Lists: four times the root of *size*, but POINTS vectors a list. Codes: half a byte for each
    two numbers of a vector.
    """
    lists = max(1, min(round(4 * math.sqrt(size)), size // POINTS))
    codes = next(n for n in range(max(1, dimension // 2), 0, -1) if dimension % n == 0)
    return KINDS[name].format(lists=lists, codes=codes) if name in KINDS else name


def _refines(index: Any) -> bool:  # a downcast faiss.Index
    return isinstance(index, _faiss().IndexRefine)


def ladders(index: Any) -> dict[str, Sequence[int]]:  # faiss.Index
    """The values to try, by the name of each search parameter that the index has."""
    faiss = _faiss()
    space = faiss.ParameterSpace()
    space.initialize(index)
    places = range(space.parameter_ranges.size())
    names = {space.parameter_ranges.at(place).name for place in places}
    inverted = faiss.try_extract_index_ivf(index)
    tried = {**TRIED, "nprobe": ladder(inverted.nlist if inverted else 1)}
    return {name: tried[name] for name in TRIED if name in names}


def work(index: Any, refined: int) -> float:  # faiss.Index
    """Bytes of codes compared since FAISS' counters were reset; *refined*: scored again."""
    faiss = _faiss()
    index, inverted = faiss.downcast_index(index), faiss.try_extract_index_ivf(index)
    size = inverted.code_size if inverted else index.d * 4
    compared = faiss.cvar.indexIVF_stats.ndis + faiss.cvar.hnsw_stats.ndis
    again = faiss.downcast_index(index.refine_index).code_size if _refines(index) else 0
    return float(size * compared + again * refined)


def reset_counters() -> None:
    """Let `work` count from here."""
    faiss = _faiss()
    faiss.cvar.indexIVF_stats.reset()
    faiss.cvar.hnsw_stats.reset()


def seeded(index: Any, seed: int) -> None:  # faiss.Index
    """Seed the clustering of the index's lists and codes, where it has them."""
    faiss = _faiss()
    index = faiss.downcast_index(index)
    if isinstance(index, faiss.IndexPreTransform):
        seeded(index.index, seed)
    if _refines(index):
        seeded(index.base_index, seed)
    if isinstance(index, faiss.IndexIVF):
        index.cp.seed = seed
    if isinstance(getattr(index, "pq", None), faiss.ProductQuantizer):
        index.pq.cp.seed = seed


def _faiss() -> Any:  # the module: its types leave out what its own Python part adds
    import faiss

    return faiss
