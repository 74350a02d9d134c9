"""A language model's linear layers in 8 bits: on the CPU by torch, on CUDA by bitsandbytes."""

from importlib.util import find_spec
from typing import Any

from encoders.torch_int8 import int8_linear
from qrels.errors import MissingPackageError, UsageError


def int8_options(device: str) -> dict[str, Any]:
    """Arguments of `from_pretrained` that load in 8 bits on *device*: none on the CPU."""
    if device == "cpu":
        return {}
    if not device.startswith("cuda"):
        raise UsageError(f"quantise is 'int8' on device {device!r}; allowed: cpu, cuda")
    for package in ("bitsandbytes", "accelerate"):
        if find_spec(package) is None:
            raise MissingPackageError(
                f"quantise='int8' on {device} needs the package {package!r}: "
                f"pip install bitsandbytes accelerate"
            )
    import transformers

    configuration: Any = transformers.BitsAndBytesConfig  # untyped
    return {
        "quantization_config": configuration(load_in_8bit=True),
        "device_map": {"": device},
    }


def to_int8(model: Any) -> None:
    """Replace the linear layers of a float32 model on the CPU, save the output head, in place.

    The head stays as it is: often it is the token embedding itself, and it decides the answer.
    Takes also GPT-2's Conv1D, which holds its weight (inputs, outputs).
    """
    import torch
    from transformers.pytorch_utils import Conv1D

    class Int8(torch.nn.Module):
        def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
            super().__init__()
            self.weight = torch.empty(0)  # T5 asks for its dtype
            zeros = torch.zeros(len(weight))
            self.apply_int8 = int8_linear(weight, zeros if bias is None else bias.detach())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.apply_int8(x)

    head = model.get_output_embeddings()
    for module in list(model.modules()):
        for name, layer in list(module.named_children()):
            if layer is head or not isinstance(layer, (torch.nn.Linear, Conv1D)):
                continue
            weight = layer.weight.detach()
            rows = weight.T.contiguous() if isinstance(layer, Conv1D) else weight
            setattr(module, name, Int8(rows, layer.bias))
