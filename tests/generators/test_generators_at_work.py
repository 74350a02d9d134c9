"""Whole systems: retrieved by words, answered by a model that knows the answers, measured."""

from dataclasses import replace

import numpy as np
import pytest

from bench.config import Experiment, System
from bench.latency import Protocol
from bench.runner import Options, run_experiment
from qrels.data import Corpus, Qrels, Queries, Suite


@pytest.fixture
def suite(lesson):
    """The lesson as a suite: what is asked, the passages of all, both of each relevant."""
    questions, contexts, answers = lesson
    passages = [passage for some in contexts for passage in some]
    corpus = Corpus(
        [passage.doc_id for passage in passages],
        {"title": [p.title for p in passages], "text": [p.text for p in passages]},
    )
    n = len(questions)
    queries = Queries([f"q{i}" for i in range(n)], questions, [{"answers": [a]} for a in answers])
    grades = np.tile(np.array([2, 1], np.int16), n)
    qrels = Qrels(np.arange(0, 2 * n + 1, 2), np.arange(2 * n, dtype=np.int32), grades)
    return Suite(
        "lesson", "1", "test", corpus, queries, qrels, "e" * 64, ("R@2",), 10,
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), [("gpt2", "causal"), ("t5", "seq2seq")])
def test_a_system_answers_and_is_measured(suite, learnt, kind, name):
    """Retrieval finds the passages and the answers are exact; without passages fewer are."""
    params = {"model": learnt(kind), "max_new_tokens": 12}
    system = System(f"bm25+{name}", "bm25", generator=name, generator_params=params,
                    context={"passages": 2})  # fmt: skip
    record = run_experiment(Experiment([suite], [system]), options=Options(protocol=None))
    means = {
        cell.bound: {key: found["mean"] for key, found in cell.means.items()}
        for cell in record.cells
        if cell.split == "test answers"
    }
    assert means[None]["EM"] == means["ceiling"]["EM"] == 1.0
    assert means[None]["F1"] == means[None]["ContextRecall"] == 1.0
    assert means["floor"]["ContextRecall"] == 0.0


def test_generation_is_timed_by_stage(suite, learnt):
    """Each stage, the first token and the tokens of every sample; floors have no cost."""
    params = {"model": learnt("gpt2"), "max_new_tokens": 12}
    system = System("bm25+causal", "bm25", generator="causal", generator_params=params)
    options = Options(protocol=Protocol(queries=2, rounds=2, warmup=1, threads=1))
    small = replace(suite, depth=3)
    record = run_experiment(Experiment([small], [system]), options=options)
    first, floor, ceiling = [cell for cell in record.cells if cell.split == "test answers"]
    assert first.cost_error is None
    assert list(first.cost.latency_ns) == [
        "encode", "search", "context", "generate", "first_token", "total",
    ]  # fmt: skip
    for one in zip(*first.cost.latency_ns.values(), strict=True):
        *before, generate, token, total = (np.array(stage) for stage in one)
        assert (sum(before) + generate == total).all()
        assert (token < total).all()
        assert (token > sum(before)).all()
    assert np.array(first.cost.tokens).shape == (2, 2)
    assert np.min(first.cost.tokens) > 0
    assert floor.cost is ceiling.cost is None
