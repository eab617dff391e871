"""From a claim and an estimate to one of four words, by fixed rules.

Confidence is separate from the word. A simulated market gives a claim no word: what it says stands apart, as
"If the market were as simulated (preset, seed), then: ...".
"""

from analysis.verdicts.files import read, write
from analysis.verdicts.gathering import best, party, simulated, tally, unjudged
from analysis.verdicts.record import CONFIDENCE, GRADES, PROVENANCE, TIERS, Verdict, condition
from analysis.verdicts.rules import (
    CONTRADICTED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SAME_COUNT,
    SUPPORTED,
    WORDS,
    Interval,
    count,
    direction,
    documented,
    not_lower,
    stayed_positive,
    unchanged,
)

__all__ = [
    "CONFIDENCE",
    "CONTRADICTED",
    "GRADES",
    "NOT_SHOWN",
    "NOT_TESTABLE",
    "PROVENANCE",
    "SAME_COUNT",
    "SUPPORTED",
    "TIERS",
    "WORDS",
    "Interval",
    "Verdict",
    "best",
    "condition",
    "count",
    "direction",
    "documented",
    "not_lower",
    "party",
    "read",
    "simulated",
    "stayed_positive",
    "tally",
    "unchanged",
    "unjudged",
    "write",
]
