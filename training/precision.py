"""What a step is computed in: float32, or bf16 or fp16 where the device is fast at it.

Weights and optimiser stay float32; only what autocast lists runs in 16 bits. fp16 has few
exponents, so its loss is scaled up, and a step whose gradients overflow is left out.
Source: Micikevicius et al. 2018, arXiv 1710.03740.
"""

from collections.abc import Mapping

import torch

from qrels.errors import UsageError
from training.distributed import world

DTYPES: Mapping[str, torch.dtype | None] = {
    "float32": None,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


FIRST_SCALE = 1024.0
"""torch begins at 65,536, for losses that are means; ours are sums and would overflow."""


def chosen_device(name: str) -> torch.device:
    """The device called *name*; "auto" is a GPU of this process's own, else the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device {name!r}: torch sees no CUDA device here; take device=cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"device {name!r}; expected cpu, cuda or cuda:NUMBER") from error
    if device.type == "cuda":
        device = torch.device("cuda", world().local if device.index is None else device.index)
        if device.index >= torch.cuda.device_count():
            raise UsageError(f"device {device}: torch sees {torch.cuda.device_count()} GPUs here")
        torch.cuda.set_device(device)
    return device


def chosen_precision(name: str, device: torch.device) -> str:
    """*name*, or for "auto" the fastest that the device computes in hardware."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return "bf16" if _cpu_has_bf16() else "float32"


def _cpu_has_bf16() -> bool:
    """Whether there are instructions for it: AVX-512 BF16, which AMX comes with."""
    asked = getattr(torch.cpu, "get_capabilities", dict)  # older versions of torch cannot say
    known: dict[str, bool] = asked()
    return any(known.get(name) for name in ("avx512_bf16", "amx_bf16", "arm_bf16"))


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """The scope in which a loss is computed."""
    dtype = DTYPES[precision]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def scaler(precision: str, device: torch.device) -> torch.amp.GradScaler:
    """What scales the loss; it does nothing but for fp16."""
    return torch.amp.GradScaler(device.type, FIRST_SCALE, enabled=precision == "fp16")
