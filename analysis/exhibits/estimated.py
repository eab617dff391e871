"""The table of estimates: each with interval, unit, n, smallest detectable effect, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import pandas as pd

from analysis.exhibits.blocks import Block, say, table
from analysis.exhibits.numbers import number, quantity, span

NOT_ESTIMABLE = "not estimable with this data"
A_SET = "no point: a set"


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
        It goes on to say the unit, where there is one, and which estimates are below what the panel would show.
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
    shown["estimate"] = [
        quantity(value, unit, mark="estimate") if there else without
        for value, unit, there, without in zip(rows["estimate"], units, known, lacking, strict=True)
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
    if true:
        truth = rows["id"].map(true)
        truth = rows["truth"].fillna(truth) if "truth" in rows else truth
        shown["truth"] = [quantity(value, unit, mark="estimate") for value, unit in zip(truth, units, strict=True)]
        held = truth.between(rows["conf_low"], rows["conf_high"]).map({True: "yes", False: "no"})
        shown["inside"] = held.where(truth.notna() & rows["conf_low"].notna(), "–")
        columns |= {"truth": "Truth", "inside": "Inside"}
    if "grade" in rows:
        shown["grade"], columns["grade"] = rows["grade"].where(known | rows["conf_low"].notna(), "–"), "Grade"
    if len(told := set(units) - {""}) < 2:
        caption += "".join(f" Unit: {unit}." for unit in told)
        del columns["unit"]
    shown = pd.concat([shown, rows[list(more or {})]], axis=1)
    said = f"{caption} {_unseen(rows)}{' Grades: of the design audit.' if 'grade' in rows else ''}"
    made = table(shown, said, columns=columns | dict(more or {}), provenance="estimate")
    return made + reasons(rows) if why and _with_reason(rows) else made


def reasons(rows: pd.DataFrame) -> Block:
    """Say why there is no estimate, or no error, in rows of :func:`estimates`; each reason once."""
    told = [say(f"{row['reason'].rstrip('.')}.", lead=f"{row['label']}:") for row in _with_reason(rows)]
    return reduce(add, told) if told else say("Every effect that was asked for has an estimate with an error.")


def _with_reason(rows: pd.DataFrame) -> list[dict[str, Any]]:
    told = rows[rows["reason"].fillna("") != ""].drop_duplicates("reason")
    return [dict(row) for row in told.to_dict("records")]


def _unseen(rows: pd.DataFrame) -> str:
    """Say which estimates are smaller than what would be found with a power of 80 per cent."""
    made = rows.dropna(subset=["estimate", "mde"])
    small = made.loc[made["estimate"].abs() < made["mde"], "label"].tolist()
    if not small:
        return ""
    which = "all of them" if len(small) == len(made) else "; ".join(small)
    return f"Smaller than the smallest effect that this panel would show: {which}."
