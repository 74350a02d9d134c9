"""The recipe `reranker`, from a suite's judgements to a cross-encoder that loads by path."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.config import parse_system
from bench.runner import measure_run
from bench.system import search_suite
from qrels.errors import DataError, UsageError
from qrels.suites import load_suite
from training import reranker
from training.data.sample import some_questions
from training.log import read_log
from training.reranker import OPTIONS, drawn, make_questions, make_task

TOPICS = 12


@pytest.fixture(scope="session")
def topics_folder(tmp_path_factory):
    """Of three passages about each topic the one that says yes is relevant, and says least of it:
    a retriever of words has it last."""
    folder = tmp_path_factory.mktemp("topics") / "topics"
    (folder / "qrels").mkdir(parents=True)
    texts = {"a": "topic{0} it says no", "b": "topic{0} topic{0} no", "c": "topic{0} we say it yes"}
    corpus = [
        {"_id": f"{kind}{n}", "text": text.format(n)}
        for n in range(TOPICS)
        for kind, text in texts.items()
    ]
    queries = [{"_id": f"q{n}", "text": f"what of topic{n}"} for n in range(TOPICS)]
    for name, rows in (("corpus", corpus), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = ["query-id\tcorpus-id\tscore", *(f"q{n}\tc{n}\t1" for n in range(TOPICS))]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def options(bert_of, topics_folder, tmp_path):
    words = ["what", "of", "it", "says", "we", "say", "yes", "no"]
    words += [f"topic{n}" for n in range(TOPICS)]
    return OPTIONS(
        model=str(bert_of(words)), data=str(topics_folder), out=str(tmp_path / "out"), seed=1,
        num_epochs=16, learning_rate=2e-3, batch_size=6, warmup_steps=3, precision="float32",
        device="cpu", log_every=50, max_length=32, patience=0, measure_every=50, save_every=0,
    )  # fmt: skip


def run(options, say=lambda _: None):
    reranker.main(options, say)
    return Path(options.out)


def test_the_trained_reranker_orders_what_words_cannot_and_loads_by_path(options, topics_folder):
    """The loss falls, every relevant passage comes first, and the harness measures from disk what
    was measured while training."""
    out = run(replace(options, validate=str(topics_folder), test=(str(topics_folder),)))
    log = read_log(out / "log.jsonl")
    losses = [row["loss"] for row in log if "loss" in row]
    assert np.mean(losses[-5:]) < 0.1 * np.mean(losses[:5])
    values = [row["value"] for row in log if "value" in row]
    suite = load_suite(topics_folder)
    bm25 = measure_run(suite, search_suite(suite, parse_system("bm25")))["nDCG@10"].mean()
    assert bm25 == pytest.approx(0.5)
    assert max(values) > 0.99
    system = parse_system(f'bm25+cross-encoder?reranker.model="{out / "model"}"')
    found = measure_run(suite, search_suite(suite, system))["nDCG@10"].mean()
    assert found == pytest.approx(max(values), abs=1e-6)
    card = (out / "model" / "README.md").read_text()
    for part in (suite.digest, f"| {values[0]:.4f} | {max(values):.4f} |", "max_length = 32"):
        assert part in card


def test_interrupted_training_goes_on_bit_for_bit(options, goes_on):
    """With dropout and drawn negatives, stopped in the middle of an epoch: the same file."""
    goes_on(run, replace(options, num_epochs=2, batch_tokens=80), at=3)


def test_the_loss_is_that_of_the_formula(options):
    """A softmax over each question's own candidates, worked out with plain numbers; how much
    padding they have, and who shares their batch, changes nothing."""
    task = make_task(replace(options, negatives=2), lambda _: None)
    task.model.eval()
    rows = task.batches(0)[0][:3]
    rows[1] = rows[1]._replace(candidates=rows[1].candidates[:2])
    batch = task.collate(rows)
    with torch.no_grad():
        loss = task.loss(batch.inputs)
        scores = task.model(**batch.inputs.pairs).logits.double().flatten().tolist()
        alone = sum(float(task.loss(task.collate([row]).inputs).total) for row in rows)
    expected, at = 0.0, 0
    for row in rows:
        own = np.array(scores[at : at + len(row.candidates)])
        expected += np.log(np.exp(own).sum()) - own[0]
        at += len(own)
    assert at == 8
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)
    assert alone == pytest.approx(expected, rel=1e-5)
    assert loss.count == 3


def test_each_epoch_draws_others_negatives_of_the_pool(options):
    """So many a question, none relevant, none twice, the same for the same seed and epoch."""
    questions = make_questions(load_suite(options.data), options, lambda _: None)
    first, again, second = (drawn(questions, 2, 1, epoch) for epoch in (0, 0, 1))
    assert first == again
    assert first != second
    for row, question in zip(first, questions, strict=True):
        own, *others = row.candidates
        assert own == question.relevant
        assert len(set(others)) == 2
        assert set(others) <= set(question.pool) - {own}


@pytest.mark.parametrize(
    "changes",
    [{"precision": "bf16"}, {"batch_tokens": 80, "accumulate": 2}, {"negatives": 1}],
    ids=["bf16", "tokens", "one-negative"],
)
def test_every_way_of_computing_learns(options, changes):
    """In 16 bits, with batches by tokens, with one negative a question."""
    out = run(replace(options, num_epochs=8, **changes))
    losses = [row["loss"] for row in read_log(out / "log.jsonl")]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


def test_batches_by_tokens_keep_their_limit(options):
    """With padding none has more tokens than it may, and every question is in one."""
    task = make_task(replace(options, batch_tokens=100), lambda _: None)
    batches = task.batches(0)
    assert all(task.collate(batch).tokens <= 100 for batch in batches)
    assert sorted(row.question for batch in batches for row in batch) == sorted(
        load_suite(options.data).queries.texts
    )


def test_questions_without_candidates_are_left_out_aloud(options):
    """A passage that the first stage does not find beside negatives teaches nothing."""
    suite, said = load_suite(options.data), []
    texts = ["nothing alike", *suite.queries.texts[1:]]
    suite = replace(suite, queries=replace(suite.queries, texts=texts))
    assert len(make_questions(suite, options, said.append)) == TOPICS - 1
    assert said == [
        "1 of 12 questions have no relevant passage or no hard negative by bm25, and are left out"
    ]
    with pytest.raises(DataError, match="no question has a relevant passage and a hard negative"):
        make_questions(suite, replace(options, negatives_depth=2), said.append)


def test_some_questions_are_evenly_spaced(options):
    """They keep their judgements, and all passages stay."""
    suite = some_questions(load_suite(options.data), 4)
    assert list(suite.queries.query_ids) == ["q0", "q3", "q6", "q9"]
    ids = [suite.corpus.doc_ids[doc] for doc in suite.qrels.docs]
    assert ids == ["c0", "c3", "c6", "c9"]
    assert len(suite.corpus) == 3 * TOPICS
    assert some_questions(suite, 0) is some_questions(suite, 9) is suite


def test_more_tokens_than_positions_are_refused(options):
    """The line says how many the model has."""
    with pytest.raises(UsageError, match="max_length = 99; the model has positions for 64 tokens"):
        run(replace(options, max_length=99))


def test_fewer_candidates_than_others_give_finite_gradients(options):
    """The gaps in the table of scores hold no number, and pass none on."""
    task = make_task(options, lambda _: None)
    rows = task.batches(0)[0][:2]
    rows[0] = rows[0]._replace(candidates=rows[0].candidates[:2])
    loss = task.loss(task.collate(rows).inputs)
    loss.total.backward()
    assert all(
        torch.isfinite(each.grad).all() for each in task.model.parameters() if each.grad is not None
    )
