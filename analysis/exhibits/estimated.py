"""The table of estimates, each with interval, unit, n, smallest detectable effect and truth; what is said of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.exhibits.blocks import Block, say, table
from analysis.exhibits.style import kind
from analysis.numbers import MINUS, NOT_ESTIMABLE, number, quantity, span
from analysis.verdicts import GRADES

if TYPE_CHECKING:
    from analysis.estimators.honest_did import Bounds

A_SET = "no point: a set"
SMALL = "†"


def estimates(
    rows: pd.DataFrame,
    caption: str,
    *,
    true: Mapping[str, float] | None = None,
    more: Mapping[str, str] | None = None,
    why: bool = True,
) -> Block:
    """Turn rows of estimates into a table; a row without an estimate says so, and its reason follows the table.

    Parameters
    ----------
    rows : DataFrame
        `label`, `estimate`, `conf_low`, `conf_high`, `unit`, `n`, `mde`, `reason`, as
        :func:`analysis.estimands.answers.answers` gives them, and `id`; `grade` is shown where there is one. Where a
        column `truth` has a value it stands in place of that of `true`.
    caption : str
        It goes on to say the unit, where there is one, and what marks and dashes mean. Estimates below what the panel
        would show are marked.
    true : mapping of str to float, optional
        True values by id, in a simulated market; with it come the columns "Truth" and "Inside", whether the interval
        holds it.
    more : mapping of str to str, optional
        Further columns of text, and their headers.
    why : bool
        Whether :func:`reasons` follow; on page 1, where there is no room, they do not.
    """
    units, known = rows["unit"].fillna("").astype(str), rows["estimate"].notna()
    lacking = rows["conf_low"].map(lambda low: NOT_ESTIMABLE if pd.isna(low) else A_SET)
    shown = pd.DataFrame({"label": rows["label"]})
    small = rows["estimate"].abs() < rows["mde"]
    shown["estimate"] = [
        quantity(value, unit, mark=kind("estimate")) + f" {SMALL}" * below if there else without
        for value, unit, there, without, below in zip(rows["estimate"], units, known, lacking, small, strict=True)
    ]
    ends = zip(rows["conf_low"], rows["conf_high"], units, strict=True)
    shown["interval"] = ["–" if pd.isna(low) else span(low, high, unit) for low, high, unit in ends]
    shown["unit"], shown["n"] = units, [number(value, 0) for value in rows["n"]]
    shown["mde"] = [quantity(value, unit).lstrip("+") for value, unit in zip(rows["mde"], units, strict=True)]
    columns = {
        "label": "Effect",
        "estimate": "Estimate",
        "interval": "Interval",
        "unit": "Unit",
        "n": "n",
        "mde": "Smallest seen",
    }
    said = [caption]
    if true:
        truth = rows["id"].map(true)
        truth = rows["truth"].fillna(truth) if "truth" in rows else truth
        shown["truth"] = [
            quantity(value, unit, mark=kind("estimate")) for value, unit in zip(truth, units, strict=True)
        ]
        held = truth.between(rows["conf_low"], rows["conf_high"]).map({True: "yes", False: "no"})
        shown["inside"] = held.where(truth.notna() & rows["conf_low"].notna(), "–")
        columns |= {"truth": "Truth", "inside": "Inside"}
    if len(told := set(units) - {""}) < 2:
        said += [f"Unit: {unit}." for unit in told]
        del columns["unit"]
    if small.any():
        said.append(f"{SMALL} smaller than the smallest effect that this panel would show.")
    if true and (truth.isna() & known).any():
        said.append("Truth –: no true value is defined for it.")
    if "grade" in rows:
        shown["grade"], columns["grade"] = rows["grade"].where(rows["conf_low"].notna(), "–"), "Grade"
        said.append("Grades: of the design audit.")
    if "grade" not in rows or (rows["conf_low"].notna() & ~rows["grade"].isin(GRADES)).any():
        said.append("Not graded: not among the audited estimands.")
    shown = pd.concat([shown, rows[list(more or {})]], axis=1)
    made = table(shown, " ".join(said), columns=columns | dict(more or {}), provenance="estimate")
    return made + reasons(rows) if why and _with_reason(rows) else made


def in_words(rows: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return rows of :func:`estimates` with names in print for the codes of platforms and origin, also in reasons."""
    codes = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")

    def written(text: str) -> str:
        return codes.sub(lambda found: names[found[0]], text)

    return rows.assign(label=rows["label"].map(written), reason=rows["reason"].map(written))


def reasons(rows: pd.DataFrame) -> Block:
    """Say why there is no estimate, or no error, in rows of :func:`estimates`; each reason once, nothing if none."""
    told = [say(f"{row['reason'].rstrip('.')}.", lead=f"{row['label']}:") for row in _with_reason(rows)]
    return reduce(add, told) if told else Block("", "")


def placebos(rows: pd.DataFrame, against: Sequence[float]) -> str:
    """Say which placebos exclude zero and which hold it, and how large each is against the estimate that it tests.

    Parameters
    ----------
    rows : DataFrame
        As for :func:`estimates`.
    against : sequence of float
        For each row the estimate beside which it stands, in the same unit; NaN where there is none.
    """
    told: dict[str, list[str]] = {"excludes zero": [], "holds zero": [], "is not there": []}
    for row, value in zip(rows.to_dict("records"), against, strict=True):
        part = f", {100 * abs(row['estimate'] / value):.0f} per cent of the estimate" if abs(value) > 0 else ""
        if pd.isna(row["conf_low"]):
            told["is not there"].append(row["label"])
        elif row["conf_low"] <= 0 <= row["conf_high"]:
            told["holds zero"].append(f"{row['label']}{part}")
        else:
            ends = span(row["conf_low"], row["conf_high"], row["unit"])
            point = quantity(row["estimate"], row["unit"], mark=kind("estimate"))
            told["excludes zero"].append(f"{row['label']} {point} [{ends}]{part}")
    said = [f"{words}: {'; '.join(named)}" for words, named in told.items() if named]
    return f"Placebos whose interval {'; whose interval '.join(said)}."


def breakdown(bounds: Bounds | None, of: str) -> str:
    """Say how large a drift the mean effect `of` some months survives; nothing where there are no bounds."""
    if bounds is None:
        return ""
    if np.isnan(bounds.breakdown):
        return f"The interval of the mean effect {of} holds zero even with no drift, so there is no breakdown value."
    if np.isinf(bounds.breakdown):
        return f"The mean effect {of} excludes zero under every drift that was tried."
    return (
        f"The mean effect {of} excludes zero up to a drift from month to month of M* times the largest before closure: "
        f"the breakdown value is M* = {number(bounds.breakdown, 2, mark=kind('estimate'))}."
    )


def _with_reason(rows: pd.DataFrame) -> list[dict[str, Any]]:
    told = rows[rows["reason"].fillna("") != ""].drop_duplicates("reason")
    shown = told["reason"].str.replace(r"(?<![\w–-])-(?=\d)", MINUS, regex=True)  # it is written by code as code does
    return [dict(row) for row in told.assign(reason=shown).to_dict("records")]
