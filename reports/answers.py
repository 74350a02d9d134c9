"""What a report says of generated answers: what limits them, and how fast they come."""

import numpy as np
from numpy.typing import NDArray

from reports.sections import joined
from reports.standing import Standing, mean, percentile, shown
from reports.table import escape, markdown
from reports.units import NONE, digits, duration, figure


def bounds(standing: Standing) -> str:
    """How far each system is from what its generator does without retrieval and with the best."""
    if standing.suite.task != "answers" or not standing.cells:
        return ""
    name = shown(standing.headline)
    rows = []
    for cell in standing.cells:
        floor, ceiling = (standing.bound_of(cell, kind) for kind in ("floor", "ceiling"))
        at = mean(cell, standing.headline)
        low, high = (None if c is None else mean(c, standing.headline) for c in (floor, ceiling))
        rows.append([
            escape(cell.system),
            NONE if low is None else figure(low),
            figure(at),
            NONE if high is None else figure(high),
            NONE if high is None else figure(high - at),
            NONE if high is None else figure(1 - high),
        ])  # fmt: skip
    header = ["system", "floor", name, "ceiling", "lost by retrieval", "lost by the generator"]
    return joined(EXPLAINED.format(name), markdown(header, rows, "lrrrrr"))


EXPLAINED = (
    "The floor is the same generator without retrieval, or with passages drawn at random where it "
    "can only quote; the ceiling is the same generator given the passages that are judged "
    "relevant. What a system lacks of its ceiling is its retrieval's loss; what the ceiling lacks "
    "of 1 is the generator's, in {}."
)


def abstention(standing: Standing) -> str:
    """How often each system says nothing, and how often it should; where both were measured."""
    rows = []
    for cell in (*standing.cells, *standing.bounds):
        if not {"Abstained", "AbstainedRightly"} <= cell.values.keys():
            continue
        silent, right = (np.array(cell.values[f"Abstained{end}"]) == 1 for end in ("", "Rightly"))
        missing = silent == right  # only there are both or neither right
        rows.append([
            escape(cell.system),
            f"{silent.sum()} of {len(silent)}",
            share(silent & missing, silent),
            share(silent & missing, missing),
            share(silent & ~missing, ~missing),
        ])  # fmt: skip
    if not rows:
        return ""
    header = ["system", "abstained", "rightly (precision)", "of the unanswerable (recall)",
              "of the others"]  # fmt: skip
    return markdown(header, rows, "lrrrr")


def share(some: NDArray[np.bool_], of: NDArray[np.bool_]) -> str:
    return f"{figure(some.sum() / of.sum())} ({some.sum()} of {of.sum()})" if of.any() else NONE


def speed(standing: Standing) -> str:
    """Time to the first token and tokens a second of generators that say so."""
    rows = []
    for cell in standing.cells:
        cost = cell.cost
        if cost is None or not any(map(any, cost.tokens)):
            continue
        tokens = sum(map(sum, cost.tokens))
        spent = sum(map(sum, cost.latency_ns.get("generate", ())))
        first = percentile(cost, "first_token", 50)
        rows.append([
            escape(cell.system),
            NONE if first is None else duration(first),
            digits(tokens / spent * 1e9) if spent else NONE,
            digits(tokens / sum(map(len, cost.tokens))),
        ])  # fmt: skip
    if not rows:
        return ""
    header = ["system", "first token, p50", "tokens/s", "tokens an answer"]
    said = (
        "From the question to the first token, everything before it included; tokens a second are "
        "those of all answers over the time that generating them took, one question at a time."
    )
    return joined(said, markdown(header, rows, "lrrr"))
