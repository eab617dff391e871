"""One verdict: a claim, its word, and what the word rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from analysis.errors import DesignError
from analysis.verdicts.confident import CONFIDENCE, GRADES
from analysis.verdicts.rules import WORDS

TIERS = ("facts", "listed", "panel", "sim")
PROVENANCE = ("real", "estimate", "simulated")


def condition(market: str) -> str:
    """Return the words that stand before all that is said of a simulated market, with its name where it has one."""
    return f"If the market were as simulated{f' ({market})' if market else ''}, then:"


@dataclass(frozen=True)
class Verdict:
    """What the data say of one claim in one reading.

    Attributes
    ----------
    claim, reading : str
        Id in claims.csv, and which reading of it (``"V2"``); empty where there is one.
    statement, claimant : str
        The claim in words and who made it.
    word, confidence : str
        One of `WORDS`; high, moderate or low.
    estimand, unit, window, n : str
        What was estimated, in which unit, over which time, from how many of what.
    estimate, low, high, margin : float or None
        Point and interval in `unit`, and the margin it is held against; None where there is none.
    claimed : float or None
        The claimant's own figure, which is no finding.
    interval : str
        Kind of interval: ``"permutation interval"``, ``"identified set"``, ``"published readings"``.
    tier, provenance : str
        Data tier, and whether the numbers are real, estimated or simulated.
    market : str
        What the market was where the numbers are simulated: ``"mid_3k, seed 1"``, or the panel's file; else empty.
    grade : str
        One of `GRADES`: what the design audit says of the estimator; empty where it says nothing.
    why, change : str
        The reason in a sentence, and what would change the word.
    as_of, notebook, inputs : str
        Date of knowledge, who judged, and a digest of the data it read.
    panel : str
        Digest of the panel that it was read off, stamped with them; empty for public figures.
    report : str
        Name of the report of a run, stamped by the runner.
    """

    claim: str
    statement: str
    claimant: str
    word: str
    confidence: str
    tier: str
    provenance: str
    why: str
    change: str
    reading: str = ""
    estimand: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    claimed: float | None = None
    interval: str = ""
    margin: float | None = None
    unit: str = ""
    window: str = ""
    n: str = ""
    as_of: str = ""
    notebook: str = ""
    inputs: str = ""
    panel: str = ""
    report: str = ""
    market: str = ""
    grade: str = ""

    @property
    def name(self) -> str:
        """Claim and reading, as tables call it: ``"C01 V2"``."""
        return f"{self.claim} {self.reading}".strip()

    @property
    def simulated(self) -> bool:
        """Whether it speaks of a simulated market, and so gives the claim no word."""
        return self.provenance == "simulated"

    @property
    def said(self) -> str:
        """The word as a sentence may give it: with its condition where the market is simulated."""
        return f"{condition(self.market)} {self.word}" if self.simulated else self.word

    def __post_init__(self) -> None:
        """Refuse words outside the vocabulary, a simulated market in disguise, and numbers that are none."""
        for name, allowed in (
            ("word", WORDS),
            ("confidence", CONFIDENCE),
            ("tier", TIERS),
            ("provenance", PROVENANCE),
            ("grade", GRADES),
        ):
            if getattr(self, name) not in allowed:
                raise DesignError(
                    f"a verdict on {self.claim} was asked for; its {name} is {getattr(self, name)!r}; "
                    f"use one of {allowed}"
                )
        if self.simulated != bool(self.market) or (self.tier == "sim" and not self.simulated):
            raise DesignError(
                f"a verdict on {self.claim} was asked for; its tier is {self.tier!r}, its provenance "
                f"{self.provenance!r} and its market {self.market!r}; name the market where numbers are simulated, and "
                "only there; tier sim is always simulated"
            )
        for name in ("estimate", "low", "high", "claimed", "margin"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, Real) or math.isnan(value)):
                raise DesignError(
                    f"a verdict on {self.claim} was asked for; its {name} is {value!r}; give a number, or None for none"
                )
        if self.low is not None and self.high is not None and self.low > self.high:
            raise DesignError(
                f"a verdict on {self.claim} was asked for; its interval runs from {self.low} to {self.high}; swap them"
            )
