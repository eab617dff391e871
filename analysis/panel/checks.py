"""Convert a file's columns to the schema's types, and check them and the whole file.

Of each column, the distinct values are converted and checked. Errors name the row, column and
value, and the line to add to the map.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from fewtreated.errors import refuse
from fewtreated.estimate import Floats

from analysis.panel import formats
from analysis.panel.file import File, value_text
from analysis.panel.map import DOLLARS, ISO_MONTH, MONTH, NUMBER, TEXT, as_day, columns, phrase
from analysis.panel.panel import UNITS
from analysis.panel.rows import Distinct, Notes, group_columns, unit_columns
from analysis.provenance import SIMULATED_ID
from analysis.untrusted import unseen

_BOUNDS = {
    "minimum": (np.less, "at least"),
    "maximum": (np.greater, "at most"),
    "exclusiveMinimum": (np.less_equal, "more than"),
}
IDS = ("firm", "account", "brand_group", "category")
LONGEST_GAP = 12  # months without a row; isolated rows beyond such a gap are taken for errors


@dataclass(frozen=True)
class Table:
    """A file's units, and the groups into which their rows fall, checked.

    `units` has one row per firm or account, with its attributes, sorted by firm and account;
    `groups` one row per platform label, date and currency, with its `month` and `rate`. Both have
    the position of their `first` row, and `keys` the cells by which a row belongs to them. `parts`
    are the groups in covered months, with the `cell` of a unit to which their rows belong, and the
    `bit` of their day. `begin` is the first covered month, of so many `months`, and `wave` the
    first closure. The home platform comes first; `labels` are the file's, in the order of
    platforms, then sorted.
    """

    file: File
    found: Distinct
    units: pd.DataFrame
    groups: pd.DataFrame
    parts: pd.DataFrame
    keys: dict[str, pa.Table]
    begin: int
    months: int
    wave: float
    provenance: str
    platforms: tuple[str, ...]
    labels: list[str]

    def of(self, units: pd.DataFrame) -> Table:
        """Return the table of some units, or of all in another order."""
        keys = self.keys | {"units": self.keys["units"].take(pa.array(units.index))}
        return replace(self, units=units.reset_index(drop=True), keys=keys)

    @property
    def ids(self) -> pd.DataFrame:
        """Ids of the units."""
        return self.units[self.units.columns.intersection(["firm", "account"])]


def month_text(number: float) -> str:
    """Format a number of months since January 1970 as YYYY-MM."""
    return str(np.datetime64(int(number), "M"))


def checked_table(file: File, found: Distinct, home: str) -> tuple[Table, Notes]:
    """Return a file's units and groups, converted to the schema's types and checked, and notes."""
    units, groups = _converted(file, found.units, found.groups)
    if found.sales:
        _converted(file, found.sales)
    ids, units = _each_once(file, units)
    groups["rate"] = _rates(file, groups)
    begin, months, notes = _whole_months(file, groups["date"].min(), groups["date"].max())
    keys = {
        "units": found.units.select(ids).take(pa.array(units.index)),
        "parts": found.groups.select(group_columns(file)),
    }
    units = units.reset_index(drop=True)
    wave = units["closed_on"].min()
    provenance = _provenance(file, units, groups)
    platforms = _platforms(file, groups, home)
    order = {label: (platforms.index(file.code(label)), label) for label in groups["platform"]}
    labels = sorted(order, key=order.__getitem__)
    _refuse_months(file, groups)
    _refuse_spellings(file, units, groups)
    _refuse_early_closures(file, units, begin)
    used = {*file.theirs.values(), *file.months, file.named.join and file.named.join.key}
    unused = ("columns", "left out: not named in the map", len({*file.header} - used))
    if "sampled" in file.metadata:
        notes.append(("firms", file.metadata["sampled"], len(units)))
    table = Table(
        file,
        found,
        units,
        groups,
        _covered_parts(file, groups, labels, range(begin, begin + months)),
        keys,
        begin,
        months,
        wave,
        provenance,
        platforms,
        labels,
    )
    return table, [*found.notes, unused, *notes]


def _covered_parts(
    file: File, groups: pd.DataFrame, labels: list[str], months: range
) -> pd.DataFrame:
    """Return the groups in covered months, with the cell of a unit and the bit of their day.

    Without a rate, sales are unknown, and the rate is 0.
    """
    label = pd.Index(labels).get_indexer(groups["platform"])
    month = groups["month"].astype(np.int64)
    bit = np.int64(1)
    if file.named.rows.period != "month":
        bit = np.left_shift(1, groups["date"].dt.day.astype(np.int64))
    parts = groups.assign(cell=label * len(months) + month - months.start, bit=bit)
    return parts.fillna({"rate": 0.0})[month.isin(months)]


def _refuse_early_closures(file: File, units: pd.DataFrame, begin: int) -> None:
    """Raise DataError if a firm was closed before the first month."""
    early = units[units["closed_on"] < begin]
    if len(early):
        closed = month_text(early["closed_on"][early["first"].idxmin()])
        words = file.refusal("early closure", first=month_text(begin), found=closed)
        file.refuse(early, "closed_on", *words)


def _each_once(file: File, units: pd.DataFrame) -> tuple[list[str], pd.DataFrame]:
    """Return the columns by which units differ, and each unit once, sorted by firm and account."""
    owner = file.owner
    ids = [owner]
    if "account" in units and owner == "firm":
        ids = ["firm", "account"]
    units = units.sort_values("first")
    names = [name for name in unit_columns(file) if name not in ("account", owner)]
    refuse_two_values(file, units, owner, names)
    order = [name for name in ("firm", "account") if name in units]
    return ids, units.drop_duplicates(ids).sort_values(order)


@dataclass(frozen=True)
class Column:
    """A column of a file: the distinct values under one of our names, with their rows."""

    file: File
    cells: pd.DataFrame
    name: str

    @property
    def given(self) -> pd.Series:
        """Values as they stand in the file; text has no nulls."""
        return self.cells[self.name]

    @property
    def kind(self) -> str:
        """Type of the values in the schema."""
        return str(columns()[self.name]["type"])

    @property
    def limits(self) -> dict[str, Any]:
        """Constraints of the schema."""
        return dict(columns()[self.name].get("constraints", {}))

    def refuse_where(self, wrong: Any, expected: str, more: str = "", do: str = "") -> None:
        """Raise DataError for the first wrong value, if there is one.

        `more` is said of the value.
        """
        rows = self.cells[np.asarray(wrong, dtype=bool)]
        if rows.empty:
            return
        value = rows[self.name].tolist()[rows["first"].argmin()]
        odd = mend = ""
        if self.kind == MONTH:
            odd, mend = formats.misread_month(str(value))
        found = value_text(value) + odd + more
        self.file.refuse(rows, self.name, expected, found, mend or do)


def _converted(file: File, *raws: pa.Table) -> list[pd.DataFrame]:
    """Check and convert distinct values, in the schema's order.

    They become text without nulls; and numbers, and months since January 1970, as float64 with NaN
    if missing. The dates of the column month are kept as `date`. What else is known of their rows
    stays beside them.
    """
    parts = [(_without_nulls(raw), dict[str, Any]()) for raw in raws]
    for name in columns():
        for cells, found in parts:
            if name in cells:
                _convert(Column(file, cells, name), found)
    return [cells.assign(**found) for cells, found in parts]


def _convert(column: Column, found: dict[str, Any]) -> None:
    """Add the values of a column to those that were found."""
    name = column.name
    if column.kind == TEXT:
        found[name] = _words(column)
    elif column.kind == NUMBER:
        found[name] = _numbers(column)
    else:
        days = _days(column)
        months = days.astype("datetime64[M]").astype(np.int64)
        found[name] = np.where(np.isnat(days), np.nan, months)
        if name == "month":
            found["date"] = days
    _refuse_beyond_bounds(column, found[name])
    _refuse_contradictions(column, found)


def _refuse_beyond_bounds(column: Column, values: Any) -> None:
    """Raise DataError for a value beyond the schema's limits, or one that is missing."""
    for limit, (breaks, expected) in _BOUNDS.items():
        bound = column.limits.get(limit)
        if bound is None:
            continue
        if column.file.named.rows.period == "order" and (column.name, limit) == (
            "sales",
            "minimum",
        ):
            continue  # returns are netted by month
        text = bound
        if column.kind == MONTH:
            bound = np.datetime64(bound).astype(int)
        else:
            text = f"{bound:,}"
        column.refuse_where(breaks(values, bound), f"{expected} {text}")
    if column.limits.get("required") and column.kind != TEXT:
        expected = {NUMBER: "a number", MONTH: "a month"}[column.kind]
        column.refuse_where(np.isnan(values), expected)


def _refuse_contradictions(column: Column, found: Mapping[str, Any]) -> None:
    """Raise DataError if a dose is without a closure, or if a file mixes what it must not mix."""
    name = column.name
    file = column.file
    values = found[name]
    if name == "dose":
        closed = ~np.isnan(found["closed_on"])
        dosed = ~np.isnan(values)
        column.refuse_where(closed & ~dosed, "the dose of a closed firm")
        column.refuse_where(~closed & dosed, "no dose for a firm without closed_on")
    elif name == "provenance" or (name == "currency" and not file.named.money_by_row):
        first = values[column.cells["first"].argmin()]
        column.refuse_where(values != first, f"{first!r} as in row {file.row(0)}")


def _without_nulls(raw: pa.Table) -> pd.DataFrame:
    """Return a table as a frame in which text has no nulls.

    Months that are no dates are text without nulls, too.
    """
    for at, name in enumerate(raw.column_names):
        kind = columns().get(name, {}).get("type")
        if kind == TEXT or (kind == MONTH and not pa.types.is_date(raw[name].type)):
            raw = raw.set_column(at, name, pc.fill_null(raw[name].cast(pa.string()), ""))
    return raw.to_pandas(date_as_object=False)


# Text


def _words(column: Column) -> pd.Series:
    """Check text.

    Origins become the schema's codes; platforms keep the file's labels.
    """
    words = column.given
    name = column.name
    named = column.file.named
    if column.limits.get("required"):
        column.refuse_where(words == "", "a value")
    odd = words.map({word: unseen(word) for word in words.unique()})
    if len(rows := column.cells[odd != ""]):
        more = f", with {odd[rows['first'].idxmin()]} in it"
        column.refuse_where(
            odd != "", "text without characters that are not seen", more, "remove it"
        )
    plain = words.str.strip().str.replace("[●◐○]", "", regex=True)  # which mark printed figures
    expected = "text without spaces around it or ●, ◐ and ○"
    column.refuse_where(words != plain, expected, do="remove them")
    if name in ("firm", "account", "platform", "origin", "category"):
        sums = formats.TOTALS
        if name in ("firm", "account"):
            sums += f"|{formats.OTHERS}"
        total = words.str.fullmatch(sums, case=False)
        column.refuse_where(total, "rows of single firms", do="leave out the rows of totals")
    labels: dict[str, str] = {"platform": named.platforms, "origin": named.origins}.get(name, {})
    if labels:
        do = _line_of_labels(column, labels)
        column.refuse_where(~words.isin(labels), f"one of the labels {', '.join(labels)}", do=do)
    if name == "platform" and column.file.allowed:
        _refuse_other_platforms(column, column.file.allowed)
    allowed, do = column.limits.get("enum"), ""
    if name == "currency":
        allowed, do = _currencies(column)
    if allowed:
        column.refuse_where(~words.isin(allowed), f"one of {', '.join(allowed)}", do=do)
    if labels and name == "origin":
        return words.map(labels)
    return words


def _refuse_other_platforms(column: Column, allowed: Sequence[str]) -> None:
    """Raise DataError for a platform that the event does not have."""
    file = column.file
    do = f"correct `platforms` in {file.map}"
    if not file.named.platforms:
        do = _line_of_labels(column, {code: code for code in allowed})
    do += ", or name the event of these with --event"
    wrong = ~column.given.map(file.code).isin(allowed)
    column.refuse_where(wrong, f"one of {', '.join(allowed)}", do=do)


def _currencies(column: Column) -> tuple[list[str], str]:
    """Return the currencies that the map allows, and an instruction to add the others."""
    named = column.file.named
    allowed = [named.currency]
    if named.money_by_row:
        allowed = [*named.rates, DOLLARS]
    if not named.rates:
        allowed.append(UNITS["simulated"])
    others = (word for word in column.given.unique() if word not in {DOLLARS, *named.rates})
    rates = "..., " * named.money_by_row + ", ".join(f"{word}: RATE" for word in others)
    line = column.file.map_line(f"rates: {{{rates}}}")
    instead = ""
    if named.currency != DOLLARS:
        instead = f", instead of `currency: {named.currency}`"
    return allowed, phrase("rates", line=line, instead=instead)


def _line_of_labels(column: Column, labels: Mapping[str, str]) -> str:
    """Return an instruction to map each label to the code of a similar label.

    If there is no similar label, the label is mapped to the placeholder CODE.
    """
    words = column.given.unique()
    more = ""
    code_of = {word: word for word in words if word in labels}
    if getattr(column.file.named, f"{column.name}s"):
        more = "..., "
        code_of = {}
    codes = {label.casefold(): code for label, code in labels.items()}
    for word in words:
        if word not in labels:
            code = codes.get(word.casefold(), formats.platform_code(word))
            code_of[word] = code if code in labels.values() else "CODE"
    line = more + ", ".join(f"{word}: {code}" for word, code in code_of.items())
    do = column.file.map_line(f"{column.name}s: {{{line}}}")
    if "CODE" in code_of.values():
        do += f", where CODE is one of {', '.join(dict.fromkeys(labels.values()))}"
    return do


# Months


def _days(column: Column) -> Any:
    """Parse dates as datetime64[D].

    Raise DataError if a date matches none of the map's formats, or if two formats disagree on it.
    """
    if not pd.api.types.is_string_dtype(column.given):
        return column.given.to_numpy("datetime64[D]")
    indices, words = pd.factorize(column.given)
    zone = column.file.named.timezone
    key, known = _known_formats(column)
    read = [{form: day for form in known if (day := as_day(word, form, zone))} for word in words]
    length = 10  # characters on which formats must agree
    if column.name != "month" or column.file.named.rows.period == "month":
        length = 7
    for at, (word, ways) in enumerate(zip(words, read, strict=True)):
        if len({day[:length] for day in ways.values()}) > 1:
            readings = ", ".join(f"{day[:length]} by {form}" for form, day in ways.items())
            refused = column.file.refusal("readings", word=word, readings=readings, key=key)
            column.refuse_where(indices == at, *refused)
    expected = "a month YYYY-MM"
    if known != (ISO_MONTH,):
        expected = f"a date in the format {' or '.join(known)}"
    empty = np.array([not ways for ways in read], dtype=bool)
    wrong = empty & np.asarray(words != "")
    do = _line_of_formats(column.file, key, words, wrong, known)
    column.refuse_where(wrong[indices], expected, do=do)
    days = [next(iter(ways.values()), "NaT") for ways in read]
    return np.array(days, dtype="datetime64[D]")[indices]


def _known_formats(column: Column) -> tuple[str, Sequence[str]]:
    """Return the key of the map, and its formats, by which a column of dates is read."""
    named = column.file.named
    if column.name == "closed_on":
        return "closed_format", named.closed_format or named.month_format
    if column.file.months:
        return "month_format", (ISO_MONTH,)
    return "month_format", named.month_format


def _line_of_formats(file: File, key: str, words: Any, wrong: Any, known: Sequence[str]) -> str:
    """Return an instruction to list date formats in the map, or an empty string if none fit."""
    _, likely, undecided = formats.parse_dates(words[wrong])
    if not (likely or undecided):
        return ""
    kept = [pattern for pattern in known if any(as_day(word, pattern) for word in words)]
    patterns = dict.fromkeys([*kept, *likely, *(ways[0] for ways in undecided)])
    line = ", ".join(f'"{pattern}"' for pattern in patterns)
    if "," in line:
        line = f"[{line}]"
    other = "".join(f', or with "{ways[1]}" if the month comes first' for ways in undecided)
    return file.map_line(f"{key}: {line}") + other


# Numbers


def _numbers(column: Column) -> Floats:
    words = column.given
    named = column.file.named
    if pd.api.types.is_string_dtype(words):
        words = words.mask(words.isin(["", *named.missing])).dropna()
        wrong = ~words.str.match(formats.number_pattern(named.thousands, named.decimal))
        if wrong.any():
            _refuse_numbers(column, words, wrong)
        declared = column.name != "sales" or named.model_fields_set & {"thousands", "decimal"}
        if not declared and words.str.match(formats.EITHER).all():
            pointed = words.str.contains(".", regex=False)
            refused = column.file.refusal("points", 'decimal: "."')
            column.refuse_where(pointed.reindex(column.cells.index, fill_value=False), *refused)
        if named.thousands:
            words = words.str.replace(formats.thousands_pattern(named.thousands), "", regex=True)
        words = words.str.replace(named.decimal, ".", regex=False).reindex(column.cells.index)
    values: Floats = words.to_numpy(float, na_value=np.nan)
    column.refuse_where(np.isinf(values), "a finite number")
    return values


def _refuse_numbers(column: Column, words: pd.Series, wrong: pd.Series) -> None:
    """Raise DataError for the first cell that is no number.

    The error has the line of the map by which the cell would be one.
    """
    file = column.file
    word = words[wrong].iloc[0]
    signs = words.str.extract(f"(?i)({formats.MONEY})")[0]
    every = ", ".join(sorted(signs.dropna().unique()))  # a column may mix currencies
    wrong = wrong.reindex(column.cells.index, fill_value=False)
    marked = wrong & signs.notna().reindex(column.cells.index, fill_value=False)
    column.refuse_where(marked, *file.refusal("symbols", "currency: CODE", signs=every))
    ways = []
    for thousands, decimal in formats.number_signs(words.unique()):
        lines = [f'thousands: "{thousands}"'] * (thousands != file.named.thousands)
        lines += [f'decimal: "{decimal}"'] * (decimal != file.named.decimal)
        ways.append("` and `".join(lines))
    do = ""
    if ways:
        do = file.map_line("` or, whichever is meant, `".join(ways))
    if re.fullmatch(f"{formats.UNKNOWN}|[-–—]+", word.lower()):
        line = file.map_line(f'missing: ["{word}"]')
        do = f"{line} if it marks an unknown value, or write 0 if nothing was sold"
    column.refuse_where(wrong, "a number such as 1250 or 2e-3", do=do)


# Money


def _rates(file: File, groups: pd.DataFrame) -> Floats:
    """Return the exchange rate of each group of rows, in US dollars per unit of its currency."""
    words = groups["month"].map(month_text)
    money = pd.Series("", groups.index)
    if file.named.money_by_row:
        money = groups["currency"]
    found = np.array([file.named.rate(*pair) for pair in zip(words, money, strict=True)])
    lacking = groups[np.isnan(found) & (groups["known"] > 0)]
    if len(lacking):
        at = lacking["first"].idxmin()
        of = f": {{{money[at]}: ...}}" if money[at] else ""
        named = money[at] or file.named.currency
        words = file.refusal("no rate", money=named, month=words[at], of=of)
        file.refuse(lacking, "sales", *words)
    return found


# The whole file


def _whole_months(file: File, begin: Any, end: Any) -> tuple[int, int, Notes]:
    """Return the first fully covered month, and the number of such months.

    Also return notes on partly covered months.

    The rows run from `begin` to `end`.
    """
    if file.named.rows.period == "month":
        begin = begin.to_period("M").start_time
        end = end.to_period("M").end_time
    days = pd.period_range(begin, end, freq="D").asfreq("M").value_counts(sort=False)
    whole = days == days.index.days_in_month
    if not whole.any():
        refuse(file.path, *file.refusal("no whole month", begin=begin, until=end))
    notes = [
        ("months", phrase("part month", month=of, count=n, days=of.days_in_month), 1)
        for of, n in days[~whole].items()
    ]
    return days.index[whole].asi8[0], int(whole.sum()), notes


def _refuse_months(file: File, groups: pd.DataFrame) -> None:
    """Raise DataError if a month is isolated, or if rows are weeks, quarters or years."""
    days = np.unique(groups["date"].to_numpy("datetime64[D]"))
    apart = np.diff(days).astype(np.int64)
    if len(days) > 2 and np.median(apart) == 7 and file.named.rows.period != "order":
        file.refuse_column("month", *file.refusal("weekly", first=days[0], second=days[1]))
    months = np.unique(groups["month"].to_numpy(np.int64))
    steps = np.diff(months)
    if len(months) > 2 and (step := int(np.gcd.reduce(steps))) > 1:
        such = ", ".join(map(month_text, months[:3]))
        file.refuse_column("month", *file.refusal("not monthly", months=such, step=step))
    if len(steps) and steps.max() > LONGEST_GAP:
        after = groups["month"] > months[int(steps.argmax())]
        side = "after"
        if groups["n"][after].sum() <= groups["n"][~after].sum():
            side = "before"
        isolated = groups[after == (side == "before")]
        month = month_text(isolated["month"][isolated["first"].idxmin()])
        words = file.refusal("gap", month=month, count=steps.max() - 1, side=side)
        file.refuse(isolated, "month", *words)


def _refuse_spellings(file: File, units: pd.DataFrame, groups: pd.DataFrame) -> None:
    """Raise DataError if an origin, platform, category or id has two spellings."""
    for name in ("origin", "platform", *(name for name in IDS if name in units)):
        rows = units
        if name == "platform":
            rows = groups.assign(platform=groups["platform"].map(file.code))
        words = pd.Series(rows[name].unique(), dtype="str")
        plain = words.str.normalize("NFKC").str.lower().str.replace(r"\s+", "", regex=True)
        if name == "origin":
            plain = plain.mask(plain.isin(formats.CHINA), "cn")
        again = plain.duplicated(keep=False)
        if name == "origin" and not file.named.origins:  # or no firm would be of the origin CN
            again |= (plain == "cn") & (words != "CN")
        for spelling in plain[again][:1]:
            same = sorted(words[plain == spelling])
            _refuse_two_spellings(file, rows, name, same, spelling)


def _refuse_two_spellings(
    file: File, rows: pd.DataFrame, name: str, same: list[str], spelling: str
) -> NoReturn:
    """Raise DataError for spellings that are the same."""
    merged = same[0]
    expected = f"one spelling of each {name}"
    if (name, spelling) == ("origin", "cn"):
        merged = "CN"
        expected += ", CN for China"
    given = sorted(rows[name].unique())
    labels = getattr(file.named, f"{name}s", {}) or dict(zip(given, given, strict=True))
    line = ", ".join(
        f"{label}: {merged if code in same else code}" for label, code in labels.items()
    )
    do = file.map_line(f"{name}s: {{{line}}}")
    if name in IDS:
        do = "use one spelling in all rows"
    firsts = rows.groupby(name)["first"].min()
    actual = " and ".join(f"{word!r} (first in row {file.row(firsts[word])})" for word in same)
    file.refuse_column(name, expected, actual, do)


def refuse_two_values(file: File, given: pd.DataFrame, owner: str, names: Sequence[str]) -> None:
    """Raise DataError if an attribute differs within a firm or account.

    The rows of `given` are in order of their first position in the file.
    """
    twice = given[given[owner].duplicated(keep=False)]
    by_account = "account" in given and file.named.closures == "firm"
    for name in names:
        known = twice.groupby(owner, sort=False)[name].transform("first")
        wrong = twice[(twice[name] != known) & known.notna()].head(1)
        if wrong.empty:
            continue
        as_written: Any = {TEXT: str, MONTH: month_text, NUMBER: float}[columns()[name]["type"]]
        both = wrong[name].iloc[0], known[wrong.index[0]]
        value, other = (value_text(cell if pd.isna(cell) else as_written(cell)) for cell in both)
        key = "two values"
        if name == "closed_on" and by_account:
            key = "two closures"
        id_ = wrong[owner].iloc[0]
        words = file.refusal(key, owner=owner, id=id_, value=value, other=other)
        file.refuse(wrong.assign(n=1), name, *words)


def _platforms(file: File, groups: pd.DataFrame, home: str) -> tuple[str, ...]:
    """Return the platforms in the file, with the home platform first."""
    present = sorted({*map(file.code, groups["platform"])})
    if home not in present:
        words = file.refusal("home without rows", home=home, present=", ".join(present))
        refuse(file.path, *words)
    order = file.allowed or [*file.named.platforms.values(), *present]
    return tuple(dict.fromkeys([home, *(name for name in order if name in present)]))


def _provenance(file: File, units: pd.DataFrame, groups: pd.DataFrame) -> str:
    """Return "simulated" if the metadata, the column `provenance` or the ids say so, else "real".

    Raise DataError if real and simulated rows are mixed.
    """
    stated = file.metadata.get("provenance", "real")
    if stated not in UNITS:
        refuse(file.path, *file.refusal("unknown provenance", stated=stated))
    marked = {
        name: units[name].str.match(SIMULATED_ID)
        for name in ("firm", "account", "brand_group")
        if name in units
    }
    all_marked = any(each.all() for each in marked.values())
    if all_marked or "simulated" in {stated, *groups.get("provenance", [])}:
        return "simulated"
    for name, each in marked.items():
        if each.any():
            first = (units[part].sort_values("first").iloc[0] for part in (each, ~each))
            pair = " and ".join(
                f"{unit[name]!r} (first in row {file.row(unit['first'])})" for unit in first
            )
            words = file.refusal("two provenances", name=name.replace("_", " "), pair=pair)
            file.refuse_column(name, *words)
    return "real"
