"""The measures: their names, their definitions, their values."""

from bench.metrics.definitions import MEASURES, Definition, Measure, Parameter, label
from bench.metrics.names import is_of_answers, named
from bench.metrics.parse import parse_measure

__all__ = [
    "MEASURES", "Definition", "Measure", "Parameter", "is_of_answers", "label", "named",
    "parse_measure",
]  # fmt: skip
