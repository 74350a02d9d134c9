"""Generators whose language model runs here: what they share."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from encoders.base import current_device
from encoders.language import broken_up, load_language, load_tokenizer, special_pattern
from encoders.loading import source
from generators.base import Answer, Passage
from generators.decoding import FirstToken, Sampling, StopStrings, greedy, row_seed, until_end
from generators.fitting import Prompt, batches
from generators.int8 import int8_options, to_int8
from generators.local import LocalModel
from generators.prompts import abstains, cited, clean, without_citations
from qrels.errors import UsageError, unknown

KIND = "generator"
"""The word for it in messages."""
QUANTISE = ("int8",)


class Loaded(NamedTuple):
    """A model and its tokenizer, of transformers' own classes, and what finds special tokens."""

    model: Any
    tokenizer: Any
    special: Any  # re.Pattern[str]


@dataclass(eq=False)  # for its constructor, which stores and does no more
class LanguageGenerator(LocalModel):
    """A generator whose subclass says how a prompt is made and what the model reads of it.

    model: a folder or a hub id with its *revision*; loaded on first use or by `load`, from
    safetensors only, on the device in scope then; it stays out of pickles. template: a name of
    `generators.prompts.TEMPLATES` or a text with {context} and {question}. batch_tokens: tokens
    decoded at a time, padding and answers included. do_sample: at *temperature*, within *top_p*,
    by noise that depends on *seed* and the prompt alone; greedy otherwise. stop: strings that end
    an answer. quantise: "int8" for linear layers in 8 bits.
    """

    model: str
    template: str | None = None
    max_new_tokens: int = 64
    batch_tokens: int = 8192
    do_sample: bool = False
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0
    stop: Sequence[str] = ()
    device: str | None = None
    dtype: str = "float32"
    quantise: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False

    wanted: ClassVar[str]  # a class of transformers

    def generate(
        self, questions: Sequence[str], contexts: Sequence[Sequence[Passage]]
    ) -> list[Answer]:
        """An answer a question; DataError where the model cannot be loaded.

        UsageError for a parameter out of range, and for a question that leaves no room.
        """
        self.load()
        start_ns = time.perf_counter_ns()
        pairs = zip(questions, contexts, strict=True)
        prompts = [self._prompt(*self._harmless(*pair)) for pair in pairs]
        shapes = [prompt.shape for prompt in prompts]
        answers: dict[int, Answer] = {}
        for rows in batches(shapes, self.max_new_tokens, self.batch_tokens):
            replies, first_ns = self._replies([prompts[row] for row in rows])
            waited = first_ns - start_ns if len(questions) == 1 else 0
            for row, reply in zip(rows, replies, strict=True):
                answers[row] = self._answer(prompts[row], reply, waited)
        return [answers[row] for row in range(len(prompts))]

    @cached_property
    def _loaded(self) -> Loaded:
        self._check()
        device = current_device(self.device)
        options = source(self.model, self.revision, self.trust_remote_code)
        tokenizer = load_tokenizer(KIND, self.model, **options)
        options |= int8_options(device) if self.quantise else {}
        model = load_language(KIND, self.model, self.wanted, self.dtype, device, **options)
        if self.quantise and device == "cpu":
            to_int8(model)
        model.generation_config = greedy(model, tokenizer, self.max_new_tokens)
        return Loaded(model, tokenizer, special_pattern(tokenizer))

    def _check(self) -> None:
        for name in ("max_new_tokens", "batch_tokens"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)!r}; expected at least 1")
        if self.do_sample and not (self.temperature > 0 and 0 < self.top_p <= 1):
            raise UsageError(
                f"temperature is {self.temperature!r}, top_p {self.top_p!r}; "
                f"expected above 0, and above 0 up to 1"
            )
        if self.quantise not in (None, *QUANTISE):
            raise unknown("quantise", str(self.quantise), QUANTISE)
        if self.quantise and self.dtype != "float32":
            raise UsageError(f"dtype is {self.dtype!r} with quantise='int8'; expected 'float32'")
        if isinstance(self.stop, str) or not all(self.stop):
            raise UsageError(f"stop is {self.stop!r}; expected a list of strings, none empty")

    def _harmless(
        self, question: str, passages: Sequence[Passage]
    ) -> tuple[str, Sequence[Passage]]:
        """Both with special tokens broken up, so that no text can end a turn."""
        special = self._loaded.special
        return broken_up(special, question), [
            replace(p, text=broken_up(special, p.text), title=broken_up(special, p.title))
            for p in passages
        ]

    def _replies(self, prompts: Sequence[Prompt]) -> tuple[list[list[int]], int]:
        """The generated token ids of each prompt, and when the first were at hand, in ns."""
        from transformers import LogitsProcessorList, StoppingCriteriaList

        model, tokenizer, _ = self._loaded
        inputs, start = self._inputs(prompts)
        stamp = FirstToken()
        processors: list[Any] = [stamp]
        if self.do_sample:
            seeds = [row_seed(self.seed, prompt.text) for prompt in prompts]
            processors.append(Sampling(seeds, self.temperature, self.top_p))
        stops = [StopStrings(tokenizer, self.stop, start)] if self.stop else []
        found = model.generate(
            **inputs,
            logits_processor=LogitsProcessorList(processors),
            stopping_criteria=StoppingCriteriaList(stops),
        )[:, start:].tolist()
        return [until_end(reply, model.generation_config) for reply in found], stamp.at_ns

    def _answer(self, prompt: Prompt, reply: list[int], first_token_ns: int) -> Answer:
        text = self._loaded.tokenizer.decode(reply, skip_special_tokens=True)
        text = clean(text, prompt.text, self._template, self.stop)
        abstained = abstains(without_citations(text, prompt.passages))
        return Answer(
            text="" if abstained else without_citations(text, prompt.passages),
            citations=() if abstained else cited(text, prompt.passages),
            abstained=abstained,
            prompt=prompt.text,
            prompt_tokens=sum(map(len, prompt.ids)),
            tokens=len(reply),
            first_token_ns=first_token_ns,
        )

    @property
    def _template(self) -> str:
        """The template's text."""
        raise NotImplementedError

    def _prompt(self, question: str, passages: Sequence[Passage]) -> Prompt:
        """The prompt within its limits; UsageError where the question alone is beyond them."""
        raise NotImplementedError

    def _inputs(self, prompts: Sequence[Prompt]) -> tuple[Mapping[str, Any], int]:
        """Arguments of the model's `generate`, and how many tokens of its output to pass over."""
        raise NotImplementedError
