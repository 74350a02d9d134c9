"""Latent semantic analysis: TF-IDF and a truncated SVD, dense retrieval without a model.

Source: Deerwester et al. 1990, doi 10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, Column, Corpus, Filter, Run
from qrels.errors import UsageError
from qrels.ranking import top_k
from qrels.saved import load_index, save_index
from retrievers.filters import matching
from retrievers.tokenise import Analysis, Tokens, numbered

SCORES_AT_ONCE = 2**24
ARRAYS = ("idf", "components", "vectors", "vector_of")


class LSA:
    """Cosine in the space of the first singular vectors of the term-document matrix.

    Weights are (1 + log tf) * (1 + log((1 + n) / (1 + df))), a document scaled to unit length.
    dimensions: fewer where the corpus has fewer documents, terms or independent texts. seed: of
    the vector the decomposition starts from. A query without a known term finds nothing, and a
    document without a term is never found. The other parameters are those of `bm25`.
    """

    _terms: Mapping[str, int]
    _idf: NDArray[np.float64]  # (n_terms,)
    _components: NDArray[np.float32]  # (n_terms, dimension)
    _vectors: NDArray[np.float32]  # (n_distinct, dimension), unit length or zero
    _vector_of: NDArray[np.int32]  # (n_docs,)
    _tie_order: NDArray[np.int32]
    _metadata: Mapping[str, Column]

    def __init__(
        self,
        dimensions: int = 128,
        stemmer: str | None = "english",
        stop_words: str | Sequence[str] | None = "english",
        fields: Sequence[str] | None = None,
        seed: int = 13,
    ) -> None:
        self.dimensions = dimensions
        self.stemmer = stemmer
        self.stop_words = stop_words
        self.fields = fields
        self.seed = seed

    def index(self, corpus: Corpus) -> None:
        if not isinstance(self.dimensions, int) or self.dimensions < 1:
            raise UsageError(f"dimensions is {self.dimensions!r}; allowed: an integer, 1 or more")
        analysis = Analysis(self.stemmer, self.stop_words)
        terms, tokens = analysis.build(corpus.joined(self.fields))
        frequencies = _frequencies(tokens, len(terms))
        found = np.bincount(frequencies.indices, minlength=len(terms))
        idf = 1 + np.log((1 + len(corpus)) / (1 + found))
        matrix = _weighted(frequencies, idf)
        rng = np.random.default_rng(self.seed)
        components = _components(matrix, self.dimensions, rng).astype(np.float32)
        # Equal texts must share a vector: BLAS may round equal rows differently, and ties break.
        vectors, vector_of = np.unique(_unit(matrix @ components), axis=0, return_inverse=True)
        self._keep(terms, corpus, idf, components, vectors, vector_of.ravel().astype(np.int32))

    def encode(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """float32 (n_queries, dimension): unit vectors, zero without a known term."""
        tokens = Analysis(self.stemmer, self.stop_words).encode(queries, self._terms)
        weighted = _weighted(_frequencies(tokens, len(self._terms)), self._idf)
        return _unit(weighted @ self._components)

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(
        self, encoded: NDArray[np.float32], k: int, where: Sequence[Filter] = ()
    ) -> Run:
        allowed = matching(self._metadata, where, len(self._tie_order))
        shape = (len(encoded), k)
        run = Run(np.full(shape, ABSENT, np.int32), np.full(shape, -np.inf, np.float32))
        known = np.flatnonzero(encoded.any(axis=1))
        size = max(1, SCORES_AT_ONCE // max(1, len(self._tie_order)))
        for start in range(0, len(known), size):
            rows = known[start : start + size]
            found = top_k(self._cosines(encoded[rows]), k, self._tie_order, allowed)
            run.docs[rows], run.scores[rows] = found
        return run

    def _cosines(self, encoded: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n_queries, n_docs), -inf for documents without a term."""
        scores = encoded @ self._vectors.T
        scores[:, ~self._vectors.any(axis=1)] = -np.inf
        return scores[:, self._vector_of]

    def save(self, folder: Path) -> None:
        arrays = {name: getattr(self, f"_{name}") for name in ARRAYS}
        facts = {"vocabulary": list(self._terms), "n_docs": len(self._tie_order)}
        save_index(self, folder, arrays, facts)

    def load(self, folder: Path, corpus: Corpus) -> None:
        arrays, facts = load_index(self, folder, len(corpus))
        self._keep(numbered(facts["vocabulary"]), corpus, *(arrays[name] for name in ARRAYS))

    def _keep(self, terms: Mapping[str, int], corpus: Corpus, *arrays: NDArray[Any]) -> None:
        self._terms = terms
        self._idf, self._components, self._vectors, self._vector_of = arrays
        self._tie_order, self._metadata = corpus.tie_order, corpus.metadata


def _frequencies(tokens: Tokens, n_terms: int) -> Any:  # scipy.sparse.csr_array
    """Texts by terms: how often each is there."""
    from scipy.sparse import csr_array

    shape = (len(tokens.indptr) - 1, n_terms)
    matrix = csr_array((np.ones(len(tokens.terms)), tokens.terms, tokens.indptr), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _weighted(frequencies: Any, idf: NDArray[np.float64]) -> Any:  # scipy.sparse.csr_array
    """The same matrix as TF-IDF, rows of unit length."""
    matrix = frequencies.copy()
    matrix.data = (1 + np.log(matrix.data)) * idf[matrix.indices]
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1))
    matrix.data /= np.repeat(lengths, np.diff(matrix.indptr))
    return matrix


def _components(matrix: Any, dimensions: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """float64 (n_terms, dimension): right singular vectors, largest first, of one sign.

    matrix: scipy.sparse.csr_array. Directions that no text has, and the smallest of a corpus
    with fewer than *dimensions* documents, are left out.
    """
    from scipy.sparse.linalg import svds

    small = min(matrix.shape)
    if small <= dimensions:
        _, values, rows = np.linalg.svd(matrix.toarray(), full_matrices=False)
    else:
        _, values, rows = svds(matrix, k=dimensions, v0=rng.normal(size=small))
        values, rows = values[::-1], rows[::-1]
    rows = rows[values > 1e-6 * values.max(initial=0)]
    strongest = np.abs(rows).argmax(axis=1) if rows.size else np.empty(0, int)
    signs = np.sign(rows[np.arange(len(rows)), strongest])
    return np.asarray((rows * signs[:, None]).T, np.float64)


def _unit(vectors: NDArray[Any]) -> NDArray[np.float32]:  # float32 or float64 as computed
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
