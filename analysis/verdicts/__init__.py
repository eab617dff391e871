"""From a claim and an estimate to one of four words, by fixed rules.

Confidence is separate from the word, and has a rule of its own (:func:`confidence`). A simulated market gives a claim
no word: what it says stands apart, as "If the market were as simulated (preset, seed), then: ...".
"""

from analysis.verdicts.confident import CONFIDENCE, GRADES, breakdown, confidence
from analysis.verdicts.files import read, write
from analysis.verdicts.gathering import best, elsewhere, of_claims, party, simulated, tally, unjudged
from analysis.verdicts.record import PROVENANCE, TIERS, Verdict, condition
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
    "breakdown",
    "condition",
    "confidence",
    "count",
    "direction",
    "documented",
    "elsewhere",
    "not_lower",
    "of_claims",
    "party",
    "read",
    "simulated",
    "stayed_positive",
    "tally",
    "unchanged",
    "unjudged",
    "write",
]
