"""A BERT without torch: exported to ONNX once, then run by ONNX Runtime or OpenVINO."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from encoders.base import Side, current_device
from encoders.engines import ENGINES, Run, threads
from encoders.exported import EXPORTER, exported
from encoders.layout import BertFolder
from encoders.wordpieces import Batch, WordPieces
from qrels.errors import UsageError

BATCH_TOKENS = 512
"""Tokens a batch, padding included: on two cores 2048 take a sixth longer, 256 as long."""


class ExportedBert:
    """Unit vectors of the BERT in *model*, by the engine *backend* in *dtype*.

    backend: a name of `ENGINES`; dtype: "float32" or "int8". On the CPU only, with as many threads
    as `threads` gives at the time. The first use ever writes the ONNX file into the cache.
    """

    def __init__(
        self, model: BertFolder, backend: str, dtype: str, device: str | None = None
    ) -> None:
        self.model = model
        self.backend = backend
        self.dtype = dtype
        self.device = device
        self._open: tuple[int, Run] | None = None

    @property
    def digest(self) -> str:
        return f"{self.model.digest} {self.backend} {self.dtype} exporter {EXPORTER}"

    @cached_property
    def dimension(self) -> int:
        return int(self.model.config()["hidden_size"])

    def load(self) -> None:
        """Export where that is still to do, open the model, and run it once."""
        if self._open is None or self._open[0] != threads():
            self.encode([""], "passage")

    def encode(self, texts: Sequence[str], side: Side) -> NDArray[np.float32]:  # noqa: ARG002
        """float32 (n_texts, dimension), unit length; both sides alike."""
        vectors = np.empty((len(texts), self.dimension), np.float32)
        for batch, found in self._outputs("vector", texts):
            vectors[batch.rows] = found
        return vectors

    def encode_tokens(self, texts: Sequence[str], side: Side) -> list[NDArray[np.float32]]:  # noqa: ARG002
        """For each text, unit vectors float32 (n_tokens, dimension) without [CLS] and [SEP]."""
        found: list[NDArray[np.float32]] = [np.empty((0, self.dimension), np.float32)] * len(texts)
        for batch, hidden in self._outputs("hidden", texts):
            hidden /= np.linalg.norm(hidden, axis=-1, keepdims=True)
            for row, units, length in zip(batch.rows, hidden, batch.mask.sum(1), strict=True):
                found[row] = units[1 : length - 1].copy()
        return found

    def _outputs(
        self, output: str, texts: Sequence[str]
    ) -> Iterator[tuple[Batch, NDArray[np.float32]]]:
        run = self._run()
        for batch in self._pieces.batches(texts, BATCH_TOKENS):
            yield batch, run(output, batch.ids, batch.mask)

    @cached_property
    def _pieces(self) -> WordPieces:
        return WordPieces(self.model.folder, self.model.max_length)

    def _run(self) -> Run:
        """The open model; opened again where the number of threads is another by now."""
        if current_device(self.device).partition(":")[0] != "cpu":
            raise UsageError(f"backend {self.backend!r} runs on the CPU; take backend=torch")
        number = threads()
        if self._open is None or self._open[0] != number:
            model = exported(self.model, self.dtype, self.backend)
            self._open = number, ENGINES[self.backend](model, number)
        return self._open[1]
