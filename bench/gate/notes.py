"""What a reader should know beside the verdict: margins, cells left out, what else changed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.gate.baseline import named
from bench.gate.join import Pair
from bench.gate.margins import gated_measures, given_margin
from bench.gate.rules import ANY, Rules
from reports.record import Record, SystemInfo


def notes(record: Record, pairs: Sequence[Pair], rules: Rules) -> Iterator[str]:
    """What a reader should know beside the verdict."""
    yield from dict.fromkeys(note for pair in pairs for note in margin_notes(pair, rules))
    gated_keys = {pair.old.key for pair in pairs}
    others = [
        f"{cell.system} on {cell.suite}"
        for cell in record.cells
        if (cell.suite, cell.split, cell.system) not in gated_keys
    ]
    if others:
        yield f"not gated, for want of a cell in the baseline or not asked for: {', '.join(others)}"
    yield from dict.fromkeys(
        note for pair in pairs for note in changed_environment(pair.old.environment, record)
    )


def margin_notes(pair: Pair, rules: Rules) -> Iterator[str]:
    """Which margins are the default ones, and which were given in vain."""
    level, gated = pair.suite.relevance_level, gated_measures(pair, rules)
    for measure in gated:
        if given_margin(measure, level, rules) is None:
            yield (
                f"no margin was given for {measure}: it is what the {pair.suite.queries} queries "
                f"of {pair.old.suite} can resolve of a small change (with {rules.power:.0%} power)"
            )
    for name in rules.margins:
        if name != ANY and named(name, level) not in gated:
            yield f"a margin is given for {name}, which is not gated on {pair.old.suite}"


def changed_environment(accepted: Mapping[str, Any], record: Record) -> Iterator[str]:
    """What else may have changed a ranking: Python, the platform, packages."""
    for key, before in accepted.items():
        after = record.environment.get(key)
        if before != after and not isinstance(before, dict):
            yield f"the baseline was made with {key} {before}, this with {after}"
        elif isinstance(before, dict) and isinstance(after, dict):
            changed = differences(before, after)
            if changed:
                yield f"other {key} than the baseline's: {', '.join(changed)}"


def changed_system(old: SystemInfo, new: SystemInfo) -> str:
    """Which parts of the system are others than those accepted, in words."""
    parts = []
    for key, before in vars(old).items():
        after = getattr(new, key)
        if isinstance(before, dict) and isinstance(after, dict):
            parts += differences(before, after, f"{key}.")
        elif before != after:
            parts.append(f"{key} {before!r} → {after!r}")
    return f"changed: {'; '.join(parts)}" if parts else ""


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`key old → new` for every key whose value differs."""
    return [
        f"{prefix}{name} {before.get(name)!r} → {after.get(name)!r}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]
