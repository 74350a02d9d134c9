"""A sentence-transformers cross-encoder: one score from query and document read together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.errors import UsageError
from rerankers.models import Pair, PairReranker

TRAINED = ("ForSequenceClassification", "ForCausalLM")
"""Ends of the architectures whose files hold a trained scoring head."""


class CrossEncoder(PairReranker):
    """Scores each pair with a cross-encoder of one label; the raw logit is the score.

    model: a folder or a hub id with its *revision*. fields: those joined into the text, all by
    default. max_length: tokens a pair, the model's own limit by default; dtype: what the model
    computes in. Prompts that the model's own files name are used. The pairs of all queries are
    batched together, longest first.
    Errors: UsageError for a model of several labels or without a trained head, DataError where
    it cannot be loaded.
    """

    pointwise = True

    def __init__(
        self,
        model: str,
        fields: Sequence[str] | None = None,
        batch_size: int = 32,
        max_length: int | None = None,
        device: str | None = None,
        dtype: str = "float32",
        revision: str | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        self.model = model
        self.fields = fields
        self.batch_size = batch_size
        self.max_length = max_length
        self.device = device
        self.dtype = dtype
        self.revision = revision
        self.trust_remote_code = trust_remote_code

    def _scores(self, pairs: Sequence[Pair]) -> NDArray[np.float32]:
        found = self._loaded.predict(
            list(pairs), batch_size=self.batch_size, show_progress_bar=False
        )
        return np.asarray(found, np.float32)

    def _load(self, device: str) -> Any:  # sentence_transformers.CrossEncoder
        import sentence_transformers
        import torch

        model = sentence_transformers.CrossEncoder(
            self.model,
            device=device,
            max_length=self.max_length,
            activation_fn=torch.nn.Identity(),
            model_kwargs={"use_safetensors": True, "dtype": getattr(torch, self.dtype)},
            **self._source,
        )
        if model.num_labels != 1:
            raise UsageError(f"model {self.model!r} gives {model.num_labels} labels; expected 1")
        names = getattr(model.config, "architectures", None) or ()
        # a head apart from the transformer is a module of its own, read from the model's files
        if not any(name.endswith(TRAINED) for name in names) and len(list(model.children())) == 1:
            raise UsageError(
                f"model {self.model!r} is {', '.join(names) or 'of no known architecture'}: it has "
                "no trained scoring head; take a cross-encoder"
            )
        return model
