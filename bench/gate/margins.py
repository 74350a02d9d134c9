"""Which measures are gated on a cell, and by which margin."""

from collections.abc import Sequence

from bench.gate.baseline import named
from bench.gate.decide import resolvable
from bench.gate.join import Pair
from bench.gate.rules import ANY, Rules
from qrels.errors import DataError


def gated_measures(pair: Pair, rules: Rules) -> Sequence[str]:
    """The measures to gate; DataError where one is missing on either side."""
    level = pair.suite.relevance_level
    own = [name for name in pair.old.measures if not name.startswith("Judged")]
    asked = dict.fromkeys(named(name, level) for name in rules.measures)
    wanted = list(asked) or own[:1]
    if not wanted:
        raise DataError(f"{pair.old.suite}: there is no measure to gate")
    for side, names in (("baseline", pair.old.measures), ("candidate", pair.suite.measures)):
        for name in wanted:
            if name not in names:
                raise DataError(
                    f"the {side} lacks {name} of {pair.old.system.name} on {pair.old.suite}; "
                    f"it has {', '.join(names)}"
                )
    return wanted


def margin_of(pair: Pair, measure: str, rules: Rules) -> float:
    """The margin of the rules, by default what the accepted values' queries can resolve."""
    given = given_margin(measure, pair.suite.relevance_level, rules)
    return given or resolvable(pair.old.column(measure), rules.alpha, rules.power)


def given_margin(measure: str, level: int, rules: Rules) -> float | None:
    """The margin that the rules name for a measure, None where they leave it to the default."""
    margins = {ANY if name == ANY else named(name, level): m for name, m in rules.margins.items()}
    return margins.get(measure, margins.get(ANY))
