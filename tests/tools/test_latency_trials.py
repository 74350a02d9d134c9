"""The trials of the latency gate: resumed where they stopped, counted right, planted as real work.

No test here starts a worker or asserts a time.
"""

import json

import numpy as np
import pytest

from bench.gate.latency import Design


@pytest.fixture
def trials(tool):
    return tool("latency_trials")


def line(planted, verdict, slowdown, medians):
    """One trial as it is stored, with a noise of 2 %."""
    speed = {"verdict": verdict, "slowdown": slowdown, "noise": 0.02, "floor": 0.05}
    return {
        "planted": planted, "speed": speed, "medians_ns": medians, "seconds": [5.0, 2.0],
        "load": 2.0,
    }  # fmt: skip


def test_trials_are_resumed_where_they_stopped(trials, tmp_path, monkeypatch):
    """A second call adds what is missing, of the kinds that are missing."""
    monkeypatch.setattr(
        trials, "trial", lambda planted, suite, design: line(planted, "no slower", 0.0, [1.0, 1.0])
    )
    path = tmp_path / "trials.jsonl"
    path.write_text(
        "".join(
            json.dumps({"number": n, **line(trials.PLANTED[n], "no slower", 0.0, [1.0, 1.0])})
            + "\n"
            for n in range(4)
        )
    )
    trials.run(2, path, "models", Design())
    found = trials.read(path)
    assert [one["number"] for one in found] == list(range(18))
    assert [one["planted"] for one in found] == [*trials.PLANTED, *trials.PLANTED]


def test_the_page_counts_alarms_by_what_was_planted(trials):
    """Of 4 A/A trials one alarm by the fixed threshold and one above the noise; of 2 planted both
    caught by the gate and one by the threshold."""
    found = [
        line(0.0, "no slower", 0.01, [100.0, 100.0]),
        line(0.0, "no slower", 0.03, [100.0, 130.0]),
        line(0.0, "cannot tell", 0.0, [100.0, 100.0]),
        line(0.0, "no slower", 0.0, [100.0, 110.0]),
        line(0.2, "slower", 0.2, [100.0, 119.0]),
        line(0.2, "slower", 0.2, [100.0, 121.0]),
    ]
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in trials.page(found, Design()).splitlines()
        if row.startswith("| ")
    ][1:]
    shares = [[cell.split(" ")[0] for cell in row] for row in rows if not row[0].startswith("-")]
    assert [(r[1], r[2], r[3], r[4], r[6]) for r in shares] == [
        ("4", "0.0%", "25.0%", "1", "25.0%"),
        ("2", "100.0%", "100.0%", "0", "50.0%"),
    ]


def test_a_slowed_retriever_answers_the_same_and_works_more(tool, toy_corpus):
    """The planted slow-down changes no ranking; more of it is more passes, none is none."""
    slowed = tool("slowed").Slowed
    topics = ["where does the cat sleep?", "planet"]
    made = {extra: slowed("bm25", extra) for extra in (0.0, 50.0)}
    answers = []
    for retriever in made.values():
        retriever.index(toy_corpus)
        answers.append(retriever.search(topics, 3))
    assert np.array_equal(answers[0][0], answers[1][0])
    assert np.array_equal(answers[0][1], answers[1][1])
    assert made[0.0].units == 0
    assert made[50.0].units > 0


def test_work_is_done_for_every_query(tool, toy_corpus, monkeypatch):
    slowed = tool("slowed").Slowed("bm25", 0.5)
    slowed.index(toy_corpus)
    slowed.units = 3
    done = []
    monkeypatch.setattr(slowed, "work", done.append)
    slowed.search(["a", "b"], 2)
    assert done == [6]
