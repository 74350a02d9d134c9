"""Rankings on disk: first stages, and what rerankers made of them, found by all they depend on.

    CACHE/stages-1/KEY/
        docs.npy, scores.npy    the checked rankings, int32 and float32 (n_queries, depth)
        about.json              what KEY stands for, and the SHA-256 of both files

KEY covers the data, the system's parts and parameters, files and models they name, the code, the
versions of the libraries, the device and the processor. Not the number of threads: our own scores
do not depend on it, those of a neural model may in their last bits, as its cached vectors do. An
entry that does not check out is computed again. A plug-in's rankings are kept only where its
class says `cacheable = True`: that they depend on nothing but corpus, queries, parameters, files
that these name, and its own code.
"""

import ast
import hashlib
import inspect
import io
import json
import platform
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

import encoders
from bench.about import encoders_of
from bench.config import System
from bench.environment import processor
from bench.output import drafted
from bench.plugins import code_digest
from encoders.cache import cache_folder
from encoders.digests import COMMIT, file_digest
from qrels.content import sha256, used
from qrels.data import Run, Suite
from qrels.errors import BenchError
from rerankers import RERANKERS
from retrievers import RETRIEVERS
from retrievers.registry import Params, Registry, parse_spec

FOLDER = "stages-1"
ABOUT = "about.json"
ARRAYS = {"docs": np.dtype(np.int32), "scores": np.dtype(np.float32)}

DIGEST = re.compile(r"[0-9a-f]{64}")
TARGET = re.compile(r"[\w.]+:\w+")
LIBRARIES = (
    "faiss-cpu", "faiss-gpu", "huggingface-hub", "llvmlite", "numba", "numpy", "onnx",
    "onnxruntime", "openvino", "pyarrow", "PyStemmer", "rank-bm25", "safetensors", "scipy",
    "sentence-transformers", "snowballstemmer", "tokenizers", "torch", "transformers",
)  # fmt: skip
"""What may change a score by being another version."""

MANY = 1000
"""Files of a folder that a parameter names; of one with more nothing is kept."""


class UncertainError(Exception):
    """Not all that the rankings depend on can be told."""


def stage_key(suite: Suite, system: System, device: str, reranked: bool) -> str | None:
    """The name of an entry: first stage, or with *reranked* the whole system; None for no entry."""
    try:
        found = {
            "suite": _suite(suite),
            "retriever": _part(RETRIEVERS, system.retriever, system.params),
            **_machine(device),
        }
        if reranked:
            assert system.reranker is not None
            found["reranker"] = _part(RERANKERS, system.reranker, system.reranker_params)
            found["rerank_depth"] = system.rerank_depth
        text = json.dumps(found, sort_keys=True)
    except (UncertainError, BenchError, OSError, TypeError, ValueError):
        return None  # what is wrong with it shows where it is made
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


class StageCache:
    """The entries of one device; *say* gets a line about each that is used, or cannot be kept."""

    def __init__(self, device: str, say: Callable[[str], None] = lambda _: None) -> None:
        self.device = device
        self.say = say
        self._stored: set[str] = set()

    def load(self, suite: Suite, system: System, reranked: bool = False) -> Run | None:
        key = stage_key(suite, system, self.device, reranked)
        run = None if key is None else load_stage(key, (len(suite.queries), suite.depth))
        if key is not None and run is not None:
            self._stored.add(key)
            self.say(f"      {'reranked' if reranked else 'first stage'} from the cache")
        return run

    def save(self, suite: Suite, system: System, run: Run, reranked: bool = False) -> None:
        key = stage_key(suite, system, self.device, reranked)
        if key is None or key in self._stored:
            return
        try:
            save_stage(key, run)
            self._stored.add(key)
        except (BenchError, OSError) as error:
            self.say(f"note: rankings are not cached: {error}")


def load_stage(key: str, shape: tuple[int, int]) -> Run | None:
    """The rankings of an entry, None where there is none that checks out."""
    entry = cache_folder() / FOLDER / key
    run = read_entry(entry)
    if run is None or run.docs.shape != shape:
        return None
    used(entry)
    return run


def save_stage(key: str, run: Run) -> None:
    """Write an entry, whole or not at all. Raises OSError and UsageError."""
    with drafted(cache_folder() / FOLDER / key) as draft:
        for (name, dtype), array in zip(ARRAYS.items(), run, strict=True):
            np.save(draft / f"{name}.npy", np.ascontiguousarray(array, dtype), allow_pickle=False)
        files = {path.name: sha256(path) for path in sorted(draft.iterdir())}
        about = json.dumps({"key": key, "files": files})
        (draft / ABOUT).write_text(about, encoding="utf-8")


def read_entry(entry: Path) -> Run | None:
    """The rankings in a folder, None where not all is there, with its checksums and its name."""
    try:
        about = json.loads((entry / ABOUT).read_text(encoding="utf-8"))
        if about["key"] != entry.name:
            return None
        arrays = []
        for name, dtype in ARRAYS.items():
            data = (entry / f"{name}.npy").read_bytes()
            if hashlib.sha256(data).hexdigest() != about["files"][f"{name}.npy"]:
                return None
            arrays.append(np.load(io.BytesIO(data), allow_pickle=False).astype(dtype, copy=False))
        return Run(*arrays)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _suite(suite: Suite) -> list[Any]:  # JSON values
    """What identifies the data; UncertainError for a digest that is not made of the content."""
    if not DIGEST.fullmatch(suite.digest):
        raise UncertainError
    return [suite.digest, _queries(suite), suite.depth, suite.rules.exclude_self]


def _queries(suite: Suite) -> str:
    """The digest of the topics, which a suite made of another by `replace` may have changed."""
    text = json.dumps([list(suite.queries.query_ids), list(suite.queries.texts)])
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _machine(device: str) -> Mapping[str, Any]:  # JSON values
    return {
        "code": code_digest(),
        "python": platform.python_version(),
        "platform": [platform.system(), platform.machine(), processor()],
        "libraries": {name: _version(name) for name in LIBRARIES},
        "device": device,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _part(registry: Registry, spec: str, given: Params) -> list[Any]:  # JSON values
    """A retriever or reranker: its name and parameters, and what these stand for."""
    specs = [spec, *_texts(given)]
    params = {**parse_spec(spec)[1], **given}
    _check_model(params)
    files = {name: digest for text in specs for name, digest in _files(text)}
    code = [_code(registry, spec), *(_code(RETRIEVERS, text) for text in specs[1:])]
    models = {*encoders_of(registry, spec, given), *filter(_is_encoder, specs)}
    digests = {name: encoders.load(name).digest for name in models}
    return [spec, dict(given), files, code, digests]


def _is_encoder(text: str) -> bool:
    return text.partition("?")[0] in encoders.BUILTINS


def _check_model(params: Params) -> None:
    """UncertainError for a model of a hub whose revision may become another."""
    model, revision = params.get("model"), params.get("revision")
    fixed = isinstance(revision, str) and COMMIT.fullmatch(revision)
    if isinstance(model, str) and not Path(model).is_dir() and not fixed:
        raise UncertainError


def _texts(value: object) -> Iterator[str]:
    """Every string among parameters, however deep, and within specs among them."""
    if isinstance(value, str):
        yield value
        if "?" in value:
            yield from _texts(parse_spec(value)[1])
    elif isinstance(value, Mapping):
        yield from chain.from_iterable(map(_texts, value.values()))
    elif isinstance(value, list | tuple):
        yield from chain.from_iterable(map(_texts, value))


def _files(text: str) -> Iterator[tuple[str, str]]:
    """The file, or the files of the folder, that a string or the name before its ? stands for."""
    for name in {text, text.partition("?")[0]}:
        if not name or len(name) > 1024 or "\0" in name:
            continue
        path = Path(name)
        if path.is_file():
            yield name, file_digest(path)
        elif path.is_dir():
            found = list(islice(path.rglob("*"), MANY))
            if len(found) == MANY:
                raise UncertainError
            yield from ((str(inner), file_digest(inner)) for inner in found if inner.is_file())


def _code(registry: Registry, text: str) -> Mapping[str, str] | None:
    """The digests of a plug-in's code, None for a text that names none; UncertainError where it may
    depend on more."""
    name = text.partition("?")[0]
    targets = registry.targets()
    if name in registry.builtins or not (name in targets or TARGET.fullmatch(name)):
        return None
    found = registry.load(name)
    if getattr(found, "cacheable", False) is not True:
        raise UncertainError
    path = Path(inspect.getfile(found))
    return {str(file): file_digest(file) for file in sorted(code_files(path))}


def code_files(path: Path) -> set[Path]:
    """A module's file and those beside it that it imports, packages whole, to any depth."""
    found: set[Path] = set()
    waiting = {path}
    while waiting:
        file = waiting.pop()
        found.add(file)
        waiting |= set(_beside(file)) - found
    return found


def _beside(file: Path) -> Iterator[Path]:
    if (file.parent / "__init__.py").is_file():
        yield from file.parent.rglob("*.py")
    for node in ast.walk(ast.parse(file.read_bytes())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in (name.partition(".")[0] for name in names):
            if (module := file.parent / f"{name}.py").is_file():
                yield module
            if name and (file.parent / name / "__init__.py").is_file():
                yield from (file.parent / name).rglob("*.py")
