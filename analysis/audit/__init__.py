"""Would the methods see the truth? Every estimand of a panel on simulated markets whose truth is known.

`replicate` simulates markets and asks each of them for every estimand that there is; `summarise` turns the answers
into measures of performance, each with its Monte Carlo error, and a grade by rule; `shares` counts the truths that lie
inside their intervals; `write` keeps the tables as ``data/audit.csv`` and ``data/audit_covered.csv``, from which
:mod:`analysis.grades` reads. The names follow Morris, T. P., White, I. R. and
Crowther, M. J. (2019), Using simulation studies to evaluate statistical methods, Statistics in Medicine 38,
2074-2102.
"""

from analysis.audit.causes import cause
from analysis.audit.grading import FEWEST, GRADES, LOST, LOST_WITH_BOUNDS, MOST_BIAS, NOT_GRADED, grade, reason
from analysis.audit.path import PATH
from analysis.audit.performance import MEASURES, summarise
from analysis.audit.record import COVERED, write
from analysis.audit.replicates import replicate, unscored
from analysis.audit.views import (
    APART,
    BIAS,
    POWER,
    RMSE,
    apart,
    coverage_cells,
    covered,
    error_cells,
    estimands,
    grid,
    larger,
    largest_error,
    mechanisms,
    power,
    power_cells,
    shares,
    standardised,
    tally,
)

__all__ = [
    "APART",
    "BIAS",
    "COVERED",
    "FEWEST",
    "GRADES",
    "LOST",
    "LOST_WITH_BOUNDS",
    "MEASURES",
    "MOST_BIAS",
    "NOT_GRADED",
    "PATH",
    "POWER",
    "RMSE",
    "apart",
    "cause",
    "coverage_cells",
    "covered",
    "error_cells",
    "estimands",
    "grade",
    "grid",
    "larger",
    "largest_error",
    "mechanisms",
    "power",
    "power_cells",
    "reason",
    "replicate",
    "shares",
    "standardised",
    "summarise",
    "tally",
    "unscored",
    "write",
]
