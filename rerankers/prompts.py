"""A prompt of query and document, in tokens, that never loses the query or the answer cue."""

from typing import Any

from encoders.language import (
    broken_up,
    chat_text,
    check_template,
    fill,
    prompt_ids,
    special_pattern,
    token_ends,
)
from qrels.errors import UsageError


class Prompts:
    """Prompts of at most *limit* tokens for one tokenizer; a document too long loses its end.

    tokenizer: a fast tokenizer of transformers. chat: whether the filled template becomes a
    user's turn of the tokenizer's chat template. Otherwise a prompt begins with the token that
    the tokenizer itself begins texts with, if any, and ends where the template ends. Special
    tokens spelt out in a text are broken up, so that a text cannot end the user's turn.
    """

    def __init__(self, tokenizer: Any, template: str, limit: int, chat: bool) -> None:
        check_template(template, ("query", "document"))
        self.tokenizer = tokenizer
        self.template = template
        self.limit = limit
        self.chat = chat
        self._special = special_pattern(tokenizer)

    def tokens(self, query: str, document: str) -> list[int]:
        """The prompt's token ids; UsageError where the query alone leaves no room."""
        query, document = (broken_up(self._special, text) for text in (query, document))
        found = self._encoded(query, document)
        if len(found) <= self.limit:
            return found
        ends = token_ends(self.tokenizer, document)
        kept = len(ends)
        while len(found) > self.limit:
            if kept == 0:
                raise UsageError(
                    f"the prompt of query {query[:60]!r} has {len(found)} tokens without any "
                    f"document; allowed: {self.limit} (max_length, or the model's own limit)"
                )
            kept = max(0, kept - (len(found) - self.limit))
            found = self._encoded(query, document[: ends[kept - 1]] if kept else "")
        return found

    def _encoded(self, query: str, document: str) -> list[int]:
        text = fill(self.template, {"query": query, "document": document})
        if self.chat:
            text = chat_text(self.tokenizer, [{"role": "user", "content": text}])
        return prompt_ids(self.tokenizer, text, self.chat)
