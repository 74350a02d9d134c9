"""Any FAISS index over one vector a document.

Source: Douze et al. 2024, arXiv 2401.08281.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoders
from qrels.data import ABSENT, Column, Corpus, Filter, Run
from qrels.errors import UsageError
from qrels.ranking import top_k
from qrels.saved import load_index, save_index
from retrievers.approximate import Setting, Tried, cheapest, cut, recalls
from retrievers.base import Retriever
from retrievers.dense import Dense
from retrievers.faiss_settings import factory_string, ladders, reset_counters, seeded, work
from retrievers.filters import matching
from retrievers.vectors import check_similarity, search_vectors, unit

Floats = NDArray[np.float32]

PLACE = re.compile(r"^Error in .* at \S+:\d+: (Error: )?")

MORE = 8
"""Documents fetched beyond k, to see whether equal scores cross the cut."""


class Faiss:
    """Nearest vectors of the joined text by the index that a FAISS factory string names.

    encoder, fields: as in `dense`. factory: such as Flat, "IVF64,Flat", HNSW32, PQ48, SQ8, or one
    of `faiss_settings.KINDS`. similarity: cosine, dot, or l2, which scores minus the squared
    distance. training: how many documents to train on, all by default; seed: of that sample and of
    clustering.
    search_params: such as {"nprobe": 8} or {"efSearch": 64}. recall: efSearch, nprobe and how many
    candidates a refining index scores again are the least that find this share of the exact best
    recall_at documents, where search_params does not name them (`retrievers.approximate`).

    Flat ranks as `dense` does, up to scores within 1e-5. An approximate index finds what it
    finds: fewer than k where it looks no further. Filters are exact over what it would find; an
    index that cannot filter as it searches is asked for every document. A graph (HNSW) built by
    several threads differs from run to run.
    """

    _index: Any  # faiss.Index; the package has no types
    _tried: Tried | None  # what `recall` came to
    _tie_order: NDArray[np.int32]
    _metadata: Mapping[str, Column]

    def __init__(
        self,
        encoder: str = "minilm",
        factory: str = "Flat",
        similarity: str = "cosine",
        fields: Sequence[str] | None = None,
        training: int | None = None,
        search_params: Mapping[str, float] | None = None,
        seed: int = 0,
        recall: float | None = None,
        recall_at: int = 10,
    ) -> None:
        self.encoder = encoder
        self.factory = factory
        self.similarity = similarity
        self.fields = fields
        self.training = training
        self.search_params = search_params
        self.seed = seed
        self.recall = recall
        self.recall_at = recall_at

    def index(self, corpus: Corpus) -> None:
        check_similarity(self.similarity)
        if self.recall is not None and not (0 < self.recall <= 1 and self.recall_at >= 1):
            raise UsageError(
                f"faiss: recall {self.recall} at {self.recall_at}; expected above 0, up to 1, at 1 "
                "or more"
            )
        texts = corpus.joined(self.fields)
        vectors = self._scaled(encoders.load(self.encoder).encode(texts, "passage"))
        self._keep(self._built(vectors), corpus)
        if self.recall is not None and len(vectors):
            self._tried = self._tuned(vectors, self.encode(cut(texts, self.seed)), self.recall)
            self._set(self._tried.setting)

    def encode(self, queries: Sequence[str]) -> Floats:
        """float32 (n_queries, dimension), unit length for cosine."""
        return self._scaled(encoders.load(self.encoder).encode(queries, "query"))

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(self, encoded: Floats, k: int, where: Sequence[Filter] = ()) -> Run:
        size = len(self._tie_order)
        allowed = matching(self._metadata, where, size)
        run = Run(
            np.full((len(encoded), k), ABSENT, np.int32),
            np.full((len(encoded), k), -np.inf, np.float32),
        )
        rows, fetch = np.arange(len(encoded)), min(k + MORE, size)
        if allowed is not None and not _selects(self._index):
            fetch = size
        while k and fetch and len(rows):
            docs, scores = self._fetched(encoded[rows], fetch, allowed)
            for row, found, values in zip(rows, docs, scores, strict=True):
                run.docs[row], run.scores[row] = _best(found, values, k, self._tie_order)
            crossing = (docs[:, -1] >= 0) & (scores[:, -1] == scores[:, min(k, fetch) - 1])
            rows = rows[crossing & (fetch < size)]
            fetch = min(2 * fetch, size)
        return run

    def save(self, folder: Path) -> None:
        faiss = _faiss()
        facts = {
            "n_docs": len(self._tie_order),
            "encoder": encoders.load(self.encoder).digest,
            "tried": vars(self._tried) if self._tried else None,
        }
        save_index(self, folder, {"faiss": faiss.serialize_index(self._index)}, facts)

    def load(self, folder: Path, corpus: Corpus) -> None:
        faiss = _faiss()
        arrays, facts = load_index(self, folder, len(corpus))
        encoders.check_encoder(folder, facts["encoder"], self.encoder)
        self._keep(faiss.deserialize_index(arrays["faiss"].copy()), corpus)
        if facts["tried"]:
            self._tried = Tried(**facts["tried"])
            self._set(self._tried.setting)

    def exact(self) -> Retriever:
        """`dense` over the same vectors, not yet indexed."""
        return Dense(self.encoder, self.similarity, self.fields)

    def about(self) -> dict[str, float | str]:
        """The index and the settings it is searched with."""
        factory = factory_string(self.factory, self._index.ntotal, self._index.d)
        found: dict[str, float | str] = {"factory": factory, **(self.search_params or {})}
        tried = self._tried
        return found | ({**tried.setting, "recall when built": tried.recall} if tried else {})

    def _tuned(self, vectors: Floats, queries: Floats, recall: float) -> Tried:
        """The cheapest setting that reaches *recall* for *queries*, searched in as ever."""
        k = self.recall_at
        exact = search_vectors(vectors, queries, k, self.similarity, self._tie_order)

        def attempt(setting: Setting) -> Tried:
            self._set(setting)
            reset_counters()
            found = self.search_encoded(queries, k)
            share = float(recalls(found, exact, k).mean())
            refined = len(queries) * (k + MORE) * setting.get("k_factor_rf", 1)
            return Tried(setting, share, work(self._index, refined) / len(queries))

        free = ladders(self._index)
        for name in self.search_params or {}:
            free.pop(name, None)
        try:
            return cheapest(free, attempt, recall)
        except UsageError as error:
            raise UsageError(f"faiss {self.factory!r}, {k} documents a query: {error}") from error

    def _scaled(self, vectors: Floats) -> Floats:
        return unit(vectors) if self.similarity == "cosine" else np.ascontiguousarray(vectors)

    def _built(self, vectors: Floats) -> Any:  # faiss.Index
        """The trained index with all vectors; a UsageError says what FAISS refused."""
        faiss = _faiss()
        metric = faiss.METRIC_L2 if self.similarity == "l2" else faiss.METRIC_INNER_PRODUCT
        try:
            index = faiss.index_factory(
                vectors.shape[1], factory_string(self.factory, *vectors.shape), metric
            )
            seeded(index, self.seed)
            if not index.is_trained:
                index.train(_sample(vectors, self.training, self.seed))
            index.add(vectors)
        except RuntimeError as error:
            raise UsageError(
                f"faiss cannot build {self.factory!r} over {len(vectors)} vectors of "
                f"{vectors.shape[1]}: {_reason(error)}"
            ) from error
        return index

    def _keep(self, index: Any, corpus: Corpus) -> None:  # faiss.Index
        self._index, self._tried = index, None
        self._tie_order, self._metadata = corpus.tie_order, corpus.metadata
        self._set(self.search_params or {})

    def _set(self, params: Mapping[str, float]) -> None:
        faiss = _faiss()
        for name, value in params.items():
            try:
                faiss.ParameterSpace().set_index_parameter(self._index, name, value)
            except RuntimeError as error:
                raise UsageError(
                    f"faiss index {self.factory!r} has no search parameter {name!r} that takes "
                    f"{value!r}: {_reason(error)}"
                ) from error

    def _fetched(
        self, queries: Floats, fetch: int, allowed: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.int64], Floats]:
        """Positions and scores (n_queries, fetch), best first, -1 and -inf where not allowed."""
        params = (
            None if allowed is None or not _selects(self._index) else _only(self._index, allowed)
        )
        found, docs = self._index.search(queries, fetch, params=params)
        scores = -found if self.similarity == "l2" else found
        absent = docs < 0
        if allowed is not None:
            absent |= ~allowed[docs]
        return np.where(absent, ABSENT, docs), np.where(absent, -np.inf, scores)


def _faiss() -> Any:  # the module: its types leave out what its own Python part adds
    import faiss

    return faiss


def _best(docs: NDArray[np.int64], scores: Floats, k: int, tie_order: NDArray[np.int32]) -> Run:
    """The k best of one query's documents, docs and scores (k,), ties by the one rule."""
    docs, scores = docs[docs >= 0], scores[docs >= 0]
    order, values = top_k(scores[None], k, tie_order[docs])
    return Run(np.where(order[0] >= 0, np.append(docs, ABSENT)[order[0]], ABSENT), values[0])


def _selects(index: Any) -> bool:  # faiss.Index
    """Whether the index filters while it searches, and finds all that it would without."""
    faiss = _faiss()
    index = faiss.downcast_index(index)
    return isinstance(index, faiss.IndexFlat | faiss.IndexScalarQuantizer | faiss.IndexIVF)


def _only(index: Any, allowed: NDArray[np.bool_]) -> Any:  # faiss.Index, faiss.SearchParameters
    """Search parameters that keep to the *allowed* documents and change nothing else."""
    faiss = _faiss()
    index = faiss.downcast_index(index)
    selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
    if isinstance(index, faiss.IndexIVF):
        return faiss.SearchParametersIVF(sel=selector, nprobe=index.nprobe)
    return faiss.SearchParameters(sel=selector)


def _sample(vectors: Floats, size: int | None, seed: int) -> Floats:
    """All *vectors*, or *size* of them at random, in their order."""
    if size is None or size >= len(vectors):
        return vectors
    chosen = np.random.default_rng(seed).choice(len(vectors), size, replace=False)
    return np.ascontiguousarray(vectors[np.sort(chosen)])


def _reason(error: RuntimeError) -> str:
    """What FAISS says after the place in its source."""
    return PLACE.sub("", str(error).strip().splitlines()[-1])
