"""An extractive reader: a BERT that points at where an answer begins and ends in a passage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

from encoders.base import current_device
from encoders.language import load_language, load_tokenizer, positions_of
from encoders.loading import source
from generators.base import Answer, Passage
from generators.local import LocalModel
from generators.spans import Limits, Span, best_spans
from qrels.errors import UsageError

KIND = "reader"
"""The word for it in messages."""
WANTED = "AutoModelForQuestionAnswering"


class Loaded(NamedTuple):
    """A model and its tokenizer, of transformers' own classes."""

    model: Any
    tokenizer: Any


@dataclass(eq=False)  # for its constructor, which stores and does no more
class Reader(LocalModel):
    """Answers with the best span of the passages, by a model of start and end logits.

    model: a folder, of `python -m training reader` or any other extractive one, or a hub id with
    its *revision*; read from safetensors only, on first use or by `load`. Each passage is read by
    itself, without its title. What a span's score, the sum of two logits, is worth is told by that
    of the null span, [CLS], in the same window: the span that is furthest above its null span is
    the answer, and its passage is cited. Where even that null span wins by more than *threshold*
    it abstains; a model that never saw a passage without an answer knows nothing of null spans, so
    give it a large one. max_length, stride, max_answer, batch_tokens: tokens of a window, of what
    two windows of a long passage share, of an answer, of what is read at a time with padding;
    windows are no longer than the model's own limit.
    """

    model: str
    threshold: float = 0.0
    max_length: int = 384
    stride: int = 128
    max_answer: int = 30
    batch_tokens: int = 16384
    device: str | None = None
    dtype: str = "float32"
    revision: str | None = None
    trust_remote_code: bool = False

    needs_passages = True

    def generate(
        self, questions: Sequence[str], contexts: Sequence[Sequence[Passage]]
    ) -> list[Answer]:
        """An answer a question; UsageError for a wrong parameter, DataError for a broken model."""
        model, tokenizer = self._loaded
        limits = within(self._limits, model, tokenizer)
        return read(model, tokenizer, questions, contexts, limits, self.threshold)

    def check(self) -> None:
        """UsageError for a parameter out of range."""
        value = self.threshold
        if not isinstance(value, (int, float)) or math.isnan(value):
            raise UsageError(f"reader: threshold is {value!r}; expected a number")
        self._limits.check()

    @property
    def _limits(self) -> Limits:
        return Limits(self.max_length, self.stride, self.max_answer, self.batch_tokens)

    @cached_property
    def _loaded(self) -> Loaded:
        self.check()
        options = source(self.model, self.revision, self.trust_remote_code)
        tokenizer = load_tokenizer(KIND, self.model, **options)
        device = current_device(self.device)
        model = load_language(KIND, self.model, WANTED, self.dtype, device, **options)
        return Loaded(model, tokenizer)


def within(limits: Limits, model: Any, tokenizer: Any) -> Limits:
    """The limits, windows no longer than the model reads."""
    length = min(
        limits.max_length, positions_of(model) or limits.max_length, tokenizer.model_max_length
    )
    return replace(limits, max_length=length, stride=min(limits.stride, length // 3))


def read(
    model: Any,
    tokenizer: Any,
    questions: Sequence[str],
    contexts: Sequence[Sequence[Passage]],
    limits: Limits,
    threshold: float,
) -> list[Answer]:
    """What `Reader.generate` says with this model."""
    pairs = [
        (question, passage.text)
        for question, passages in zip(questions, contexts, strict=True)
        for passage in passages
    ]
    spans = iter(best_spans(model, tokenizer, pairs, limits))
    return [
        answer([(passage, next(spans)) for passage in passages], threshold) for passages in contexts
    ]


def answer(read: Sequence[tuple[Passage, Span | None]], threshold: float) -> Answer:
    """The best span of all passages, of equal ones the first; silence where null beats it."""
    found = [(span, passage) for passage, span in read if span is not None]
    if not found:
        return Answer("", abstained=True)
    span, passage = max(found, key=lambda one: one[0].margin)
    text = passage.text[span.start : span.end].strip()
    if -span.margin > threshold or not text:
        return Answer("", abstained=True)
    return Answer(text, (passage.doc_id,))
