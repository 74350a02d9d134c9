"""A prompt of query and document, in tokens, that never loses the query or the answer cue."""

import re
from collections.abc import Mapping
from typing import Any

from qrels.errors import UsageError

PLACEHOLDER = re.compile(r"\{(query|document)\}")


def fill(template: str, values: Mapping[str, str]) -> str:
    """*template* with {query} and {document} replaced, once each and in one pass."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def check_template(template: str) -> None:
    """UsageError where *template* does not hold {query} and {document} once each."""
    if sorted(PLACEHOLDER.findall(template)) != ["document", "query"]:
        raise UsageError(
            f"template is {template!r}; expected {{query}} and {{document}} in it, once each"
        )


class Prompts:
    """Prompts of at most *limit* tokens for one tokenizer; a document too long loses its end.

    tokenizer: a fast tokenizer of transformers. chat: whether the filled template becomes a
    user's turn of the tokenizer's chat template. Otherwise a prompt begins with the token that
    the tokenizer itself begins texts with, if any, and ends where the template ends. Special
    tokens spelt out in a text are broken up, so that a text cannot end the user's turn.
    """

    def __init__(self, tokenizer: Any, template: str, limit: int, chat: bool) -> None:
        check_template(template)
        self.tokenizer = tokenizer
        self.template = template
        self.limit = limit
        self.chat = chat
        empty = tokenizer("")["input_ids"]
        begins = not chat and empty[:1] == [tokenizer.bos_token_id]
        self._start: list[int] = empty[:1] if begins else []
        added = (str(t) for t in tokenizer.added_tokens_decoder.values() if t.special)
        special = {text for text in (*tokenizer.all_special_tokens, *added) if len(text) > 1}
        longest_first = sorted(special, key=lambda text: (-len(text), text))
        self._special = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def tokens(self, query: str, document: str) -> list[int]:
        """The prompt's token ids; UsageError where the query alone leaves no room."""
        query, document = self._plain(query), self._plain(document)
        found = self._encoded(query, document)
        if len(found) <= self.limit:
            return found
        ends = self._ends(document)
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

    def _plain(self, text: str) -> str:
        return self._special.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _encoded(self, query: str, document: str) -> list[int]:
        text = fill(self.template, {"query": query, "document": document})
        if self.chat:
            text = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text}],
                tokenize=False,
                add_generation_prompt=True,
                enable_thinking=False,  # a template that knows no such switch ignores it
            )
        found = self.tokenizer(text, add_special_tokens=False, verbose=False)
        return self._start + list(found["input_ids"])

    def _ends(self, document: str) -> list[int]:
        """Where each token of the document ends, in characters."""
        found = self.tokenizer(
            document, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return [end for _, end in found["offset_mapping"]]
