"""The queries worth reading: the hardest, and where two systems differ most."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from qrels.data import ABSENT, UNJUDGED, Run, Suite
from reports.record import Cell, Example, RankedDocument, SuiteInfo

Kind = Literal["hardest", "win", "loss"]

SHOWN = 5
"""How many queries of each sort, and how many documents of each ranking."""


def examples(
    suite: Suite,
    cells: Sequence[Cell],
    runs: Mapping[tuple[str, str, str], Run],
    answers: Mapping[tuple[str, str, str], str] = MappingProxyType({}),
    *,
    with_text: bool,
) -> Iterator[Example]:
    """The hardest queries of all finished systems; wins and losses of the best over the next.

    By the suite's first measure. runs: each finished cell's run by (suite, split, system);
    answers: likewise the text of its answers' file.
    """
    mine = finished(suite, cells)
    if not mine:
        return
    headline = suite.measures[0]
    mine.sort(key=lambda cell: -cell.means[headline]["mean"])
    values = np.array([cell.values[headline] for cell in mine])
    names = [cell.system for cell in mine]
    answerable = has_relevant(suite) | (suite.task == "answers")
    said = {
        name: [json.loads(line) for line in answers[place].splitlines()]
        for name in names
        if (place := (suite.name, suite.split, name)) in answers
    }

    def example(kind: Kind, query: int, chosen: Sequence[int]) -> Example:
        return Example(
            suite=suite.name,
            split=suite.split,
            kind=kind,
            query_id=suite.queries.query_ids[query],
            text=suite.queries.texts[query] if with_text else None,
            systems=tuple(names[i] for i in chosen),
            values={names[i]: float(values[i, query]) for i in chosen},
            rankings={
                names[i]: ranking(
                    suite, runs[suite.name, suite.split, names[i]], query, with_text=with_text
                )
                for i in chosen
            },
            answers={names[i]: said[names[i]][query]["answer"] for i in chosen if names[i] in said},
            gold=tuple(said[names[chosen[0]]][query]["gold"]) if names[chosen[0]] in said else (),
        )

    for query in smallest(values.max(axis=0), answerable):
        yield example("hardest", query, [0])
    if len(mine) > 1:
        gain = values[0] - values[1]
        for query in smallest(-gain, gain > 0):
            yield example("win", query, [0, 1])
        for query in smallest(gain, gain < 0):
            yield example("loss", query, [0, 1])


def finished(suite: Suite | SuiteInfo, cells: Sequence[Cell]) -> list[Cell]:
    """The cells of *suite* and its split that did not fail; bounds where there is nothing else."""
    here = (suite.name, suite.split)
    mine = [cell for cell in cells if (cell.suite, cell.split) == here and cell.error is None]
    return [cell for cell in mine if cell.bound is None] or mine


def smallest(keys: NDArray[np.float64], allowed: NDArray[np.bool_]) -> list[int]:
    """The allowed positions with the smallest keys, ties in file order."""
    order = np.argsort(keys, kind="stable")
    return [int(query) for query in islice((q for q in order if allowed[q]), SHOWN)]


def has_relevant(suite: Suite) -> NDArray[np.bool_]:
    """bool (n_queries,): whether any judged document is relevant."""
    rows = np.repeat(np.arange(len(suite.qrels)), np.diff(suite.qrels.indptr))
    found = np.zeros(len(suite.queries), np.bool_)
    found[rows[suite.qrels.grades >= suite.rules.relevance_level]] = True
    return found


def ranking(suite: Suite, run: Run, query: int, *, with_text: bool) -> tuple[RankedDocument, ...]:
    """The first documents of one ranking with their grades, and titles where texts may be shown."""
    start, stop = suite.qrels.indptr[query : query + 2]
    judged = dict(zip(suite.qrels.docs[start:stop], suite.qrels.grades[start:stop], strict=True))
    found = []
    for position in run.docs[query, :SHOWN]:
        if position == ABSENT:
            break
        grade = int(judged.get(position, UNJUDGED))
        found.append(
            RankedDocument(
                doc_id=suite.corpus.doc_ids[position],
                title=title(suite, int(position)) if with_text else None,
                grade=None if grade == UNJUDGED else grade,
            )
        )
    return tuple(found)


def title(suite: Suite, position: int, width: int = 100) -> str:
    """A document's first non-empty field, cut to *width*."""
    text = next((texts[position] for texts in suite.corpus.fields.values() if texts[position]), "")
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
