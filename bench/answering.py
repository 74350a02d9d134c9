"""The last stage: passages from a ranking, an answer from them, and what is measured of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.answers import Answered, answer_measure
from bench.answers.files import AnswerRow
from bench.child import Answer as Reply
from bench.child import Deadline, ask_child, prepare, send
from bench.config import System
from bench.system import Built, make
from encoders.base import device_scope
from generators.base import Answer, Generator, Passage
from qrels.answers import gold_answers, unanswerable
from qrels.data import ABSENT, Corpus, Run, Suite
from qrels.errors import BenchError, PluginError
from qrels.files import shown
from retrievers.base import Closes

AT_ONCE = 256
"""Questions that a generator gets in one call."""

SPARE = 8
"""Passages beyond twice those wanted that a context gets to choose from."""

TITLE, TEXT = "title", "text"
"""The fields that a passage's title and text come from where the corpus has them."""


class Answers(NamedTuple):
    """What a generator was given and what it said, a row for each question."""

    contexts: list[list[Passage]]
    answers: list[Answer]


def answer(built: Built, questions: Sequence[str], run: Run) -> Answers:
    """The answers of the system's generator to the passages that its context takes from *run*."""
    assert built.generator is not None  # only systems with one get here
    contexts = context(built, questions, run)
    said: list[Answer] = []
    for start in range(0, len(questions), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        said += checked(
            built, built.generator.generate(questions[part], contexts[part]), contexts[part]
        )
    return Answers(contexts, said)


def context(built: Built, questions: Sequence[str], run: Run) -> list[list[Passage]]:
    """What the generator sees of the ranking of each question."""
    deep = 2 * built.context.passages + SPARE  # some may say the same
    return built.context.select(questions, passages(built.corpus, run, deep))


def passages(corpus: Corpus, run: Run, k: int) -> list[list[Passage]]:
    """The first *k* documents of each ranking; a corpus without a `text` has its fields joined."""
    rows = zip(run.docs[:, :k].tolist(), run.scores[:, :k].tolist(), strict=True)
    return [
        [passage(corpus, doc, score) for doc, score in zip(*row, strict=True) if doc != ABSENT]
        for row in rows
    ]


def passage(corpus: Corpus, position: int, score: float) -> Passage:
    """One document as a generator sees it."""
    texts = {name: column[position] for name, column in corpus.fields.items()}
    title = texts.pop(TITLE, "")
    text = texts[TEXT] if TEXT in texts else "\n".join(filter(None, texts.values()))
    return Passage(corpus.doc_ids[position], text, title, score)


def checked(built: Built, said: object, contexts: Sequence[Sequence[Passage]]) -> list[Answer]:
    """What a generator gave, as a list; PluginError where it is not an answer to each question."""
    name = f"{built.system.generator}.generate"
    if not isinstance(said, Sequence) or len(said) != len(contexts):
        raise PluginError(f"{name} returned {shown(said)}; expected {len(contexts)} answers")
    for one, given in zip(said, contexts, strict=True):
        if not isinstance(one, Answer) or not isinstance(one.text, str):
            raise PluginError(f"{name} returned {shown(one)}; expected an Answer")
        if one.abstained and one.text:
            raise PluginError(f"{name} abstained and said {shown(one.text)}; expected no text")
        if strange := set(one.citations) - {each.doc_id for each in given}:
            raise PluginError(f"{name} cites {shown(min(strange))}, which it was not given")
    return list(said)


def answered(suite: Suite, said: Answers) -> Answered:
    """Answers beside what is known of their questions: gold answers and relevant passages."""
    relevant = suite.qrels.grades >= suite.rules.relevance_level
    ids = [*suite.corpus.doc_ids, *suite.qrels.extra_doc_ids]
    parts = [slice(*suite.qrels.indptr[row : row + 2]) for row in range(len(suite.queries))]
    return Answered(
        questions=suite.queries.texts,
        answers=said.answers,
        golds=gold_answers(suite.queries),
        unanswerable=unanswerable(suite.queries),
        contexts=said.contexts,
        relevant=[{ids[doc] for doc in suite.qrels.docs[part][relevant[part]]} for part in parts],
    )


def rows_of(suite: Suite, system: System, said: Answers) -> Iterator[AnswerRow]:
    """The lines of the answers' file, in the order of the questions."""
    queries = suite.queries
    rows = zip(queries.query_ids, queries.texts, gold_answers(queries), *said, strict=True)
    for query_id, question, gold, given, one in rows:
        yield AnswerRow(
            system=system.name,
            query_id=query_id,
            question=question,
            answer=one.text,
            suite=suite.name,
            split=suite.split,
            citations=one.citations,
            abstained=one.abstained,
            contexts=tuple(each.doc_id for each in given),
            gold=gold,
        )


def measure_answers(suite: Suite, said: Answers) -> dict[str, NDArray[np.float64]]:
    """Each of the suite's measures per query, float64 (n_queries,)."""
    found = answered(suite, said)
    return {name: answer_measure(name).values(found) for name in suite.measures}


@dataclass
class Kept:
    """The generator of the last system, which the next one may have too: loading takes long."""

    key: object = None
    generator: Generator | None = None

    def of(self, system: System, corpus: Corpus) -> Built:
        """The system's parts, the generator that is kept among them where it is the same."""
        built = make(system, corpus)
        key = [system.generator, dict(system.generator_params)]
        if self.key == key:
            return built._replace(generator=self.generator)
        self.close()
        self.key, self.generator = key, built.generator
        return built

    def close(self) -> None:
        if isinstance(self.generator, Closes):
            self.generator.close()
        self.key = self.generator = None


def answers_here(suite: Suite, system: System, run: Run, device: str, kept: Kept) -> Answers:
    """The answers to all questions of the suite, made in this process."""
    with device_scope(device):
        return answer(kept.of(system, suite.corpus), suite.queries.texts, run)


def answers_apart(
    suite: Suite, system: System, run: Run, device: str, deadline: Deadline | None
) -> Answers:
    """The same in a spawned process that is killed at *deadline*; all that fails: PluginError."""
    message = (suite, system, run, device)
    found: Answers = ask_child(system.name, _child, (), message, deadline)
    return found


def _child(pipe: Connection) -> None:
    """Entry of the process: receive the work, send the answers or why there are none."""
    prepare()
    send(pipe, _reply(*pipe.recv()))


def _reply(suite: Suite, system: System, run: Run, device: str) -> Reply:
    kept = Kept()
    try:
        return None, answers_here(suite, system, run, device, kept)
    except BenchError as error:
        return str(error), None
    except (Exception, SystemExit) as error:  # a plug-in may raise anything
        return f"{type(error).__name__}: {error}", None
    finally:
        kept.close()
