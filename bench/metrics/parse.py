"""Reads the name of a measure as ir_measures, trec_eval, ranx, BEIR and MTEB write it."""

import re
from collections.abc import Mapping

from bench.metrics.definitions import MEASURES, Measure, Value, integer
from qrels.errors import UsageError, unknown

MAX_CUTOFF = 1_000_000

ALIASES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    **{name.lower(): (name, {}) for name in MEASURES},
    "ndcg_cut": ("nDCG", {}),  # trec_eval
    "ndcg_exp": ("nDCG", {"dcg": "exp-log2"}),
    "ndcg_burges": ("nDCG", {"dcg": "exp-log2"}),  # ranx
    "recip_rank": ("RR", {}),
    "mrr": ("RR", {}),
    "map": ("AP", {}),
    "map_cut": ("AP", {}),
    "precision": ("P", {}),
    "set_p": ("P", {}),
    "recall": ("R", {}),
    "set_recall": ("R", {}),
    "hit_rate": ("Success", {}),  # ranx, MTEB
    "r_precision": ("Rprec", {}),
}
"""Names in lower case, however they are written, with the measure and parameters meant."""

# nDCG(dcg='exp-log2')@10, AP(rel=2), ndcg_cut_10, ndcg_cut.10, ndcg_at_10, map@100-l2
_SPELLING = re.compile(
    r"(?P<name>[A-Za-z][A-Za-z_]*?)"
    r"(?:\((?P<params>[^()]*)\))?"
    r"(?:(?:@|_at_|[._](?=\d))(?P<cutoff>.*?))?"
    r"(?:-l(?P<rel>\d+))?"
)
_RANX_RBP = re.compile(r"rbp\.(\d+)", re.IGNORECASE)  # rbp.80


def parse_measure(text: str, level: int = 1) -> Measure:
    """The measure called *text*, in any of the known spellings, upper or lower case.

    level: the smallest relevant grade for a binary measure that does not name one itself.
    UsageError for an unknown name or parameter, or a value that is not allowed.
    """
    found = _SPELLING.fullmatch(_RANX_RBP.sub(r"rbp(p=0.\1)", text.strip()))
    if found is None:
        raise UsageError(f"cannot read measure {text!r}; expected a name such as AP(rel=2)@100")
    name, given = _resolve(found["name"])
    given |= _split(found["params"] or "", text)
    if found["rel"]:
        given["rel"] = found["rel"]
    if "rel" in MEASURES[name].params:
        given.setdefault("rel", str(level))
    return Measure(name, _cutoff(found["cutoff"], text), _params(name, given, text))


def _resolve(name: str) -> tuple[str, dict[str, str]]:
    """The measure that *name* stands for, with the parameters that this spelling implies."""
    if name.lower() in ALIASES:
        measure, implied = ALIASES[name.lower()]
        return measure, dict(implied)
    import difflib  # only a mistake needs it

    close = difflib.get_close_matches(name.lower(), ALIASES, n=1)
    if close:
        raise UsageError(f"unknown measure {name!r}; did you mean {ALIASES[close[0]][0]!r}?")
    raise unknown("measure", name, MEASURES)


def _split(params: str, text: str) -> dict[str, str]:
    """Keys and values of `rel=2,dcg='exp-log2'`, as texts, without quotes."""
    given: dict[str, str] = {}
    for part in params.split(",") if params.strip() else ():
        key, _, value = (piece.strip() for piece in part.partition("="))
        if not key or not value or key in given:
            raise UsageError(
                f"measure {text!r}: cannot read {part.strip()!r}; expected key=value, each key once"
            )
        given[key] = value.strip("'\"")
    return given


def _params(name: str, given: Mapping[str, str], text: str) -> tuple[tuple[str, Value], ...]:
    """The parameters that are worth keeping, in the table's order."""
    table = MEASURES[name].params
    for key in given:
        if key not in table:
            raise unknown(f"parameter of {name}", key, table)
    kept = []
    for key, parameter in table.items():
        try:
            value = parameter.read(given[key]) if key in given else parameter.default
        except ValueError:
            raise UsageError(
                f"measure {text!r}: {key} is {given[key]!r}; allowed: {parameter.allowed}"
            ) from None
        if value != parameter.default or not parameter.optional:
            kept.append((key, value))
    return tuple(kept)


def _cutoff(cutoff: str | None, text: str) -> int | None:
    if cutoff is None:
        return None
    try:
        return integer(1, MAX_CUTOFF)(cutoff)
    except ValueError:
        raise UsageError(
            f"measure {text!r}: cutoff {cutoff!r}; allowed: a whole number from 1 to {MAX_CUTOFF}"
        ) from None
