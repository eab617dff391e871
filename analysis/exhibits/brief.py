"""The one-page brief: it reads verdicts and arranges them, and computes no estimate."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import pandas as pd

from analysis.exhibits.blocks import TIER_NAMES, Block, finding, label, table
from analysis.verdicts import WORDS, Verdict, tally


def brief(verdicts: Sequence[Verdict], *, as_of: str) -> Block:
    """Return the panel that sums up a run: how many readings got which word, in all and by claimant."""
    claims = len({verdict.claim for verdict in verdicts})
    counted = tally(verdicts)
    words = ", ".join(f"{counted[word]} {word.lower()}" for word in WORDS)
    lines = [f"<p><strong>Of {len(verdicts)} readings of {claims} claims: {words}.</strong> As of {as_of}.</p>"]
    for claimant in dict.fromkeys(verdict.claimant for verdict in verdicts):
        mine = [verdict for verdict in verdicts if verdict.claimant == claimant]
        parts = " · ".join(f"{label(v.word)} {escape(f'{v.claim} {v.reading}'.strip())}" for v in mine)
        lines.append(f"<p><em>{escape(claimant)}:</em> {parts}</p>")
    return Block(f'<div class="answer">{"".join(lines)}</div>', f"{len(verdicts)} readings: {words}.")


def brief_table(verdicts: Sequence[Verdict]) -> Block:
    """Return the table of all verdicts, in the order of the claims, with the report that judged each."""
    ordered = sorted(verdicts, key=lambda verdict: (verdict.claim, verdict.reading))
    frame = pd.DataFrame(
        {
            "Claim": [f"{v.claim} {v.reading}".strip() for v in ordered],
            "What was said, in this reading": [v.statement for v in ordered],
            "Verdict": [label(v.word) for v in ordered],
            "Found": [finding(v) for v in ordered],
            "Confidence": [v.confidence for v in ordered],
            "Tier": [TIER_NAMES[v.tier] for v in ordered],
            "Report": [v.notebook[:2] for v in ordered],
        }
    )
    return table(
        frame,
        "Every claim of September 2021 and its word from public figures. Real figures ●, estimates and sets from them ◐; nothing here is simulated.",
    )
