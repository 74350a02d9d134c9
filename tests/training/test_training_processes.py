"""Several processes, for real: torchrun on loopback gives what one process gives."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.distributed import World, gathered, share, summed, texts_of_all, world

ROOT = Path(__file__).parents[2]
STEPS = 50

GATHER = """
import json, torch
from training.distributed import gathered, joined, offset, share, summed, texts_of_all, world

def loss(questions, passages, targets):
    return torch.nn.functional.cross_entropy(questions @ passages.T, targets, reduction="sum")

with joined("cpu"):
    table = torch.randn(7, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    whole = table.clone().requires_grad_()
    expected = loss(whole[:5], whole, torch.arange(5))
    expected.backward()
    rows = share(range(7))
    own = table[rows].clone().requires_grad_()
    passages = gathered(own)
    assert torch.equal(passages, table)
    mine = share(range(5))
    assert mine[0] == offset(5)
    total = loss(passages[mine], passages, torch.tensor(mine))
    total.backward()
    assert abs(summed([float(total.detach())], total.device)[0] - float(expected.detach())) < 1e-12
    assert torch.allclose(own.grad, whole.grad[rows], atol=1e-12), (own.grad, whole.grad[rows])
    assert texts_of_all("é" * world().rank, total.device) == ["", "é"]
    print("as one", flush=True)
"""


def torchrun(*command, timeout=240):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *launcher, *command], capture_output=True, text=True, cwd=ROOT,
        env=environment, timeout=timeout,
    )  # fmt: skip


def test_gathered_rows_carry_their_gradients_back(tmp_path):
    """Two processes with uneven shares get the rows, losses and gradients of one."""
    (tmp_path / "gather.py").write_text(GATHER)
    found = torchrun(str(tmp_path / "gather.py"))
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("as one") == 2


def test_two_processes_train_as_one_with_twice_the_batch(tmp_path, tiny_model, squad_folder):
    """Over 50 steps the losses are those of one process to 1e-5, and the weights come near."""
    options = {
        "model": tiny_model, "data": squad_folder, "num_epochs": 9, "max_steps": STEPS,
        "learning_rate": 1e-3, "batch_size": 9, "warmup_steps": 5, "precision": "float32",
        "negatives": 2, "negatives_margin": 1.0, "dropout": 0, "device": "cpu", "save_every": 20,
    }  # fmt: skip
    config = tmp_path / "config.toml"
    config.write_text("".join(f"{k} = {json.dumps(v, default=str)}\n" for k, v in options.items()))
    command = ["-m", "training", "retriever", "--config", str(config), "--out"]
    found = torchrun(*command, str(tmp_path / "two"))
    assert found.returncode == 0, found.stderr
    assert "processes: 2" in found.stderr

    from training.cli import main

    assert main([*command[2:], str(tmp_path / "one")]) == 0
    one, two = (losses(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) == STEPS
    assert two == pytest.approx(one, abs=1e-5)
    assert one[-1] < one[0]


def losses(out):
    rows = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [row["loss"] for row in rows if "loss" in row]


def test_one_process_is_a_world_of_its_own():
    """Without torchrun nothing is shared, gathered or added."""
    rows = torch.ones(2, 3)
    assert world() == World(0, 1, 0)
    assert share([1, 2, 3]) == [1, 2, 3]
    assert gathered(rows) is rows
    assert summed([1.5], rows.device) == [1.5]
    assert texts_of_all("a", rows.device) == ["a"]
