"""Answers to rate, each once, in an order and under names that say nothing of the systems."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np

from bench.answers.files import AnswerRow
from qrels.errors import DataError
from reports.record import SuiteInfo

MEASURE = "Rating"
"""What ratings are called in a record."""

LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


@dataclass(frozen=True)
class Item:
    """One answer to one question, and the systems that gave it."""

    item_id: str
    suite: str
    split: str
    query_id: str
    systems: tuple[str, ...]


@dataclass(frozen=True)
class Key:
    """What a sheet keeps from its raters: whose answers the items are.

    low, high: the scale. The suites have the rated questions alone, and MEASURE.
    """

    schema: Literal[1]
    low: int
    high: int
    suites: tuple[SuiteInfo, ...]
    items: tuple[Item, ...]


class Blind(NamedTuple):
    """The key, and for each of its items an answer that stands for all that say the same."""

    key: Key
    rows: Sequence[AnswerRow]


Place = tuple[str, str]
"""Suite and split."""

Questions = Mapping[str, Sequence[AnswerRow]]
"""The answers to each question, by its id."""


def blind(
    rows: Sequence[AnswerRow],
    scale: tuple[int, int],
    seed: int,
    n: int | None = None,
    suites: Sequence[SuiteInfo] = (),
) -> Blind:
    """The items in a random order, those of a question together; equal answers are one item.

    n: how many questions of each suite, drawn at random; by default all. suites: what is known of
    them. DataError where the systems of a suite did not answer the same questions, or where a
    question has other words or gold answers in another row.
    """
    rng = np.random.default_rng(seed)
    known = {(info.name, info.split): info for info in suites}
    infos: list[SuiteInfo] = []
    groups: list[list[list[AnswerRow]]] = []
    for place, questions in _by_suite(rows).items():
        names = list(questions)
        drawn = sorted(rng.permutation(len(names))[:n].tolist())
        part = {names[i]: questions[names[i]] for i in drawn}
        infos.append(_info(place, part, known.get(place)))
        groups += [_same(answers) for answers in part.values()]
    mixed = [groups[i] for i in rng.permutation(len(groups))]
    return _named([same[i] for same in mixed for i in rng.permutation(len(same))], scale, infos)


def _by_suite(rows: Sequence[AnswerRow]) -> Mapping[Place, Questions]:
    """The answers to each question of each suite, in the order of the rows, checked."""
    found: dict[Place, dict[str, list[AnswerRow]]] = {}
    for row in rows:
        questions = found.setdefault((row.suite, row.split), {})
        questions.setdefault(row.query_id, []).append(row)
    for place, questions in found.items():
        systems = {row.system for answers in questions.values() for row in answers}
        for answers in questions.values():
            _check(answers, systems, " ".join(place))
    return found


def _check(answers: Sequence[AnswerRow], systems: set[str], place: str) -> None:
    """DataError unless each of the systems has answered the same question once."""
    first = answers[0]
    names = [row.system for row in answers]
    where = f"query {first.query_id!r} of {place}"
    if lacking := sorted(systems - set(names)):
        raise DataError(f"{where}: {first.system!r} answers it, {lacking[0]!r} does not")
    if len(names) > len(systems):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where}: {twice!r} answers it twice")
    for row in answers:
        for key in ("question", "gold"):
            if getattr(row, key) != getattr(first, key):
                raise DataError(f"{where}: {first.system!r} and {row.system!r} differ in the {key}")


def _same(answers: Sequence[AnswerRow]) -> list[list[AnswerRow]]:
    """The answers in groups that say the same but for white space."""
    groups: dict[str, list[AnswerRow]] = {}
    for row in answers:
        groups.setdefault(" ".join(row.answer.split()), []).append(row)
    return list(groups.values())


def _named(
    groups: Sequence[Sequence[AnswerRow]], scale: tuple[int, int], infos: Sequence[SuiteInfo]
) -> Blind:
    """The groups as items; their ids begin with letters that no other sheet has."""
    rows = [group[0] for group in groups]
    about = [(row.suite, row.split, row.query_id, row.answer) for row in rows]
    prefix = hashlib.sha256(json.dumps([scale, about]).encode()).hexdigest()[:6].translate(LETTERS)
    items = tuple(
        Item(
            item_id=f"{prefix}_{number}",
            suite=group[0].suite,
            split=group[0].split,
            query_id=group[0].query_id,
            systems=tuple(row.system for row in group),
        )
        for number, group in enumerate(groups, 1)
    )
    return Blind(Key(1, *scale, tuple(infos), items), rows)


def _info(place: Place, questions: Questions, known: SuiteInfo | None) -> SuiteInfo:
    """The suite cut to these questions, from what is *known* of it or from the answers alone."""
    firsts = {name: answers[0] for name, answers in questions.items()}
    if known is None:
        known = _unknown(place, firsts)
    rows = {name: row for row, name in enumerate(known.query_ids)}
    for name in firsts:
        if name not in rows:
            raise DataError(f"query {name!r} is answered, but {' '.join(place)} has no such query")
    kept = [rows[name] for name in firsts]
    return replace(
        known,
        queries=len(kept),
        measures=(MEASURE,),
        query_ids=tuple(firsts),
        kinds=tuple(known.kinds[row] for row in kept),
        texts=tuple(row.question for row in firsts.values()),
        without_relevant=0,
    )


def _unknown(place: Place, firsts: Mapping[str, AnswerRow]) -> SuiteInfo:
    """A suite of which nothing is known but its questions and their gold answers."""
    about = [(row.query_id, row.question, row.gold) for row in firsts.values()]
    return SuiteInfo(
        name=place[0],
        version="",
        split=place[1],
        digest=hashlib.sha256(json.dumps(about).encode()).hexdigest(),
        description="",
        documents=0,
        queries=len(firsts),
        judgements=0,
        without_relevant=0,
        judged_absent=0,
        unanswerable_skipped=0,
        exclude_self=False,
        relevance_level=1,
        depth=0,
        measures=(MEASURE,),
        query_ids=tuple(firsts),
        kinds=("",) * len(firsts),
        texts=None,
        task="answers",
    )
