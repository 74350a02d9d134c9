"""Checks of suites, run files and records: each has a code, a line and a remedy.

S1 to S12   a suite                         bench lint SUITE
F1 to F6    a run file as it is written     bench lint RUN
R1 to R7    rankings                        bench lint RUN, RECORD; each `bench run`
V1 to V14   a record                        bench lint RECORD; each `bench run`
C1, C2      the cache                       bench lint RECORD
"""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.lint.cache import CACHE
from bench.lint.findings import Check as Check
from bench.lint.findings import Finding as Finding
from bench.lint.findings import lines as lines
from bench.lint.findings import summary as summary
from bench.lint.rankings import RANKINGS
from bench.lint.record import FILE, RECORD
from bench.lint.results import after_run as after_run
from bench.lint.results import lint_record as lint_record
from bench.lint.run_file import LINES
from bench.lint.run_file import lint_run as lint_run
from bench.lint.suite import SUITE
from bench.lint.suite import lint as lint

_TABLES: Sequence[Sequence[Check[Any]]] = (SUITE, LINES, RANKINGS, FILE, RECORD, CACHE)

ALL: Mapping[str, Check[Any]] = {  # each of its own subject
    check.code: check for table in _TABLES for check in table
}
"""Every check by its code."""
