"""Why an estimator is biased in a preset, where it is known: what the market does that its design does not see."""

from __future__ import annotations

import re

COMMON = "chilling and deterred entry move all firms of the origin, so no comparison within it sees them"
SMALL = "what the news does to all rivals is in no comparison, and it is many times the small loss it is divided by"
TREND = "closures fell on categories whose demand was falling anyway, and exposure shares that trend"
RISK = "suspect firms are in the categories whose demand was falling anyway"
REVERT = "groups are closed up to a share of base-year sales, so closed firms had a poor year and recover from it"
NAMES = "renamed accounts that are not linked sell on under other names"
TOP = "the panel holds the largest firms only, and these stay in business longer"

_FALLING = ("pretrend", "stress")
CAUSES: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("E3|E3g|E3s|E3k_incumbents|E2[ab].*|E4[be]_.*|d[1267]", _FALLING, TREND),
    ("E4[be]_.*|d[1267]", (), SMALL),
    ("E3|E3g|E3s|E3k_entry", (), COMMON),
    ("E5b", _FALLING, RISK),
    ("E1.*", ("stress",), NAMES),
    ("E1.*|E3k_closed", (), REVERT),
    ("E5c_.*", ("stress",), TOP),
)
"""Ids (a pattern for the whole id), presets (none: all of them) and the cause; the first that fits is the one."""


def cause(name: str, preset: str) -> str:
    """Return the known cause of a bias of an estimand in a preset; empty where none is known."""
    return next(
        (why for ids, presets, why in CAUSES if re.fullmatch(ids, name) and (not presets or preset in presets)), ""
    )
