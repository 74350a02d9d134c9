"""DPR's pair of encoders: one for questions, one for passages, compared by dot product.

Source: Karpukhin et al. 2020, doi 10.18653/v1/2020.emnlp-main.550.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.base import Side, current_device
from encoders.digests import model_digest
from encoders.language import load_language, load_tokenizer
from encoders.loading import source

KIND = "encoder"
SIDES = {
    "query": ("DPRQuestionEncoder", "question"),
    "passage": ("DPRContextEncoder", "context"),
}
"""By side, transformers' class and the parameter that names the model."""


class DPR:
    """Vectors of two BERTs, not normalised: search with similarity "dot", as they were trained.

    question and context: folders, or hub ids with their revisions; from safetensors only.
    max_length: tokens a text. Errors: DataError where a model cannot be loaded.
    """

    def __init__(
        self,
        question: str = "facebook/dpr-question_encoder-single-nq-base",
        context: str = "facebook/dpr-ctx_encoder-single-nq-base",
        question_revision: str | None = None,
        context_revision: str | None = None,
        max_length: int = 256,
        batch_size: int = 32,
        device: str | None = None,
        dtype: str = "float32",
    ) -> None:
        self.question = question
        self.context = context
        self.question_revision = question_revision
        self.context_revision = context_revision
        self.max_length = max_length
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype

    @cached_property
    def digest(self) -> str:
        contents = [self._content(side) for side in SIDES]
        return f"dpr {' '.join(contents)} max {self.max_length} {self.dtype}"

    @cached_property
    def dimension(self) -> int:
        return int(self.encode([""], "query").shape[1])

    def load(self) -> None:
        """Load both models and run one of them once."""
        _ = self._passages, self.dimension

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        """float32 (n_texts, dimension); texts of about one length share a batch."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        tokenizer, model = self._queries if side == "query" else self._passages
        ids = tokenizer(list(texts), truncation=True, max_length=self.max_length)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        rows = [
            self._pooled(tokenizer, model, [ids[i] for i in order[start : start + self.batch_size]])
            for start in range(0, len(order), self.batch_size)
        ]
        vectors = np.concatenate(rows)
        found = np.empty_like(vectors)
        found[order] = vectors
        return found

    def describe(self) -> dict[str, Any]:
        """For the record; asks no hub and loads no weights."""
        models = {
            name: Path(model).name if Path(model).is_dir() else model
            for _, name in SIDES.values()
            for model in [getattr(self, name)]
        }
        local = all(Path(getattr(self, name)).is_dir() for name in models)
        return {
            "encoder": "dpr",
            **models,
            "content": self.digest if local or "digest" in self.__dict__ else None,
            "max_length": self.max_length,
            "dtype": self.dtype,
        }

    def _pooled(self, tokenizer: Any, model: Any, ids: Sequence[list[int]]) -> NDArray[np.float32]:
        """The vectors of one padded batch."""
        import torch

        batch = tokenizer.pad({"input_ids": list(ids)}, return_tensors="pt").to(model.device)
        with torch.inference_mode():
            found = model(**batch).pooler_output
        return np.asarray(found.float().cpu().numpy(), np.float32)

    @cached_property
    def _queries(self) -> tuple[Any, Any]:
        return self._loaded("query")

    @cached_property
    def _passages(self) -> tuple[Any, Any]:
        return self._loaded("passage")

    def _loaded(self, side: str) -> tuple[Any, Any]:  # transformers' own classes
        wanted, name = SIDES[side]
        model = getattr(self, name)
        local = Path(model).is_dir()
        fixed = None if local else self._content(side).rpartition("@")[2]
        where = source(model, fixed, False)
        tokenizer = load_tokenizer(KIND, model, **where)
        device = current_device(self.device)
        return tokenizer, load_language(KIND, model, wanted, self.dtype, device, **where)

    def _content(self, side: str) -> str:
        """What the model is: a folder's SHA-256, or a commit of the hub."""
        _, name = SIDES[side]
        return model_digest(KIND, getattr(self, name), getattr(self, f"{name}_revision"))
