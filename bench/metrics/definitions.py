"""The table of measures, and a measure as a value: a name, a cutoff and parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from bench.judge import Judged
from bench.metrics import measures as of
from bench.metrics.measures import GAINS, Values

Value = int | float | str


class Parameter(NamedTuple):
    """A parameter's default, what it takes in words, and how it is read.

    read gives the value of a text, or raises ValueError; a parameter that is not optional is
    printed even at its default, because ir_measures means something else without it.
    """

    default: Value
    allowed: str
    read: Callable[[str], Value]
    optional: bool = True


class Definition(NamedTuple):
    """A measure's function of (judged, cutoff, **parameters), its parameters and one line."""

    function: Callable[..., Values]  # the parameters differ
    params: Mapping[str, Parameter]
    summary: str


def integer(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from *low* to *high*."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(text)
        return int(text)

    return read


def _fraction(text: str) -> float:
    if not 0 < float(text) < 1:
        raise ValueError(text)
    return float(text)


def _dcg(text: str) -> str:
    if text not in GAINS:
        raise ValueError(text)
    return text


_REL = Parameter(1, "a whole number from 1 to 32767", integer(1, 32767))
_BINARY = {"rel": _REL}
_DCG = Parameter("log2", f"one of {', '.join(map(repr, GAINS))}", _dcg)
_P = Parameter(0.8, "a number between 0 and 1", _fraction)
_MAX_REL = Parameter(4, "a whole number from 1 to 50", integer(1, 50))

MEASURES: Mapping[str, Definition] = {
    "nDCG": Definition(
        of.ndcg, {"dcg": _DCG}, "discounted gain of the grades, over that of the ideal ranking"
    ),
    "RR": Definition(of.reciprocal_rank, _BINARY, "one over the rank of the first relevant"),
    "AP": Definition(
        of.average_precision, _BINARY, "precision at each relevant document, over all relevant"
    ),
    "P": Definition(of.precision, _BINARY, "share of the first k that is relevant"),
    "R": Definition(of.recall, _BINARY, "share of the relevant that is in the first k"),
    "Success": Definition(of.success, _BINARY, "1 where a relevant document is in the first k"),
    "Rprec": Definition(of.r_precision, _BINARY, "precision at the number of relevant documents"),
    "Bpref": Definition(
        of.bpref, _BINARY, "preferences kept between judged documents; unjudged take no part"
    ),
    "RBP": Definition(
        of.rank_biased_precision,
        {"p": _P, "rel": _REL._replace(optional=False)},
        "relevant documents weighted by p to the rank, p the reader's persistence",
    ),
    "ERR": Definition(
        of.expected_reciprocal_rank,
        {"max_rel": _MAX_REL},
        "expected one over the rank at which a reader who wants one good document stops",
    ),
    "Judged": Definition(of.judged_share, {}, "share of the first k that has a judgement"),
}
"""Every measure by its ir_measures name; any of them takes a cutoff, or none."""

_FAMILIAR = {"RR": "MRR", "AP": "MAP"}


@dataclass(frozen=True)
class Measure:
    """A measure as a value; str gives its ir_measures name, such as AP(rel=2)@100.

    params holds what differs from the table's defaults (and what is always printed), in the
    table's order, as `parse_measure` leaves it: then equal measures compare equal.
    """

    name: str
    cutoff: int | None = None
    params: tuple[tuple[str, Value], ...] = ()

    def values(self, judged: Judged) -> Values:
        """float64 (n_queries,): the measure of each query."""
        return MEASURES[self.name].function(judged, self.cutoff, **dict[str, Any](self.params))

    def __str__(self) -> str:
        return self._spelled(self.name)

    def _spelled(self, name: str) -> str:
        params = ",".join(f"{key}={value!r}" for key, value in self.params)
        at = "" if self.cutoff is None else f"@{self.cutoff}"
        return name + (f"({params})" if params else "") + at


def label(measure: Measure) -> str:
    """The name people look for in a table: MRR@10 for RR@10, MAP for AP."""
    return measure._spelled(_FAMILIAR.get(measure.name, measure.name))
