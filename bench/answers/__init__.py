"""Measures of answers: their names, their definitions, their values."""

from bench.answers.data import Answered
from bench.answers.measures import ANSWER_MEASURES, AnswerMeasure, answer_measure

__all__ = ["ANSWER_MEASURES", "AnswerMeasure", "Answered", "answer_measure"]
