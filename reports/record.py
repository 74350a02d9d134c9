"""The saved record of an experiment, schema 1: what was run, what came out, what it cost.

Everything in a report is drawn from it, so an old record renders without any retriever
installed. Per-query values and raw timings are kept; means are stored beside them only to carry
their intervals. Measures go by their ir_measures names.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reports.cells import inert
from reports.files import write
from reports.serial import Free, dumps, loads
from reports.serial import RecordError as RecordError

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA: Literal[1] = 1

Bound = Literal["floor", "ceiling"]


@dataclass(frozen=True)
class SuiteInfo:
    """What was searched for and by which rules.

    queries counts those measured, without_relevant those of them without a relevant document;
    judged_absent counts judged documents that the corpus lacks. The first measure is the
    headline. query_ids, kinds ("" where none) and texts (None where left out) run in parallel.
    """

    name: str
    version: str
    split: str
    digest: str
    description: str
    documents: int
    queries: int
    judgements: int
    without_relevant: int
    judged_absent: int
    unanswerable_skipped: int
    exclude_self: bool
    relevance_level: int
    depth: int
    measures: tuple[str, ...]
    query_ids: tuple[str, ...]
    kinds: tuple[str, ...]
    texts: tuple[str, ...] | None
    task: Literal["retrieval", "answers"] = "retrieval"


@dataclass(frozen=True)
class SystemInfo:
    """A system with all its parameters, defaults included; encoders: by name what each says.

    context: what a generator sees of the ranking.
    """

    name: str
    retriever: str
    params: Free
    reranker: str | None
    reranker_params: Free
    rerank_depth: int | None
    encoders: Free
    generator: str | None = None
    generator_params: Free = field(default_factory=dict)
    context: Free = field(default_factory=dict)


@dataclass(frozen=True)
class ExactInfo:
    """How an approximate retriever stands to exact search of the same vectors.

    about: the settings that it searches with. recall: by cutoff, for each query of an evenly
    spaced sample the share of the exact ranking that it finds. build_ns and search_ns (rounds,
    queries): what exact search takes, for the queries of the cost's latency_ns.
    """

    about: Free
    recall: dict[str, tuple[float, ...]]
    build_ns: int
    search_ns: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Cost:
    """What one system costs on one suite, measured in a process of its own.

    encode_ns is the encoding of the corpus as measured when its vectors were made, not part of
    build_ns. index_bytes is None where the index cannot be saved. import_rss_bytes is the share
    of peak_rss_bytes that importing took. latency_ns maps each stage ("encode", "search",
    "rerank", "context", "generate", always "total") to raw samples, (rounds, queries); with
    "first_token" from the question to the first token, which is no stage of its own. tokens:
    generated ones of each sample. exact: of approximate retrievers.
    """

    build_ns: int
    encode_ns: int
    encoded_from_cache: bool
    index_bytes: int | None
    peak_rss_bytes: int
    import_rss_bytes: int
    threads: int
    device: str
    warmup: int
    rounds: int
    latency_ns: dict[str, tuple[tuple[int, ...], ...]]
    batch_queries: int
    batch_ns: int
    exact: ExactInfo | None = None
    tokens: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Cell:
    """One system on one split of one suite; a failed one has its reason and nothing else.

    values: by measure one value a query, in the order of the suite's query_ids; means: by
    measure "mean", "low" and "high". missing counts queries with no document returned.
    first_stage: by measure the values of the retriever alone, where a reranker follows; ceiling:
    those of the best order of the documents that a reranker sees (of all, without a reranker).
    cost_error: why the cost is not known, where measuring it failed; the quality stands. bound:
    of a system that is no candidate but what the others are held against. answers_file: the
    answers, where a generator gave some.
    """

    suite: str
    split: str
    system: str
    status: Literal["ok", "failed"]
    error: str | None
    values: dict[str, tuple[float, ...]]
    means: dict[str, dict[str, float]]
    missing: int
    run_file: str | None
    run_digest: str | None
    cost: Cost | None
    first_stage: dict[str, tuple[float, ...]] = field(default_factory=dict)
    ceiling: dict[str, tuple[float, ...]] = field(default_factory=dict)
    cost_error: str | None = None
    bound: Bound | None = None
    answers_file: str | None = None
    answers_digest: str | None = None


@dataclass(frozen=True)
class PairInfo:
    """Two systems on one measure: mean difference a - b, interval, p-values, queries won by a.

    detectable: the difference that this pair could show at 80 % power; None if unknown.
    """

    a: str
    b: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    wins: int
    ties: int
    losses: int
    detectable: float | None = None


@dataclass(frozen=True)
class ComparisonInfo:
    """All pairs on one measure; systems that share a letter are not shown to differ.

    detectable: the difference the typical pair could show at 80 % power; None if unknown.
    """

    suite: str
    split: str
    measure: str
    pairs: tuple[PairInfo, ...]
    letters: dict[str, str]
    detectable: float | None


@dataclass(frozen=True)
class RankedDocument:
    """A document in a ranking; title None where texts are left out, grade None where unjudged."""

    doc_id: str
    title: str | None
    grade: int | None


@dataclass(frozen=True)
class Example:
    """A query worth reading: a hard one, or one where systems[0] beats or loses to systems[1]."""

    suite: str
    split: str
    kind: Literal["hardest", "win", "loss"]
    query_id: str
    text: str | None
    systems: tuple[str, ...]
    values: dict[str, float]
    rankings: dict[str, tuple[RankedDocument, ...]]
    answers: dict[str, str] = field(default_factory=dict)  # by system, "" where it abstained
    gold: tuple[str, ...] = ()


@dataclass(frozen=True)
class FindingInfo:
    """What a check found: errors make a result unfit, warnings want a look, notes are figures."""

    code: str
    level: Literal["error", "warning", "note"]
    message: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One experiment. created: ISO 8601, UTC; status: partial where it was interrupted."""

    schema: Literal[1] = SCHEMA
    status: Literal["complete", "partial"]
    name: str
    created: str
    command: str
    seed: int
    environment: Free
    suites: tuple[SuiteInfo, ...]
    systems: tuple[SystemInfo, ...]
    cells: tuple[Cell, ...]
    comparisons: tuple[ComparisonInfo, ...]
    examples: tuple[Example, ...]
    findings: tuple[FindingInfo, ...] = ()

    def frame(self) -> "DataFrame":
        """Systems by measures: means over queries, float64, NaN where failed or not measured.

        Index (suite, split, system) in the order they ran, a column a measure.
        """
        import pandas as pd

        index = pd.MultiIndex.from_tuples(
            [(cell.suite, cell.split, cell.system) for cell in self.cells],
            names=["suite", "split", "system"],
        )
        columns = {
            name: [cell.means[name]["mean"] if name in cell.means else None for cell in self.cells]
            for name in measure_names(self)
        }
        return pd.DataFrame(columns, index, dtype="float64")

    def per_query(self) -> "DataFrame":
        """A row per suite, split, system and query: `kind` and a float64 column a measure.

        Index (suite, split, system, query_id); failed cells have no rows. A measure that a
        suite does not use is NaN there.
        """
        import pandas as pd

        keys = ["suite", "split", "system", "query_id"]
        names = measure_names(self)
        table = pd.DataFrame(list(rows_by_query(self)), columns=[*keys, "kind", *names])
        return table.astype(dict.fromkeys(names, "float64")).set_index(keys)


def measure_names(record: Record) -> list[str]:
    """Every measure of the record, in the order in which its suites name them."""
    return list(dict.fromkeys(name for suite in record.suites for name in suite.measures))


def rows_by_query(record: Record) -> Iterator[list[str | float | None]]:
    """suite, split, system, query_id, kind and each measure's value, None where not measured."""
    suites = {(suite.name, suite.split): suite for suite in record.suites}
    for cell in record.cells:
        _check_files(cell)
        suite = suites[cell.suite, cell.split]
        columns = [cell.values.get(name) for name in measure_names(record)]
        for i, query in enumerate(suite.query_ids if cell.status == "ok" else ()):
            values = [column[i] if column is not None else None for column in columns]
            yield [cell.suite, cell.split, cell.system, query, suite.kinds[i], *values]


def save(record: Record, folder: Path) -> None:
    """Write record.json and per_query.csv into *folder*, each whole or not at all.

    Floats are written with all their digits. RecordError where a value is NaN or infinite.
    """
    write(folder / "record.json", to_json(record).encode("utf-8", "backslashreplace"))
    write(folder / "per_query.csv", to_csv(record).encode("utf-8", "backslashreplace"))


def load(path: Path) -> Record:
    """The record in *path*, a file or a folder that holds record.json; RecordError if none is."""
    path = path / "record.json" if path.is_dir() else path
    try:
        record = loads(Record, path.read_bytes())
        _check(record)
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError, RecordError) as error:
        raise RecordError(f"{path}: {error}") from error
    return record


def _check(record: Record) -> None:
    """RecordError where the parts of a record do not fit together."""
    suites = {(suite.name, suite.split): suite for suite in record.suites}
    parts: tuple[Cell | ComparisonInfo | Example, ...] = (
        *record.cells, *record.comparisons, *record.examples,
    )  # fmt: skip
    for part in parts:
        if (part.suite, part.split) not in suites:
            raise RecordError(f"{part.suite!r} ({part.split}) is not among the record's suites")
    for cell in record.cells:
        _check_files(cell)
        suite = suites[cell.suite, cell.split]
        for name in suite.measures if cell.status == "ok" else ():
            if len(cell.values.get(name, ())) != suite.queries:
                raise RecordError(f"{cell.system!r} lacks values of {name} for {suite.name!r}")
            if cell.means.get(name, {}).keys() != {"mean", "low", "high"}:
                raise RecordError(f"{cell.system!r} lacks the mean of {name} for {suite.name!r}")
    for suite in record.suites:
        if {len(suite.query_ids), len(suite.kinds)} != {suite.queries} or not suite.measures:
            raise RecordError(f"{suite.name!r} lacks query_ids, kinds or measures")


def _check_files(cell: Cell) -> None:
    for name in (cell.run_file, cell.answers_file):
        if name is not None and not _is_inside(name):
            raise RecordError(f"{name!r} is no file within the result folder")


def _is_inside(name: str) -> bool:
    """Whether *name* is that of a file beneath the folder that it is relative to."""
    parts = re.split(r"[/\\]", name)
    return not {"", ".", ".."} & set(parts) and "\0" not in name and ":" not in parts[0]


def to_json(record: Record) -> str:
    """The record as JSON, a line for each suite, system, cell, comparison and example."""
    parts = []
    for key, value in vars(record).items():
        lines = map(dumps, value) if isinstance(value, tuple) else None
        body = dumps(value) if lines is None else "[\n" + ",\n".join(lines) + "\n]"
        parts.append(f"{dumps(key)}: {body}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def to_csv(record: Record) -> str:
    """One row a suite, split, query and system; text a spreadsheet would run gets an apostrophe."""
    out = io.StringIO()
    # all text quoted: a CR inside it is not reason enough for csv to quote
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    names = measure_names(record)
    writer.writerow(["suite", "split", "query_id", "kind", "system", *names])
    for suite, split, system, query, kind, *values in rows_by_query(record):
        texts = [inert(str(text)) for text in (suite, split, query, kind, system)]
        writer.writerow([*texts, *("" if value is None else value for value in values)])
    return out.getvalue()
