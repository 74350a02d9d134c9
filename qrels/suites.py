"""Suites: a corpus, the topics of one split and their qrels, under a name and with a digest.

A suite is a shipped name, a folder in BEIR's layout, or `irds:ID` of the ir-datasets package.
"""

import difflib
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from qrels.answers import answers_of, picked, unanswerable
from qrels.beir import read_corpus, read_queries
from qrels.corpus_cache import keep_suite_digest, suite_digest
from qrels.data import ABSENT, ANSWERS, Column, Corpus, Qrels, Queries, Rules, Suite
from qrels.errors import DataError, UsageError, unknown
from qrels.files import is_folder
from qrels.irds import read_irds
from qrels.positions import make_qrels, positions
from qrels.suite_file import SuiteFile, read_suite_file
from qrels.trec import Judgements, read_judgements

SETS = Path(__file__).parent / "sets"
IRDS = "irds:"
AT_ONCE = 10_000
QRELS_ENDINGS = (".tsv", ".txt", ".qrels", ".trec")


def shipped() -> list[str]:
    """The names of the suites that come with the package."""
    return sorted(path.parent.name for path in SETS.glob("*/corpus.jsonl*"))


def load_suite(name: str | Path, split: str | None = None) -> Suite:
    """The suite called *name*: a shipped one, a folder, or `irds:ID`.

    A folder holds corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv (or .txt, .qrels, .trec in
    TREC's form), each perhaps .gz, and may hold suite.toml. split: by default that of suite.toml,
    else test, else the only one; an ir-datasets ID names its split itself, at its end. A query
    belongs to a split where its qrels name it or its own metadata.split says so; it need not have
    a judgement. A judged document may be missing from the corpus: `qrels.extra_doc_ids` lists
    those. A split written "SPLIT answers" holds those of its queries whose answer is known, or
    known to be missing (`qrels.answers`). Raises DataError where a file is wrong or qrels name a
    query that there is not, UsageError for an unknown name, split or key.
    """
    if split is None or not split.endswith(ANSWERS):
        return _load(name, split, None)
    return answers_of(_load(name, split.removesuffix(ANSWERS), False))


def _load(name: str | Path, split: str | None, skip: bool | None) -> Suite:
    """As `load_suite`; skip: whether unanswerable queries are left out, None as the suite says."""
    if str(name).startswith(IRDS):
        identifier = "/".join(filter(None, (str(name).removeprefix(IRDS), split)))
        file, last = SuiteFile(name=identifier), identifier.rpartition("/")[2]
        return _assemble(file, *read_irds(identifier), last, None)
    folder = SETS / name if str(name) in shipped() else Path(name)
    if not is_folder(folder):
        if len(folder.parts) > 1:
            raise DataError(f"{folder}: no such folder")
        raise unknown("suite", str(name), shipped())
    file = read_suite_file(folder)
    chosen, path = _choose_split(folder, split or file.split)
    if skip is not None:
        file = replace(file, rules=replace(file.rules, skip_unanswerable=skip))
    corpus = read_corpus(folder, file.fields, file.metadata)
    queries, judgements = read_queries(folder), read_judgements(path)
    return _assemble(file, corpus, queries, judgements, chosen, folder)


def splits(folder: Path) -> dict[str, Path]:
    """The qrels file of each split of a suite in a folder."""
    found: dict[str, Path] = {}
    for path in sorted((folder / "qrels").glob("*")):
        plain = Path(path.name.removesuffix(".gz"))
        if plain.suffix not in QRELS_ENDINGS:
            continue
        if plain.stem in found:
            raise DataError(f"{path}: split {plain.stem!r} is also in {found[plain.stem].name}")
        found[plain.stem] = path
    return found


def digest(corpus: Corpus, queries: Queries, qrels: Qrels, rules: Rules) -> str:
    """SHA-256 of what is measured on: documents, topics, judgements and rules, in hex.

    It depends on the content and its order, not on how the files are laid out. Metadata counts
    where it is a declared column; measures, depth and systems do not count.
    """
    found = hashlib.sha256()
    for part in _texts(corpus):
        found.update(part.encode())
    content = (
        ("weights", [[name, float(corpus.weights.get(name, 1.0))] for name in corpus.fields]),
        ("metadata", {name: _plain(column) for name, column in corpus.metadata.items()}),
        ("queries", [list(queries.query_ids), list(queries.texts), list(queries.metadata)]),
        ("qrels", [a.tolist() for a in (qrels.indptr, qrels.docs, qrels.grades)]),
        ("extra_doc_ids", list(qrels.extra_doc_ids)),
        ("rules", asdict(rules)),
    )
    for row in content:
        found.update(json.dumps(row, sort_keys=True).encode())
    return found.hexdigest()


def _digest(corpus: Corpus, queries: Queries, qrels: Qrels, rules: Rules) -> str:
    """The same for a corpus as it was read, from the cache where it is a large one."""
    empty = replace(corpus, doc_ids=(), fields=dict.fromkeys(corpus.fields, ()), metadata={})
    rest = digest(empty, queries, qrels, rules)
    if (known := suite_digest(corpus, rest)) is not None:
        return known
    found = digest(corpus, queries, qrels, rules)
    keep_suite_digest(corpus, rest, found)
    return found


def _texts(corpus: Corpus) -> Iterator[str]:
    """JSON of ["doc_ids", [...]] and ["fields", [[name, [...]], ...]], a part at a time."""
    yield '["doc_ids", '
    yield from _listed(corpus.doc_ids)
    yield ']["fields", ['
    for number, (name, texts) in enumerate(corpus.fields.items()):
        yield f"{', ' if number else ''}[{json.dumps(name)}, "
        yield from _listed(texts)
        yield "]"
    yield "]]"


def _listed(texts: Sequence[str]) -> Iterator[str]:
    """The JSON of a list, so much at a time that neither it nor the texts are held whole."""
    yield "["
    for start in range(0, len(texts), AT_ONCE):
        yield (", " if start else "") + json.dumps(list(texts[start : start + AT_ONCE]))[1:-1]
    yield "]"


def _plain(column: Column) -> list[Any]:  # JSON values
    values = column.values.astype(np.int64) if column.kind == "date" else column.values
    return [column.kind, values.tolist()]


def _choose_split(folder: Path, wanted: str | None) -> tuple[str, Path]:
    found = splits(folder)
    if not found:
        raise DataError(f"{folder / 'qrels'}: no qrels; expected SPLIT.tsv")
    if wanted is None:
        wanted = "test" if "test" in found or len(found) > 1 else next(iter(found))
    if wanted not in found:
        raise UsageError(f"{folder}: no split {wanted!r}; there are: {', '.join(found)}")
    return wanted, found[wanted]


def _assemble(
    file: SuiteFile,
    corpus: Corpus,
    queries: Queries,
    judgements: Judgements,
    split: str,
    folder: Path | None,
) -> Suite:
    """The suite of one split, its ids turned into positions."""
    name = file.name or (folder.resolve().name if folder else "")
    _check_queries(judgements, queries)
    everything = _of_split(queries, judgements, split)
    skips = file.rules.skip_unanswerable
    kept = picked(everything, ~unanswerable(everything)) if skips else everything
    if not len(kept):
        raise DataError(f"{folder or name}: split {split!r} has no queries")
    qrels = _join(judgements, kept, corpus)
    given: dict[str, Any] = {  # the defaults are Suite's own
        key: getattr(file, key)
        for key in ("measures", "depth", "systems")
        if getattr(file, key) is not None
    }
    return Suite(
        name=name,
        version=file.version,
        description=file.description,
        split=split,
        corpus=corpus,
        queries=kept,
        qrels=qrels,
        digest=_digest(corpus, kept, qrels, file.rules),
        rules=file.rules,
        folder=folder,
        unanswerable_skipped=len(everything) - len(kept),
        **given,
    )


def _check_queries(judgements: Judgements, queries: Queries) -> None:
    """DataError where the qrels name a query that there is not."""
    known = set(queries.query_ids)
    for i, query_id in enumerate(judgements.query_ids):
        if query_id not in known:
            close = difflib.get_close_matches(query_id, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            place = f"{judgements.source}:{judgements.lines[i]}"
            raise DataError(f"{place}: there is no query {query_id!r}{hint}")


def _of_split(queries: Queries, judgements: Judgements, split: str) -> Queries:
    judged = set(judgements.query_ids)
    rows = zip(queries.query_ids, queries.metadata, strict=True)
    return picked(queries, [name in judged or item.get("split") == split for name, item in rows])


def _join(judgements: Judgements, queries: Queries, corpus: Corpus) -> Qrels:
    """The judgements of *queries*, by position; documents that the corpus lacks come after it."""
    table = {query_id: i for i, query_id in enumerate(queries.query_ids)}
    rows = np.array([table.get(query_id, ABSENT) for query_id in judgements.query_ids], np.int64)
    kept = rows != ABSENT
    names, which = positions([d for d, k in zip(judgements.doc_ids, kept, strict=True) if k])
    places = corpus.places(names)
    extra = sorted(compress(names, (places == ABSENT).tolist()))
    after = {name: len(corpus) + i for i, name in enumerate(extra)}
    places[places == ABSENT] = [
        after[name] for name in compress(names, (places == ABSENT).tolist())
    ]
    return make_qrels(rows[kept], places[which], judgements.grades[kept], len(queries), extra)
