"""Whether a system is silent where it should be: per question, and as precision and recall."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.answers.data import Answered, Values, silent


class Abstention(NamedTuple):
    """How many questions of each kind, and the rates; None where there is nothing to divide by."""

    questions: int
    unanswerable: int
    abstained: int
    both: int

    @property
    def precision(self) -> float | None:
        """Share of the abstentions that are on unanswerable questions."""
        return self.both / self.abstained if self.abstained else None

    @property
    def recall(self) -> float | None:
        """Share of the unanswerable questions on which it abstained."""
        return self.both / self.unanswerable if self.unanswerable else None


def abstention(found: Answered) -> Abstention:
    """The counts behind precision and recall of abstaining."""
    quiet, none = _silent(found), found.unanswerable
    counts = (quiet | True, none, quiet, quiet & none)
    return Abstention(*(int(np.count_nonzero(each)) for each in counts))


def abstained(found: Answered) -> Values:
    """1 where the answer says nothing: the mean is the rate of abstaining."""
    return _silent(found).astype(np.float64)


def abstained_rightly(found: Answered) -> Values:
    """1 where it abstained on an unanswerable question or answered an answerable one.

    The mean over unanswerable questions is the recall of abstaining, that over the questions on
    which it abstained its precision.
    """
    return np.equal(_silent(found), found.unanswerable).astype(np.float64)


def _silent(found: Answered) -> NDArray[np.bool_]:
    return np.array([silent(answer) for answer in found.answers], np.bool_)
