"""A model that runs here, by its folder or its name on the hub: what says which one it is."""

import hashlib
import json
from pathlib import Path
from typing import Any

from encoders.digests import folder_digest


class LocalModel:
    """A subclass loads it as the cached property `_loaded`, which stays out of pickles."""

    model: str
    revision: str | None
    _loaded: Any

    def load(self) -> None:
        """Load the model now, so that no answer's time holds it."""
        _ = self._loaded

    def close(self) -> None:
        """Let go of the model; the next use loads it again."""
        vars(self).pop("_loaded", None)

    def describe(self) -> dict[str, Any]:
        """For the record; asks no hub and loads no weights."""
        folder = Path(self.model)
        if not folder.is_dir():
            return {**self._parameters(), "source": "hub", "content": self.revision}
        mine = {"model": folder.name, "source": "folder", "content": folder_digest(folder)}
        return {**self._parameters(), **mine}

    @property
    def digest(self) -> str:
        """The SHA-256 of what decides the answers: parameters, and files or revision."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return self._parameters()

    def _parameters(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_loaded"}
