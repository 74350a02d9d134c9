"""One question to a whole system: passages, the prompt, and the answer with what it rests on."""

from collections.abc import Iterator, Sequence

from bench.answering import SPARE, checked, context
from bench.search import matching_words, snippet
from bench.system import Built, rerank, retrieve
from generators.base import Answer, Passage
from qrels.data import Filter
from reports.table import clean

GIVEN = "given"
"""The id of a passage that the user wrote."""

NOTHING = "no answer: the passages do not hold one"


def ask(
    built: Built, question: str, where: Sequence[Filter] = (), text: str | None = None
) -> tuple[list[Passage], Answer]:
    """The passages that the generator saw, best first, and its answer; *text* instead of them."""
    assert built.generator is not None  # the command makes sure of it
    if text is None:
        depth = max(2 * built.context.passages + SPARE, built.system.rerank_depth)
        run = rerank(built, [question], retrieve(built, [question], depth, where))
        contexts = context(built, [question], run)
    else:
        contexts = [list(one) for one in built.context.select([question], [[Passage(GIVEN, text)]])]
    (said,) = checked(built, built.generator.generate([question], contexts), contexts)
    return contexts[0], said


def format_answer(
    question: str, passages: Sequence[Passage], said: Answer, show_prompt: bool = False
) -> str:
    """All of it as text: passages by number, the prompt where wanted, the answer, its sources."""
    parts = ["\n".join(_passages(question, passages)) or "no passages"]
    if show_prompt:
        parts.append(
            "no prompt: this generator has none"
            if said.prompt is None
            else "\n".join(map(clean, said.prompt.splitlines()))
        )
    parts.append(NOTHING if said.abstained else "\n".join(map(clean, said.text.splitlines())))
    numbers = {passage.doc_id: number for number, passage in enumerate(passages, 1)}
    if said.citations:
        cited = (f"[{numbers[name]}] {clean(name)}" for name in said.citations)
        parts.append(f"from {', '.join(cited)}")
    return "\n\n".join(parts)


def _passages(question: str, passages: Sequence[Passage]) -> Iterator[str]:
    """Number, score, id and title of each, and what of its text matches best."""
    for number, passage in enumerate(passages, 1):
        head = f"[{number}] {passage.score:9.4f}  {clean(passage.doc_id)}  {clean(passage.title)}"
        yield head.rstrip()
        yield f"     {clean(snippet(passage.text, set(matching_words(question, passage.text))))}"
