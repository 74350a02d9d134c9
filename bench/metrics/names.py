"""Names of measures, of rankings and of answers, as records hold them."""

from bench.answers import ANSWER_MEASURES, answer_measure
from bench.metrics.parse import parse_measure


def is_of_answers(text: str) -> bool:
    """Whether *text* names a measure of answers."""
    return text.strip().lower() in {name.lower() for name in ANSWER_MEASURES}


def named(text: str, level: int = 1) -> str:
    """The name of the measure called *text*, in full; UsageError where there is no such one."""
    return str(answer_measure(text) if is_of_answers(text) else parse_measure(text, level))
