"""The loop: what is summed, what is divided, what is kept, and when it stops."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import training.step
from qrels.errors import DataError, UsageError
from training import checkpoint as files
from training.config import Options
from training.log import read_log
from training.loop import train
from training.resuming import is_out_of_memory
from training.task import Batch, Loss, Task

ROWS = 24


@pytest.fixture
def options(tmp_path):
    """Short steps, a checkpoint every three, no measuring."""
    return Options(
        out=str(tmp_path / "out"), num_epochs=2, batch_size=4, learning_rate=0.01, warmup_steps=2,
        save_every=3, precision="float32", device="cpu",
    )  # fmt: skip


def make_task(options, dropout=0.1, **changes):
    """Learns where y = x @ w, from rows of a table; a NaN in a row makes its loss one."""
    torch.manual_seed(1)
    x = torch.randn(ROWS, 5)
    y = x @ torch.arange(5.0)[:, None]
    model = torch.nn.Sequential(
        torch.nn.Linear(5, 8), torch.nn.LayerNorm(8), torch.nn.Dropout(dropout),
        torch.nn.Linear(8, 1),
    )  # fmt: skip

    def batches(epoch):
        order = torch.randperm(ROWS, generator=torch.Generator().manual_seed(epoch)).tolist()
        return [order[i : i + options.batch_size] for i in range(0, ROWS, options.batch_size)]

    def loss(inputs):
        wrong = (model(inputs["x"]) - inputs["y"]).float()
        return Loss((wrong**2).sum(), len(wrong), {"absolute": wrong.detach().abs().sum()})

    task = Task(
        name="line", model=model, batches=batches, loss=loss, data_digest="d",
        collate=lambda rows: Batch({"x": x[rows], "y": y[rows]}, 5 * len(rows)),
        save=lambda folder: save_file(model.state_dict(), folder / "model.safetensors"),
    )  # fmt: skip
    return replace(task, **changes)


def weights(options):
    return load_file(f"{options.out}/model/model.safetensors")


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first | second)


def losses(options):
    return [row["loss"] for row in read_log(Path(options.out) / "log.jsonl") if "loss" in row]


def test_the_loss_falls_and_everything_is_written(options):
    """Training learns, and leaves log, plot, checkpoints, and the model with its card."""
    options = replace(options, num_epochs=20)
    done = train(make_task(options, dropout=0.0), options)
    found = losses(options)
    assert done.step == len(found) == 120
    assert found[-1] < found[0] / 2
    out = Path(options.out)
    names = {path.name for path in out.iterdir()}
    assert names == {"log.jsonl", "loss.png", "checkpoints", "model"}
    assert "learning_rate = 0.01" in (out / "model" / "README.md").read_text()


def test_the_log_says_what_a_step_was(options):
    """Each line has loss, parts, rate, norm, speed and memory; the means are over rows."""
    train(make_task(options), options)
    row = read_log(Path(options.out) / "log.jsonl")[0]
    assert {"loss", "rate", "norm", "tokens_per_second", "memory_bytes", "seconds"} <= row.keys()
    assert row["parts"]["absolute"] ** 2 <= row["loss"] + 1e-6
    assert row["memory_bytes"] > 1e6


@pytest.mark.parametrize("accumulate", [2, 3])
def test_accumulated_batches_are_one_large_batch(options, tmp_path, accumulate):
    """Steps of several batches give the losses and weights of steps of one batch as large."""
    one = replace(options, batch_size=4 * accumulate)
    many = replace(options, accumulate=accumulate, out=str(tmp_path / "many"))
    for each in (one, many):
        train(make_task(each, dropout=0.0), each)
    assert losses(many) == pytest.approx(losses(one), rel=1e-5)
    assert all(torch.allclose(weights(one)[n], weights(many)[n], atol=1e-6) for n in weights(one))


@pytest.mark.parametrize("step", [0, 1, 4, 7, 11])
def test_interrupted_training_goes_on_bit_for_bit(options, tmp_path, monkeypatch, step):
    """Ctrl-C in any step keeps all finished steps; the same command then gives the same weights."""
    whole = replace(options, out=str(tmp_path / "whole"))
    train(make_task(whole), whole)
    real = training.step.backward

    def interrupted(work, rows):
        found = real(work, rows)
        if work.progress.step == step:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patch:
        patch.setattr(training.step, "backward", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(make_task(options), options)
    said = []
    train(make_task(options), options, said.append)
    assert f"going on from step-{step:08d}" in said
    assert losses(options) == losses(whole)
    assert equal(weights(options), weights(whole))


def test_measuring_changes_nothing(options, tmp_path):
    """Random numbers drawn while measuring do not reach the training."""
    plain = replace(options, out=str(tmp_path / "plain"))
    train(make_task(plain), plain)
    train(make_task(options, measure=lambda: float(torch.rand(())), measure_name="m"), options)
    assert losses(options) == losses(plain)


def test_a_run_interrupted_while_measuring_measures_again(options):
    """What was not measured before the interruption is measured after it."""
    calls = []

    def measure():
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return float(len(calls))

    task = make_task(options, measure=measure, measure_name="m")
    with pytest.raises(KeyboardInterrupt):
        train(task, options)
    done = train(make_task(options, measure=measure, measure_name="m"), options)
    assert [step for step, _ in done.history] == [0, 6, 12]


def test_training_stops_where_it_gets_no_better_and_keeps_the_best(options):
    """After `patience` measurings without a better one the best weights are the model."""
    values = iter([0.1, 0.5, 0.3, 0.4, 0.9])
    seen = {}

    def measure():
        value = next(values)
        seen[value] = {name: v.clone() for name, v in task.model.state_dict().items()}
        return value

    options = replace(options, num_epochs=9, patience=2)
    task = make_task(options, measure=measure, measure_name="m")
    done = train(task, options)
    assert (done.step, done.best, done.best_step, done.misses) == (18, 0.5, 6, 2)
    assert equal(weights(options), seen[0.5])
    assert "| m, validation | 0.1000 | 0.5000 |" in card(options)


def card(options):
    return (Path(options.out) / "model" / "README.md").read_text()


def test_a_finished_run_trains_no_further(options):
    """The same command again writes the same model and takes no step."""
    train(make_task(options), options)
    before = weights(options)
    done = train(make_task(options), options)
    assert done.step == 12
    assert len(losses(options)) == 12
    assert equal(weights(options), before)


def test_tests_are_made_before_and_after(options):
    """The card shows what was measured before the first step and of the model that is saved."""
    task = make_task(options)

    def norm():
        return {"norm": float(sum(w.detach().norm() for w in task.model.parameters()))}

    before = norm()["norm"]
    train(replace(task, test=norm), options)
    assert f"| norm | {before:.4f} | {norm()['norm']:.4f} |" in card(options)


def test_other_options_do_not_go_on_unasked(options):
    """A checkpoint of other options is refused by name, and taken with resume=changed."""
    train(make_task(options), replace(options, max_steps=4))
    with pytest.raises(UsageError, match=r"made with max_steps = 4, now 0; --resume changed"):
        train(make_task(options), options)
    done = train(make_task(options), replace(options, resume="changed"))
    assert done.step == 16  # the epoch that was broken off begins again


@pytest.mark.parametrize(("size", "steps"), [(2, 9 + 12), (12, 9 + 2)], ids=["smaller", "larger"])
def test_with_another_batch_size_every_epoch_is_trained_to_its_end(options, size, steps):
    """Stopped in the second epoch, which begins again with the new batches, and no third one."""
    train(make_task(options), replace(options, max_steps=9))
    other = replace(options, batch_size=size, resume="changed")
    done = train(make_task(other), other)
    assert (done.step, done.epoch, done.batch) == (steps, 2, 0)


def test_more_epochs_go_on_behind_the_last_one(options):
    """A finished run with a larger num_epochs trains the epochs that are new, and no other."""
    train(make_task(options), options)
    done = train(make_task(options), replace(options, num_epochs=3, resume="changed"))
    epochs = [row["epoch"] for row in read_log(Path(options.out) / "log.jsonl")]
    assert epochs == [0] * 6 + [1] * 6 + [2] * 6
    assert (done.epoch, done.batch) == (3, 0)


def test_resume_never_begins_anew(options):
    """The checkpoints of an earlier run are removed, and so is its log."""
    train(make_task(options), replace(options, max_steps=4))
    said = []
    done = train(make_task(options), replace(options, resume="never"), said.append)
    assert done.step == len(losses(options)) == 12
    assert not any("going on" in line for line in said)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_the_same(options, tmp_path, precision):
    """bf16 and fp16 with its scaler come near the losses of float32, and resume bit for bit."""
    half = replace(options, precision=precision, out=str(tmp_path / precision))
    for each in (options, half):
        train(make_task(each, dropout=0.0), each)
    assert losses(half) == pytest.approx(losses(options), rel=0.1)
    stopped = replace(half, out=str(tmp_path / "stopped"), max_steps=12)
    with pytest.raises(ZeroDivisionError):
        train(failing_at(make_task(stopped, dropout=0.0), 7, ZeroDivisionError()), stopped)
    train(make_task(stopped, dropout=0.0), stopped)
    assert equal(weights(stopped), weights(half))


def failing_at(task, step, error):
    """The task, raising *error* before the step that follows *step* steps."""

    def before(done):
        if done == step:
            raise error

    return replace(task, before_step=before)


def test_a_loss_that_is_no_number_is_one_line_and_loses_nothing(options):
    """NaN stops training before the step is applied; the steps before it are kept."""
    task = make_task(options)
    bad = replace(task, collate=lambda rows: spoiled(task.collate(rows), 3 in rows))
    with pytest.raises(UsageError, match=r"^step \d+ \(epoch 1\): the loss is nan; lower learn"):
        train(bad, options)
    kept = sorted((Path(options.out) / "checkpoints").iterdir())[-1]
    state = json.loads((kept / "state.json").read_text())
    assert state["progress"]["step"] == len(losses(options))
    found = load_file(kept / "model.safetensors")
    assert all(torch.isfinite(value).all() for value in found.values())


@pytest.mark.parametrize("precision", ["float32", "fp16"])
def test_a_gradient_that_is_no_number_is_one_line(options, precision):
    """A finite loss may have none; fp16 tries smaller scales first: it may have overflowed."""
    task = make_task(options)

    def steep(inputs):
        found = task.loss(inputs)
        return Loss(found.total + (found.total * 0).sqrt(), found.count)

    options = replace(options, precision=precision)
    with pytest.raises(
        UsageError, match=r"step \d+: the gradient is (nan|inf); lower learning_rate"
    ):
        train(replace(task, loss=steep), options)
    assert len(losses(options)) == {"float32": 0, "fp16": 11}[precision]


def spoiled(batch, now):
    factor = math.nan if now else 1.0
    return Batch({"x": batch.inputs["x"] * factor, "y": batch.inputs["y"]}, batch.tokens)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(),
     RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to")],
    ids=["cuda", "python", "cpu"],
)  # fmt: skip
def test_out_of_memory_is_one_line_and_loses_nothing(options, error):
    """The message says what is kept and what to lower; with that training goes on."""
    with pytest.raises(UsageError, match=r"out of memory in step 5; step 4 is kept in .*; lower"):
        train(failing_at(make_task(options), 4, error), options)
    smaller = replace(options, batch_size=2, accumulate=2, resume="changed")
    assert train(make_task(smaller), smaller).step > 4


def test_an_allocation_that_cannot_be_had_is_out_of_memory():
    """What torch really raises on the CPU is known for what it is."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55)
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batches": lambda epoch: [[1, 2], []]}, "batch 1 is empty"),
        ({"batches": lambda epoch: []}, "nothing to train on"),
    ],
    ids=["batch", "all"],
)
def test_an_empty_batch_is_refused(options, changes, message):
    """A batch without rows, or an epoch without batches, is one line."""
    with pytest.raises(DataError, match=message):
        train(make_task(options, **changes), options)


def test_a_batch_with_nothing_to_learn_is_refused(options):
    """A loss over nothing cannot be divided; the line says in which step."""
    task = make_task(options)
    nothing = replace(task, loss=lambda inputs: Loss(task.loss(inputs).total * 0, 0))
    with pytest.raises(DataError, match=r"step 1 \(epoch 1\): a batch holds nothing to learn from"):
        train(nothing, options)


@pytest.mark.parametrize("name", ["model.safetensors", "optimiser.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_refused(options, name):
    """One changed byte is noticed; the message says from where training can go on."""
    train(make_task(options), replace(options, max_steps=6))
    path = Path(options.out) / "checkpoints" / "step-00000006" / name
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match=rf"{name}: damaged.*delete.*from step-00000003"):
        train(make_task(options), replace(options, max_steps=6))


def test_weights_of_another_model_are_refused(options):
    """A checkpoint whose weights have other names or shapes is one line."""
    train(make_task(options), options)
    other = replace(make_task(options), model=torch.nn.Linear(5, 1))
    with pytest.raises(DataError, match="the weights of another model"):
        train(other, options)


def test_tied_weights_are_kept_once_and_are_one_again(tmp_path):
    """Two names of one tensor are one in the checkpoint; both are read back."""
    made = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        tied = torch.nn.ModuleDict({"a": torch.nn.Linear(4, 4), "b": torch.nn.Linear(4, 4)})
        tied["b"].weight = tied["a"].weight
        made.append(tied)
    first, second = made
    assert set(files.distinct(first)) == {"a.weight", "a.bias", "b.bias"}
    path = files.write_checkpoint(tmp_path, 3, first, torch.optim.AdamW(first.parameters()), {})
    files.load_weights(second, path)
    assert equal(first.state_dict(), second.state_dict())
    assert second["b"].weight is second["a"].weight


def test_a_checkpoint_holds_no_pickle(options):
    """Safetensors and JSON alone: what a stranger sends can be read without running it."""
    train(make_task(options), options)
    folder = Path(options.out) / "checkpoints"
    for path in sorted(folder.glob("*/*")):
        if path.suffix == ".json":
            json.loads(path.read_text())
        else:
            assert path.suffix == ".safetensors"
            load_file(path)
    assert len(list(folder.iterdir())) >= 2


def test_dropout_is_the_models_own_or_what_is_asked_for(options):
    """dropout=0 gives the losses of a model without any; 1 would leave nothing."""
    for name, share, chosen in [("a", 0.1, 0.0), ("b", 0.0, -1.0), ("c", 0.1, -1.0)]:
        each = replace(options, out=f"{options.out}/{name}", dropout=chosen)
        train(make_task(each, dropout=share), each)
    a, b, c = (losses(replace(options, out=f"{options.out}/{name}")) for name in "abc")
    assert a == b != c
    with pytest.raises(UsageError, match=r"dropout = 1.0; expected less than 1"):
        train(make_task(options), replace(options, dropout=1.0))


def test_a_model_without_checkpointing_says_so(options):
    """checkpointing=true is refused where nothing in the model can do it."""
    with pytest.raises(UsageError, match="no part that can do so"):
        train(make_task(options), replace(options, checkpointing=True))
