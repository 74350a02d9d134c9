"""Long documents by their best chunk: any retriever over chunks, folded to documents."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import retrievers
from qrels.chunks import Chunks, Spans, Tokenizer, check_sizes, chunked, words
from qrels.data import ABSENT, Corpus, Filter, Run
from qrels.errors import UsageError, unknown
from qrels.ranking import check_run, order_ties
from retrievers.base import Closes, Retriever, SavesIndex, can_filter
from retrievers.filters import matching

FIRST, MORE = 4, 4
"""Chunks asked for at first, a document wanted, and how many times more each time after."""


def wordpieces(texts: Sequence[str]) -> list[Spans]:
    """The tokens of each text as the encoder `minilm` has them, special ones left out."""
    from tokenizers import Tokenizer as Pieces

    from encoders.minilm import find_model

    pieces = Pieces.from_file(str(Path(find_model().folder) / "tokenizer.json"))
    pieces.no_padding()
    pieces.no_truncation()
    found = pieces.encode_batch(list(texts), add_special_tokens=False)
    return [np.array(item.offsets, np.int64).reshape(-1, 2) for item in found]


TOKENS: dict[str, Tokenizer] = {"words": words, "minilm": wordpieces}


class Chunked:
    """Ranks documents by the highest score among their chunks, as another retriever gives it.

    retriever: the spec of that one, such as "dense?encoder=minilm". size, overlap: of the chunks,
    in tokens; tokens: words or minilm (word pieces). field: the one that is cut; the others are
    in every chunk. Exact: it asks for more chunks until the k best documents are certain, ties
    across the cut included. A filter holds for a chunk where it holds for its document.
    """

    _part: Retriever
    _chunks: Chunks

    def __init__(
        self,
        retriever: str = "bm25",
        size: int = 200,
        overlap: int = 40,
        tokens: str = "words",
        field: str = "text",
    ) -> None:
        self.retriever = retriever
        self.size = size
        self.overlap = overlap
        self.tokens = tokens
        self.field = field

    def index(self, corpus: Corpus) -> None:
        self._cut(corpus)
        self._part.index(self._chunks.corpus)

    def search(self, queries: Sequence[str], k: int, where: Sequence[Filter] = ()) -> Run:
        shape = len(queries), k
        docs, scores = np.full(shape, ABSENT, np.int32), np.full(shape, -np.inf, np.float32)
        rows, depth, n_chunks = list(range(len(queries))), FIRST * k, len(self._chunks)
        while rows:
            depth = min(depth, n_chunks)
            found = self._ranked([queries[row] for row in rows], depth, where)
            folded, sure = self._folded(found, k)
            docs[rows], scores[rows] = folded
            rows = [row for row, no in zip(rows, ~sure, strict=True) if no and depth < n_chunks]
            depth *= MORE
        return Run(docs, scores)

    def save(self, folder: Path) -> None:
        """The inner retriever's index; one that saves none is built again."""
        if isinstance(self._part, SavesIndex):
            self._part.save(folder)

    def load(self, folder: Path, corpus: Corpus) -> None:
        self._cut(corpus)
        if isinstance(self._part, SavesIndex):
            self._part.load(folder, self._chunks.corpus)
        else:
            self._part.index(self._chunks.corpus)

    def close(self) -> None:
        if isinstance(part := getattr(self, "_part", None), Closes):
            part.close()

    def _cut(self, corpus: Corpus) -> None:
        """Chunks and inner retriever, not yet indexed; wrong parameters are UsageErrors."""
        if self.tokens not in TOKENS:
            raise unknown("kind of tokens", str(self.tokens), TOKENS)
        if not isinstance(self.retriever, str):
            raise UsageError(f"retriever is {self.retriever!r}; expected a name")
        check_sizes(self.size, self.overlap)
        self._part = retrievers.create(self.retriever)
        tokens = TOKENS[self.tokens]
        self._chunks = chunked(corpus, self.size, self.overlap, tokens, self.field)

    def _ranked(self, queries: Sequence[str], depth: int, where: Sequence[Filter]) -> Run:
        """The inner retriever's checked best chunks, (n_queries, depth), exact under *where*."""
        chunks, filters = self._chunks.corpus, can_filter(self._part)
        asked = depth if filters or not where else len(chunks)
        extra: list[Any] = [where] if where and filters else []  # Any: its `search` takes it
        found = self._part.search(queries, asked, *extra)
        shape = (len(queries), asked)
        run = check_run(*found, shape, chunks.tie_order, f"{self.retriever}.search")
        if filters or not where:
            return run
        kept = matching(chunks.metadata, where, len(chunks))
        assert kept is not None, "there is a filter"
        run = order_ties(
            Run(np.where(kept[run.docs], run.docs, ABSENT), run.scores), chunks.tie_order
        )
        return Run(run.docs[:, :depth], run.scores[:, :depth])

    def _folded(self, run: Run, k: int) -> tuple[Run, NDArray[np.bool_]]:
        """The k best documents of each row, and bool (n_queries,): whether they are certain.

        They are where the list of chunks ended, or its last score is below that of document k.
        """
        best = fold(run, self._chunks.doc_of, k, self._chunks.documents.tie_order)
        if not run.docs.shape[1] or not k:
            return best, np.ones(len(run.docs), np.bool_)
        last = run.scores[:, -1]
        sure = (run.docs[:, -1] == ABSENT) | (best.scores[:, -1] > last)
        return best, sure


def fold(run: Run, doc_of: NDArray[np.int32], k: int, tie_order: NDArray[np.int32]) -> Run:
    """The k best documents of each row, each with its best chunk's score, in the one order.

    run: of chunks, best first; doc_of: int32 (n_chunks,); tie_order: of the documents.
    """
    docs = np.full((len(run.docs), k), ABSENT, np.int32)
    scores = np.full((len(run.docs), k), -np.inf, np.float32)
    for row, (chunks, values) in enumerate(zip(run.docs, run.scores, strict=True)):
        found = doc_of[chunks[chunks != ABSENT]]
        unique, first = np.unique(found, return_index=True)
        order = np.lexsort((tie_order[unique], -values[first]))[:k]
        docs[row, : len(order)], scores[row, : len(order)] = unique[order], values[first][order]
    return Run(docs, scores)
