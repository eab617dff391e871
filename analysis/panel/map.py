"""The map: how a researcher's own file names the columns, platforms, origins and months of a panel."""

from __future__ import annotations

import datetime
import json
import math
import re
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from analysis.provenance import ROOT
from analysis.yaml import Labels, OneOrMore, Text, Texts, Written, is_, is_like

ISO_MONTH, DOLLARS = "%Y-%m", "USD"


def as_day(text: str, pattern: str) -> str | None:
    """Parse a date in a format of strptime into YYYY-MM-DD (the first day of a month), or None."""
    if pattern == ISO_MONTH:  # strptime would take 2021-5 too
        return f"{text}-01" if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text) else None
    try:
        day = datetime.datetime.strptime(text, pattern)
    except ValueError:
        return None
    return f"{day:%Y-%m-%d}" if 1990 <= day.year <= 2099 else None  # it reads the Excel serial 44228 as August 4422


def _is_format(text: str) -> bool:
    return as_day(f"{datetime.date(2021, 5, 1):{text}}", text) == "2021-05-01"


def _by_currency(rates: Any) -> dict[str, Any]:
    """Normalise `rates` to {currency: {period: rate}}; "" means the map's own currency or all periods."""
    rates = rates if isinstance(rates, dict) else {"": rates}
    if all(re.match(r"[0-9]|$", key) for key in rates):
        return {"": rates}
    return {currency: rate if isinstance(rate, dict) else {"": rate} for currency, rate in rates.items()}


Format = Annotated[str, is_("a format with year and month, as in strptime, such as %Y-%m or %d/%m/%Y,", _is_format)]
Formats = Annotated[tuple[Format, ...], Field(min_length=1), OneOrMore]
Period = Annotated[str, is_like("a year or a month YYYY-MM", r"((19|20)[0-9]{2}(-(0[1-9]|1[0-2]))?)?")]
Rate = Annotated[float, is_("US dollars for one unit, more than 0,", lambda rate: 0 < rate < math.inf)]
Rates = Annotated[
    dict[str, Annotated[dict[Period, Rate], Field(min_length=1)]], Field(min_length=1), BeforeValidator(_by_currency)
]

SCHEMA = ROOT / "data" / "panel.schema.json"
Population = Literal["census", "sample", "not representative"]


@cache
def columns() -> dict[str, dict[str, Any]]:
    """Return the fields of ``data/panel.schema.json`` by name: the single list of a panel's columns."""
    return {field["name"]: field for field in json.loads(SCHEMA.read_text(encoding="utf-8"))["fields"]}


def _ours(theirs: dict[str, str]) -> dict[str, str]:
    by_name = {{"brand": "brand_group"}.get(name, name): column for name, column in theirs.items()}
    if len(by_name) < len(theirs) or by_name.keys() - columns().keys():
        raise ValueError(f"expected our columns on the left, each once: {', '.join(columns())} (or brand)")
    return by_name


class Wide(Written):
    """One column of sales per month: `prefix`, then the month in `format` (as in strptime)."""

    prefix: str
    format: Format = ISO_MONTH


class Map(Written):
    """Names of the columns, platforms, origins and months of a panel in a researcher's own file."""

    columns: Annotated[Labels, AfterValidator(_ours)] = {}  # our name: theirs; omit columns that have our name
    platforms: Labels = {}  # their label: our code; omit if they use our codes; rows with one code are added up
    origins: Labels = {}
    wide: Wide | None = None  # omit if months are rows
    rows: Literal["month", "day", "week"] = "month"  # period of a row; a week is dated by its first day
    month_format: Formats = (ISO_MONTH,)  # formats of dates in cells
    closed_format: Formats | None = None  # month_format by default
    currency: Text = DOLLARS  # of the file's sales
    rates: Rates = {}  # US dollars per unit of it, or of each currency in a column
    thousands: Literal["", ",", ".", " ", "'"] = ""  # separator in numbers stored as text
    decimal: Literal[".", ","] = "."
    missing: Texts = ()  # words for missing values among numbers
    home: Text | None = None  # our code for the platform that closed accounts
    # meaning of a firm-platform-month without a row
    absent: Literal["missing", "zero", "zero_after_closure"] | None = None
    closures: Literal["firm", "account"] = "firm"  # unit that closed_on describes
    population: Population | None = None  # how firms were chosen; not representative by default
    encoding: Literal["utf-8", "gbk"] = "utf-8"  # of a text file
    separator: Literal[",", ";", "\t", "|"] | None = None  # of its columns; by default from the file's name
    sheet: Text | None = None  # of an Excel file; its only one by default

    @model_validator(mode="after")
    def _fits(self) -> Map:
        if (self.currency != DOLLARS) != ("" in self.rates):
            raise ValueError(
                "currency and rates go together: US dollars per unit, one number, by year or by month; if the "
                "rows have a column currency, rates alone, such as {CNY: 0.15, EUR: {2020: 1.14, 2021: 1.18}}"
            )
        if self.thousands == self.decimal:
            raise ValueError("expected two different separators, for thousands and for decimals")
        if self.wide and self.rows != "month":
            raise ValueError("expected columns of months, not of days or weeks, in a wide file")
        day = datetime.date(2021, 5, 17)
        dated = all(as_day(f"{day:{pattern}}", pattern) == str(day) for pattern in self.month_format)
        if self.rows != "month" and "month_format" in self.model_fields_set and not dated:
            raise ValueError("expected a month_format with the day, since rows are days or weeks")
        return self

    @property
    def money_by_row(self) -> bool:
        """Whether a column gives the currency of each row."""
        return bool(self.rates) and "" not in self.rates

    def rate(self, month: str, currency: str = "") -> float:
        """Return the US dollars for one unit of a currency in a month YYYY-MM, or NaN."""
        rates = self.rates.get(currency, {})
        if not rates and (currency or DOLLARS) == DOLLARS:
            return 1.0
        return next((rates[key] for key in (month, month[:4], "") if key in rates), math.nan)
