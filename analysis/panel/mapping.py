"""A map: what a researcher's own file calls the columns, platforms, origins and months of a panel."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

import numpy as np

from analysis import strict_yaml
from analysis.errors import DataError
from analysis.estimate import Floats
from analysis.facts.reading import Problem
from analysis.panel.columns import columns

Absent = Literal["missing", "zero"]
Encoding = Literal["utf-8", "gbk"]
Closures = Literal["firm", "account"]

ALIASES = {"brand": "brand_group"}
DOLLARS = "USD"
ISO_MONTH = "%Y-%m"
_YEARS = (1990, 2099)
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


@dataclass(frozen=True)
class Wide:
    """One column of sales per month: `prefix`, then the month in `format` (as in strptime)."""

    prefix: str
    format: str = ISO_MONTH


@dataclass(frozen=True)
class Map:
    """How to read a file that is not in the columns of the schema.

    Attributes
    ----------
    path : Path
        The map's own file, for messages.
    columns : mapping of str to str
        Our name and theirs. A column of theirs that already has our name need not be named.
    platforms, origins : mapping of str to str
        Their label and our code; empty if theirs are our codes.
    wide : Wide or None
        None if months are rows.
    currency : str
        Code of the money of their sales.
    rates : mapping of str to float
        US dollars for one unit of it, by "YYYY-MM", by "YYYY", or the one under ""; empty if they are in US dollars.
    home : str or None
        Our code of the platform that closed accounts.
    absent : {"missing", "zero"} or None
        What a firm-platform-month without a row is.
    encoding : {"utf-8", "gbk"}
        Of a CSV file.
    month_format : str
        Of the months in cells, as in strptime.
    closures : {"firm", "account"}
        Whether closed_on is the month of the firm, or of each account.
    """

    path: Path
    columns: Mapping[str, str] = field(default_factory=dict)
    platforms: Mapping[str, str] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    wide: Wide | None = None
    currency: str = DOLLARS
    rates: Mapping[str, float] = field(default_factory=dict)
    home: str | None = None
    absent: Absent | None = None
    encoding: Encoding = "utf-8"
    month_format: str = ISO_MONTH
    closures: Closures = "firm"

    def rate(self, month: str) -> float:
        """Return the US dollars for one unit in a month "YYYY-MM"; NaN where the map has none."""
        if not self.rates:
            return 1.0
        return next((self.rates[key] for key in (month, month[:4], "") if key in self.rates), math.nan)

    def factors(self, first: int, last: int) -> Floats:
        """Return the rates of months given by their number since January 1970, float64[last - first + 1]."""
        return np.array([self.rate(str(np.datetime64(number, "M"))) for number in range(first, last + 1)])


def read_map(path: str | Path) -> Map:
    """Read a map from a YAML file.

    Parameters
    ----------
    path : str or Path
        Keys: columns, platforms, origins, wide, currency, rates, home, absent, encoding, month_format, closures; all
        may be left out. ``docs/bring-your-own-panel.md`` shows each.

    Raises
    ------
    DataError
        When the file is no YAML, a key is unknown or comes twice, or a value is of the wrong kind.
    """
    path = Path(path)
    content = strict_yaml.load(path)
    given: dict[str, Any] = {}
    for key, value in content.items():
        if key not in _READERS:
            _refuse(path, key, f"one of the keys {', '.join(_READERS)}", f"the key {key!r}", "correct or remove it")
        given[key] = _READERS[key](path, key, value)
    found = Map(path, **given)
    _check_money(found)
    return found


def as_month(text: str, pattern: str) -> str | None:
    """Return a month as YYYY-MM, or None for what is not the first day of a month in a format of strptime."""
    if pattern == ISO_MONTH:  # strptime would take 2021-5 too
        return text if _MONTH.fullmatch(text) else None
    try:
        day = datetime.datetime.strptime(text, pattern)
    except ValueError:
        return None
    plausible = _YEARS[0] <= day.year <= _YEARS[1]  # strptime reads the Excel serial 44228 as August 4422
    return f"{day:%Y-%m}" if plausible and (day.day, day.hour, day.minute) == (1, 0, 0) else None


def _refuse(path: Path, key: str, asked: str, found: Any, do: str) -> NoReturn:
    found = found if isinstance(found, str) and found.startswith(("the ", "no ")) else repr(found)
    raise DataError(str(Problem(f"{path}, key {key}", asked, found, do)))


def _check_money(found: Map) -> None:
    foreign = found.currency != DOLLARS
    if foreign and not found.rates:
        do = f"give `rates`: US dollars for one {found.currency}, one for all months, by year or by month"
        _refuse(found.path, "currency", f"rates for {found.currency}", "no key `rates`", do)
    if found.rates and not foreign:
        _refuse(found.path, "rates", "the currency that they turn into US dollars", "no key `currency`", "name it")


def _text(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        _refuse(path, key, "text", value, "write it, in quotes if it looks like a number, a date or yes and no")
    return value


def _one_of(path: Path, key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        _refuse(path, key, f"one of {', '.join(allowed)}", value, "choose one")
    return str(value)


def _pairs(path: Path, key: str, value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict) or not value:
        _refuse(path, key, "`name: value` lines", value, "write at least one, or remove the key")
    return value


def _labels(path: Path, key: str, value: Any) -> dict[str, str]:
    pairs = _pairs(path, key, value)
    return {_text(path, key, label): _text(path, f"{key}.{label}", code) for label, code in pairs.items()}


def _columns(path: Path, key: str, value: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, theirs in _pairs(path, key, value).items():
        ours = ALIASES.get(name, name)
        if ours not in columns():
            known = ", ".join([*columns(), *ALIASES])
            _refuse(path, key, f"our columns on the left: {known}", f"the name {name!r}", "write `ours: theirs`")
        if ours in found:
            _refuse(path, key, f"{ours} once", f"the name {name!r} beside {ours!r}", "remove one of the two")
        found[ours] = _text(path, f"{key}.{name}", theirs)
    return found


def _wide(path: Path, key: str, value: Any) -> Wide:
    parts = _pairs(path, key, value)
    if "prefix" not in parts or set(parts) - {"prefix", "format"}:
        do = 'write `wide: {prefix: "sales_"}`, and `format: "%Y%m"` beside it for columns such as sales_202105'
        _refuse(path, key, "prefix, and perhaps format", f"the keys {', '.join(map(str, parts))}", do)
    if not isinstance(parts["prefix"], str):
        _refuse(path, f"{key}.prefix", "text", parts["prefix"], 'write it in quotes, "" where there is none')
    return Wide(parts["prefix"], _format(path, f"{key}.format", parts.get("format", ISO_MONTH)))


def _format(path: Path, key: str, value: Any) -> str:
    if not isinstance(value, str) or as_month(f"{datetime.date(2021, 5, 1):{value}}", value) != "2021-05":
        _refuse(path, key, "a format with year and month", value, "write it as in strptime, such as %Y-%m or %d/%m/%Y")
    return value


def _rates(path: Path, key: str, value: Any) -> dict[str, float]:
    by_period = value if isinstance(value, dict) else {"": value}
    found: dict[str, float] = {}
    for period, rate in _pairs(path, key, by_period).items():
        named = str(period)
        if named and not re.fullmatch(r"(19|20)[0-9]{2}", named) and not _MONTH.fullmatch(named):
            _refuse(path, key, "a year or a month YYYY-MM on the left", period, "write `2021: 0.155`, or by month")
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
            where = f"{key}.{named}" if named else key
            _refuse(path, where, "US dollars for one unit, more than 0", rate, "write one number such as 0.155")
        found[named] = float(rate)
    return found


_READERS: dict[str, Callable[[Path, str, Any], Any]] = {
    "columns": _columns,
    "platforms": _labels,
    "origins": _labels,
    "wide": _wide,
    "currency": _text,
    "rates": _rates,
    "home": _text,
    "absent": partial(_one_of, allowed=get_args(Absent)),
    "encoding": partial(_one_of, allowed=get_args(Encoding)),
    "month_format": _format,
    "closures": partial(_one_of, allowed=get_args(Closures)),
}
