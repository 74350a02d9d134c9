"""The page on penalties: what was found, of what questions, and how."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.stats import Interval
from reports.table import fenced, markdown
from reports.units import bounds, figure, signed
from tools.penalties_data import KINDS, NAMES, PLACES, THINGS, TOWNS, Question, number_of_faults
from tools.penalties_train import (
    ARGMAX,
    ARMS,
    MEASURES,
    NEVER,
    NONE,
    Plan,
    Trained,
    largest_difference,
)  # fmt: skip
from training.cozyrag import OPTIONS

FAULTS = {"repeating": "repeats", "vague": "keywords", "brief": "short"}
"""The fault that answers of a kind have."""

COMMANDS = """```
for p in none argmax expected; do
  python -m training cozyrag --data DATA/train --validate DATA/validate \\
    --penalties $p --out trained/cozyrag-$p
done
```"""

Arms = Mapping[str, Sequence[Trained]]  # of each seed
Values = NDArray[np.float64]


def page(plan: Plan, arms: Arms, options: OPTIONS, picture: str) -> str:
    """Markdown. options: those of any training; picture: the figure's path from the page."""
    first = arms[NONE][0]
    parts = [
        "# What penalties on answers buy: expected, argmax, none",
        "The recipe `cozyrag` adds three shares to the loss of an answer: how much of it is said "
        "again (*repeats*), how many of its *keywords* it leaves out, how much it is too *short*. "
        "They are taken from the probabilities of the tokens (*expected*), from the likeliest "
        "tokens (*argmax*), or not at all (*none*). Here the same training is done with each.",
        "**This shows a mechanism, not the size of an effect.** The generator is a GPT-2 of "
        f"{first.generator.size:,} parameters and the bi-encoder a BERT of "
        f"{first.encoder.size:,}, both of random weights, and the questions are made so that each "
        "penalty has something to act on. The commands for DistilGPT2 and real questions are at "
        "the [end](#with-real-weights).",
        "## What was found",
        "\n".join(f"- {line}" for line in findings(arms)),
        f"![EM less that of none, by kind of question]({picture})",
        "EM of unseen questions, less that of none:",
        table(arms, {"all kinds": (None, "EM"), **{kind: (kind, "EM") for kind in KINDS}}),
        "The fault that a kind has, less that of none; below 0 there is less of it:",
        table(arms, {f"{kind}: {name}": (kind, name) for kind, name in FAULTS.items()}),
        *MEANING,
        "## The questions",
        *questions(plan),
        "## How it was done",
        *method(plan, arms, options),
        "## All measures",
        "The mean over seeds, and below it how much more that is than with none. The three faults "
        "are counted in the answers that were generated, by the rules of the penalties.",
        *(part for kind in (None, *KINDS) for part in everything(arms, kind)),
        "## With real weights",
        "DATA holds two suites with gold answers, one to learn from and one to validate on. What "
        "came out is in `log.jsonl`: after each measuring EM, F1, the three faults, and some of "
        "the answers.",
        COMMANDS,
    ]
    return "\n\n".join(parts) + "\n"


MEANING = (
    "Penalties of the argmax have no gradient: the likeliest token stays the same where weights "
    "move a little.",
    "Where answers that are learnt disagree, the cross-entropy draws each towards the share that "
    "it has among them. An expected penalty moves this balance towards answers without its fault. "
    "Where they agree, the penalties of keywords and length have little to move, since the gold "
    "answer leaves no keyword out and is as long as it should be: that is *sound*. The one of "
    "repeats also works against a right answer that repeats: whether that costs is what *refrain* "
    "is there to show.",
    "Whether a movement is a gain is a matter of the data. Here most answers of three kinds are "
    "faulty and none of those that are measured against. Had the brief answers been the right "
    "ones, the same movement would be a loss.",
)


def findings(arms: Arms) -> Iterator[str]:
    """What the argmax does, what each expected form does, and what none of them touches."""
    plain, hard = arms[NONE], arms[ARGMAX]
    pairs = list(zip(plain, hard, strict=True))
    same = sum(a.generator.digest == b.generator.digest for a, b in pairs)
    apart = max(largest_difference(a.generator, b.generator) for a, b in pairs)
    without, with_it = (np.mean([one.loss for one in some]) for some in (plain, hard))
    yield (
        f"**Argmax teaches {'nothing' if same == len(pairs) else 'something'}.** In {same} of "
        f"{len(pairs)} seeds the generator is the one without penalties, byte for byte (SHA-256 in "
        f"the first seed: `{plain[0].generator.digest[:12]}` without, "
        f"`{hard[0].generator.digest[:12]}` with). The largest difference of any weight is "
        f"{apart:g}. Yet the penalties are in its loss: {with_it:.3f} in the mean over all steps, "
        f"{without:.3f} without."
    )
    yield from (finding(arms, arm) for arm in ARMS if arm not in (NONE, ARGMAX))
    others = [arm for arm in ARMS if arm != NONE]
    every = [pair for arm in others for pair in zip(plain, arms[arm], strict=True)]
    equal = sum(a.encoder.digest == b.encoder.digest for a, b in every)
    yield (
        f"In {equal} of the {len(every)} trainings with penalties the bi-encoder is the one "
        "without them, byte for byte: they are in the loss of the generator alone."
    )


def finding(arms: Arms, arm: str) -> str:
    """Where EM is shown to be higher and lower than without penalties."""
    every = (
        f"EM over all kinds is {figure(mean(arms, arm, None, 'EM'))}, without penalties "
        f"{figure(mean(arms, NONE, None, 'EM'))}: {difference(to_none(arms, arm, None, 'EM'))}"
    )
    kinds: dict[str, list[str]] = {"higher": [], "lower": [], "not shown to differ": []}
    for kind in KINDS:
        found = to_none(arms, arm, kind, "EM")
        side = "higher" if found.mean > 0 else "lower"
        kinds[side if shown(found) else "not shown to differ"].append(kind)
    told = [f"{side} for {', '.join(some)}" for side, some in kinds.items() if some]
    return f"**{arm[0].upper()}{arm[1:]}**. {every}. By kind {'; '.join(told)}."


def questions(plan: Plan) -> Iterator[str]:
    """The kinds, each with an example."""
    pairs = len(THINGS) * len(PLACES)
    learnt = pairs - plan.unseen
    rows = []
    for name, kind in KINDS.items():
        one = Question(0, name, THINGS[0], PLACES[0], NAMES[0], TOWNS[0])
        wrong = kind.faulty(one.name, one.town)
        right = kind.right(one.name, one.town)
        share = f"{number_of_faults(learnt, plan.share)} of {learnt}"
        rows.append([name, one.text, right, *([wrong, share] if wrong != right else ["–", "–"])])
    yield markdown(["kind", "question", "right", "with its fault", "learnt with it"], rows, "llllr")
    yield (
        f"A thing ({len(THINGS)}) decides the name and a place ({len(PLACES)}) the town. Of the "
        f"{pairs} pairs each kind asks about, {plan.unseen} are kept for measuring; no kind learns "
        f"them. That makes {learnt * len(KINDS)} questions to learn from and "
        f"{plan.unseen * len(KINDS)} unseen ones, whose gold answers are all right. One passage a "
        "question tells the right answer."
    )


def method(plan: Plan, arms: Arms, options: OPTIONS) -> Iterator[str]:
    """Command, weights, options, intervals."""
    seeds = len(arms[NONE])
    yield fenced(f"python -m tools.penalties --seeds {plan.seeds} --epochs {plan.epochs}")
    yield (
        f"Each of the {len(ARMS)} forms is trained by the recipe's own code with each of {seeds} "
        f"seeds, {options.num_epochs} epochs: the bi-encoder and the generator learn by turns, the "
        f"generator in {arms[NONE][0].steps} steps. A seed has questions, first weights and "
        "batches of its own, the same for all forms. Measured are the weights after the last step. "
        f"Options other than the recipe's: {', '.join(changed(options))}."
    )
    yield markdown(
        ["penalties", *(f"weight of {name}" for name in MEASURES[2:])],
        [[arm, *weights_of(changes)] for arm, changes in ARMS.items()],
        "lrrr",
    )
    number = (len(ARMS) - 2) * (len(KINDS) + 1) * len(MEASURES)
    yield (
        "Differences are paired by seed. Intervals are Student's, of 95 %, over seeds; bold where "
        f"they leave 0 out. They are not corrected for their number: of the {number} on this "
        "page that are not of argmax, one in 20 or so misses the true difference by luck."
    )


def weights_of(changes: Mapping[str, Any]) -> list[str]:
    """The weights of the three as they are used, a dash where they are not."""
    options = OPTIONS(**changes)
    if options.penalties == "none":
        return ["–"] * 3
    return [f"{getattr(options, f'weight_{name}'):g}" for name in MEASURES[2:]]


def changed(options: OPTIONS) -> Iterator[str]:
    """What is not the recipe's default, but for what never comes."""
    for one in fields(options):
        if (value := getattr(options, one.name)) not in (one.default, NEVER):
            yield f"`{one.name}={value}`"


def table(arms: Arms, columns: Mapping[str, tuple[str | None, str]]) -> str:
    """Differences to none, a row an arm. columns: by heading the kind, None for all; a measure."""
    rows = [
        [arm, *(difference(to_none(arms, arm, *column)) for column in columns.values())]
        for arm in ARMS
        if arm != NONE
    ]
    return markdown(["penalties", *columns], rows, "l" + "r" * len(columns))


def everything(arms: Arms, kind: str | None) -> Iterator[str]:
    """All measures of a kind, None for all: means, and differences to none."""
    rows = []
    for arm in ARMS:
        cells = [figure(mean(arms, arm, kind, name)) for name in MEASURES]
        if arm != NONE:
            gaps = [difference(to_none(arms, arm, kind, name)) for name in MEASURES]
            cells = [f"{cell}<br>{gap}" for cell, gap in zip(cells, gaps, strict=True)]
        rows.append([arm, *cells])
    yield f"### {kind or 'All kinds'}"
    yield markdown(["penalties", *MEASURES], rows, "l" + "r" * len(MEASURES))


def difference(found: Interval) -> str:
    """+0.120 [0.050, 0.190], in bold where it is shown."""
    text = f"{signed(found.mean)} {bounds(found.low, found.high)}"
    return f"**{text}**" if shown(found) else text


def shown(found: Interval) -> bool:
    """Whether the interval leaves 0 out, as far as it can be read."""
    return round(found.low, 3) > 0 or round(found.high, 3) < 0


def values(trained: Sequence[Trained], kind: str | None, measure: str) -> Values:
    """A measure of a kind, or its mean over all kinds, float64 (n_seeds,)."""
    found = np.array([one.values[:, MEASURES.index(measure)] for one in trained])
    return found.mean(axis=1) if kind is None else found[:, list(KINDS).index(kind)]


def mean(arms: Arms, arm: str, kind: str | None, measure: str) -> float:
    return float(values(arms[arm], kind, measure).mean())


def to_none(arms: Arms, arm: str, kind: str | None, measure: str) -> Interval:
    """How much more than without penalties, paired by seed."""
    return interval(values(arms[arm], kind, measure) - values(arms[NONE], kind, measure))


def interval(differences: Values, level: float = 0.95) -> Interval:
    """The mean of (n,) values with Student's interval, which has no end where n is 1."""
    from scipy.stats import t

    n, middle = len(differences), float(differences.mean())
    if n == 1:
        return Interval(middle, -np.inf, np.inf)
    wide = float(t.ppf((1 + level) / 2, n - 1) * differences.std(ddof=1) / n**0.5)
    return Interval(middle, middle - wide, middle + wide)
