"""Text to vectors: the protocol, and the side a text is on."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Side = Literal["query", "passage"]


@runtime_checkable
class Encoder(Protocol):
    """Encodes texts on one of two sides; the constructor does no work, loading is lazy."""

    @property
    def digest(self) -> str:
        """What decides the vectors: model digest, prompts, normalisation, truncation, dtype."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:
        """float32 (n_texts, dimension); an empty text is encoded like any other."""


@runtime_checkable
class TokenEncoder(Protocol):
    """Also gives a vector a token, for late interaction."""

    @property
    def digest(self) -> str: ...

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[NDArray[np.float32]]:
        """For each text, unit vectors float32 (n_tokens, dimension), special tokens left out."""


_DEVICE: ContextVar[str] = ContextVar("device", default="cpu")


@contextmanager
def device_scope(device: str) -> Iterator[None]:
    """Inside, models that name no device of their own load on *device*: "cpu", "cuda", "cuda:1"."""
    token = _DEVICE.set(device)
    try:
        yield
    finally:
        _DEVICE.reset(token)


def current_device(device: str | None = None) -> str:
    """The device to load on: *device* where one is named, else that of the enclosing scope."""
    return device or _DEVICE.get()
