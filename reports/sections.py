"""What a report says of one suite, section by section; "" leaves a section out."""

from reports.record import Cell, Cost, Example, FindingInfo, RankedDocument, Record
from reports.standing import (
    STAGES,
    Standing,
    average,
    interval,
    mean,
    median_ns,
    percentile,
    shown,
)
from reports.summary import place, strong
from reports.table import escape, markdown
from reports.units import (
    NONE,
    bounds,
    count,
    digits,
    duration,
    figure,
    milliseconds,
    p_value,
    signed,
    size,
)

TITLE_WIDTH = 60
SHOWN_FINDINGS = 5
KINDS = {"hardest": "Hardest queries", "win": "Largest wins", "loss": "Largest losses"}
ORDER = {"hardest": " (those on which even the best system of each does worst)"}
BETWEEN = {"win": " over ", "loss": " against "}

PROTOCOL = (
    "Each system is measured in a process of its own. After {warmup}, {sample} are answered one "
    "at a time in {rounds}, each stage timed by `perf_counter_ns` on {device} with {threads}; on "
    "CUDA the device is synchronised before the clock is read. The cache of query embeddings is "
    "never read. Percentiles are linear between all raw samples of all rounds; p95 is given from "
    "100 samples on and p99 from 500. Batch throughput is a pass of its own: the same queries in "
    "one call. Build is indexing without encoding the corpus; encoding is as measured when the "
    "vectors were made. Index size is that of the index as saved. Peak memory is that of the "
    "process less what importing took."
)


def pointer(record: Record) -> str:
    """A sentence that leads to the checks, where they found more than notes."""
    found = [count(n, level) for level, n in _levels(record).items() if n and level != "note"]
    return f"The [checks](#checks) found {' and '.join(found)}." if found else ""


def checks(record: Record) -> str:
    """What the checks at the end of the run found; "" where that is nothing but notes."""
    if not pointer(record):
        return ""
    kinds: dict[tuple[str, str], list[FindingInfo]] = {}
    for level in _levels(record):
        for found in record.findings:
            if found.level == level:
                kinds.setdefault((level, found.code), []).append(found)
    return joined("## Checks", "\n".join(map(_check, kinds.values())))


def _check(findings: list[FindingInfo]) -> str:
    """The first findings of one check and level, how many more there are, and the remedy."""
    first = findings[0]
    items = [f"{escape(found.message)}." for found in findings[:SHOWN_FINDINGS]]
    if len(findings) > SHOWN_FINDINGS:
        items.append(f"And {len(findings) - SHOWN_FINDINGS:,} more of these.")
    if first.remedy:
        items.append(f"To do: {escape(first.remedy)}.")
    return "  \n  ".join([f"- **{first.level}** {escape(first.code)}: {items[0]}", *items[1:]])


def _levels(record: Record) -> dict[str, int]:
    """How many findings of each level, the worst first."""
    levels = [found.level for found in record.findings]
    return {level: levels.count(level) for level in ("error", "warning", "note")}


def board(standing: Standing, alpha: float = 0.05) -> str:
    """The leaderboard: the headline with interval and group, every other mean, and the cost.

    alpha: what the groups were made with.
    """
    names = standing.columns[1:]
    header = ["system", shown(standing.headline), "95 % interval", "group",
              *map(shown, names), "p50 latency", "index"]  # fmt: skip
    rows = [
        [
            escape(cell.system),
            figure(mean(cell, standing.headline)),
            bounds(*_bounds(cell, standing.headline)),
            cell.bound or standing.letters(standing.headline, cell.system) or NONE,
            *(figure(mean(cell, name)) if name in cell.means else NONE for name in names),
            NONE if (ns := median_ns(cell)) is None else duration(ns),
            size(cell.cost.index_bytes if cell.cost else None),
        ]
        for cell in (*standing.cells, *standing.bounds)
    ]
    return joined(
        markdown(header, rows, "lrrl" + "r" * (len(names) + 2)) if rows else "",
        "Intervals are percentile bootstraps over queries. Systems that share a letter are not "
        f"shown to differ (paired randomisation test, Holm over all pairs, {100 * alpha:g} %). "
        "That is not proof that they are equal, and it is not transitive: a may share a letter "
        "with b, and b with c, while a and c differ." if len(rows) > 1 else "",
        _missing(standing),
    )  # fmt: skip


def measures(standing: Standing) -> str:
    """Every measure but the headline, with intervals and groups."""
    names = [name for name in standing.columns[1:] if name in standing.suite.measures]
    if not names or not standing.cells:
        return ""
    rows = [
        [escape(cell.system)]
        + [
            f"{figure(mean(cell, name))} {bounds(*_bounds(cell, name))} "
            f"{standing.letters(name, cell.system)}".rstrip()
            for name in names
        ]
        for cell in standing.cells
    ]
    return markdown(["system", *map(shown, names)], rows, "l" * (len(names) + 1))


def failures(standing: Standing) -> str:
    """The systems that did not finish, each with its reason."""
    return "\n".join(
        f"- {strong(cell.system)}: {escape(cell.error or 'no reason given')}"
        for cell in standing.failed
    )


def latency(standing: Standing) -> str:
    """Latency of each stage of each system, in milliseconds, and how it was measured."""
    costs, lost = _costs(standing), _lost(standing)
    if not costs:
        return lost or "Latency was not measured."
    rows = [
        [
            escape(cell.system) if stage == "total" else "",
            stage,
            *(milliseconds(percentile(cost, stage, q)) for q in (50, 95, 99)),
            milliseconds(average(cost, stage)),
        ]
        for cell, cost in costs
        for stage in ("total", *STAGES)
        if stage in cost.latency_ns
    ]
    return joined(
        markdown(["system", "stage", "p50 ms", "p95 ms", "p99 ms", "mean ms"], rows, "llrrrr"),
        lost,
        _protocol(costs[0][1]),
    )


def _lost(standing: Standing) -> str:
    """The systems whose cost could not be measured, each with its reason."""
    return "\n".join(
        f"- the cost of {strong(cell.system)} could not be measured: {escape(cell.cost_error)}"
        for cell in standing.cells
        if cell.cost_error is not None
    )


def costs(standing: Standing) -> str:
    """What building and holding each system takes, and how fast it answers a batch."""
    found = _costs(standing)
    rows = [
        [
            escape(cell.system),
            digits(cost.batch_queries / cost.batch_ns * 1e9) if cost.batch_ns else NONE,
            duration(cost.build_ns),
            (duration(cost.encode_ns) if cost.encode_ns else NONE)
            + (" (cached)" if cost.encoded_from_cache else ""),
            size(cost.index_bytes),
            size(max(0, cost.peak_rss_bytes - cost.import_rss_bytes)),
        ]
        for cell, cost in found
    ]
    header = ["system", "batch queries/s", "build", "encoding", "index", "peak memory"]
    return markdown(header, rows, "lrrrrr") if rows else ""


def pairs(standing: Standing) -> str:
    """Every pair of systems on the headline measure."""
    table = pair_table(standing, standing.headline)
    found = standing.comparison(standing.headline)
    family = count(len(found.pairs), "pair") if found else ""
    return joined(table, f"{shown(standing.headline)}, {PAIRED.format(family)}") if table else ""


PAIRED = (
    "paired by query. The intervals are of each pair alone; p is adjusted for {}. *Could show* is "
    "the difference that these queries would show with a probability of 80 % in that pair, tested "
    "alone."
)


def pair_table(standing: Standing, measure: str) -> str:
    """Every pair of systems on *measure*: the effect with its interval first; "" for none."""
    found = standing.comparison(measure)
    if found is None or not found.pairs:
        return ""
    rows = [
        [
            escape(pair.a),
            escape(pair.b),
            signed(pair.difference),
            bounds(pair.low, pair.high),
            p_value(pair.p_holm),
            f"{pair.wins} / {pair.ties} / {pair.losses}",
            NONE if pair.detectable is None else figure(pair.detectable),
        ]
        for pair in found.pairs
    ]
    header = ["a", "b", "a - b", "95 % interval", "p (Holm)", "won / tied / lost", "could show"]
    return markdown(header, rows, "llrrrrr")


def kinds(standing: Standing) -> str:
    """The headline by kind of query, where the suite names kinds."""
    if not standing.kinds or not standing.cells:
        return ""
    columns = {escape(cell.system): cell.values[standing.headline] for cell in standing.cells}
    if len(columns) == 2:
        (a, left), (b, right) = columns.items()
        columns[f"{a} - {b}"] = tuple(x - y for x, y in zip(left, right, strict=True))
    rows = []
    for kind, members in standing.kinds.items():
        cells = []
        for values in columns.values():
            centre, low, high = interval([values[i] for i in members], standing.seed)
            cells.append(f"{figure(centre)} {bounds(low, high)}")
        rows.append([escape(kind) or "(none)", str(len(members)), *cells])
    return joined(
        "Exploratory: nothing is corrected for looking at many slices, and with few queries an "
        f"interval is too narrow. {shown(standing.headline)} with 95 % bootstrap intervals.",
        markdown(["kind", "queries", *columns], rows, "lr" + "r" * len(columns)),
    )


def examples(standing: Standing) -> str:
    """The hardest queries, the largest wins and losses, with the first documents of each."""
    parts = []
    for kind, title in KINDS.items():
        chosen = [found for found in standing.examples if found.kind == kind]
        if not chosen:
            continue
        against = BETWEEN[kind].join(map(strong, chosen[0].systems)) if kind in BETWEEN else ""
        parts.append(f"**{title}**{against and f' of {against}'}{ORDER.get(kind, '')}")
        parts += [_example(found, standing.headline) for found in chosen]
    grades = "Grades are in brackets; a dash marks an unjudged document." if parts else ""
    return joined(grades, *parts)


def suite(standing: Standing) -> str:
    """What was searched, how it was judged and by which rules."""
    info = standing.suite
    rows = [
        ["suite", f"{escape(info.name)} {escape(info.version)}".rstrip()],
        ["split", escape(info.split)],
        ["documents", f"{info.documents:,}"],
        ["queries", f"{info.queries:,}"],
        [
            "without a relevant document",
            f"{info.without_relevant:,}"
            + (" (score 0, in the mean)" if info.task == "retrieval" else ""),
        ],
        ["unanswerable, left out", f"{info.unanswerable_skipped:,}"],
        ["judgements", f"{info.judgements:,}"],
        ["of documents not in the corpus", f"{info.judged_absent:,}"],
        ["relevant from grade", str(info.relevance_level)],
        ["own document excluded", "yes" if info.exclude_self else "no"],
        ["depth of rankings", str(info.depth)],
        ["measures", escape(", ".join(info.measures))],
        ["digest", escape(info.digest)],
    ]
    files = [
        [escape(cell.system), escape(cell.run_file), escape(cell.run_digest or NONE)]
        for cell in standing.cells
        if cell.run_file
    ] + [
        [escape(cell.system), escape(cell.answers_file), escape(cell.answers_digest or NONE)]
        for cell in standing.cells
        if cell.answers_file
    ]
    return joined(
        escape(info.description),
        markdown(["", place(standing)], rows, "ll"),
        markdown(["system", "file", "SHA-256"], files, "lll") if files else "",
    )


def joined(*parts: str) -> str:
    """The parts that hold something, as paragraphs."""
    return "\n\n".join(part for part in parts if part)


def _bounds(cell: Cell, measure: str) -> tuple[float, float]:
    return cell.means[measure]["low"], cell.means[measure]["high"]


def _costs(standing: Standing) -> list[tuple[Cell, Cost]]:
    return [(cell, cell.cost) for cell in standing.cells if cell.cost is not None]


def _missing(standing: Standing) -> str:
    """How many queries got no document at all, where any did, and Judged@k without those."""
    ranked = standing.suite.task == "retrieval"
    cells = [cell for cell in standing.cells if cell.missing and ranked]
    counts = [f"{strong(cell.system)} for {count(cell.missing, 'query')}" for cell in cells]
    judged = [name for name in standing.columns if name.startswith("Judged")]
    shares = [
        f"Over the queries that it answers, {strong(cell.system)} has {name} "
        f"{figure(sum(cell.values[name]) / (len(cell.values[name]) - cell.missing))}."
        for cell in cells
        for name in judged
        if cell.missing < len(cell.values.get(name, ()))
    ]
    if not counts:
        return ""
    return " ".join([f"No document was returned by {', '.join(counts)}; these score 0.", *shares])


def _protocol(cost: Cost) -> str:
    return PROTOCOL.format(
        warmup=count(cost.warmup, "warm-up query"),
        sample=count(cost.batch_queries, "query"),
        rounds=count(cost.rounds, "round"),
        device=escape(cost.device),
        threads=count(cost.threads, "thread"),
    )


def _example(found: Example, measure: str) -> str:
    text = "" if found.text is None else f": {escape(found.text)}"
    lines = [f"- {strong(found.query_id)}{text}"]
    if found.answers:
        gold = "; ".join(map(escape, found.gold)) or "there is no answer"
        lines.append(f"  - expected: {gold}")
    for system in found.systems:
        said = f": {escape(found.answers[system]) or NONE}" if system in found.answers else ""
        lines.append(f"  - {escape(system)}, {measure} {figure(found.values[system])}{said}")
        lines += [
            f"    {rank}. {_document(document)}"
            for rank, document in enumerate(found.rankings[system], 1)
        ]
    return "\n".join(lines)


def _document(document: RankedDocument) -> str:
    title = document.title
    if title and len(title) > TITLE_WIDTH:
        title = title[: TITLE_WIDTH - 1].rstrip() + "…"
    named = escape(document.doc_id) + (f", {escape(title)}" if title else "")
    return f"{named} ({NONE if document.grade is None else document.grade})"
