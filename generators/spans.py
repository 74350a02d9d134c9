"""Spans of passages as a reader sees them: windows of tokens, and the best span of each.

A window is the question and as much of a passage as fits beside it; a long passage has several,
each beginning *stride* tokens before the end of the one before. Source: Devlin et al. 2019,
arXiv 1810.04805, which also has the null span: start and end at the first token, [CLS].
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from generators.fitting import batches
from qrels.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Pair = tuple[str, str]  # a question and a passage's text

BLOCK = 1024
"""Pairs that are tokenised at once: what the tokenizer gives is far larger than the windows."""


@dataclass(frozen=True)
class Limits:
    """Tokens: of a window, that two windows share, of an answer, of a batch with its padding."""

    max_length: int = 384
    stride: int = 128
    max_answer: int = 30
    batch_tokens: int = 16384

    def check(self) -> None:
        """UsageError for a limit out of range."""
        for name, least in (("max_length", 16), ("stride", 0), ("max_answer", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected at least {least}")
        if self.stride * 3 > self.max_length:
            raise UsageError(
                f"stride is {self.stride!r}; expected at most a third of max_length, "
                f"which is {self.max_length}"
            )


class Window(NamedTuple):
    """What a model reads at once of a pair.

    pair: the pair's number; ids, types: int32 (n_tokens,); first: where the passage's tokens
    begin; places: int32 (n_passage_tokens, 2), where each begins and ends in the passage, in
    characters.
    """

    pair: int
    ids: NDArray[np.int32]
    types: NDArray[np.int32]
    first: int
    places: NDArray[np.int32]


class Span(NamedTuple):
    """Where an answer begins and ends in its passage, in characters.

    margin: how far its score, a sum of two logits, is above that of its window's null span.
    """

    margin: float
    start: int
    end: int


def windows(tokenizer: Any, pairs: Sequence[Pair], limits: Limits) -> list[Window]:
    """The windows of each pair in order; a passage without a token has none.

    tokenizer: a fast one of transformers. A question keeps at most a third of a window.
    """
    blocks = (range(start, min(start + BLOCK, len(pairs))) for start in range(0, len(pairs), BLOCK))
    return [window for block in blocks for window in block_windows(tokenizer, pairs, block, limits)]


def block_windows(
    tokenizer: Any, pairs: Sequence[Pair], block: range, limits: Limits
) -> Iterator[Window]:
    """The windows of the pairs whose numbers are in *block*."""
    chosen = [pairs[number] for number in block]
    found = tokenizer(
        shortened(tokenizer, [question for question, _ in chosen], limits.max_length // 3),
        [text for _, text in chosen],
        truncation="only_second",
        max_length=limits.max_length,
        stride=limits.stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_token_type_ids=True,
    )
    for row, place in enumerate(found["overflow_to_sample_mapping"]):
        own = np.array([part == 1 for part in found.sequence_ids(row)])
        if own.any():
            ids, types, places = (
                np.array(found[name][row], np.int32)
                for name in ("input_ids", "token_type_ids", "offset_mapping")
            )
            yield Window(block[place], ids, types, int(own.argmax()), places[own])


def shortened(tokenizer: Any, texts: Sequence[str], limit: int) -> list[str]:
    """The texts, each without what is beyond its first *limit* tokens."""
    known = list(dict.fromkeys(texts))
    found = tokenizer(known, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    kept = {
        text: text[: places[limit - 1][1]] if len(places) > limit else text
        for text, places in zip(known, found["offset_mapping"], strict=True)
    }
    return [kept[text] for text in texts]


def inputs(tokenizer: Any, rows: Sequence[Window]) -> dict[str, "Tensor"]:
    """What the model takes of some windows: int64 (n_windows, longest), padded on the right."""
    import torch

    def padded(arrays: Sequence[NDArray[Any]], filling: int) -> "Tensor":
        tensors = [torch.from_numpy(array.astype(np.int64)) for array in arrays]
        return torch.nn.utils.rnn.pad_sequence(tensors, True, filling)

    found = {
        "input_ids": padded([row.ids for row in rows], tokenizer.pad_token_id),
        "attention_mask": padded([np.ones_like(row.ids) for row in rows], 0),
    }
    if "token_type_ids" in tokenizer.model_input_names:
        found["token_type_ids"] = padded([row.types for row in rows], 0)
    return found


def best_spans(
    model: Any, tokenizer: Any, pairs: Sequence[Pair], limits: Limits
) -> list[Span | None]:
    """The best span of each pair's passage, None where the passage has no token.

    model: of AutoModelForQuestionAnswering, evaluating. Of equal spans the first one is the best.
    """
    import torch

    rows = windows(tokenizer, pairs, limits)
    best: list[Span | None] = [None] * len(pairs)
    found: dict[int, Span] = {}
    for chosen in batches([(1, len(row.ids)) for row in rows], 0, limits.batch_tokens):
        given = inputs(tokenizer, [rows[place] for place in chosen])
        with torch.inference_mode():
            out = model(**{name: value.to(model.device) for name, value in given.items()})
        logits = [part.float().cpu().numpy() for part in (out.start_logits, out.end_logits)]
        for place, starts, ends in zip(chosen, *logits, strict=True):
            found[place] = best_span(rows[place], starts, ends, limits.max_answer)
    for place, row in enumerate(rows):
        known = best[row.pair]
        if known is None or found[place].margin > known.margin:
            best[row.pair] = found[place]
    return best


def best_span(
    row: Window, starts: NDArray[np.float32], ends: NDArray[np.float32], longest: int
) -> Span:
    """The span of the window's passage with the largest sum of logits, of *longest* tokens at most.

    starts, ends: float32 (at least n_tokens,).
    """
    own = slice(row.first, row.first + len(row.places))
    padded = np.pad(ends[own], (0, longest - 1), constant_values=-np.inf)
    sums = starts[own, None] + np.lib.stride_tricks.sliding_window_view(padded, longest)
    first, more = divmod(int(sums.argmax()), longest)
    margin = float(sums[first, more]) - float(starts[0] + ends[0])
    return Span(margin, int(row.places[first, 0]), int(row.places[first + more, 1]))
