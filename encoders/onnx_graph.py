"""A BERT as an ONNX graph, written straight from its weights: no torch, no tracing.

Inputs: ids int64 (n, longest), mask int32 (n, longest), 1 where a token is. Outputs: vector
float32 (n, dimension), pooled and of unit length; hidden float32 (n, longest, dimension).

int8: weights are rounded to 8 bits, a scale a column. What is multiplied with them is rounded
too, with a scale a token, so that a text's vector does not depend on its batch; ONNX Runtime's
own dynamic quantisation has one scale for all. OpenVINO is given the rounded weights alone and
does the rest by itself. Embeddings and what lies between the products stay float32.
Source: Devlin et al. 2019, doi 10.18653/v1/N19-1423; rounding as Jacob et al. 2018,
arXiv 1712.05877, by token as Yao et al. 2022, arXiv 2206.01861; operators: onnx.ai/onnx/operators
and ContribOperators.md of github.com/microsoft/onnxruntime.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[np.float32]]

OPSET = 20
"""The first with Gelu."""

IR_VERSION = 9
CONTRIB = "com.microsoft"
FLOAT = 1  # onnx.TensorProto.FLOAT
LEAST = np.float32(1e-30)  # what numbers are divided by at least
FAR = np.float32(-1e9)  # added to the logits of padding


def bert_graph(
    config: Mapping[str, Any], weights: Weights, pooling: str, dtype: str, dialect: str
) -> bytes:
    """The serialised model. config: transformers' own; pooling: "mean" or "cls".

    dtype: "float32" or "int8"; dialect: "onnx" or "openvino", which engine it is for.
    """
    return _Bert(config, weights, dtype, dialect).model(pooling)


class _Bert:
    """Nodes and constants as they are added; methods give the names of their results."""

    def __init__(
        self, config: Mapping[str, Any], weights: Weights, dtype: str, dialect: str
    ) -> None:
        self.config = config
        self.weights = weights
        self.nodes: list[Any] = []  # onnx.NodeProto
        self.constants: dict[str, Any] = {}  # onnx.TensorProto
        self.rounded: dict[str, tuple[str, str]] = {}
        self.product = {
            ("float32", "onnx"): self.float_product,
            ("float32", "openvino"): self.float_product,
            ("int8", "onnx"): self.int8_product,
            ("int8", "openvino"): self.int8_weights_product,
        }[dtype, dialect]
        self.attend = {"onnx": self.joint_attention, "openvino": self.plain_attention}[dialect]

    def model(self, pooling: str) -> bytes:
        from onnx import helper

        x = self.embedded()
        for layer in range(self.config["num_hidden_layers"]):
            x = self.layer(x, f"encoder.layer.{layer}")
        self.pooled(x, pooling)
        self.add("Identity", x, out=["hidden"])
        ids, mask = (
            helper.make_tensor_value_info(name, kind, ["n", "longest"])
            for name, kind in (("ids", 7), ("mask", 6))  # int64, int32
        )
        size = self.config["hidden_size"]
        outputs = [
            helper.make_tensor_value_info("vector", FLOAT, ["n", size]),
            helper.make_tensor_value_info("hidden", FLOAT, ["n", "longest", size]),
        ]
        graph = helper.make_graph(
            self.nodes, "bert", [ids, mask], outputs, list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        return bytes(model.SerializeToString())

    def add(
        self, kind: str, *inputs: str, out: Sequence[str] = (), domain: str = "", **attributes: Any
    ) -> str:
        """Add a node; gives its first result, whose name is *out*'s or a new one."""
        from onnx import helper

        out = out or [f"{kind}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(kind, inputs, out, out[0], domain=domain, **attributes))
        return out[0]

    def constant(self, name: str, value: Any) -> str:  # an array, or what becomes one
        from onnx import numpy_helper

        if name not in self.constants:
            array = np.asarray(value, order="C")
            self.constants[name] = numpy_helper.from_array(array, name)
        return name

    def whole(self, *values: int) -> str:
        """A constant of int64, shapes and axes."""
        return self.constant(f"whole {values}", np.array(values, np.int64))

    def embedded(self) -> str:
        """Words, places and the first kind of segment, normalised."""
        words, places, kinds = (
            self.weights[f"embeddings.{name}_embeddings.weight"]
            for name in ("word", "position", "token_type")
        )
        x = self.add("Gather", self.constant("words", words + kinds[0]), "ids")
        longest = self.add("Shape", "ids", start=1, end=2)
        place = self.add("Slice", self.constant("places", places), self.whole(0), longest)
        return self.norm(self.add("Add", x, place), "embeddings")

    def layer(self, x: str, at: str) -> str:
        own = f"{at}.attention"
        parts = [self.dense(x, f"{own}.self.{name}") for name in ("query", "key", "value")]
        seen = self.dense(self.attend(*parts), f"{own}.output.dense")
        x = self.norm(self.add("Add", x, seen), f"{own}.output")
        wide = self.add("Gelu", self.dense(x, f"{at}.intermediate.dense"))
        return self.norm(self.add("Add", x, self.dense(wide, f"{at}.output.dense")), f"{at}.output")

    def norm(self, x: str, at: str) -> str:
        given = [f"{at}.LayerNorm.{kind}" for kind in ("weight", "bias")]
        scale, shift = (self.constant(name, self.weights[name]) for name in given)
        epsilon = self.config["layer_norm_eps"]
        return self.add("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon)

    def dense(self, x: str, at: str) -> str:
        bias = self.constant(f"{at}.bias", self.weights[f"{at}.bias"])
        return self.add("Add", self.product(x, self.weights[f"{at}.weight"].T, at), bias)

    def float_product(self, x: str, matrix: NDArray[np.float32], at: str) -> str:
        return self.add("MatMul", x, self.constant(f"{at}.weight", matrix))

    def int8_product(self, x: str, matrix: NDArray[np.float32], at: str) -> str:
        """Both factors in 8 bits: a token's numbers over their largest, and the weights."""
        if x not in self.rounded:
            top = self.add("ReduceMax", self.add("Abs", x), self.whole(-1), keepdims=1)
            top = self.add("Max", top, self.constant("least", LEAST))
            share = self.add("Div", x, top)
            self.rounded[x] = self.add("QuantizeLinear", share, *self.unit), top
        (share, top), (step, zero) = self.rounded[x], self.unit
        columns, steps = self.int8(matrix, at)
        inputs = share, columns, step, steps, zero
        return self.add("Mul", self.add("MatMulIntegerToFloat", *inputs, domain=CONTRIB), top)

    def int8_weights_product(self, x: str, matrix: NDArray[np.float32], at: str) -> str:
        return self.add("MatMul", x, self.add("DequantizeLinear", *self.int8(matrix, at), axis=1))

    def int8(self, matrix: NDArray[np.float32], at: str) -> tuple[str, str]:
        """The matrix in whole numbers up to 127 and the float32 step of each column."""
        step = np.maximum(np.abs(matrix).max(axis=0), LEAST) / np.float32(127)
        rounded = np.rint(matrix / step).astype(np.int8)
        return self.constant(f"{at}.int8", rounded), self.constant(f"{at}.step", step)

    @cached_property
    def unit(self) -> tuple[str, str]:
        """Step and zero of numbers from -1 to 1 in eight bits."""
        step = self.constant("step", np.float32(1 / 127))
        return step, self.constant("zero", np.uint8(128))

    def joint_attention(self, query: str, key: str, value: str) -> str:
        """In ONNX Runtime's own operator."""
        heads = self.config["num_attention_heads"]
        inputs = query, key, value, "", "mask"
        return self.add("MultiHeadAttention", *inputs, domain=CONTRIB, num_heads=heads)

    def plain_attention(self, query: str, key: str, value: str) -> str:
        """In its parts, which OpenVINO joins itself."""
        heads, size = self.config["num_attention_heads"], self.config["hidden_size"]
        split = self.whole(0, 0, heads, size // heads)
        orders = {query: [0, 2, 1, 3], key: [0, 2, 3, 1], value: [0, 2, 1, 3]}
        query, key, value = (
            self.add("Transpose", self.add("Reshape", x, split), perm=order)
            for x, order in orders.items()
        )
        scale = self.constant("scale", np.float32((size // heads) ** -0.5))
        logits = self.add("Mul", self.add("MatMul", query, key), scale)
        shares = self.add("Softmax", self.add("Add", logits, self.far), axis=-1)
        seen = self.add("Transpose", self.add("MatMul", shares, value), perm=[0, 2, 1, 3])
        return self.add("Reshape", seen, self.whole(0, 0, size))

    @cached_property
    def far(self) -> str:
        """0 where a token is, far below where none is: float32 (n, 1, 1, longest)."""
        absent = self.add("Sub", self.constant("one", np.float32(1)), self.mask)
        far = self.add("Mul", absent, self.constant("far", FAR))
        return self.add("Unsqueeze", far, self.whole(1, 2))

    @cached_property
    def mask(self) -> str:
        return self.add("Cast", "mask", to=FLOAT)

    def pooled(self, x: str, pooling: str) -> None:
        """The output *vector*, of unit length, which a mean's divisor does not change."""
        mean = {"mean": self.summed, "cls": self.first}[pooling](x)
        length = self.add("ReduceL2", mean, self.whole(-1), keepdims=1)
        self.add("Div", mean, length, out=["vector"])

    def summed(self, x: str) -> str:
        mask = self.add("Unsqueeze", self.mask, self.whole(1))
        return self.add("Squeeze", self.add("MatMul", mask, x), self.whole(1))

    def first(self, x: str) -> str:
        return self.add("Gather", x, self.constant("first", np.int64(0)), axis=1)
