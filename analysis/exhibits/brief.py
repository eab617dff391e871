"""The one-page brief: it reads verdicts and arranges them, and computes no estimate."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from html import escape

import pandas as pd

from analysis import provenance
from analysis.exhibits.blocks import BOX, Block, finding, labels, say, table
from analysis.exhibits.numbers import quantity
from analysis.verdicts import Verdict, party, tally, unjudged


def brief(verdicts: Sequence[Verdict]) -> Block:
    """Return the panel that sums up a run: how many readings got which word."""
    claims = len({verdict.claim for verdict in verdicts})
    lead = f"Of {len(verdicts)} readings of {claims} claims: {_words(verdicts)}."
    lines = [f"<strong>{lead}</strong> As of {escape(verdicts[0].as_of)}."]
    if absent := unjudged(verdicts):
        lines.append(f"<strong>Not judged in this run:</strong> {', '.join(absent)}.")
    lines.append(
        "Each word follows from a rule that was fixed in advance. Where the figures allow both a harm and none, "
        "the word is <em>not shown</em>; it never means that there was no effect."
    )
    panel = "".join(f"<p>{line}</p>" for line in lines)
    return Block(f'<div class="answer" style="{BOX}">{panel}</div>', f"{len(verdicts)} readings: {_words(verdicts)}.")


def _words(verdicts: Sequence[Verdict]) -> str:
    return ", ".join(f"{count} {word.lower()}" for word, count in tally(verdicts).items() if count)


def brief_table(verdicts: Sequence[Verdict]) -> Block:
    """Return the table of all verdicts, in the order of the claims, with the report that judged each."""
    ordered = sorted(verdicts, key=lambda verdict: (verdict.claim, verdict.reading))
    frame = pd.DataFrame(
        {
            "Claim": [v.name for v in ordered],
            "What was said, in this reading": [f"{v.statement} ({party(v.claimant)})" for v in ordered],
            "Verdict": labels(ordered),
            "Found": [_against_margin(v) for v in ordered],
            "Report": [v.notebook[:2] for v in ordered],
        }
    )
    return table(
        frame,
        f"Readings of the claims of September 2021 and their words, as of {ordered[0].as_of}, with the report. "
        "Real figures ●, estimates and sets ◐; nothing is simulated. Not testable: with this data.",
    )


def brief_provenance(verdicts: Sequence[Verdict]) -> Block:
    """Return one line: commit, a digest of all that the verdicts' reports read, and where the rest stands."""
    digest = hashlib.sha256("".join(sorted({verdict.inputs for verdict in verdicts})).encode()).hexdigest()
    commit = provenance.commit() or "unknown (not a git checkout)"
    return say(
        f"Commit {commit[:12]}; digest of the data {digest[:12]}; all else stands at the end of each report.",
        lead="Provenance.",
    )


def _against_margin(verdict: Verdict) -> str:
    margin = f"; margin {quantity(verdict.margin, verdict.unit).lstrip('+')}" if verdict.margin is not None else ""
    return finding(verdict) + margin
