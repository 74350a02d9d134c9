"""Training killed at any moment, for real, goes on to the very same weights."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, os, signal, sys
import torch
from torch.nn.functional import cross_entropy
from training import checkpoint, loop
from training import step as step_of
from training.config import Options
from training.task import Batch, Loss, Task
from safetensors.torch import save_file

torch.set_num_threads(1)  # so that a fork is whole
for out, moment, step in json.loads(sys.argv[1]):
    if (child := os.fork()) == 0:
        break
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([moment, step, status]), flush=True)
else:
    sys.exit()

torch.manual_seed(1)
model = torch.nn.Sequential(
    torch.nn.Embedding(30, 16), torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(64, 30)
)
options = Options(out=out, num_epochs=3, batch_size=4, learning_rate=0.01, save_every=2,
                  warmup_steps=2, precision="float32", device="cpu", accumulate=2)
table = torch.randint(0, 30, (40, 5))
batches = lambda epoch: torch.randperm(
    40, generator=torch.Generator().manual_seed(epoch)).split(4)
loss = lambda rows: Loss(cross_entropy(model(rows[:, :4]), rows[:, 4], reduction="sum"), len(rows))
task = Task("words", model, batches, lambda rows: Batch(table[rows], 20), loss,
            lambda folder: save_file(model.state_dict(), folder / "model.safetensors"), "d",
            "m", lambda: 0.0 - float(loss(table).total))

def die_in(module, name, when):
    real = getattr(module, name)
    def dying(*given, **named):
        found = real(*given, **named) if when != "before" else None
        if current["work"].progress.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return found if when != "before" else real(*given, **named)
    setattr(module, name, dying)

current = {}
prepared = loop.prepared
def keeping(*given):
    current["work"] = prepared(*given)
    return current["work"]
loop.prepared = keeping
places = {
    "backward": (step_of, "backward", "after"),          # gradients are half there
    "half applied": (step_of, "advance", "before"),      # weights are ahead of the progress
    "draft": (checkpoint, "with_file", "before"),     # a checkpoint without its state
    "whole draft": (checkpoint.os, "replace", "before"),
    "look": (loop, "look", "after"),
    "model": (loop, "write_card", "before"),
}
if moment in places:
    die_in(*places[moment])
loop.train(task, options, lambda line: print(line, flush=True))
"""

DEATHS = [
    ("backward", 0), ("half applied", 3), ("draft", 4), ("look", 5), ("backward", 8),
    ("whole draft", 10), ("model", 15),
]  # fmt: skip
NEVER = ("never", 0)


def weights(out):
    with safe_open(out / "model" / "model.safetensors", "np") as file:
        return {name: file.get_tensor(name).tobytes() for name in file.keys()}  # noqa: SIM118


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_training_killed_at_any_step_resumes_to_the_same_weights(tmp_path):
    """Killed in a step, half through applying it, while saving or measuring: the weights are the
    same, to the bit, as without, and the log has every step once."""
    whole, killed = str(tmp_path / "whole"), str(tmp_path / "killed")
    lives = [(whole, *NEVER), *((killed, *death) for death in DEATHS), (killed, *NEVER)]
    command = [sys.executable, "-c", SCRIPT, json.dumps(lives)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
    ends = [json.loads(line) for line in found.stdout.splitlines() if line.startswith("[")]
    expected = [[*NEVER, 0], *([*death, -9] for death in DEATHS), [*NEVER, 0]]
    assert ends == expected, found.stderr
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    steps = [losses(tmp_path / name) for name in ("killed", "whole")]
    assert steps[0] == steps[1]
    names = [path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()]
    assert not [name for name in names if name.startswith(".")]


def losses(out):
    rows = map(json.loads, (out / "log.jsonl").read_text().splitlines())
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]
