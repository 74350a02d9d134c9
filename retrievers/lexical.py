"""What retrievers over terms share: queries to terms, filters, saving and loading."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qrels.data import Column, Corpus, Filter, Run
from qrels.saved import load_index, save_index
from retrievers.filters import matching
from retrievers.postings import Postings
from retrievers.tokenise import Analysis, Tokens, numbered

ARRAYS = ("indptr", "docs", "impacts", "offsets")
VOCABULARY = "vocabulary"


class Lexical:
    """A retriever whose subclass says only, in `_weigh`, what each term adds to each document."""

    stemmer: str | None
    stop_words: str | Sequence[str] | None
    _postings: Postings
    _tie_order: NDArray[np.int32]
    _metadata: Mapping[str, Column]

    def index(self, corpus: Corpus) -> None:
        self._keep(self._weigh(corpus, Analysis(self.stemmer, self.stop_words)), corpus)

    def encode(self, queries: Sequence[str]) -> Tokens:
        """The queries as terms; those that no document has are left out."""
        return Analysis(self.stemmer, self.stop_words).encode(queries, self._postings.known)

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        return self.search_encoded(self.encode(queries), k, where)

    def search_encoded(self, encoded: Tokens, k: int, where: Sequence[Filter] = ()) -> Run:
        allowed = matching(self._metadata, where, len(self._tie_order))
        return self._postings.search(encoded, k, self._tie_order, allowed)

    def save(self, folder: Path) -> None:
        arrays = {name: getattr(self._postings, name) for name in ARRAYS}
        arrays[VOCABULARY] = _spelled(self._postings.known)
        save_index(self, folder, arrays, {"n_docs": len(self._tie_order)})

    def load(self, folder: Path, corpus: Corpus) -> None:
        arrays, _ = load_index(self, folder, len(corpus))
        known = numbered(_terms(arrays.pop(VOCABULARY)))
        self._keep(Postings(known, **arrays), corpus)

    def _weigh(self, corpus: Corpus, analysis: Analysis) -> Postings:
        raise NotImplementedError

    def _keep(self, postings: Postings, corpus: Corpus) -> None:
        self._postings = postings
        self._tie_order, self._metadata = corpus.tie_order, corpus.metadata


def _spelled(terms: Iterable[str]) -> NDArray[np.uint8]:
    """The terms as UTF-8, a line each: none holds a line break."""
    return np.frombuffer("".join(f"{term}\n" for term in terms).encode(), np.uint8)


def _terms(letters: NDArray[np.uint8]) -> list[str]:
    """What `_spelled` was given: not `splitlines`, which ends lines at other characters too."""
    return letters.tobytes().decode().split("\n")[:-1]
