"""Decoding by transformers' `generate`, row by row the same whatever the batch.

Sampling adds Gumbel noise to the logits and takes the largest, which draws from the softmax
exactly (Gumbel 1954; Maddison, Tarlow & Minka 2014, arXiv 1411.0030). The noise of a row comes
from its own generator, so that an answer depends on its prompt and the seed, not on its batch.
"""

import hashlib
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def greedy(model: Any, tokenizer: Any, max_new_tokens: int) -> Any:  # GenerationConfig, untyped
    """Plain greedy decoding with a cache; of the model's own settings only the token ids.

    A model without a padding token is padded by the one that ends an answer.
    """
    import transformers

    configuration: Any = transformers.GenerationConfig
    own = model.generation_config
    ends = tokenizer.eos_token_id if own.eos_token_id is None else own.eos_token_id
    ends = ends if isinstance(ends, list) else [ends]
    pads = (tokenizer.pad_token_id, own.pad_token_id, ends[0], 0)
    start = own.decoder_start_token_id
    return configuration(
        max_new_tokens=max_new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        pad_token_id=next(token for token in pads if token is not None),
        eos_token_id=None if ends == [None] else ends,
        bos_token_id=own.bos_token_id,
        decoder_start_token_id=(
            getattr(model.config, "decoder_start_token_id", None) if start is None else start
        ),
        forced_bos_token_id=own.forced_bos_token_id,
    )


def until_end(ids: list[int], configuration: Any) -> list[int]:
    """The ids before the first that ends an answer or pads it."""
    ends = {*(configuration.eos_token_id or ()), configuration.pad_token_id}
    return ids[: next((place for place, token in enumerate(ids) if token in ends), len(ids))]


def padded(
    rows: Sequence[list[int]], pad: int, device: Any, left: bool = False
) -> tuple["Tensor", "Tensor"]:
    """Ids and attention mask, int64 (n_rows, longest row), on *device*."""
    import torch

    ids = torch.full((len(rows), max(1, *map(len, rows))), pad)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        place = slice(ids.shape[1] - len(row), None) if left else slice(len(row))
        ids[number, place] = torch.tensor(row, dtype=torch.int64)
        mask[number, place] = 1
    return ids.to(device), mask.to(device)


class FirstToken:
    """A logits processor that changes nothing and notes when it was first called."""

    at_ns = 0

    def __call__(self, _: "Tensor", scores: "Tensor") -> "Tensor":
        if not self.at_ns:
            if scores.is_cuda:
                import torch

                torch.cuda.synchronize(scores.device)
            self.at_ns = time.perf_counter_ns()
        return scores


class Sampling:
    """A logits processor after which the largest logit is a draw, within the top p."""

    def __init__(self, seeds: Sequence[int], temperature: float, top_p: float) -> None:
        import torch

        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self.temperature = temperature
        self.top_p = top_p

    def __call__(self, _: "Tensor", scores: "Tensor") -> "Tensor":
        import torch

        logits = scores.float() / self.temperature
        ordered, order = logits.sort(dim=1, descending=True, stable=True)
        shares = ordered.softmax(1)
        before = shares.cumsum(1) - shares
        outside = torch.zeros_like(logits, dtype=torch.bool).scatter(1, order, before >= self.top_p)
        noise = torch.stack(
            [torch.empty(logits.shape[1]).exponential_(generator=g) for g in self.generators]
        )
        return (logits - noise.log().to(logits.device)).masked_fill(outside, -torch.inf)


def row_seed(seed: int, prompt: str) -> int:
    """The seed of a prompt's own generator, of 63 bits."""
    digest = hashlib.sha256(f"{seed} {prompt}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


class StopStrings:
    """A stopping criterion: the rows whose generated text holds one of *stop*."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], start: int) -> None:
        self.tokenizer = tokenizer
        self.stop = stop
        self.start = start
        self.tail = 4 * max(map(len, stop)) + 4  # a token holds a byte at least

    def __call__(self, ids: "Tensor", scores: Any, **_: Any) -> "Tensor":  # noqa: ARG002 - its protocol
        import torch

        tails = ids[:, max(self.start, ids.shape[1] - self.tail) :]
        texts = self.tokenizer.batch_decode(tails, skip_special_tokens=True)
        done = [any(mark in text for mark in self.stop) for text in texts]
        return torch.tensor(done, dtype=torch.bool, device=ids.device)
