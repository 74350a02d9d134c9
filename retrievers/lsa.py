"""Latent semantic analysis: TF-IDF and a truncated SVD, dense retrieval without a model.

Source: Deerwester et al. 1990, doi 10.1002/(SICI)1097-4571(199009)41:6<391::AID-ASI1>3.0.CO;2-9.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, Column, Corpus, Filter, Run
from qrels.errors import UsageError
from qrels.saved import load_index, save_index
from retrievers.filters import matching
from retrievers.tokenise import Analysis, Tokens, numbered
from retrievers.vectors import Floats, row_norms, search_vectors

BLOCK = 2**16
"""Texts weighed at once, which bounds the memory of a build."""

ARRAYS = ("idf", "components", "vectors", "norms")


class LSA:
    """Cosine in the space of the first singular vectors of the term-document matrix.

    Weights are (1 + log tf) * (1 + log((1 + n) / (1 + df))), a document scaled to unit length.
    dimensions: fewer where the corpus has fewer documents, terms or independent texts. training:
    how many documents the decomposition is made of, at most, drawn at random; the others are
    folded in. seed: of that sample and of the vector the decomposition starts from. A query
    without a known term finds nothing, and a document without a term is never found. The other
    parameters are those of `bm25`.
    """

    _terms: Mapping[str, int]
    _idf: NDArray[np.float64]  # (n_terms,)
    _components: Floats  # (n_terms, dimension)
    _vectors: Floats  # (n_docs, dimension), unit length or zero
    _norms: Floats  # (n_docs,)
    _tie_order: NDArray[np.int32]
    _metadata: Mapping[str, Column]

    def __init__(
        self,
        dimensions: int = 128,
        stemmer: str | None = "english",
        stop_words: str | Sequence[str] | None = "english",
        fields: Sequence[str] | None = None,
        training: int = 50_000,
        seed: int = 13,
    ) -> None:
        self.dimensions = dimensions
        self.stemmer = stemmer
        self.stop_words = stop_words
        self.fields = fields
        self.training = training
        self.seed = seed

    def index(self, corpus: Corpus) -> None:
        for name in ("dimensions", "training"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise UsageError(f"{name} is {value!r}; allowed: an integer, 1 or more")
        analysis = Analysis(self.stemmer, self.stop_words)
        terms, tokens = analysis.build(corpus.joined(self.fields))
        found = _document_frequencies(tokens, len(terms))
        idf = 1 + np.log((1 + len(corpus)) / (1 + found))
        rng = np.random.default_rng(self.seed)
        sample = _weighted(_frequencies(_sample(tokens, self.training, rng), len(terms)), idf)
        components = _components(sample, self.dimensions, rng).astype(np.float32)
        vectors = np.empty((len(corpus), components.shape[1]), np.float32)
        for place, part in _blocks(tokens):
            vectors[place] = _unit(_weighted(_frequencies(part, len(terms)), idf) @ components)
        self._keep(terms, corpus, idf, components, vectors, row_norms(vectors))

    def encode(self, queries: Sequence[str]) -> Floats:
        """float32 (n_queries, dimension): unit vectors, zero without a known term."""
        tokens = Analysis(self.stemmer, self.stop_words).encode(queries, self._terms)
        weighted = _weighted(_frequencies(tokens, len(self._terms)), self._idf)
        return _unit(weighted @ self._components)

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(self, encoded: Floats, k: int, where: Sequence[Filter] = ()) -> Run:
        allowed = matching(self._metadata, where, len(self._tie_order))
        if not self._norms.all():
            allowed = self._norms > 0 if allowed is None else allowed & (self._norms > 0)
        run = search_vectors(
            self._vectors, encoded, k, "cosine", self._tie_order, allowed, norms=self._norms
        )
        unknown = ~encoded.any(axis=1)
        run.docs[unknown], run.scores[unknown] = ABSENT, -np.inf
        return run

    def save(self, folder: Path) -> None:
        arrays = {name: getattr(self, f"_{name}") for name in ARRAYS}
        facts = {"vocabulary": list(self._terms), "n_docs": len(self._tie_order)}
        save_index(self, folder, arrays, facts)

    def load(self, folder: Path, corpus: Corpus) -> None:
        arrays, facts = load_index(self, folder, len(corpus))
        self._keep(numbered(facts["vocabulary"]), corpus, *(arrays[name] for name in ARRAYS))

    def _keep(self, terms: Mapping[str, int], corpus: Corpus, *arrays: NDArray[Any]) -> None:
        self._terms = terms
        self._idf, self._components, self._vectors, self._norms = arrays
        self._tie_order, self._metadata = corpus.tie_order, corpus.metadata


def _blocks(tokens: Tokens) -> Iterator[tuple[slice, Tokens]]:
    """The texts in parts of BLOCK, each with its place."""
    for start in range(0, len(tokens.indptr) - 1, BLOCK):
        ends = tokens.indptr[start : start + BLOCK + 1]
        place = slice(start, start + len(ends) - 1)
        yield place, Tokens(ends - ends[0], tokens.terms[ends[0] : ends[-1]])


def _sample(tokens: Tokens, size: int, rng: np.random.Generator) -> Tokens:
    """All texts, or *size* of them at random, in their order."""
    n_texts = len(tokens.indptr) - 1
    if n_texts <= size:
        return tokens
    chosen = np.sort(rng.choice(n_texts, size, replace=False))
    parts = [tokens.terms[tokens.indptr[i] : tokens.indptr[i + 1]] for i in chosen]
    return Tokens(np.cumsum([0, *map(len, parts)]), np.concatenate(parts))


def _document_frequencies(tokens: Tokens, n_terms: int) -> NDArray[np.int64]:
    """int64 (n_terms,): in how many texts each term is."""
    found = np.zeros(n_terms, np.int64)
    for _, part in _blocks(tokens):
        found += np.bincount(_frequencies(part, n_terms).indices, minlength=n_terms)
    return found


def _frequencies(tokens: Tokens, n_terms: int) -> Any:  # scipy.sparse.csr_array
    """Texts by terms: how often each is there."""
    from scipy.sparse import csr_array

    shape = (len(tokens.indptr) - 1, n_terms)
    ones = np.ones(len(tokens.terms))
    matrix = csr_array((ones, tokens.terms.copy(), tokens.indptr.copy()), shape=shape)
    matrix.sum_duplicates()  # in place
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
