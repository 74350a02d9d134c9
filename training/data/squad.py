"""SQuAD's own JSON, version 1.1 or 2.0: articles of paragraphs of questions, as a suite.

Source: Rajpurkar et al. 2016, doi 10.18653/v1/D16-1264; 2018, doi 10.18653/v1/P18-2124.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from qrels.data import Corpus, Queries, Rules, Suite
from qrels.errors import DataError
from qrels.files import read_data, shown
from qrels.positions import make_qrels, positions
from qrels.suites import digest

ARTICLE, STARTS, ANSWERS, IMPOSSIBLE = "article", "answer_starts", "answers", "is_impossible"
PARAGRAPH = "paragraph"
"""Keys of a query's metadata: its article, where its answers begin, the answers, if it has none;
the document that it was asked about, answer or not."""


class Question(NamedTuple):
    """A question about a paragraph; starts: where its answers begin, in characters."""

    question_id: str
    article: str
    paragraph: str
    text: str
    answers: list[str]
    starts: list[int]
    impossible: bool


def read_squad(path: Path | str) -> Suite:
    """The suite in a file of SQuAD's JSON; its one split is called "squad".

    A paragraph is a document, its article the title; ids are ARTICLE_NUMBER. Queries carry
    `answers`, `answer_starts`, `is_impossible` and their `article`. Questions without an answer
    have no relevant paragraph. Raises DataError, naming file and question, for a question that
    should have an answer and has none, or whose answer is not where it says.
    """
    path = Path(path)
    try:
        table = json.loads(read_data(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON: {error}") from error
    return suite_of(questions(table, path), path.name.partition(".")[0], str(path))


def questions(table: Any, path: Path) -> Iterator[Question]:  # the file's JSON
    """Every question of the file, in its order."""
    place = "data"
    try:
        for number, article in enumerate(table["data"]):
            place = f"article {number}"
            for paragraph in article["paragraphs"]:
                for item in paragraph["qas"]:
                    place = f"article {number}, question {shown(item.get('id'))}"
                    given = item.get("answers", [])
                    yield Question(
                        str(item["id"]),
                        str(article["title"]),
                        str(paragraph["context"]),
                        str(item["question"]).strip(),
                        [str(one["text"]) for one in given],
                        [int(one["answer_start"]) for one in given],
                        bool(item.get("is_impossible", False)),
                    )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path}: {place}: not SQuAD's format: {reason}") from error


def suite_of(found: Iterable[Question], name: str, source: str) -> Suite:
    """The questions and the paragraphs that they are about as a suite."""
    rows = list(found)
    if not rows:
        raise DataError(f"{source}: holds no question")
    for row in rows:
        check_answers(row, source)
    names, which = positions([(row.article, row.paragraph) for row in rows])
    corpus = _corpus(names)
    queries = Queries(
        [row.question_id for row in rows],
        [row.text for row in rows],
        [
            _metadata(row, corpus.doc_ids[doc])
            for row, doc in zip(rows, which.tolist(), strict=True)
        ],
    )
    if len(set(queries.query_ids)) < len(queries):
        raise DataError(f"{source}: a question's id is there twice")
    asked = np.flatnonzero([not row.impossible for row in rows])
    grades = np.ones(len(asked), np.int16)
    qrels = make_qrels(asked, which[asked], grades, len(queries))
    found_digest = digest(corpus, queries, qrels, Rules())
    return Suite(name, "", "squad", corpus, queries, qrels, found_digest)


def check_answers(row: Question, source: str) -> None:
    """DataError where a question lacks the answer that it should have."""
    place = f"{source}: question {row.question_id!r}"
    if not row.impossible and not row.answers:
        raise DataError(f"{place} has no answer and is not said to be impossible")
    if len(row.answers) != len(row.starts):
        raise DataError(f"{place} has {len(row.answers)} answers and {len(row.starts)} starts")
    for answer, start in zip(row.answers, row.starts, strict=True):
        if not answer or start < 0 or row.paragraph[start : start + len(answer)] != answer:
            raise DataError(f"{place}: the answer {shown(answer)} is not at {start}")


def _corpus(names: list[tuple[str, str]]) -> Corpus:
    """A document a paragraph, numbered within its article."""
    counts: dict[str, int] = {}
    ids = []
    for article, _ in names:
        counts[article] = counts.get(article, -1) + 1
        ids.append(f"{article}_{counts[article]}")
    titles = [article.replace("_", " ") for article, _ in names]
    return Corpus(ids, {"title": titles, "text": [text for _, text in names]})


def _metadata(row: Question, doc_id: str) -> dict[str, Any]:  # JSON values
    return {
        ANSWERS: [] if row.impossible else row.answers,
        STARTS: [] if row.impossible else row.starts,
        IMPOSSIBLE: row.impossible,
        ARTICLE: row.article,
        PARAGRAPH: doc_id,
    }
