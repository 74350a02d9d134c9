"""The backends of a BERT by name, and what the record says of one."""

from collections.abc import Mapping
from typing import Any

from encoders.packages import installed
from qrels.errors import unknown

TORCH = "torch"
PACKAGES: Mapping[str, str] = {TORCH: "torch", "onnx": "onnxruntime", "openvino": "openvino"}
"""What runs each backend."""

DTYPES = ("float32", "int8")


def check_backend(backend: str, dtype: str) -> None:
    """UsageError for a mistyped one."""
    if backend not in PACKAGES:
        raise unknown("backend", backend, PACKAGES)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)


def about(backend: str, dtype: str) -> dict[str, Any]:
    """Backend, dtype and the version of the library that runs it."""
    package = PACKAGES.get(backend, backend)
    return {"backend": backend, "dtype": dtype, "library": f"{package} {installed(package)}"}
