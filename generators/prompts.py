"""What a language model is asked, and what is taken from its reply."""

import re
from collections.abc import Mapping, Sequence

from encoders.language import check_template, fill
from generators.base import Passage
from qrels.errors import unknown

SYSTEM = (
    "You answer questions from numbered passages. Use nothing else, be brief, and name the "
    "passages you used by their numbers, as in [1]. Where they hold no answer, reply: I don't know."
)
TEMPLATES: Mapping[str, str] = {
    "numpy-rag": (
        "Use only the context to answer the question.\n\n"
        "CONTEXT:\n{context}\n\nQUESTION:\n{question}\n\nANSWER:"
    ),
    "cozyrag": "Q: {question}\nContext: {context}\nA:",
    "rag-from-scratch": "Context: {context}\nQuery: {question}\nResponse:",
    "chat": "{context}\n\nQuestion: {question}",
    "plain": "{context}\n\n{question}\n",
}
CHAT = "chat"
"""The template that becomes a user's turn, after SYSTEM."""

LABEL = re.compile(r"^([A-Za-z]\w*):", re.MULTILINE)
CITATION = re.compile(r"\s*\[(\d+(?:\s*,\s*\d+)*)\]")
ABSTENTIONS = frozenset(
    {"i don't know", "i do not know", "i don’t know", "unanswerable", "no answer", "not answerable"}
)


def template_text(template: str) -> str:
    """The text of a template: by name, or *template* itself where it holds the placeholders.

    UsageError for an unknown name, and for a text without {context} and {question} once each.
    """
    if template in TEMPLATES:
        return TEMPLATES[template]
    if "{" not in template and "\n" not in template:
        raise unknown("template", template, TEMPLATES)
    check_template(template, ("context", "question"))
    return template


def numbered(passages: Sequence[Passage]) -> str:
    """The passages as a context: [1] and so on before each, its title on the same line."""
    return "\n\n".join(
        f"[{number}] {plain(passage)}" for number, passage in enumerate(passages, start=1)
    )


def plain(passage: Passage) -> str:
    """A passage's title, if any, above its text."""
    return "\n".join(part for part in (passage.title.strip(), passage.text.strip()) if part)


def prompt(question: str, passages: Sequence[Passage], template: str = "numpy-rag") -> str:
    """The whole prompt of *question* over numbered passages, uncut."""
    values = {"context": numbered(passages), "question": question}
    return fill(template_text(template), values)


def messages(
    question: str, passages: Sequence[Passage], template: str = CHAT, system: str = SYSTEM
) -> list[dict[str, str]]:
    """The prompt as the turns of a chat: a system line, left out where empty, and the user's."""
    return turns(prompt(question, passages, template), system)


def turns(text: str, system: str = SYSTEM) -> list[dict[str, str]]:
    """A filled template as the turns of a chat."""
    first = [{"role": "system", "content": system}] if system else []
    return [*first, {"role": "user", "content": text}]


def cited(answer: str, passages: Sequence[Passage]) -> tuple[str, ...]:
    """The doc_ids behind an answer's markers [1] or [1, 2], in order, each once.

    A number that no passage has is passed over.
    """
    numbers = [int(n) for found in CITATION.finditer(answer) for n in found[1].split(",")]
    ids = (passages[number - 1].doc_id for number in numbers if 1 <= number <= len(passages))
    return tuple(dict.fromkeys(ids))


def without_citations(answer: str, passages: Sequence[Passage]) -> str:
    """The answer without those markers that number nothing but passages."""

    def drop(found: re.Match[str]) -> str:
        known = all(1 <= int(number) <= len(passages) for number in found[1].split(","))
        return "" if known else found[0]

    return CITATION.sub(drop, answer).strip()


def clean(reply: str, asked: str, template: str, stop: Sequence[str] = ()) -> str:
    """A model's reply without echoes: the prompt, the template's words, what follows a stop.

    asked: the prompt. template: its text. The template's last line ("ANSWER:") is dropped where
    the reply begins with it; one of its labels ("QUESTION:") at the beginning of a line, or one
    of its lines without a placeholder, ends the answer.
    """
    text = reply.strip().removeprefix(asked.strip()).strip()
    lines = [line.strip() for line in template.strip().splitlines()]
    fixed = [line for line in lines if line and "{" not in line]
    if fixed and fixed[-1] == lines[-1]:
        text = text.removeprefix(fixed[-1])
    echoes = [rf"{re.escape(label)}:" for label in LABEL.findall(template)]
    echoes += [rf"{re.escape(line)}\s*$" for line in fixed]
    ends = [text.find(mark) for mark in stop if mark]
    if echoes and (found := re.search(rf"^\s*(?:{'|'.join(echoes)})", text, re.MULTILINE)):
        ends.append(found.start())
    return text[: min((end for end in ends if end >= 0), default=None)].strip()


def abstains(answer: str) -> bool:
    """Whether an answer is empty, or its first sentence says no more than that it has none."""
    first = re.split(r"[.!?\n]", answer.strip(), maxsplit=1)[0]
    return first.strip(" \"'*,;:-").lower() in ABSTENTIONS | {""}
