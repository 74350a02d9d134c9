"""Large corpora: parsed fast, once, and mapped into memory from the cache folder afterwards.

An entry `corpora-1/KEY/` belongs to the source's content and to what is read of it. Its
about.json names each file with its SHA-256; files are hashed again whenever they are not exactly
those that were hashed before. An entry that does not check out is made anew.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qrels.content import cache_folder, digest_of, facts, is_settled, keep, kept, sha256, used
from qrels.corpus_parts import Plan, assembled, parsed, wanted_keys
from qrels.data import Column, ColumnKind, Corpus
from qrels.fast_corpus import Refused, parse
from qrels.saved import with_file
from qrels.text_column import TextColumn

FOLDER = "corpora-1"
ABOUT, CHECKED, SUITES = "about.json", "checked.json", "suites.json"
ENDINGS = ("utf8", "offsets.npy")
DAY = 86_400


def large_corpus(
    path: Path, fields: Mapping[str, str] | None, columns: Mapping[str, ColumnKind]
) -> Corpus | None:
    """The corpus in a large file, out of the cache or parsed fast, without weights.

    None where the file holds anything unusual: the exact reader takes it, or says what is wrong.
    """
    plan = Plan(fields, columns)
    try:
        home = cache_folder() / FOLDER
        before, start = facts(path), time.time_ns()
        source = digest_of(path, home / "stamps")
        entry = home / _key(source, plan)
        if (found := _opened(entry)) is not None:
            return found

        def check() -> None:
            changed = facts(path) != before
            if changed or not (is_settled(before, start) or sha256(path) == source):
                raise OSError(f"{path} changed while it was read")

        _build(entry, path, plan, check)
        if (found := _opened(entry, fresh=True)) is not None:
            return found
    except Refused:
        return None
    except OSError:  # no room, no right to write, another file by now
        pass
    try:
        return parsed(path, plan)
    except Refused:
        return None


def _key(source: str, plan: Plan) -> str:
    own = [None if plan.fields is None else list(plan.fields.items()), dict(plan.columns)]
    return hashlib.sha256(json.dumps([source, own], sort_keys=True).encode()).hexdigest()[:32]


def _build(entry: Path, path: Path, plan: Plan, check: Callable[[], None]) -> None:
    """Make the entry, whole or not at all. Raises Refused and OSError, and what *check* raises."""
    draft = entry.with_name(f".{entry.name}.{uuid.uuid4().hex}")
    _sweep(entry.parent)
    draft.mkdir(parents=True)
    try:
        corpus = _written(draft, path, plan)
        about = {
            "fields": list(corpus.fields),
            "columns": {name: column.kind for name, column in corpus.metadata.items()},
            "files": {file.name: sha256(file) for file in sorted(draft.iterdir())},
        }
        (draft / ABOUT).write_text(json.dumps(about), encoding="utf-8")
        check()
        if entry.exists():  # it did not check out
            shutil.rmtree(entry)
        draft.rename(entry)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove drafts that someone was killed over, a day ago or more."""
    for draft in home.glob(".*"):
        if time.time() - draft.stat().st_mtime > DAY:
            shutil.rmtree(draft, ignore_errors=True)


def _written(draft: Path, path: Path, plan: Plan) -> Corpus:
    """Parse *path* into files of *draft*."""
    wanted = wanted_keys(plan)
    files = [(draft / f"key-{i}.utf8").open("wb") for i in range(len(wanted))]
    try:
        found = parse(path, list(wanted.values()), files)
    finally:
        for file in files:
            file.close()
    for i, offsets in enumerate(found.offsets):
        _save(draft / f"key-{i}.offsets.npy", offsets)
    columns = {key: TextColumn.mapped(draft, f"key-{i}") for i, key in enumerate(wanted)}
    corpus = assembled(columns, dict(zip(wanted, found.seen.tolist(), strict=True)), plan)
    return _named(corpus, columns, draft)


def _named(corpus: Corpus, columns: Mapping[str, TextColumn], draft: Path) -> Corpus:
    """Give the files the names of what they are; those that nothing needs are removed."""
    fields = {f"field-{i}": field for i, field in enumerate(corpus.fields.values())}
    for name, column in {"ids": corpus.doc_ids, **fields}.items():
        assert isinstance(column, TextColumn)
        if column.folder is None:
            _save_texts(draft, name, column)
        else:
            for ending in ENDINGS:
                _again(draft / f"{column.name}.{ending}", draft / f"{name}.{ending}")
    for column in columns.values():
        for ending in ENDINGS:
            (draft / f"{column.name}.{ending}").unlink()
    assert isinstance(corpus.doc_ids, TextColumn)
    _save(draft / "descending.npy", corpus.doc_ids.descending)
    for i, own in enumerate(corpus.metadata.values()):
        _save_column(draft, f"column-{i}", own)
    return corpus


def _save_texts(draft: Path, name: str, column: TextColumn) -> None:
    data, offsets = column.utf8()
    with_file(draft / f"{name}.utf8", lambda file: file.write(data.data))
    _save(draft / f"{name}.offsets.npy", offsets)


def _again(path: Path, target: Path) -> None:
    """The same file under another name as well; a copy where the file system has no links."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _save(path: Path, array: NDArray[Any]) -> None:  # any dtype
    with_file(path, partial(np.save, arr=array, allow_pickle=False))


def _opened(entry: Path, fresh: bool = False) -> Corpus | None:
    """The corpus of an entry, None where there is none that checks out.

    fresh: this process has just written it.
    """
    try:
        about = json.loads((entry / ABOUT).read_text(encoding="utf-8"))
        if not fresh and not _checks_out(entry, about["files"]):
            return None
        ids = TextColumn.mapped(entry, "ids")
        ids.descending = np.load(entry / "descending.npy", mmap_mode="r", allow_pickle=False)
        fields = {
            name: TextColumn.mapped(entry, f"field-{i}") for i, name in enumerate(about["fields"])
        }
        metadata = {
            name: _load_column(entry, f"column-{i}", kind)
            for i, (name, kind) in enumerate(about["columns"].items())
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    used(entry)
    return Corpus(ids, fields, metadata)


def _checks_out(entry: Path, files: Mapping[str, str]) -> bool:
    """Whether each file has its digest; those that were found to have it and are the same do."""
    start = time.time_ns()
    now = {name: facts(entry / name) for name in files}
    if kept(entry / CHECKED) == now:
        return True
    if any(sha256(entry / name) != digest for name, digest in files.items()):
        return False
    if all(is_settled(found, start) for found in now.values()):
        keep(entry / CHECKED, now)
    return True


def _save_column(draft: Path, name: str, column: Column) -> None:
    """A column of metadata as files: numbers as they are, texts as UTF-8, items side by side."""
    if column.kind not in ("str", "list"):
        _save(draft / f"{name}.npy", column.values)
        return
    cells = [() if cell is None else (cell,) for cell in column.values]
    if column.kind == "list":
        cells = list(column.values)
    items = TextColumn.of(item for cell in cells for item in cell)
    _save(draft / f"{name}.npy", np.array([len(cell) for cell in cells], np.int64))
    _save_texts(draft, name, items)


def _load_column(entry: Path, name: str, kind: ColumnKind) -> Column:
    array = np.load(entry / f"{name}.npy", allow_pickle=False)
    if kind not in ("str", "list"):
        return Column(kind, array)
    items = iter(TextColumn.mapped(entry, name))
    cells = np.empty(len(array), object)
    for row, count in enumerate(array.tolist()):
        own = tuple(next(items) for _ in range(count))
        cells[row] = own if kind == "list" else (own[0] if own else None)
    return Column(kind, cells)


def suite_digest(corpus: Corpus, rest: str) -> str | None:
    """The digest of a suite over a corpus just opened, where it is known; *rest*: of all else."""
    path = _suites(corpus)
    return None if path is None else kept(path).get(rest)


def keep_suite_digest(corpus: Corpus, rest: str, digest: str) -> None:
    """Note the digest of a suite over a corpus just opened."""
    if (path := _suites(corpus)) is not None:
        keep(path, {**kept(path), rest: digest})


def _suites(corpus: Corpus) -> Path | None:
    ids = corpus.doc_ids
    return ids.folder / SUITES if isinstance(ids, TextColumn) and ids.folder else None
