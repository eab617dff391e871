"""Would the methods see the truth? Every estimand of a panel on simulated markets whose truth is known.

`replicate` simulates markets and asks each of them for every estimand that there is; `summarise` turns the answers
into measures of performance, each with its Monte Carlo error, and a grade by rule; `write` keeps the table as
``data/audit.csv``, from which :mod:`analysis.grades` reads. The names follow Morris, T. P., White, I. R. and
Crowther, M. J. (2019), Using simulation studies to evaluate statistical methods, Statistics in Medicine 38,
2074-2102.
"""

from analysis.audit.grading import FEWEST, GRADES, LOST, LOST_WITH_BOUNDS, MOST_BIAS, NOT_GRADED, grade, reason
from analysis.audit.performance import MEASURES, summarise
from analysis.audit.record import write
from analysis.audit.replicates import replicate, unscored
from analysis.audit.views import (
    APART,
    POWER,
    apart,
    covered,
    estimands,
    grid,
    larger,
    mechanisms,
    on_average,
    power,
    scaled_bias,
    standardised,
    tally,
)

__all__ = [
    "APART",
    "FEWEST",
    "GRADES",
    "LOST",
    "LOST_WITH_BOUNDS",
    "MEASURES",
    "MOST_BIAS",
    "NOT_GRADED",
    "POWER",
    "apart",
    "covered",
    "estimands",
    "grade",
    "grid",
    "larger",
    "mechanisms",
    "on_average",
    "power",
    "reason",
    "replicate",
    "scaled_bias",
    "standardised",
    "summarise",
    "tally",
    "unscored",
    "write",
]
