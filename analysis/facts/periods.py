"""Periods as the files write them: 2021, 2021H1, 2021Q3, 2021Q1-Q3, 2021-12, FY2024."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from analysis.errors import DataError

FORMS = {
    "A": r"[0-9]{4}",
    "H": r"[0-9]{4}H[12]",
    "Q": r"[0-9]{4}Q[1-4]",
    "M": r"[0-9]{4}-[0-9]{2}",
    "FY": r"FY[0-9]{4}",
}
"""Calendar years, half-years, quarters, months, fiscal years named by the year they end in."""

_PANDAS = {"A": "Y", "Q": "Q", "M": "M"}
_YEAR_TO_DATE = {"Q2": "H1", "Q3": "Q1-Q3", "Q4": ""}


def of_frequency(period: str, freq: str) -> bool:
    """Whether a period has this frequency.

    Raises
    ------
    DataError
        When there is no such frequency.
    """
    if freq not in FORMS:
        raise DataError(f"Asked for the frequency {freq!r}; known are {', '.join(FORMS)}; use one of these.")
    return re.fullmatch(FORMS[freq], period) is not None


def year_to_date(period: str) -> str:
    """Name of the months since 1 January that end with this quarter: 2021Q3 -> 2021Q1-Q3."""
    year, quarter = period[:4], period[4:]
    return year + _YEAR_TO_DATE.get(quarter, quarter)


def a_year_before(period: str) -> str:
    """Name of the same period one year before: 2021Q3 -> 2020Q3, FY2024 -> FY2023."""
    return re.sub("[0-9]{4}", lambda year: str(int(year[0]) - 1), period, count=1)


def index(periods: Sequence[str]) -> pd.Index:
    """Index of periods: a PeriodIndex where all are years, quarters or months, else text."""
    for freq, offset in _PANDAS.items():
        if all(re.fullmatch(FORMS[freq], period) for period in periods):
            return pd.PeriodIndex(list(periods), freq=offset, name="period")
    return pd.Index(list(periods), dtype="str", name="period")
