"""A mean-pooled BERT in its plainest form: a safetensors file, a tokenizer file, one forward pass.

It needs only torch, safetensors and tokenizers. Every cell of a benchmark is a process of its
own, so start-up counts: import, load and first text take 1.1 s here, 5.0 s by
sentence-transformers, for the same vectors to 1e-6.
Source: Devlin et al. 2019, doi 10.18653/v1/N19-1423; pooling as Reimers & Gurevych 2019,
doi 10.18653/v1/D19-1410.
"""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Side, current_device

if TYPE_CHECKING:
    from torch import Tensor

BATCH_TOKENS = {"cpu": 2048, "cuda": 65536}
"""Tokens a batch, padding included: on two CPU cores 8 x 256 runs 1.4 times as fast as 32 x 256."""


class BertEncoder:
    """Unit mean-pooled vectors of the BERT in *folder*, at most *max_length* tokens a text.

    folder: config.json, model.safetensors, tokenizer.json. digest: what decides the vectors.
    """

    def __init__(
        self, folder: Path, digest: str, max_length: int, device: str | None = None
    ) -> None:
        self.folder = folder
        self.digest = digest
        self.max_length = max_length
        self.device = device

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
    def _tokenizer(self) -> Any:  # tokenizers.Tokenizer; the package has no types
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_length)
        return tokenizer

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
        tokens = [found.ids for found in self._tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda row: -len(tokens[row]))
        device = current_device(self.device).partition(":")[0]
        for start, stop in pairwise(_cuts([len(tokens[row]) for row in order], device)):
            rows = order[start:stop]
            yield rows, *self._hidden([tokens[row] for row in rows])

    def _hidden(self, tokens: list[list[int]]) -> "tuple[Tensor, Tensor]":
        """Last hidden states float32 (n, longest, dimension) and the mask bool (n, longest)."""
        import torch
        from torch.nn.functional import embedding, gelu, scaled_dot_product_attention

        weights, heads = self._weights, self._config["num_attention_heads"]
        words = weights["embeddings.word_embeddings.weight"]
        rows = [torch.tensor(ids) for ids in tokens]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        mask = (ids >= 0).to(words.device)
        size, longest = ids.shape
        with torch.inference_mode():
            x = embedding(ids.clamp(min=0).to(words.device), words)
            x = x + weights["embeddings.token_type_embeddings.weight"][0]
            x = x + weights["embeddings.position_embeddings.weight"][:longest]
            x = self._norm(x, "embeddings")
            for layer in range(self._config["num_hidden_layers"]):
                at = f"encoder.layer.{layer}"
                joint = self._dense(x, f"{at}.attention.self")
                parts = joint.view(size, longest, 3, heads, -1).permute(2, 0, 3, 1, 4)
                seen = scaled_dot_product_attention(
                    parts[0], parts[1], parts[2], attn_mask=mask[:, None, None, :]
                )
                seen = seen.transpose(1, 2).reshape(size, longest, -1)
                seen = self._dense(seen, f"{at}.attention.output.dense")
                x = self._norm(x + seen, f"{at}.attention.output")
                wide = gelu(self._dense(x, f"{at}.intermediate.dense"))
                x = self._norm(x + self._dense(wide, f"{at}.output.dense"), f"{at}.output")
        return x, mask

    def _dense(self, x: "Tensor", name: str) -> "Tensor":
        from torch.nn.functional import linear

        return linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: "Tensor", name: str) -> "Tensor":
        from torch.nn.functional import layer_norm

        weight, bias = (self._weights[f"{name}.LayerNorm.{kind}"] for kind in ("weight", "bias"))
        return layer_norm(x, weight.shape, weight, bias, self._config["layer_norm_eps"])


def _cuts(lengths: Sequence[int], device: str) -> list[int]:
    """Where batches of falling *lengths* start and end, each as full as the device likes."""
    cuts = [0]
    while cuts[-1] < len(lengths):
        size = max(1, BATCH_TOKENS.get(device, BATCH_TOKENS["cuda"]) // lengths[cuts[-1]])
        cuts.append(min(cuts[-1] + size, len(lengths)))
    return cuts
