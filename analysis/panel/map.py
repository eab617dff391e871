"""The map from a researcher's own file to a panel's columns, platforms, origins and months."""

from __future__ import annotations

import datetime
import json
import math
import re
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from analysis.provenance import ROOT
from analysis.yaml import Labels, OneOrMore, Text, Texts, Written, is_, is_like, load

TEXT = "string"
NUMBER = "number"
MONTH = "yearmonth"
ISO_MONTH = "%Y-%m"
ISO_DAY = "%Y-%m-%d"
DOLLARS = "USD"


def as_day(text: str, pattern: str, zone: str | None = None) -> str | None:
    """Convert a date in a strptime format to YYYY-MM-DD, or return None if it does not match.

    A month becomes its first day. With a `zone`, a time becomes the day on which it falls there; a
    time without an offset is one in UTC. Without a `zone`, it is the day that is written.

    >>> time, pattern = "2021-04-30T17:00:00Z", "%Y-%m-%dT%H:%M:%S%z"
    >>> as_day(time, pattern), as_day(time, pattern, "Asia/Shanghai")
    ('2021-04-30', '2021-05-01')
    """
    if pattern == ISO_MONTH:  # strptime would also accept 2021-5
        if re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", text):
            return f"{text}-01"
        return None
    try:
        day = datetime.datetime.strptime(text, pattern)
    except ValueError:
        return None
    if zone and "%H" in pattern:
        day = (day if day.tzinfo else day.replace(tzinfo=datetime.UTC)).astimezone(ZoneInfo(zone))
    # it reads the Excel serial 44228 as August 4422
    if 1990 <= day.year <= 2099:
        return f"{day:%Y-%m-%d}"
    return None


def _reads(pattern: str, day: int) -> bool:
    """Return whether a format tells a day in May 2021, which may have a time and an offset."""
    moment = datetime.datetime(2021, 5, day, tzinfo=datetime.UTC)
    return as_day(f"{moment:{pattern}}", pattern) == f"{moment:%Y-%m-%d}"


def _is_format(text: str) -> bool:
    return _reads(text, 1)


def _by_currency(rates: Any) -> dict[str, Any]:
    """Normalise `rates` to {currency: {period: rate}}.

    An empty currency means that of the map, and an empty period means all periods.
    """
    if not isinstance(rates, dict):
        rates = {"": rates}
    if all(re.match(r"[0-9]|$", key) for key in rates):
        return {"": rates}
    return {
        currency: rate if isinstance(rate, dict) else {"": rate} for currency, rate in rates.items()
    }


def _is_pattern(text: str) -> bool:
    """Return whether the engines that read rows understand a regular expression."""
    import pyarrow as pa  # slow
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), text)
    except pa.ArrowInvalid:
        return False
    return True


def _is_time(pattern: str) -> bool:
    """Return whether a format is one of ISO times, which begin with their day."""
    return pattern.startswith(ISO_DAY) and "%H" in pattern


def _with_days(formats: tuple[str, ...]) -> tuple[str, ...]:
    """Add the format of days to that of times, whose days are read."""
    if any(map(_is_time, formats)):
        return (*dict.fromkeys([*formats, ISO_DAY]),)
    return formats


Format = Annotated[
    str, is_("a strptime format with year and month, such as %Y-%m or %d/%m/%Y,", _is_format)
]
Formats = Annotated[tuple[Format, ...], Field(min_length=1), OneOrMore]
Times = Annotated[Formats, AfterValidator(_with_days)]
Period = Annotated[
    str, is_like("a year or a month YYYY-MM", r"((19|20)[0-9]{2}(-(0[1-9]|1[0-2]))?)?")
]
Rate = Annotated[
    float,
    is_("a positive, finite number of US dollars per unit,", lambda rate: 0 < rate < math.inf),
]
Rates = Annotated[
    dict[str, Annotated[dict[Period, Rate], Field(min_length=1)]],
    Field(min_length=1),
    BeforeValidator(_by_currency),
]

Zone = Annotated[str, is_("a time zone such as Asia/Shanghai", available_timezones().__contains__)]
Pattern = Annotated[Text, is_("a regular expression such as Total.*", _is_pattern)]
Population = Literal["census", "sample", "not representative"]
POPULATIONS: tuple[str, ...] = get_args(Population)


_SCHEMA: dict[str, Any] = json.loads(
    (ROOT / "data" / "panel.schema.json").read_text(encoding="utf-8")
)
RECOGNISED: dict[str, Any] = _SCHEMA["recognised"]


def phrase(key: str, /, **values: Any) -> str:
    """Return a sentence of ``data/panel.schema.json`` with values in it."""
    return str(_SCHEMA["sentences"][key]).format(**values)


def refusal_words(key: str, of: str = "refusals", /, **values: Any) -> tuple[str, str, str]:
    """Return what is expected, what was found and what to do.

    The words are those of the refusals, or doubts, of ``data/panel.schema.json``.
    """
    expected, found, do = (str(words).format(**values) for words in _SCHEMA[of][key])
    return expected, found, do


@cache
def columns() -> dict[str, dict[str, Any]]:
    """Return the column definitions in ``data/panel.schema.json`` by name."""
    return {field["name"]: field for field in _SCHEMA["fields"]}


def attributes() -> list[str]:
    """Return the names of the columns that describe firms.

    The weight is not among them, since sales are already multiplied by it.
    """
    return [
        name
        for name, column in columns().items()
        if column.get("constantWithin") == "firm" and name != "weight"
    ]


def _no_week(period: Any) -> Any:
    if period == "week":
        raise ValueError(phrase("no week"))
    return period


def _as_rows(rows: Any) -> Any:
    return {"period": rows} if isinstance(rows, str) else rows


def _ours(theirs: dict[str, str]) -> dict[str, str]:
    by_name = {{"brand": "brand_group"}.get(name, name): column for name, column in theirs.items()}
    if len(by_name) < len(theirs) or by_name.keys() - columns().keys():
        raise ValueError(
            f"expected our column names on the left, each once: {', '.join(columns())} (or brand)"
        )
    return by_name


class Wide(Written):
    """Names of the sales columns in a wide file, one column per month.

    A name is `prefix` followed by the month in the strptime `format`.
    """

    prefix: str
    format: Format = ISO_MONTH


class Join(Written):
    """A second file, with attributes of each `key` of the first.

    Its path is relative to the map or the first file.
    """

    file: Text
    key: Text


class Rows(Written):
    """What a row covers, and which rows are left out.

    An order may be one of several a day, and returns are below 0. `drop` has a regular expression
    by column of the file: a row is left out if the whole of its cell fits.
    """

    period: Annotated[Literal["month", "day", "order"], BeforeValidator(_no_week)] = "month"
    drop: dict[Text, Pattern] = {}


class Map(Written):
    """Map from a researcher's own file to a panel."""

    columns: Annotated[
        Labels, AfterValidator(_ours)
    ] = {}  # our name: theirs; omit columns that have our name
    # their label: our code; omit if they use our codes; rows with one code are added up
    platforms: Labels = {}
    origins: Labels = {}
    wide: Wide | None = None  # omit if months are rows
    join: Join | None = None  # a second file with attributes
    rows: Annotated[Rows, BeforeValidator(_as_rows)] = Rows()  # a word is the period
    month_format: Times = (ISO_MONTH,)  # formats of dates in cells
    closed_format: Formats | None = None  # month_format by default
    currency: Text = DOLLARS  # of the file's sales
    rates: Rates = {}  # US dollars per unit of it, or of each currency in a column
    thousands: Literal["", ",", ".", " ", "'"] = ""  # separator in numbers stored as text
    decimal: Literal[".", ","] = "."
    missing: Texts = ()  # text for missing values in columns of numbers
    home: Text | None = None  # our code for the platform that closed accounts
    # meaning of a firm-platform-month without a row
    absent: Literal["missing", "zero", "zero_after_closure"] | None = None
    closures: Literal["firm", "account"] = "firm"  # unit that closed_on describes
    population: Population | None = None  # how firms were selected; not representative by default
    encoding: Literal["utf-8", "gbk"] = "utf-8"  # of a text file
    sheet: Text | None = None  # of an Excel file; its only one by default
    header_row: Annotated[int, Field(ge=1)] = (
        1  # of a text or Excel file; what is above it is left out
    )
    timezone: Zone | None = None  # in which times are dated; by default that of the column
    accepted: Labels = {}  # a doubt, by its name: the reason why the data are right

    @model_validator(mode="after")
    def _fits(self) -> Map:
        ones = {1.0, *self.rates.get("", {}).values()}
        apart = self.rows.period != "month"
        dated = all(_reads(pattern, 17) for pattern in self.month_format)
        undated = apart and "month_format" in self.model_fields_set and not dated
        for wrong, expected in (
            (self.currency != DOLLARS and "" not in self.rates, phrase("currency and rates")),
            (self.currency == DOLLARS and ones != {1.0}, phrase("currency and rates")),
            (
                self.thousands == self.decimal,
                "expected different separators for thousands and decimals",
            ),
            (
                self.wide and apart,
                "expected months, not days or orders, as columns of a wide file",
            ),
            (
                undated,
                "expected a month_format that includes the day, since rows are days or orders",
            ),
        ):
            if wrong:
                raise ValueError(expected)
        return self

    @property
    def money_by_row(self) -> bool:
        """Whether a column states the currency of each row."""
        return bool(self.rates) and "" not in self.rates

    @property
    def has_times(self) -> bool:
        """Whether months are ISO times that count for the day that is written."""
        return not self.timezone and any(map(_is_time, self.month_format))

    def rate(self, month: str, currency: str = "") -> float:
        """Return a currency's exchange rate in a month, in US dollars per unit.

        The month is YYYY-MM. The rate is NaN if unknown.
        """
        rates = self.rates.get(currency, {})
        if not rates and (currency or DOLLARS) == DOLLARS:
            return 1.0
        return next((rates[key] for key in (month, month[:4], "") if key in rates), math.nan)


def joined_files(first: Path, map: Path | None = None) -> list[Path]:
    """Return the path of the second file that a map joins to the first, if it does."""
    if not map or not (join := load(map, Map).join):
        return []
    places = [folder / join.file for folder in (map.parent, first.parent)]
    return [next(filter(Path.exists, places), places[0])]
