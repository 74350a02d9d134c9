"""What must hold whatever the baseline was: floors and must-pass queries."""

from collections.abc import Iterator, Sequence

from bench.gate.baseline import named
from bench.gate.join import Pair
from bench.gate.rules import Floor, MustPass
from qrels.errors import DataError, UsageError
from reports.verdict import Requirement


def floors(pairs: Sequence[Pair], rules: Sequence[Floor]) -> Iterator[Requirement]:
    """Each floor on each cell that it is for; UsageError where it is for none."""
    for rule in rules:
        for pair in matching(pairs, rule):
            measure = named(rule.measure, pair.suite.relevance_level)
            if measure not in pair.new.means:
                raise UsageError(f"a floor is on {measure}, which was not measured")
            mean = pair.new.means[measure]["mean"]
            yield Requirement(
                name=f"{measure} of {pair.old.system.name} on {pair.old.suite} is at least "
                f"{rule.at_least:g}",
                holds=mean >= rule.at_least,
                found=f"{mean:.4f}",
            )


def must_pass(pairs: Sequence[Pair], rules: Sequence[MustPass]) -> Iterator[Requirement]:
    """Each must-pass query on each cell that it is for."""
    for rule in rules:
        chosen = [pair for pair in matching(pairs, rule) if rule.query in pair.suite.query_ids]
        if not chosen:
            raise UsageError(f"must_pass: no gated suite has the query {rule.query!r}")
        for pair in chosen:
            if pair.rankings is None:
                raise DataError(f"{pair.old.suite}: no run file, so no must_pass can be checked")
            ranking = pair.rankings[rule.query]
            rank = ranking.index(rule.document) + 1 if rule.document in ranking else None
            yield Requirement(
                name=f"{pair.old.system.name} on {pair.old.suite} has {rule.document} in the first "
                f"{rule.within} for {rule.query}",
                holds=rank is not None and rank <= rule.within,
                found="not found" if rank is None else f"rank {rank}",
            )


def matching(pairs: Sequence[Pair], rule: Floor | MustPass) -> list[Pair]:
    """The cells of the rule's suite and system; UsageError where there is none."""
    found = [
        pair
        for pair in pairs
        if rule.suite in (None, pair.old.suite) and rule.system in (None, pair.old.system.name)
    ]
    if not found:
        raise UsageError(f"no gated cell has suite {rule.suite!r} and system {rule.system!r}")
    return found
