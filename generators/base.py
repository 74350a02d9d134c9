"""The protocol of a generator: questions and passages in, answers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Passage:
    """A piece of text that an answer may rest on; its id is the document's."""

    doc_id: str
    text: str
    title: str = ""
    score: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What a generator said to one question.

    text: "" where it abstained. citations: ids of the passages it rests on, best first. prompt:
    what a language model was given, whole. tokens: generated ones; first_token_ns: until the
    first of them, 0 where it cannot be told.
    """

    text: str
    citations: tuple[str, ...] = ()
    abstained: bool = False
    prompt: str | None = None
    prompt_tokens: int = 0
    tokens: int = 0
    first_token_ns: int = 0


@runtime_checkable
class Checks(Protocol):
    """Finds wrong parameters before anything is loaded."""

    def check(self) -> None:
        """UsageError for a parameter that is not allowed."""


@runtime_checkable
class Generator(Protocol):
    """Answers questions from passages; its constructor only stores its arguments."""

    def generate(
        self, questions: Sequence[str], contexts: Sequence[Sequence[Passage]]
    ) -> list[Answer]:
        """An answer a question, in order; contexts holds the passages of each, best first."""
