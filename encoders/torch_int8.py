"""A linear layer of torch in 8 bits: weights a step a row, inputs a step a token.

torch.ao.quantization's tensors are deprecated since torch 2.13; this takes the operators that
torch's own compiler takes, on plain tensors, of oneDNN. A scale a token, unlike that of torch's
dynamic quantisation, keeps a text's vector independent of its batch.
Source: Yao et al. 2022, arXiv 2206.01861; github.com/pytorch/pytorch/issues/184982.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from qrels.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

LEAST = 1e-30
"""What numbers are divided by at least."""


def int8_linear(weight: "Tensor", bias: "Tensor") -> "Callable[[Tensor], Tensor]":
    """x float32 (..., inputs) to float32 (..., outputs). weight: float32 (outputs, inputs)."""
    import torch

    operators = torch.ops.onednn
    if not hasattr(operators, "qlinear_prepack") or weight.device.type != "cpu":
        raise UsageError("dtype 'int8' needs torch with oneDNN, on the CPU; take backend=onnx")
    steps = weight.abs().amax(1).clamp(min=LEAST) / 127
    rounded = (weight / steps[:, None]).round().to(torch.int8)
    packed = operators.qlinear_prepack(rounded, None)
    zeros = torch.zeros(len(weight), dtype=torch.int64)

    def apply(x: "Tensor") -> "Tensor":
        top = x.abs().amax(-1, keepdim=True).clamp(min=LEAST)
        share = (x * (127 / top)).round_().add_(128).to(torch.uint8)
        product: Tensor = operators.qlinear_pointwise(
            share, 1 / 127, 128, packed, steps, zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        return torch.addcmul(bias, product, top)

    return apply
