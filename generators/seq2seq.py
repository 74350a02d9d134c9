"""Answers by an encoder-decoder: T5 and friends, passages joined or fused in the decoder.

Source of the second: Izacard & Grave 2021, doi 10.18653/v1/2021.eacl-main.74.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from encoders.language import fill, positions_of, token_ends
from generators.base import Passage
from generators.decoding import padded
from generators.fitting import Prompt, shortened
from generators.models import LanguageGenerator
from generators.prompts import plain, template_text
from qrels.errors import UsageError


@dataclass(eq=False)
class Seq2Seq(LanguageGenerator):
    """An encoder-decoder that reads the question and all passages, joined, in one text.

    template: by default the form in which T5 learnt question answering. max_length: tokens that
    the encoder reads, 512 by default; the context loses its end, the question nothing. The other
    parameters are those of every language model here.
    """

    max_length: int | None = None

    wanted = "AutoModelForSeq2SeqLM"
    own_template: ClassVar[str] = "question: {question} context: {context}"
    own_length: ClassVar[int] = 512

    @property
    def _template(self) -> str:
        return template_text(self.template or self.own_template)

    def _prompt(self, question: str, passages: Sequence[Passage]) -> Prompt:
        model, tokenizer, _ = self._loaded
        most = self.own_length if self.max_length is None else self.max_length
        limit = min(most, positions_of(model) or most)
        kept = shortened(
            passages,
            lambda some: len(self._encoded(question, some)[1]),
            limit,
            partial(token_ends, tokenizer),
        )
        text, ids = self._encoded(question, kept)
        if len(ids) > limit:
            raise UsageError(
                f"question {question[:60]!r} takes {len(ids)} tokens without any passage; "
                f"allowed: {limit} (max_length, or the model's own limit)"
            )
        return Prompt(text, [ids], kept)

    def _encoded(self, question: str, passages: Sequence[Passage]) -> tuple[str, list[int]]:
        """The text that the encoder reads, and its token ids."""
        values = {"context": self._context(passages), "question": question}
        text = fill(self._template, values).strip()
        return text, self._loaded.tokenizer(text, verbose=False)["input_ids"]

    def _context(self, passages: Sequence[Passage]) -> str:
        return "\n".join(map(plain, passages))

    def _inputs(self, prompts: Sequence[Prompt]) -> tuple[dict[str, Any], int]:
        model = self._loaded.model
        rows = [prompt.ids[0] for prompt in prompts]
        ids, mask = padded(rows, model.generation_config.pad_token_id, model.device)
        return {"input_ids": ids, "attention_mask": mask}, 1  # the decoder's own first token


@dataclass(eq=False)
class FusionInDecoder(Seq2Seq):
    """An encoder-decoder that reads each passage with the question by itself.

    The encoder's states of all passages, one behind the other, are what the decoder attends to,
    so that cost grows linearly in passages. max_length: tokens a passage, 250 by default, as in
    the paper. {context} stands for "title: TITLE context: TEXT" of one passage, without the
    title's part where there is none.
    """

    own_template = "question: {question} {context}"
    own_length = 250

    def _context(self, passages: Sequence[Passage]) -> str:
        return " ".join(
            (f"title: {p.title.strip()} " if p.title.strip() else "") + f"context: {p.text.strip()}"
            for p in passages
        )

    def _prompt(self, question: str, passages: Sequence[Passage]) -> Prompt:
        singles: list[list[Passage]] = [[passage] for passage in passages] or [[]]
        found = [super(FusionInDecoder, self)._prompt(question, single) for single in singles]
        return Prompt(
            "\n".join(one.text for one in found),
            [one.ids[0] for one in found],
            [passage for one in found for passage in one.passages],
        )

    def _inputs(self, prompts: Sequence[Prompt]) -> tuple[dict[str, Any], int]:
        """Every prompt gets as many texts as the longest, the added ones hidden by the mask."""
        import torch
        from transformers.modeling_outputs import BaseModelOutput

        model = self._loaded.model
        pad = model.generation_config.pad_token_id
        most = max(len(prompt.ids) for prompt in prompts)
        rows = [ids for p in prompts for ids in [*p.ids, *[[pad]] * (most - len(p.ids))]]
        real = [number < len(p.ids) for p in prompts for number in range(most)]
        ids, mask = padded(rows, pad, model.device)
        with torch.inference_mode():
            states = model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state
        mask = mask * torch.tensor(real, device=model.device)[:, None]
        fused = states.reshape(len(prompts), -1, states.shape[-1])
        return {
            "encoder_outputs": BaseModelOutput(last_hidden_state=fused),
            "attention_mask": mask.reshape(len(prompts), -1),
        }, 1
