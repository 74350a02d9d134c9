"""The recipe `dpr-t5`: retrieval and reading trained end to end."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.config import read_experiment
from bench.runner import Options as RunOptions
from bench.runner import run_experiment
from generators.base import Passage
from qrels.answers import answers_of
from qrels.errors import DataError
from qrels.suites import load_suite
from training import dpr_t5
from training.cli import main
from training.dpr_t5 import OPTIONS, collate, loss_of, make_rows, own_passages
from training.end_to_end import load_parts, measured
from training.log import read_log

ROOT = Path(__file__).parents[3]


@pytest.fixture
def options(tiny, tmp_path):
    return OPTIONS(
        question=tiny.question, context=tiny.context, generator=tiny.generator, data=tiny.train,
        out=str(tmp_path / "out"), num_epochs=16, learning_rate=3e-3, batch_size=16,
        warmup_steps=10, passages=8, max_length=60, max_answer=4, dropout=0.0,
        precision="float32", device="cpu", patience=0, measure_every=16, log_every=50,
    )  # fmt: skip


def parts_of(options):
    """Parts with an index, and rows."""
    suite = load_suite(options.data)
    parts = load_parts(suite, options)
    parts.models.eval()
    parts.before_step(0)
    return parts, make_rows(suite, options, lambda _: None)


def run(options, say=lambda _: None):
    dpr_t5.main(options, say)
    return Path(options.out)


def losses(out):
    return [row["loss"] for row in read_log(out / "log.jsonl") if "loss" in row]


def files(out):
    """The bytes of all trained weights."""
    names = ("question", "context", "generator")
    return {name: (out / "model" / name / "model.safetensors").read_bytes() for name in names}


@pytest.mark.parametrize(
    ("likelihood", "weight"), [("sequence", 0.0), ("token", 0.0), ("sequence", 1.0)]
)
def test_it_learns_to_find_and_to_answer(options, tiny, likelihood, weight):
    """Loss falls, EM reaches 1, the right passage is found though it was at chance before; what
    `bench run` measures of the saved folders is what was measured while training."""
    wanted = replace(
        options, likelihood=likelihood, retrieval_weight=weight, validate=tiny.train,
        test=(tiny.validate,), passages=4 if weight else 8,
    )  # fmt: skip
    out = run(wanted)
    lost = losses(out)
    assert np.mean(lost[-8:]) < 0.2 * np.mean(lost[:8])
    progress = json.loads(sorted(out.glob("checkpoints/*/state.json"))[-1].read_text())["progress"]
    assert progress["history"][0][1] < 0.3
    assert progress["best"] == 1.0
    before = progress["tests"]["before"]
    after = measured_anew(out, tiny.validate)
    assert before["R@1, validate"] <= 0.25  # 1 in 8 is chance
    assert after["R@1"] >= 0.8
    assert after["EM"] >= 0.8
    card = (out / "model" / "README.md").read_text()
    for name, value in after.items():
        assert f"| {name}, validate | {before[f'{name}, validate']:.4f} | {value:.4f} |" in card


def measured_anew(out, folder):
    """R@1 and EM by the harness, from the saved folders, named as experiments/dpr-t5.toml does."""
    path = out / "experiment.toml"
    path.write_text(EXPERIMENT.format(model=out / "model"))
    suite = replace(load_suite(folder), measures=("R@1",))
    experiment = replace(read_experiment(path), suites=[suite])
    record = run_experiment(experiment, options=RunOptions(protocol=None))
    cells = {(cell.system, cell.split): cell.means for cell in record.cells if cell.bound is None}
    means = {
        key: {name: one["mean"] for name, one in found.items()} for key, found in cells.items()
    }
    answers = [means[name, "test answers"]["EM"] for name in ("joined", "fused")]
    assert answers[0] == answers[1]  # one passage without a title reads the same in both forms
    return {"R@1": means["joined", "test"]["R@1"], "EM": answers[0]}


EXPERIMENT = """
suites = ["there"]
[[system]]
name = "joined"
retriever = "faiss"
generator = "seq2seq"
params.encoder = "dpr?question={model}/question&context={model}/context&max_length=60"
params.similarity = "dot"
generator_params = {{ model = "{model}/generator", max_new_tokens = 4 }}
context.passages = 1
[[system]]
name = "fused"
retriever = "faiss"
generator = "fusion-in-decoder"
params.encoder = "dpr?question={model}/question&context={model}/context&max_length=60"
params.similarity = "dot"
generator_params = {{ model = "{model}/generator", max_new_tokens = 4 }}
context.passages = 1
"""


@pytest.mark.parametrize("likelihood", ["sequence", "token"])
@pytest.mark.parametrize("passages", [1, 3])
def test_the_loss_is_that_of_the_formula(options, likelihood, passages):
    """Passages by dot product, their softmax, T5's chances of the answer, one text at a time."""
    options = replace(options, likelihood=likelihood, passages=passages, form="seq2seq")
    parts, rows = parts_of(options)
    rows = rows._replace(answers=[f"{answer} w1" for answer in rows.answers])
    chosen = [0, 30, 50]
    with torch.no_grad():
        loss = loss_of(parts, collate(parts, rows, chosen).inputs)
        expected = -sum(likelihood_by_hand(parts, rows, row) for row in chosen)
        plain = plain_loss(parts, rows, chosen) if passages == 1 else expected
    assert float(loss.total) == pytest.approx(expected, rel=1e-4)
    assert loss.count == 3 * 3  # two words and the end
    assert float(loss.total) == pytest.approx(plain, rel=1e-4)


def likelihood_by_hand(parts, rows, row):
    options, corpus = parts.options, parts.suite.corpus
    question = rows.questions[row]
    asked = parts.dual.encoder.encode([question], "query")[0].astype(np.float64)
    told = parts.dual.encoder.encode(corpus.fields["text"], "passage").astype(np.float64)
    scores = told @ asked
    best = np.argsort(-scores)[: options.passages]
    prior = np.exp(scores[best]) / np.exp(scores[best]).sum()
    chances = np.array([chances_of(parts, question, doc, rows.answers[row]) for doc in best])
    if options.likelihood == "sequence":
        return float(np.log((prior * chances.prod(axis=1)).sum()))
    return float(np.log((prior[:, None] * chances).sum(axis=0)).sum())


def chances_of(parts, question, doc, answer):
    """p(token | the answer's earlier ones, question, passage), of T5 itself."""
    model, tokenizer, _ = parts.generator._loaded
    text = f"question: {question} context: {parts.suite.corpus.fields['text'][doc]}"
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    wanted = tokenizer(answer)["input_ids"]
    said = torch.tensor([[0, *wanted[:-1]]])
    logits = model(input_ids=ids, decoder_input_ids=said).logits[0].double()
    return logits.softmax(dim=1)[range(len(wanted)), wanted].numpy()


def plain_loss(parts, rows, chosen):
    """The sum of T5's own cross-entropies with the best passage."""
    inputs = collate(parts, rows, chosen).inputs
    model = parts.models["generator"]
    found = model(input_ids=inputs.texts, attention_mask=inputs.mask, labels=inputs.labels)
    return float(found.loss) * int((inputs.labels >= 0).sum())


@pytest.mark.parametrize("learns", [False, True], ids=["fixed", "learning"])
@pytest.mark.parametrize("likelihood", ["sequence", "token"])
def test_where_gradients_go(options, likelihood, learns):
    """Into the question encoder and T5; into the context encoder only where it is to learn."""
    parts, rows = parts_of(replace(options, likelihood=likelihood, train_context=learns))
    loss_of(parts, collate(parts, rows, [0, 9, 40]).inputs).total.backward()
    lengths = {
        name: sum(float(w.grad.norm()) for w in model.parameters() if w.grad is not None)
        for name, model in parts.models.items()
    }
    assert lengths["question"] > 1e-3
    assert lengths["generator"] > 1e-3
    assert lengths["context"] > 1e-3 if learns else lengths["context"] == 0
    weights = list(parts.models["context"].parameters())
    assert learns or all(weight.grad is None and not weight.requires_grad for weight in weights)


def test_the_gradient_into_the_question_encoder_is_right(options):
    """Against differences of the loss along one direction, in which nothing else moves."""
    parts, rows = parts_of(replace(options, retrieval_weight=0.5))
    inputs = collate(parts, rows, [0, 9, 40]).inputs
    weight = parts.models["question"].question_encoder.bert_model.encoder.layer[1].output.dense.bias
    loss_of(parts, inputs).total.backward()
    direction = weight.grad / weight.grad.norm()
    ends = []
    with torch.no_grad():
        for sign in (1, -2):
            weight += sign * 1e-2 * direction
            ends.append(float(loss_of(parts, inputs).total))
    assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(float(weight.grad.norm()), rel=2e-2)


def test_the_retrieval_loss_is_that_of_the_formula(options):
    """The own passage among those of the batch, without others that are relevant too."""
    parts, rows = parts_of(replace(options, retrieval_weight=2.0))
    rows.relevant[9] = frozenset({1, 5})
    chosen = [0, 1, 9, 40]  # of passages 0, 0, 1, 5
    own, targets, hidden = own_passages(parts, rows, chosen)
    assert own.tolist() == [0, 0, 1, 5]
    assert targets.tolist() == [0, 1, 2, 3]
    assert hidden.nonzero().tolist() == [[0, 1], [1, 0], [2, 3]]
    with torch.no_grad():
        loss = loss_of(parts, collate(parts, rows, chosen).inputs)
    asked = parts.dual.encoder.encode([rows.questions[row] for row in chosen], "query")
    told = parts.dual.encoder.encode(parts.suite.corpus.fields["text"], "passage")[own.numpy()]
    scores = np.where(hidden, -np.inf, asked.astype(np.float64) @ told.T)
    expected = sum(np.log(np.exp(row).sum()) - row[i] for i, row in enumerate(scores))
    assert float(loss.parts["retrieval"]) == pytest.approx(expected, rel=1e-4)
    total = float(loss.parts["answers"]) + 2 * expected
    assert float(loss.total) == pytest.approx(total, rel=1e-4)


@pytest.mark.parametrize("form", ["seq2seq", "fusion-in-decoder"])
def test_what_is_learnt_from_is_what_the_generator_reads(options, form):
    """The prompt in training is, token by token, that of the generator called *form*."""
    parts, _ = parts_of(replace(options, form=form, generator_length=9))
    text = parts.suite.corpus.fields["text"][3]
    said = parts.generator.generate(["w1 [SEP]"], [[Passage("d3", text)]])[0]
    ids = parts.generator._loaded.tokenizer(said.prompt)["input_ids"]
    assert parts.prompt("w1 [SEP]", 3) == ids
    assert len(ids) <= 9
    assert parts.answer("w1 w2 w3 w4 w5") == [*parts.answer("w1 w2 w3")[:3], 3]


def test_making_the_index_again_changes_nothing_where_nothing_was_trained(options, tmp_path):
    """With a fixed context encoder the weights are the same, to the bit, with and without."""
    options = replace(options, max_steps=7, passages=3)
    once = run(options)
    often = run(replace(options, refresh=2, out=str(tmp_path / "often")))
    assert files(once) == files(often)
    assert files(once)["context"] == Path(options.context, "model.safetensors").read_bytes()
    assert files(once)["question"] != Path(options.question, "model.safetensors").read_bytes()


def test_the_index_follows_the_context_encoder_every_so_many_steps(options):
    """It keeps the vectors of its last making, and is whole and new at the next."""
    parts, _ = parts_of(replace(options, train_context=True, refresh=3))
    first = parts.index.clone()
    with torch.no_grad():
        for weight in parts.models["context"].parameters():
            weight += 0.1
    for now in (1, 2):
        parts.before_step(now)
        assert torch.equal(parts.index, first)
    parts.before_step(3)
    fresh = parts.dual.encoder.encode(parts.texts, "passage")
    assert np.array_equal(parts.index.numpy(), fresh)
    assert not torch.allclose(parts.index, first)


def test_a_learning_context_encoder_is_found_with(options, tiny):
    """Both encoders learn, by the retrieval loss too, and the index follows."""
    options = replace(
        options, train_context=True, refresh=8, retrieval_weight=1.0, passages=4, num_epochs=12,
        validate=tiny.train, measure_every=12,
    )  # fmt: skip
    out = run(options)
    assert measured_anew(out, tiny.train) == {"R@1": 1.0, "EM": 1.0}
    assert files(out)["context"] != Path(tiny.context, "model.safetensors").read_bytes()


KILLED = """
import json, os, signal, sys
from training import step
from training.dpr_t5 import OPTIONS, main

real = step.backward
def dying(work, rows):
    found = real(work, rows)
    if work.progress.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)
    return found
step.backward = dying
main(OPTIONS(**{**json.loads(sys.argv[1]), "fields": (), "test": ()}), print)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("learns", [False, True], ids=["fixed", "learning"])
def test_killed_training_goes_on_bit_for_bit(options, tmp_path, learns):
    """With dropout, between two makings of the index and of two checkpoints: the same files."""
    options = replace(
        options, dropout=0.1, passages=3, retrieval_weight=0.5, max_steps=9, save_every=5,
        train_context=learns, refresh=4 if learns else 0,
    )  # fmt: skip
    whole = run(replace(options, out=str(tmp_path / "whole")))
    command = [sys.executable, "-c", KILLED, json.dumps(vars(options))]
    died = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=240)
    assert died.returncode == -9, died.stderr
    said = []
    out = run(options, said.append)
    assert "going on from step-00000005" in said
    assert files(out) == files(whole)
    assert losses(out) == losses(whole)


def test_two_processes_train_as_one(options, tmp_path):
    """Over 50 steps the losses are those of one process to 1e-5, everything learning."""
    options = replace(
        options, passages=3, retrieval_weight=1.0, train_context=True, refresh=16, batch_size=10,
        learning_rate=3e-4, max_steps=50, out=str(tmp_path / "one"),
    )  # fmt: skip
    one = run(options)
    config = tmp_path / "config.toml"
    kept = {**vars(options), "out": str(tmp_path / "two")}
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in kept.items()))
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "training", "dpr-t5", "--config", str(config)]
    found = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT, timeout=240
    )
    assert found.returncode == 0, found.stderr
    assert "processes: 2" in found.stderr
    first, second = losses(one), losses(tmp_path / "two")
    assert len(first) == len(second) == 50
    assert second == pytest.approx(first, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"checkpointing": True}, {"precision": "bf16"}, {"batch_tokens": 4000, "accumulate": 2}],
    ids=["checkpointing", "bf16", "tokens"],
)
def test_every_way_of_computing_learns(options, changes):
    """Activations computed twice, 16 bits, batches by tokens."""
    lost = losses(run(replace(options, num_epochs=6, generator_length=20, **changes)))
    assert np.mean(lost[-3:]) < 0.8 * np.mean(lost[:3])


def test_activations_computed_twice_give_the_same_losses(options, tmp_path):
    """Checkpointing changes nothing but memory and time, in DPR's encoders and in T5."""
    options = replace(options, max_steps=5, dropout=-1.0, train_context=True)
    plain = run(options)
    again = run(replace(options, checkpointing=True, out=str(tmp_path / "again")))
    assert losses(again) == pytest.approx(losses(plain), abs=1e-5)


def test_no_dropout_reaches_every_layer(options):
    """Two passes of a model in training mode are the same with dropout = 0, T5's attention too."""
    from training.work import set_dropout

    parts, rows = parts_of(options)
    inputs = collate(parts, rows, [0, 9, 40]).inputs
    parts.models.train()
    with torch.no_grad():
        assert loss_of(parts, inputs).total != loss_of(parts, inputs).total
        set_dropout(parts.models, 0.0)
        assert loss_of(parts, inputs).total == loss_of(parts, inputs).total


def test_questions_without_an_answer_are_left_out_aloud(options, tiny, tmp_path):
    """They are counted in a line, as are those without a passage; none left is an error."""
    suite = load_suite(tiny.train)
    answers = [{"answers": []}, {"answers": [" "]}, {"answers": ["b", "a", "a"]}]
    few = replace(suite.queries, metadata=[*answers, *suite.queries.metadata[3:]])
    said = []
    rows = make_rows(replace(suite, queries=few), options, said.append)
    assert said == ["2 of 64 questions have no gold answer and are left out"]
    assert rows.answers[0] == "a"
    none = replace(suite.queries, metadata=[{} for _ in suite.queries.metadata])
    with pytest.raises(DataError, match="no question has a gold answer"):
        make_rows(replace(suite, queries=none), options, said.append)


def test_questions_without_a_passage_have_no_retrieval_loss(options, tiny):
    """They are left out where there is one, and learnt from where there is none."""
    suite = load_suite(tiny.train)
    grades = suite.qrels.grades.copy()
    grades[:5] = 0
    poorer = replace(suite, qrels=replace(suite.qrels, grades=grades))
    assert len(make_rows(poorer, options, lambda _: None).questions) == 64
    said = []
    found = make_rows(poorer, replace(options, retrieval_weight=1.0), said.append)
    assert len(found.questions) == 59
    assert said == ["5 of 64 questions have no relevant passage and are left out"]


def test_measures_are_of_the_suite_and_change_nothing(options, tiny):
    """Answers and rankings by name; vectors of a fixed encoder are made once; modes stay."""
    parts, _ = parts_of(options)
    suite = answers_of(load_suite(tiny.validate))
    parts.models.train()
    with torch.no_grad():
        first = measured(parts, suite, ["EM", "R@1", "F1"])
        assert list(parts.kept) == [suite.digest]
        assert measured(parts, suite, ["EM", "R@1", "F1"]) == first
    assert set(first) == {"EM", "R@1", "F1"}
    assert all(model.training for model in parts.models.values())


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (["--measure", "EN"], "unknown measure of answers 'EN'; allowed: Abs"),
        (["--passages", "9"], "passages = 9; train has 8 passages"),
        (["--likelihood", "both"], "expected one of sequence, token"),
        (["--generator", "no/where/at/all"], "cannot be loaded: there is no such folder"),
        (["--question", "no/where/at/all"], "cannot be loaded: there is no such folder"),
        (["--data", "", "--dataset-name", ""], "no training data, or twice"),
        (["--batch-tokens", "100"], "batch_tokens = 100; the longest row has"),
    ],
    ids=["measure", "passages", "likelihood", "generator", "question", "data", "tokens"],
)
def test_what_is_wrong_is_one_line_and_exit_2(options, written, message, capsys):
    """A mistake is told in a line."""
    names = ("question", "context", "generator", "data", "out")
    common = [word for name in names for word in (f"--{name}", getattr(options, name))]
    assert main(["dpr-t5", *common, "--max-length", "60", *written]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("training: ")
    assert message in error


def test_the_defaults_are_those_of_the_known_command():
    """SQuAD by name, batches of 8, 5e-5, 3 epochs, 500 steps of warm-up."""
    found = OPTIONS()
    values = (found.dataset_name, found.batch_size, found.learning_rate, found.num_epochs)
    assert (*values, found.warmup_steps) == ("squad", 8, 5e-5, 3, 500)
