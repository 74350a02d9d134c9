"""What runs an exported model: ONNX Runtime or OpenVINO, on the CPU."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.packages import needed

Run = Callable[[str, NDArray[np.int64], NDArray[np.int32]], NDArray[np.float32]]
"""An output's name, ids and mask, both (n, longest), to that output; it is the caller's to keep."""


def threads() -> int:
    """What OMP_NUM_THREADS says, which a benchmark's protocol sets, else all this process has."""
    named = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if named.isdigit() and int(named):
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def onnx_runtime(model: bytes, number: int) -> Run:
    needed("onnxruntime", "onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = number
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(
        model,
        options,
        providers=["CPUExecutionProvider"],
        # adding and normalising in one operator takes 2.6 ms a layer of 8 x 172 tokens, apart 0.5
        disabled_optimizers=["SkipLayerNormFusion"],
    )

    def run(output: str, ids: NDArray[np.int64], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run([output], {"ids": ids, "mask": mask})[0]
        return found

    return run


def openvino(model: bytes, number: int) -> Run:
    needed("openvino", "openvino")
    from openvino import Core

    core = Core()
    settings: dict[str, Any] = {  # OpenVINO's own
        "INFERENCE_NUM_THREADS": number,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "f32",  # else bfloat16 where the processor has it
        # 8-bit weights: a token's numbers are rounded by 384; by 32, the default, 1.3 times slower
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 384,
    }
    request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()

    def run(output: str, ids: NDArray[np.int64], mask: NDArray[np.int32]) -> NDArray[np.float32]:
        request.infer({"ids": ids, "mask": mask}, share_inputs=True)
        return np.array(request.get_tensor(output).data)  # the request keeps its own

    return run


ENGINES: Mapping[str, Callable[[bytes, int], Run]] = {"onnx": onnx_runtime, "openvino": openvino}
"""How each backend opens a model, with how many threads."""
