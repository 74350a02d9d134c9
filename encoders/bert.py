"""A mean-pooled BERT in its plainest form: a safetensors file, a tokenizer file, one forward pass.

It needs only torch, safetensors and tokenizers. Every cell of a benchmark is a process of its
own, so start-up counts: import, load and first text take 1.1 s here, 5.0 s by
sentence-transformers, for the same vectors to 1e-6.
Source: Devlin et al. 2019, doi 10.18653/v1/N19-1423; pooling as Reimers & Gurevych 2019,
doi 10.18653/v1/D19-1410.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Side, current_device
from encoders.torch_int8 import int8_linear
from encoders.wordpieces import WordPieces

if TYPE_CHECKING:
    from torch import Tensor

BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
"""Tokens a batch, padding included: on two CPU cores 8 x 256 runs 1.4 times as fast as 32 x 256."""


class BertEncoder:
    """Unit mean-pooled vectors of the BERT in *folder*, at most *max_length* tokens a text.

    folder: config.json, model.safetensors, tokenizer.json. digest: what decides the vectors.
    dtype: "float32", or "int8" on the CPU: weights by row and inputs by token in 8 bits.
    """

    def __init__(
        self,
        folder: Path,
        digest: str,
        max_length: int,
        device: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.folder = folder
        self.digest = digest
        self.max_length = max_length
        self.device = device
        self.dtype = dtype

    @cached_property
    def dimension(self) -> int:
        return int(self._config["hidden_size"])

    def load(self) -> None:
        """Read weights and tokenizer, and run once: torch sets its kernels up on first use."""
        if "_weights" not in self.__dict__:
            self.encode([""], "passage")

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:  # noqa: ARG002
        """float32 (n_texts, dimension), unit length; both sides alike."""
        from torch.nn.functional import normalize

        vectors = np.empty((len(texts), self.dimension), np.float32)
        for rows, hidden, mask in self._batches(texts):
            weights = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * weights).sum(1) / weights.sum(1)
            vectors[rows] = normalize(pooled, dim=1).cpu().numpy()
        return vectors

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[NDArray[np.float32]]:  # noqa: ARG002
        """For each text, unit vectors float32 (n_tokens, dimension) without [CLS] and [SEP]."""
        from torch.nn.functional import normalize

        found: list[NDArray[np.float32]] = [np.empty((0, self.dimension), np.float32)] * len(texts)
        for rows, hidden, mask in self._batches(texts):
            units, lengths = normalize(hidden, dim=-1).cpu().numpy(), mask.sum(1).tolist()
            for row, unit, length in zip(rows, units, lengths, strict=True):
                found[row] = unit[1 : length - 1].copy()
        return found

    @cached_property
    def _config(self) -> dict[str, Any]:  # transformers' own format
        config: dict[str, Any] = json.loads((self.folder / "config.json").read_text("utf-8"))
        return config

    @cached_property
    def _pieces(self) -> WordPieces:
        return WordPieces(self.folder, self.max_length)

    @cached_property
    def _weights(self) -> "dict[str, Tensor]":
        """Weights by name, the queries, keys and values of a layer fused."""
        import torch
        from safetensors.torch import load_file

        weights = load_file(self.folder / "model.safetensors", device=current_device(self.device))
        for layer in range(self._config["num_hidden_layers"]):
            start = f"encoder.layer.{layer}.attention.self."
            for kind in ("weight", "bias"):
                parts = [weights.pop(f"{start}{name}.{kind}") for name in ("query", "key", "value")]
                weights[f"{start}{kind}"] = torch.cat(parts)
        return weights

    def _batches(self, texts: Sequence[str]) -> "Iterator[tuple[list[int], Tensor, Tensor]]":
        """Rows of *texts* by falling length, with their hidden states and masks."""
        import torch

        device = current_device(self.device)
        tokens = BATCH_TOKENS.get(device.partition(":")[0], BATCH_TOKENS["cuda"])
        for rows, ids, mask in self._pieces.batches(texts, tokens):
            seen = torch.from_numpy(mask).to(device) == 1
            yield rows, self._hidden(torch.from_numpy(ids).to(device), seen), seen

    def _hidden(self, ids: "Tensor", mask: "Tensor") -> "Tensor":
        """Last hidden states float32 (n, longest, dimension) of ids int64 and a mask, bool."""
        import torch
        from torch.nn.functional import embedding, gelu, scaled_dot_product_attention

        weights, layers, heads = self._weights, self._layers, self._config["num_attention_heads"]
        size, longest = ids.shape
        with torch.inference_mode():
            x = embedding(ids, weights["embeddings.word_embeddings.weight"])
            x = x + weights["embeddings.token_type_embeddings.weight"][0]
            x = x + weights["embeddings.position_embeddings.weight"][:longest]
            x = self._norm(x, "embeddings")
            for layer in range(self._config["num_hidden_layers"]):
                at = f"encoder.layer.{layer}"
                joint = layers[f"{at}.attention.self"](x)
                parts = joint.view(size, longest, 3, heads, -1).permute(2, 0, 3, 1, 4)
                seen = scaled_dot_product_attention(
                    parts[0], parts[1], parts[2], attn_mask=mask[:, None, None, :]
                )
                seen = seen.transpose(1, 2).reshape(size, longest, -1)
                seen = layers[f"{at}.attention.output.dense"](seen)
                x = self._norm(x + seen, f"{at}.attention.output")
                wide = gelu(layers[f"{at}.intermediate.dense"](x))
                x = self._norm(x + layers[f"{at}.output.dense"](wide), f"{at}.output")
        return x

    @cached_property
    def _layers(self) -> "dict[str, Callable[[Tensor], Tensor]]":
        """The linear layers by name."""
        from torch.nn.functional import linear

        def float32(weight: "Tensor", bias: "Tensor") -> "Callable[[Tensor], Tensor]":
            return partial(linear, weight=weight, bias=bias)

        make = {"float32": float32, "int8": int8_linear}[self.dtype]
        return {
            name: make(self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])
            for name in (key.removesuffix(".weight") for key in self._weights)
            if name.endswith((".dense", ".attention.self")) and name.startswith("encoder.")
        }

    def _norm(self, x: "Tensor", name: str) -> "Tensor":
        from torch.nn.functional import layer_norm

        weight, bias = (self._weights[f"{name}.LayerNorm.{kind}"] for kind in ("weight", "bias"))
        return layer_norm(x, weight.shape, weight, bias, self._config["layer_norm_eps"])
