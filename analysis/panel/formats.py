"""Recognise dates, numbers, currencies, China and missing values in their many spellings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile

import numpy as np

from analysis.panel.map import RECOGNISED, as_day

FORMATS: list[str] = RECOGNISED["dates"]
SIGNS = (
    ("", "."),
    (",", "."),
    ("", ","),
    (".", ","),
    (" ", "."),
    (" ", ","),
    ("'", "."),
    ("'", ","),
)
"""Separators of thousands and decimals; if two pairs give the same numbers, the first is proposed.
"""
SPELLED = {" ": "[ \u00a0\u202f]", "'": "['\u2019]"}
MONEY, UNKNOWN, TOTALS, OTHERS, CHINA = (
    RECOGNISED[name] for name in ("money", "unknown", "totals", "others", "china")
)
EITHER = r"^(0?|[1-9][0-9]{0,2}(\.[0-9]{3})?)$"
"""Numbers in which a point may mark decimals or thousands."""
QUARTERS = "supply monthly sales, since a quarter cannot be split at a closure"
_QUARTER = re.compile(r"(?i)(^|[0-9 _-])Q[1-4]|[1-4]Q|[1-4一二三四]季")


def platform_code(word: str) -> str:
    """Return the code of the platform that a label names, or an empty string."""
    return next(
        (
            code
            for code, pattern in RECOGNISED["platforms"].items()
            if re.search(pattern, word.lower())
        ),
        "",
    )


def misread_month(word: str) -> tuple[str, str]:
    """Describe what was given in place of a month, with its remedy.

    It is a quarter, a Period of pandas or an Excel serial number.
    """
    if _QUARTER.search(word):
        return ", a quarter", QUARTERS
    if re.fullmatch(r"[2-9][0-9]{2}", word):
        return (
            f", as pandas stores the Period {np.datetime64(int(word), 'M')}",
            "convert the column by .astype(str)",
        )
    if not re.fullmatch(r"[2-6][0-9]{4}(\.[0-9]+)?", word):
        return "", ""
    return (
        (
            ", an Excel serial number"
            f" ({np.datetime64('1899-12-30') + np.timedelta64(int(float(word)), 'D')})"
        ),
        "",
    )


def parse_dates(
    words: Iterable[str], strays: float = 0.0
) -> tuple[dict[str, str], list[str], list[list[str]]]:
    """Parse dates in any known format.

    Return the date parsed from each text value, the formats found, and lists of formats that fit
    equally well. Values of the same shape share a format. All results are empty if more than a
    share `strays` are not dates.
    """
    shapes = dict[str, list[str]]()
    days = dict[str, str]()
    formats = list[str]()
    undecided = list[list[str]]()
    for word in words:
        if word.isdigit():
            shape = f"{len(word)}"
        else:
            shape = re.sub(r"[A-Za-z]+", "a", re.sub(r"\d+", "9", word))
        shapes.setdefault(shape, []).append(word)
    other = count = sum(map(len, shapes.values()))
    for alike in shapes.values() if len(shapes) < 20 else ():
        readings = dict[tuple[str, ...], str]()
        for pattern in FORMATS:
            reading = tuple(takewhile(bool, (_day(word, pattern) for word in alike)))
            if len(reading) == len(alike):
                readings.setdefault(reading, pattern)
        other -= len(alike) if readings else 0
        if len({tuple(day[:7] for day in reading) for reading in readings}) > 1:
            undecided.append([*readings.values()])
        elif readings:
            days |= dict(zip(alike, next(iter(readings)), strict=True))
            formats.append(next(iter(readings.values())))
    formats = sorted(set(formats), key=FORMATS.index)
    if other <= strays * count:
        return (days, formats, undecided)
    return ({}, [], [])


def _day(word: str, pattern: str) -> str:
    """Return a date as YYYY-MM-DD, or an empty string if it does not match the format."""
    digits = {"%Y%m": 6, "%Y%m%d": 8}.get(
        pattern, len(word)
    )  # strptime reads 202111 as 1 January too
    if len(word) == digits:
        return as_day(word, pattern) or ""
    return ""


def thousands_pattern(thousands: str) -> str:
    """Return a regular expression for a separator of thousands."""
    return SPELLED.get(thousands, re.escape(thousands))


def number_pattern(thousands: str, decimal: str) -> str:
    """Return a regular expression for numbers with the given separators."""
    sign = thousands_pattern(thousands)
    point = re.escape(decimal)
    if thousands:
        whole = f"([0-9]{{1,3}}({sign}[0-9]{{2,3}})*{sign}[0-9]{{3}}|[0-9]+)"
    else:
        whole = "[0-9]+"
    return rf"^(-?({whole}({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?)?$"


def number_signs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the separator pairs in `SIGNS` that fit all the given numbers.

    If several pairs give the same numbers, only the first is returned.
    """
    readings = dict[tuple[str, ...], tuple[str, str]]()
    signed = [
        word for word in words if not (word.isascii() and word.isdigit())
    ]  # digits alone are unambiguous
    for thousands, decimal in SIGNS:
        number = re.compile(number_pattern(thousands, decimal))
        if all(map(number.match, signed)):
            plain = tuple(
                re.sub(thousands_pattern(thousands), "", word).replace(decimal, ".")
                for word in signed
            )
            readings.setdefault(plain, (thousands, decimal))
    return [*readings.values()]
