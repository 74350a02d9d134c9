"""What a check is, what it finds, and how findings are shown."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from reports.record import FindingInfo
from reports.table import clean

T = TypeVar("T")

Finding = FindingInfo
Level = Literal["error", "warning", "note"]
Found = tuple[Level, str]

SHOWN = 5
"""How many findings of one check are shown before the others are only counted."""


@dataclass(frozen=True)
class Check(Generic[T]):
    """One check of a subject: its code, what it looks for, what to do, and the function."""

    code: str
    title: str
    remedy: str
    find: Callable[[T], Iterable[Found]]


def found(checks: Iterable[Check[T]], subject: T) -> list[Finding]:
    """Everything that the checks find, in their order; notes carry no remedy."""
    return [
        Finding(check.code, level, message, "" if level == "note" else check.remedy)
        for check in checks
        for level, message in check.find(subject)
    ]


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first of the names, quoted, and how many more there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(map(repr, names[:shown])) + more


def lines(findings: Sequence[Finding]) -> list[str]:
    """A line a finding with its remedy beneath; of one check and level only the first few."""
    shown: list[str] = []
    seen: Counter[tuple[str, str]] = Counter()
    for one in findings:
        kind = (one.code, one.level)
        seen[kind] += 1
        if seen[kind] <= SHOWN:
            shown.append(f"{one.code} {one.level}: {clean(one.message)}")
        if one.remedy and seen[kind] == 1:
            shown.append(f"   {one.remedy}")
    shown += [
        f"{code} {level}: {count - SHOWN:,} more of these"
        for (code, level), count in seen.items()
        if count > SHOWN
    ]
    return shown


def summary(name: str, findings: Sequence[Finding]) -> str:
    """The findings and, last, how many errors and warnings *name* has."""
    levels = Counter(one.level for one in findings)
    last = f"{clean(name)}: errors {levels['error']}, warnings {levels['warning']}"
    return "\n".join([*lines(findings), last])
