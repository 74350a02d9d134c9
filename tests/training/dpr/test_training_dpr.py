"""The recipe `dpr`: both encoders from questions and passages."""

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
from training import dpr
from training.cli import main
from training.dpr import OPTIONS, make_task
from training.dual import encode, load_dual
from training.log import read_log


@pytest.fixture
def options(tiny, tmp_path):
    return OPTIONS(
        question=tiny.question, context=tiny.context, data=tiny.train, out=str(tmp_path / "out"),
        num_epochs=16, learning_rate=3e-3, batch_size=8, warmup_steps=5, max_length=60,
        negatives_margin=1.0, dropout=0.0, patience=0, precision="float32", device="cpu",
    )  # fmt: skip


def run(options, say=lambda _: None):
    dpr.main(options, say)
    return Path(options.out)


def test_the_trained_encoders_rank_better_and_load_by_path(options, tiny):
    """Questions that were not trained on find their passage, and the harness measures from disk
    what was measured while training."""
    out = run(replace(options, validate=tiny.validate, test=(tiny.validate,)))
    values = [row["value"] for row in read_log(out / "log.jsonl") if "value" in row]
    assert max(values) > values[0] + 0.3
    suite = load_suite(tiny.validate)
    system = replace(parse_system("dense"), params=params(out / "model"))
    found = measure_run(suite, search_suite(suite, system))["nDCG@10"].mean()
    assert found == pytest.approx(max(values), abs=1e-6)
    card = (out / "model" / "README.md").read_text()
    for part in (load_suite(tiny.train).digest, f"| {values[0]:.4f} | {max(values):.4f} |"):
        assert part in card


def params(model):
    encoder = f"dpr?question={model / 'question'}&context={model / 'context'}&max_length=60"
    return {"encoder": encoder, "similarity": "dot"}


def test_the_loss_is_that_of_the_formula(options):
    """Cross-entropy of dot products, worked out with plain numbers; a hard negative each."""
    task = make_task(options, lambda _: None)
    task.model.eval()
    batch = task.collate([0, 9, 40])
    with torch.no_grad():
        loss = task.loss(batch.inputs)
        asked = task.model["question"](**batch.inputs.questions).pooler_output.double().numpy()
        told = task.model["context"](**batch.inputs.passages).pooler_output.double().numpy()
    scores = asked @ told.T
    expected = sum(np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(scores))
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)
    assert loss.count == 3


def test_no_batch_holds_another_relevant_passage(options):
    """No two questions of one passage are in one batch, and each is in one."""
    task = make_task(replace(options, negatives=0), lambda _: None)
    for epoch in range(2):
        batches = task.batches(epoch)
        assert sorted(row for batch in batches for row in batch) == list(range(64))
        for batch in batches:
            passages = [row // 8 for row in batch]
            assert len(set(passages)) == len(passages)


def test_a_plain_bert_is_a_beginning(options, bert, tmp_path):
    """Both sides begin as the BERT's first token, and are saved as DPR encoders."""
    from transformers import AutoTokenizer, BertModel

    dual = load_dual(bert, bert, 20)
    tokenizer = AutoTokenizer.from_pretrained(bert)
    model = BertModel.from_pretrained(bert).eval()
    with torch.no_grad():
        expected = model(**tokenizer("w1 w2", return_tensors="pt")).last_hidden_state[0, 0]
    for side in ("query", "passage"):
        assert np.allclose(encode(dual, ["w1 w2"], side)[0], expected.numpy(), atol=1e-6)
    out = run(replace(options, question=bert, context=bert, max_steps=3, max_length=20))
    again = load_dual(str(out / "model" / "question"), str(out / "model" / "context"), 20)
    vectors = [encode(again, ["w1 w2"], side)[0] for side in ("query", "passage")]
    assert not np.allclose(vectors[0], vectors[1])


@pytest.fixture
def bert(tiny, tmp_path):
    """A plain BERT with DPR's tokenizer."""
    import shutil

    from transformers import BertConfig, BertModel

    folder = tmp_path / "bert"
    shutil.copytree(tiny.question, folder)
    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=55, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=32,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return str(folder)


def test_encoders_that_do_not_fit_are_refused(tiny, bert):
    """Vectors of two lengths have no dot product."""
    with pytest.raises(UsageError, match="question gives vectors of 32 numbers, context of 16"):
        load_dual(tiny.question, bert, 20)
    with pytest.raises(DataError, match="lacks the weights"):
        load_dual(tiny.question, tiny.question, 20)


@pytest.mark.parametrize(
    "changes",
    [{"checkpointing": True}, {"precision": "bf16"}, {"batch_tokens": 300}],
    ids=["checkpointing", "bf16", "tokens"],
)
def test_every_way_of_computing_learns(options, changes):
    """Activations computed twice, 16 bits, batches by tokens."""
    out = run(replace(options, num_epochs=6, **changes))
    losses = [row["loss"] for row in read_log(out / "log.jsonl") if "loss" in row]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["--measure", "nDGC@10"], "unknown measure"),
        (["--context", "no/where/at/all"], "there is no such folder"),
        (["--data", ""], "no training data, or twice"),
    ],
    ids=["measure", "context", "data"],
)
def test_what_is_wrong_is_one_line_and_exit_2(options, written, message, capsys):
    """A mistake is told in a line."""
    names = ("question", "context", "data", "out")
    common = [word for name in names for word in (f"--{name}", getattr(options, name))]
    assert main(["dpr", *common, *written]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("training: ")
    assert message in error
