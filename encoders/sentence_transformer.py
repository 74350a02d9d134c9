"""Any sentence-transformers model, by hub id or local folder."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.backends import TORCH, about, check_backend
from encoders.base import Side, current_device
from encoders.digests import model_digest
from encoders.exported import EXPORTER
from encoders.exported_bert import ExportedBert
from encoders.layout import bert_folder
from encoders.loading import loading
from qrels.errors import UsageError, unknown

DTYPES = ("float32", "float16", "bfloat16")


class SentenceTransformerEncoder:
    """Vectors of a sentence-transformers model, loaded on first use, from safetensors only.

    model: a folder, which is never looked for on the hub, or a hub id with its *revision*.
    query_prompt and passage_prompt go before the texts of their side; prompts that the model's
    own files name are not used. max_length: tokens a text, the model's own limit by default.
    dtype: what the model computes in. backend: "torch"; or "onnx" or "openvino", for the folder of
    a BERT in float32 or int8, without torch. trust_remote_code runs Python code from the model's
    repository. Errors: DataError where the model cannot be loaded.
    """

    def __init__(
        self,
        model: str,
        query_prompt: str = "",
        passage_prompt: str = "",
        normalise: bool = True,
        max_length: int | None = None,
        batch_size: int = 32,
        device: str | None = None,
        dtype: str = "float32",
        revision: str | None = None,
        trust_remote_code: bool = False,
        backend: str = TORCH,
    ) -> None:
        self.model = model
        self.query_prompt = query_prompt
        self.passage_prompt = passage_prompt
        self.normalise = normalise
        self.max_length = max_length
        self.batch_size = batch_size
        self.device = device
        self.dtype = dtype
        self.revision = revision
        self.trust_remote_code = trust_remote_code
        self.backend = backend

    @cached_property
    def digest(self) -> str:
        length = "own" if self.max_length is None else self.max_length
        return (
            f"sentence-transformers {self._content} queries {self.query_prompt!r} "
            f"passages {self.passage_prompt!r} unit {self.normalise} max {length} {self.dtype}"
            f"{'' if self.backend == TORCH else f' {self.backend} exporter {EXPORTER}'}"
        )

    @cached_property
    def dimension(self) -> int:
        if self.backend != TORCH:
            return self._exported.dimension
        return int(self._loaded.encode([""], prompt="", show_progress_bar=False).shape[1])

    def load(self) -> None:
        """Load the model and run it once."""
        if self.backend != TORCH:
            self._exported.load()
        _ = self.dimension

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        """float32 (n_texts, dimension); the library batches by length and puts back in order."""
        if not texts:
            return np.empty((0, self.dimension), np.float32)
        if self.backend != TORCH:
            return self._exported.encode(self._prompted(texts, side), side)
        vectors = self._loaded.encode(
            self._prompted(texts, side),
            prompt="",
            batch_size=self.batch_size,
            normalize_embeddings=self.normalise,
            show_progress_bar=False,
        )
        return np.asarray(vectors, np.float32)

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[NDArray[np.float32]]:
        """For each text, unit vectors float32 (n_tokens, dimension), special tokens left out.

        The prompt's tokens are in; dimension is that of the model's hidden states.
        """
        if self.backend != TORCH:
            return self._exported.encode_tokens(self._prompted(texts, side), side)
        import torch

        found = self._loaded.encode(
            self._prompted(texts, side),
            prompt="",
            batch_size=self.batch_size,
            output_value=None,
            show_progress_bar=False,
        )
        special = torch.tensor(self._loaded.tokenizer.all_special_ids)
        return [_token_vectors(features, special) for features in found]

    def describe(self) -> dict[str, Any]:
        """For the record; asks no hub and loads no weights."""
        local = Path(self.model).is_dir()
        return {
            "encoder": "sentence-transformers",
            "model": Path(self.model).name if local else self.model,
            "source": "folder" if local else "hub",
            "content": self._content if local or "_content" in self.__dict__ else self.revision,
            **{name: value for name, value in vars(self).items() if name in _PLAIN},
            **({} if self.backend == TORCH else about(self.backend, self.dtype)),
        }

    def _prompted(self, texts: Sequence[str], side: Side) -> list[str]:
        prompt = {"query": self.query_prompt, "passage": self.passage_prompt}[side]
        return [prompt + text for text in texts]

    @cached_property
    def _content(self) -> str:
        """The SHA-256 of a folder, or the commit that a hub id's revision stands for."""
        return model_digest("encoder", self.model, self.revision, ("modules.json", "config.json"))

    @cached_property
    def _exported(self) -> ExportedBert:
        """The model without torch; UsageError where the parameters ask for what it lacks."""
        check_backend(self.backend, self.dtype)
        if not Path(self.model).is_dir() or not self.normalise:
            raise UsageError(
                f"backend {self.backend!r} takes a local folder and gives unit vectors; "
                f"{self.model!r} with normalise={json.dumps(self.normalise)} needs backend=torch"
            )
        model = bert_folder(Path(self.model), self._content, self.max_length)
        return ExportedBert(model, self.backend, self.dtype, self.device)

    @cached_property
    def _loaded(self) -> Any:  # sentence_transformers.SentenceTransformer, which types its own way
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        import torch
        from sentence_transformers import SentenceTransformer

        local = Path(self.model).is_dir()
        with loading("encoder", self.model):
            model = SentenceTransformer(
                self.model,
                device=current_device(self.device),
                revision=None if local else self._content.rpartition("@")[2],
                local_files_only=local,
                trust_remote_code=self.trust_remote_code,
                model_kwargs={"use_safetensors": True},
            )
        model.to(getattr(torch, self.dtype))
        if self.max_length is not None:
            model.max_seq_length = self.max_length
        return model


_PLAIN = frozenset(
    {"query_prompt", "passage_prompt", "normalise", "max_length", "dtype", "trust_remote_code"}
)


def _token_vectors(features: dict[str, Any], special: Any) -> NDArray[np.float32]:  # torch tensors
    """Unit vectors of the tokens that are neither padding nor special."""
    import torch

    if "token_embeddings" not in features or "input_ids" not in features:
        raise UsageError("this encoder gives no token vectors; take a transformer model")
    ids = features["input_ids"].cpu()
    kept = features["attention_mask"].cpu().bool() & ~torch.isin(ids, special)
    vectors = features["token_embeddings"].float().cpu()[kept]
    return np.asarray(torch.nn.functional.normalize(vectors, dim=-1).numpy(), np.float32)
