"""The recipe `retriever`, from a suite's judgements to a folder that loads by path."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import encoders
from bench.config import parse_system
from bench.runner import measure_run
from bench.system import search_suite
from qrels.errors import DataError, UsageError
from qrels.suites import load_suite
from training import retriever
from training.cli import main
from training.log import read_log
from training.pairs import Pairs, batch_passages, make_pairs, pair_batches
from training.retriever import OPTIONS, make_task


@pytest.fixture
def options(tiny_model, squad_folder, tmp_path):
    return OPTIONS(
        model=str(tiny_model), data=str(squad_folder), out=str(tmp_path / "out"), num_epochs=6,
        learning_rate=2e-3, batch_size=8, warmup_steps=3, precision="float32", device="cpu",
        negatives_margin=1.0, log_every=20,
    )  # fmt: skip


def run(options, say=lambda _: None):
    retriever.main(options, say)
    return Path(options.out)


def test_the_trained_model_ranks_better_and_loads_by_path(options, squad_folder):
    """Validation rises; the folder loads in sentence-transformers and by `encoders.load`, and
    the harness measures from disk what was measured while training."""
    from sentence_transformers import SentenceTransformer

    out = run(replace(options, validate=str(squad_folder), test=(str(squad_folder),)))
    values = [row["value"] for row in read_log(out / "log.jsonl") if "value" in row]
    assert max(values) > values[0] + 0.2
    suite = load_suite(squad_folder)
    found = search_suite(suite, parse_system(f'dense?encoder="{out / "model"}"'))
    assert measure_run(suite, found)["nDCG@10"].mean() == pytest.approx(max(values), abs=1e-6)
    texts = suite.queries.texts[:3]
    ours = encoders.load(str(out / "model")).encode(texts, "query")
    theirs = SentenceTransformer(str(out / "model"), local_files_only=True).encode(texts)
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    assert np.allclose(ours, theirs, atol=1e-6)
    card = (out / "model" / "README.md").read_text()
    for part in (suite.digest, f"| {values[0]:.4f} | {max(values):.4f} |", "num_epochs = 6"):
        assert part in card


def test_interrupted_training_goes_on_bit_for_bit(options, goes_on):
    """With dropout and hard negatives, stopped in the middle of an epoch: the same file."""
    goes_on(run, replace(options, num_epochs=2), at=13)


@pytest.mark.parametrize(
    "changes",
    [{"checkpointing": True}, {"precision": "bf16"}, {"batch_tokens": 400}, {"negatives": 0}],
    ids=["checkpointing", "bf16", "tokens", "no-negatives"],
)
def test_every_way_of_computing_learns(options, changes):
    """Activations computed twice, 16 bits, batches by tokens, in-batch negatives alone."""
    out = run(replace(options, num_epochs=4, **changes))
    losses = [row["loss"] for row in read_log(out / "log.jsonl")]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.2


def test_checkpointing_gives_the_same_losses(options, tmp_path):
    """Computing activations twice changes nothing but memory and time."""
    options = replace(options, max_steps=6)
    plain = run(options)
    again = run(replace(options, checkpointing=True, out=str(tmp_path / "again")))
    first, second = ([row["loss"] for row in read_log(o / "log.jsonl")] for o in (plain, again))
    assert second == pytest.approx(first, abs=1e-6)


def test_no_batch_holds_another_relevant_passage(options):
    """Of a batch's questions none has a second relevant passage in it, and none is there twice."""
    task = make_task(replace(options, batch_size=16), lambda _: None)
    suite = load_suite(options.data)
    pairs = make_pairs(suite, options, lambda _: None)
    seen = []
    for epoch in range(3):
        for batch in task.batches(epoch):
            seen += batch
            passages = batch_passages(pairs, batch)
            assert len(set(passages)) == len(passages)
            for place, row in enumerate(batch):
                own = [doc for doc in passages if doc in pairs.relevant[row]]
                assert own == [passages[place]]
    assert set(seen) == set(range(72))


def test_hard_negatives_relevant_to_a_neighbour_are_left_out():
    """A hard negative of one question that is relevant to another one is in no common batch."""
    pairs = Pairs(
        questions=["a", "b"], positives=[0, 1], relevant=[frozenset({0}), frozenset({1, 2})],
        negatives=[[2, 3], [3, 4]],
    )  # fmt: skip
    assert batch_passages(pairs, [0, 1]) == [0, 1, 3, 4]
    assert batch_passages(pairs, [0]) == [0, 2, 3]


def test_the_loss_is_that_of_the_formula(options):
    """InfoNCE over cosines, worked out with plain numbers."""
    task = make_task(options, lambda _: None)
    task.model.eval()
    batch = task.collate([0, 5, 9])
    with torch.no_grad():
        loss = task.loss(batch.inputs)
        vectors = [
            task.model(dict(part))["sentence_embedding"].double().numpy()
            for part in (batch.inputs.questions, batch.inputs.passages)
        ]
    q, p = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in vectors)
    scores = q @ p.T / options.temperature
    expected = sum(np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(scores))
    assert float(loss.total) == pytest.approx(expected, rel=1e-5)
    assert loss.count == 3


def test_questions_without_a_relevant_passage_are_left_out_aloud(options, tmp_path, squad_folder):
    """They are counted in one line; where all are so, that is an error."""
    lines = (squad_folder / "qrels" / "test.tsv").read_text().splitlines()
    folder = tmp_path / "suite"
    (folder / "qrels").mkdir(parents=True)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / name).write_bytes((squad_folder / name).read_bytes())
    zeros = [lines[0], *(line[:-1] + "0" for line in lines[1:8]), *lines[8:]]
    (folder / "qrels" / "test.tsv").write_text("\n".join(zeros) + "\n")
    said = []
    pairs = make_pairs(load_suite(folder), options, said.append)
    assert len(pairs.questions) == 65
    assert said[0] == "7 of 72 questions have no relevant passage and are left out"
    none = [lines[0], *(line[:-1] + "0" for line in lines[1:])]
    (folder / "qrels" / "test.tsv").write_text("\n".join(none) + "\n")
    with pytest.raises(DataError, match="no question has a relevant passage"):
        make_pairs(load_suite(folder), options, said.append)


def test_a_limit_of_tokens_below_one_row_is_refused(options):
    """The line says how long the longest row is."""
    with pytest.raises(UsageError, match=r"batch_tokens = 20; the longest row has \d+ tokens"):
        run(replace(options, batch_tokens=20))


def test_long_rows_are_learnt_from_though_few_fit_a_batch(options):
    """Batches that are full of tokens count, however few questions they hold."""
    pairs = Pairs([str(n) for n in range(12)], list(range(12)), [frozenset({n}) for n in range(12)],
                  [[] for _ in range(12)])  # fmt: skip
    by_tokens = replace(options, batch_tokens=100)
    found = pair_batches(pairs, [10] * 8 + [60] * 4, by_tokens, 0)
    assert sorted(row for batch in found for row in batch) == list(range(12))
    found = pair_batches(pairs, [], replace(options, batch_size=5), 0)
    assert sorted(map(len, found)) == [5, 5]  # two are left, too few to tell from


def test_prompts_go_before_the_texts(options):
    """What is trained with a prompt is measured with it, and read with it by `encoders`."""
    options = replace(options, query_prompt="w1 ", passage_prompt="w2 ", negatives=0)
    pairs = make_pairs(load_suite(options.data), options, lambda _: None, options.query_prompt)
    assert all(text.startswith("w1 ") for text in pairs.questions)
    texts = retriever.passage_texts(load_suite(options.data), options)
    assert all(text.startswith("w2 ") for text in texts)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["--data", "nowhere/at/all"], "no such folder"),
        (["--model", "nowhere/at/all"], "cannot be loaded"),
        (["--measure", "nDGC@10"], "unknown measure"),
        (["--negatives-from", "bm52"], "unknown retriever 'bm52'; did you mean 'bm25'?"),
        (["--set", "learnin_rate=1"], "unknown option 'learnin_rate'; did you mean"),
        (["--data", ""], "no training data, or twice"),
        (["--device", "tpu"], "device 'tpu'"),
    ],
    ids=["data", "model", "measure", "system", "option", "nothing", "device"],
)
def test_what_is_wrong_is_one_line_and_exit_2(options, written, message, capsys):
    """A mistake is told in a line, before anything is trained."""
    common = ["--model", options.model, "--data", options.data, "--out", options.out]
    assert main(["retriever", *common, *written]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("training: ")
    assert message in error


def test_a_damaged_checkpoint_is_exit_2_and_the_rest_is_kept(options, capsys):
    """The command line says which folder to delete, and goes on once it is."""
    options = replace(options, max_steps=4, save_every=2)
    out = run(options)
    last = out / "checkpoints" / "step-00000004"
    (last / "optimiser.safetensors").write_bytes(b"no")
    config = out.parent / "config.toml"
    kept = {name: getattr(options, name) for name in vars(options)}
    config.write_text("".join(f"{k} = {json.dumps(v)}\n" for k, v in kept.items()))
    assert main(["retriever", "--config", str(config)]) == 2
    assert "delete the folder step-00000004 to go on from step-00000002" in capsys.readouterr().err
    for path in [*last.iterdir()]:
        path.unlink()
    last.rmdir()
    assert main(["retriever", "--config", str(config)]) == 0
    assert load_file(out / "model" / "model.safetensors")
