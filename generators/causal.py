"""Answers by a causal language model: GPT-2, LFM2, Llama and others, by hub id or folder."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from encoders.language import CAUSAL, chat_text, fill, positions_of, prompt_ids, token_ends
from generators.base import Passage
from generators.decoding import padded
from generators.fitting import Prompt, shortened
from generators.models import LanguageGenerator
from generators.prompts import CHAT, numbered, template_text, turns
from qrels.errors import DataError, UsageError


@dataclass(eq=False)
class Causal(LanguageGenerator):
    """A causal language model asked to answer from numbered passages.

    template: by default "chat" where the tokenizer has a chat template, else "numpy-rag".
    context_tokens: the most that all passages together may take; whatever it says, prompt and
    answer never outgrow the model's positions. The context loses its end, the question nothing.
    The other parameters are those of every language model here.
    """

    context_tokens: int | None = None

    wanted = CAUSAL

    @property
    def _template_name(self) -> str:
        has_chat = bool(self._loaded.tokenizer.chat_template)
        if self.template == CHAT and not has_chat:
            raise UsageError(
                f"model {self.model!r} has no chat template, which template=chat needs"
            )
        return self.template or (CHAT if has_chat else "numpy-rag")

    @property
    def _template(self) -> str:
        return template_text(self._template_name)

    def _prompt(self, question: str, passages: Sequence[Passage]) -> Prompt:
        ends = partial(token_ends, self._loaded.tokenizer)
        kept = list(passages)
        if (most := self.context_tokens) is not None:
            kept = shortened(kept, lambda some: len(ends(numbered(some))), most, ends)
        limit = self._limit
        kept = shortened(kept, lambda some: len(self._encoded(question, some)[1]), limit, ends)
        text, ids = self._encoded(question, kept)
        if len(ids) > limit:
            raise UsageError(
                f"the prompt of question {question[:60]!r} has {len(ids)} tokens without any "
                f"passage; allowed: {limit}, the model's positions less max_new_tokens"
            )
        return Prompt(text, [ids], kept)

    @property
    def _limit(self) -> int:
        """Tokens that a prompt may have."""
        positions = positions_of(self._loaded.model) or sys.maxsize
        if positions <= self.max_new_tokens:
            raise UsageError(
                f"max_new_tokens is {self.max_new_tokens}; model {self.model!r} has {positions} "
                f"positions for prompt and answer"
            )
        return positions - self.max_new_tokens

    def _encoded(self, question: str, passages: Sequence[Passage]) -> tuple[str, list[int]]:
        """The prompt as text and as token ids."""
        tokenizer, chat = self._loaded.tokenizer, self._template_name == CHAT
        text = fill(self._template, {"context": numbered(passages), "question": question})
        text = with_system(tokenizer, text) if chat else text
        return text, prompt_ids(tokenizer, text, chat)

    def _inputs(self, prompts: Sequence[Prompt]) -> tuple[dict[str, Any], int]:
        model = self._loaded.model
        rows = [prompt.ids[0] for prompt in prompts]
        ids, mask = padded(rows, model.generation_config.pad_token_id, model.device, left=True)
        return {"input_ids": ids, "attention_mask": mask}, ids.shape[1]


def with_system(tokenizer: Any, text: str) -> str:
    """*text* as a user's turn after the system line, which goes into it where none is allowed."""
    said = turns(text)
    try:
        return chat_text(tokenizer, said)
    except DataError:
        return chat_text(tokenizer, turns("\n\n".join(turn["content"] for turn in said), system=""))
