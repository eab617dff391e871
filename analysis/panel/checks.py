"""Convert a file's columns to the schema's types, and check them and the whole panel.

Of each column, the distinct values are converted and checked.

Errors name the row, column and value, and the line to add to the map; warnings name what is
implausible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from fewtreated.errors import refuse
from fewtreated.estimate import Floats

from analysis.numbers import number
from analysis.panel import formats
from analysis.panel.file import File
from analysis.panel.map import DOLLARS, ISO_MONTH, RECOGNISED, Map, as_day, columns, said, sentence
from analysis.panel.panel import MONTH, NUMBER, TEXT, UNITS, Panel
from analysis.panel.rows import Rows

_BOUNDS = {"minimum": (np.less, "at least"), "maximum": (np.greater, "at most")}
_BOUNDS["exclusiveMinimum"] = (np.less_equal, "more than")
IDS = ("firm", "account", "brand_group", "category")
LONGEST_GAP = 12  # months without a row; isolated rows beyond such a gap are taken for errors
# firms from which on a total may be among them, and from which on a share or median says something
FEW = 3
MANY = 10
# factor by which typical sales never change in a month; months without sales before a closure
BREAK = 4.0
LATE = 6
# so many times the sales on the home platform are not made on another one, but in another unit
SIDE = 20.0
GOING_ON = 0.05  # firms that keep a larger share of their home sales were not fully closed


@dataclass(frozen=True)
class Table:
    """A file's units, and the groups into which their rows fall.

    `source` is SQL for the rows. `units` has one row per firm or account, with its attributes,
    sorted by firm and account; `groups` one row per platform label, date and currency, with its
    `month` and `rate`. Both have the position of their `first` row, and `keys` the cells by which a
    row belongs to them. `begin` is the first fully covered month, of so many `months`, and `wave`
    the first closure. The home platform comes first.
    """

    file: File
    rows: Rows
    source: str
    units: pd.DataFrame
    groups: pd.DataFrame
    keys: dict[str, pa.Table]
    begin: int
    months: int
    wave: float
    provenance: str
    platforms: tuple[str, ...]

    def of(self, units: pd.DataFrame) -> Table:
        """Return the table of some units, or of all in another order."""
        keys = self.keys | {"units": self.keys["units"].take(pa.array(units.index))}
        return replace(self, units=units.reset_index(drop=True), keys=keys)

    @property
    def ids(self) -> pd.DataFrame:
        """Ids of the units."""
        return self.units[self.units.columns.intersection(["firm", "account"])]

    @property
    def joined(self) -> str:
        """SQL that joins the rows to their units and parts."""
        using = {name: ", ".join(keys.column_names) for name, keys in self.keys.items()}
        return f"source JOIN units USING ({using['units']}) JOIN parts USING ({using['parts']})"

    @cached_property
    def tables(self) -> dict[str, pa.Table]:
        """Tables `units` and `parts` to which `joined` refers.

        The position of each is in its column, `unit` or `part`.
        """
        parts = self.keys["parts"].take(pa.array(self.parts["group"]))
        positions = np.arange(len(self.parts))
        for name, cells in (*self.parts[["cell", "factor", "bit"]].items(), ("part", positions)):
            parts = parts.append_column(name, pa.array(cells))
        unit = pa.array(np.arange(len(self.units), dtype=np.int32))
        return {"units": self.keys["units"].append_column("unit", unit), "parts": parts}

    @cached_property
    def labels(self) -> list[str]:
        """The file's platform labels, in the order of platforms, then sorted."""
        order = {code: at for at, code in enumerate(self.platforms)}
        return sorted(
            self.groups["platform"].unique(),
            key=lambda label: (order[self.file.code(label)], label),
        )

    @cached_property
    def parts(self) -> pd.DataFrame:
        """Cells of a unit to which the rows of groups belong: `group`, `cell`, `factor` and `bit`.

        A row's sales are multiplied by the factor; `bit` is that of its day. A week that spans two
        months has a second part in the next month, in proportion to days, with the bit 0.
        """
        groups = self.groups
        by_month = self.file.named.rows == "month"
        label = pd.Index(self.labels).get_indexer(groups["platform"])
        day = groups["date"].dt.day
        parts = pd.DataFrame(
            {"group": np.arange(len(groups)), "label": label, "factor": groups["rate"].fillna(0.0)}
        )
        parts["month"] = groups["month"].astype(np.int64) - self.begin
        parts["bit"] = np.left_shift(1, 0 if by_month else day.astype(np.int64))
        if self.file.named.rows == "week":
            share = np.minimum(groups["date"].dt.days_in_month - day + 1, 7) / 7
            rest = parts.assign(
                month=parts["month"] + 1, factor=parts["factor"] * (1 - share), bit=1
            )
            parts = pd.concat([parts.assign(factor=parts["factor"] * share), rest[share < 1]])
        parts["cell"] = parts["label"] * self.months + parts["month"]
        return parts[parts["month"].between(0, self.months - 1)].reset_index(drop=True)


def month_text(number: float) -> str:
    """Format a number of months since January 1970 as YYYY-MM."""
    return str(np.datetime64(int(number), "M"))


def typed(file: File, *raws: pa.Table) -> list[pd.DataFrame]:
    """Check and convert distinct values, in the schema's order.

    What else is known of their rows stays beside them.

    They become text without nulls; and numbers, and months since January 1970, as float64 with NaN
    if missing. The dates of the column month are kept as `date`.
    """
    parts = [(_plain(raw), dict[str, Any]()) for raw in raws]
    for name, cells, found in (
        (name, *part) for name in columns() for part in parts if name in part[0]
    ):
        kind = columns()[name]["type"]
        limits = columns()[name].get("constraints", {})
        values = {TEXT: _words, NUMBER: _numbers, MONTH: _days}[kind](file, cells, name)
        if kind == MONTH:
            days = values
            values = np.where(
                np.isnat(values), np.nan, values.astype("datetime64[M]").astype(np.int64)
            )
            found.update({"date": days} if name == "month" else {})
        found[name] = values
        for limit, (breaks, expected) in _BOUNDS.items():
            returns = file.named.rows == "order" and (name, limit) == (
                "sales",
                "minimum",
            )  # netted by month
            if (bound := limits.get(limit)) is not None and not returns:
                least, text = (
                    (np.datetime64(bound).astype(int), bound)
                    if kind == MONTH
                    else (bound, f"{bound:,}")
                )
                file.refuse_where(breaks(values, least), cells, name, f"{expected} {text}")
        if limits.get("required") and kind != TEXT:
            file.refuse_where(
                np.isnan(values), cells, name, "a number" if kind == NUMBER else "a month"
            )
        at = cells["first"].argmin()
        if name == "dose":
            closed = ~np.isnan(found["closed_on"])
            file.refuse_where(closed & np.isnan(values), cells, name, "the dose of a closed firm")
            file.refuse_where(
                ~closed & ~np.isnan(values), cells, name, "no dose for a firm without closed_on"
            )
        elif name == "provenance" or (name == "currency" and not file.named.money_by_row):
            file.refuse_where(
                values != values[at], cells, name, f"{values[at]!r} as in row {file.row(0)}"
            )
        elif name == "month" and file.named.rows == "week":
            shifted = (days - days[at]).astype(np.int64) % 7 != 0
            file.refuse_where(shifted, cells, name, *file.said("week", row=file.row(0)))
    return [cells.assign(**found) for cells, found in parts]


def _plain(raw: pa.Table) -> pd.DataFrame:
    """Return a table as a frame in which text has no nulls.

    Months that are no dates are text without nulls, too.
    """
    for at, name in enumerate(raw.column_names):
        kind = columns().get(name, {}).get("type")
        if kind == TEXT or (kind == MONTH and not pa.types.is_date(raw[name].type)):
            raw = raw.set_column(at, name, pc.fill_null(raw[name].cast(pa.string()), ""))
    return raw.to_pandas(date_as_object=False)


# Text


def _words(file: File, cells: pd.DataFrame, name: str) -> pd.Series:
    """Check text.

    Origins become the schema's codes; platforms keep the file's labels.
    """
    words = cells[name]
    limits = columns()[name].get("constraints", {})
    named = file.named
    home = file.allowed or ()
    labels: dict[str, str] = {"platform": named.platforms, "origin": named.origins}.get(name, {})
    if limits.get("required"):
        file.refuse_where(words == "", cells, name, "a value")
    plain = words.str.strip().str.replace("[●◐○]", "", regex=True)  # which mark printed figures
    file.refuse_where(
        words != plain,
        cells,
        name,
        "text without spaces around it or ●, ◐ and ○",
        "",
        "remove them",
    )
    if name in ("firm", "account", "platform", "origin", "category"):
        total = words.str.fullmatch(formats.TOTALS, case=False)
        file.refuse_where(
            total, cells, name, "rows of single firms", "", "leave out the rows of totals"
        )
    if labels:
        do = _line_of_labels(file, name, words.unique(), labels)
        file.refuse_where(
            ~words.isin(labels), cells, name, f"one of the labels {', '.join(labels)}", "", do
        )
    if name == "platform" and home:
        line = _line_of_labels(file, name, words.unique(), {code: code for code in home})
        do = (
            f"{f'correct `platforms` in {file.map}' if labels else line}, or name the event of"
            " these with --event"
        )
        file.refuse_where(
            ~words.map(file.code).isin(home), cells, name, f"one of {', '.join(home)}", "", do
        )
    allowed = limits.get("enum", [])
    do = ""
    if name == "currency":
        if named.money_by_row:
            allowed = [*named.rates, DOLLARS]
        else:
            allowed = [named.currency]
        allowed += [] if named.rates else [UNITS["simulated"]]
        do = _line_of_rates(file, words.unique())
    if allowed:
        file.refuse_where(~words.isin(allowed), cells, name, f"one of {', '.join(allowed)}", "", do)
    if labels and name == "origin":
        return words.map(labels)
    return words


def _line_of_labels(file: File, name: str, words: Iterable[str], labels: Mapping[str, str]) -> str:
    """Return an instruction to map each label to the code of a similar label.

    If there is no similar label, the label is mapped to the placeholder CODE.
    """
    listed = bool(getattr(file.named, f"{name}s"))
    codes = {label.casefold(): code for label, code in labels.items()}
    if listed:
        code_of = {}
    else:
        code_of = {word: word for word in words if word in labels}
    for word in words:
        if word not in labels:
            code = codes.get(word.casefold(), formats.code_of(word))
            if code in labels.values():
                code_of[word] = code
            else:
                code_of[word] = "CODE"
    line = "..., " * listed + ", ".join(f"{word}: {code}" for word, code in code_of.items())
    if "CODE" in code_of.values():
        of = f", where CODE is one of {', '.join(dict.fromkeys(labels.values()))}"
    else:
        of = ""
    return file.line(f"{name}s: {{{line}}}") + of


def _line_of_rates(file: File, words: Iterable[str]) -> str:
    rates = ", ".join(
        f"{word}: RATE" for word in words if word != DOLLARS and word not in file.named.rates
    )
    line = file.line(f"rates: {{{'..., ' * file.named.money_by_row}{rates}}}")
    if file.named.currency != DOLLARS:
        instead = f", instead of `currency: {file.named.currency}`"
    else:
        instead = ""
    return sentence("rates", line=line, instead=instead)


# Months


def _days(file: File, cells: pd.DataFrame, name: str) -> Any:
    """Parse dates as datetime64[D].

    Raise DataError if a date matches none of the map's formats, or if two formats disagree on it.
    """
    if not pd.api.types.is_string_dtype(cells[name]):
        return cells[name].to_numpy("datetime64[D]")
    named = file.named
    indices, words = pd.factorize(cells[name])
    key = "month_format"
    known = (ISO_MONTH,) if file.months else named.month_format
    if name == "closed_on":
        key = "closed_format"
        known = named.closed_format or named.month_format
    # characters on which formats must agree
    if name != "month" or named.rows == "month":
        length = 7
    else:
        length = 10
    read = [{format_: day for format_ in known if (day := as_day(word, format_))} for word in words]
    for at, (word, ways) in enumerate(zip(words, read, strict=True)):
        if len({day[:length] for day in ways.values()}) > 1:
            readings = ", ".join(f"{day[:length]} by {format_}" for format_, day in ways.items())
            said = file.said("readings", word=word, readings=readings, key=key)
            file.refuse_where(indices == at, cells, name, *said)
    if known != (ISO_MONTH,):
        expected = f"a date in the format {' or '.join(known)}"
    else:
        expected = "a month YYYY-MM"
    wrong = np.array(
        [bool(word) and not ways for word, ways in zip(words, read, strict=True)], dtype=bool
    )
    file.refuse_where(
        wrong[indices], cells, name, expected, "", _line_of_formats(file, key, words, wrong, known)
    )
    return np.array([next(iter(ways.values()), "NaT") for ways in read], dtype="datetime64[D]")[
        indices
    ]


def _line_of_formats(file: File, key: str, words: Any, wrong: Any, known: Sequence[str]) -> str:
    """Return an instruction to list date formats in the map, or an empty string if none fit."""
    _, likely, undecided = formats.dates(words[wrong])
    if not (likely or undecided):
        return ""
    kept = [pattern for pattern in known if any(as_day(word, pattern) for word in words)]
    line = ", ".join(
        f'"{pattern}"'
        for pattern in dict.fromkeys([*kept, *likely, *(ways[0] for ways in undecided)])
    )
    other = "".join(f', or with "{ways[1]}" if the month comes first' for ways in undecided)
    return file.line(f"{key}: {f'[{line}]' if ',' in line else line}") + other


# Numbers


def _numbers(file: File, cells: pd.DataFrame, name: str) -> Floats:
    words = cells[name]
    named = file.named
    if pd.api.types.is_string_dtype(words):
        words = words.mask(words.isin(["", *named.missing])).dropna()
        right = words.str.match(formats.number_pattern(named.thousands, named.decimal))
        if not right.all():
            _refuse_numbers(file, cells, name, words, ~right)
        declared = name != "sales" or named.model_fields_set & {"thousands", "decimal"}
        if not declared and words.str.match(formats.EITHER).all():
            pointed = words.str.contains(".", regex=False).reindex(cells.index, fill_value=False)
            file.refuse_where(pointed, cells, name, *file.said("points"))
        if named.thousands:
            words = words.str.replace(formats.between(named.thousands), "", regex=True)
        words = words.str.replace(named.decimal, ".", regex=False).reindex(cells.index)
    values: Floats = words.to_numpy(float, na_value=np.nan)
    file.refuse_where(np.isinf(values), cells, name, "a finite number")
    return values


def _refuse_numbers(
    file: File, cells: pd.DataFrame, name: str, words: pd.Series, wrong: pd.Series
) -> None:
    """Raise DataError for the first cell that is no number.

    The error has the line of the map by which the cell would be one.
    """
    word = words[wrong].iloc[0]
    signs = words.str.extract(f"(?i)({formats.MONEY})")[0]
    every = ", ".join(sorted(signs.dropna().unique()))  # a column may mix currencies
    marked = (wrong & signs.notna()).reindex(cells.index, fill_value=False)
    file.refuse_where(marked, cells, name, *file.said("symbols", signs=every))
    ways = []
    for thousands, decimal in formats.number_signs(words.unique()):
        lines = [f'thousands: "{thousands}"'] * (thousands != file.named.thousands)
        ways.append(
            "` and `".join(lines + [f'decimal: "{decimal}"'] * (decimal != file.named.decimal))
        )
    if ways:
        do = file.line("` or, whichever is meant, `".join(ways))
    else:
        do = ""
    if re.fullmatch(f"{formats.UNKNOWN}|[-–—]+", word.lower()):
        line = file.line(f'missing: ["{word}"]')
        do = f"{line} if it marks an unknown value, or write 0 if nothing was sold"
    wrong = wrong.reindex(cells.index, fill_value=False)
    file.refuse_where(wrong, cells, name, "a number such as 1250 or 2e-3", "", do)


# Money


def rates(file: File, groups: pd.DataFrame) -> Floats:
    """Return the exchange rate of each group of rows, in US dollars per unit of its currency."""
    words = groups["month"].map(month_text)
    money = pd.Series("", groups.index)
    if file.named.money_by_row:
        money = groups["currency"]
    found = np.array([file.named.rate(*pair) for pair in zip(words, money, strict=True)])
    lacking = groups[np.isnan(found) & (groups["known"] > 0)]
    if len(lacking):
        word, of = (column[lacking["first"].idxmin()] for column in (words, money))
        values = {
            "money": of or file.named.currency,
            "month": word,
            "of": f": {{{of}: ...}}" if of else "",
        }
        file.refuse(lacking, "sales", *file.said("no rate", **values))
    return found


# The whole panel


def refuse_months(table: Table) -> None:
    """Raise DataError if a month is isolated or the panel is not monthly."""
    file = table.file
    groups = table.groups
    months = np.unique(groups["month"].to_numpy(np.int64))
    steps = np.diff(months)
    if len(months) > 2 and (step := int(np.gcd.reduce(steps))) > 1:
        words = said("not monthly", months=", ".join(map(month_text, months[:3])), step=step)
        refuse(f"{file.path}, column {file.called('month')}", *words)
    if len(steps) and steps.max() > LONGEST_GAP:
        after = groups["month"] > months[int(steps.argmax())]
        late = groups["n"][after].sum() <= groups["n"][~after].sum()
        apart = groups[after == late]
        word = month_text(apart["month"][apart["first"].idxmin()])
        if late:
            side = "before"
        else:
            side = "after"
        file.refuse(apart, "month", *said("gap", month=word, count=steps.max() - 1, side=side))


def refuse_spellings(table: Table) -> None:
    """Raise DataError if an origin, platform, category or id has two spellings."""
    file = table.file
    platforms = table.groups.assign(platform=table.groups["platform"].map(table.file.code))
    for name in ("origin", "platform", *(name for name in IDS if name in table.units)):
        if name == "platform":
            rows = platforms
        else:
            rows = table.units
        words = pd.Series(rows[name].unique(), dtype="str")
        plain = words.str.normalize("NFKC").str.lower().str.replace(r"\s+", "", regex=True)
        if name == "origin":
            plain = plain.mask(plain.isin(formats.CHINA), "cn")
        again = plain.duplicated(keep=False)
        if name == "origin" and not file.named.origins:  # or no firm would be of the origin CN
            again |= (plain == "cn") & (words != "CN")
        for spelling in plain[again][:1]:
            same = sorted(words[plain == spelling])
            if (name, spelling) == ("origin", "cn"):
                merged = "CN"
            else:
                merged = same[0]
            labels = getattr(file.named, f"{name}s", {}) or {word: word for word in sorted(words)}
            line = ", ".join(
                f"{label}: {merged if code in same else code}" for label, code in labels.items()
            )
            if name in IDS:
                do = "use one spelling in all rows"
            else:
                do = file.line(f"{name}s: {{{line}}}")
            firsts = rows.groupby(name)["first"].min()
            actual = " and ".join(
                f"{word!r} (first in row {file.row(firsts[word])})" for word in same
            )
            expected = f"one spelling of each {name}{', CN for China' if merged == 'CN' else ''}"
            refuse(f"{file.path}, column {file.called(name)}", expected, actual, do)


@dataclass(frozen=True)
class Beside:
    """How much larger sales on another platform are than on the home platform.

    Sales are those before the first closure.

    `times` is the ratio of all sales, `middle` the median ratio over the `count` firms that sell on
    both, and `months` the number of months compared.
    """

    home: str
    other: str
    times: float
    middle: float
    count: int
    months: int

    @property
    def least(self) -> float:
        """The smaller of the two ratios: a unit multiplies both."""
        return min(self.times, self.middle)

    @property
    def values(self) -> dict[str, Any]:
        """Values for a sentence."""
        ratios = {"times": number(self.times, 2), "middle": number(self.middle, 2)}
        return {
            "home": self.home,
            "other": self.other,
            "count": f"{self.count:,}",
            "months": self.months,
            **ratios,
        }


def beside_home(panel: Panel) -> Beside | None:
    """Compare sales on the home platform with those on the platform that is largest beside it.

    Only firms and months are compared in which sales on both are known. Months are those before the
    first closure, or all if there is none. None if fewer than `FEW` firms sell on both.
    """
    first = panel.first_treated()
    before = int(min(first.min(initial=np.inf), len(panel.months)))
    home = panel.sales[:, 0, :before]
    found = list[Beside]()
    for at, name in enumerate(panel.platforms[1:], start=1):
        other = panel.sales[:, at, :before]
        known = ~(np.isnan(home) | np.isnan(other))
        own, beside = (sales.sum(axis=1, where=known) for sales in (home, other))
        both = (own > 0) & (beside > 0)
        if np.count_nonzero(both) >= FEW:
            ratios = {
                "times": float(beside.sum() / own.sum()),
                "middle": float(np.median(beside[both] / own[both])),
            }
            months = int(known.any(axis=0).sum())
            found.append(
                Beside(panel.platforms[0], name, **ratios, count=int(both.sum()), months=months)
            )
    return max(found, key=lambda each: each.least, default=None)


def refuse_units(panel: Panel, path: Any) -> None:
    """Raise DataError if the home platform is in another unit than another platform.

    It is if another platform has more than `SIDE` times its sales, in all and for the median firm
    that sells on both.
    """
    largest = beside_home(panel)
    if largest and largest.least > SIDE:
        refuse(path, *said("home unit", **largest.values))


def data_warnings(panel: Panel, table: Table) -> Iterator[str]:
    """Yield warnings about what is implausible.

    These are dominant firms, months without rows, a home platform smaller than another, breaks in
    level, and closures at odds with sales.

    A firm is dominant if it has half or more of all sales, as the sum of all others has, or of
    those on a platform with at least `MANY` firms.
    """
    sales = panel.sales
    observed = ~np.isnan(panel.sales)

    def named(position: int) -> str:
        name = panel.firms.index[position]
        first = table.units["first"][(table.units["firm"] == name).to_numpy()].min()
        return f"{name!r} (row {table.file.row(first)})"

    sold = sales.sum(axis=2, where=observed)
    parts = [(name, slice(at, at + 1)) for at, name in enumerate(panel.platforms)]
    for what, part in [("all sales", slice(None)), *parts]:
        by_firm = sold[:, part].sum(axis=1)
        if what in panel.platforms:
            least = MANY
        else:
            least = FEW
        firm = int(by_firm.argmax())
        half = by_firm.sum() / 2
        if np.count_nonzero(by_firm) >= least and by_firm[firm] > 0.999 * half:
            place, month = np.unravel_index(np.nanargmax(own := sales[firm, part]), own.shape)
            share = number(50 * by_firm[firm] / half, 2)
            most = number(own[place, month], 0)
            when = panel.months[month]
            where = {"what": what, "platform": panel.platforms[part][place], "month": when}
            yield sentence("dominant", share=share, firm=named(firm), most=most, **where)
            break
    gap = ~np.asarray(observed.any(axis=(0, 1)))
    if gap.any():
        yield sentence(
            "gap", count=gap.sum(), months=len(gap), such=", ".join(map(str, panel.months[gap]))
        )
    largest = beside_home(panel)
    if largest and largest.least > 1:
        yield sentence("home small", **largest.values)
    yield from _breaks(panel, named)
    yield from _closures(panel, named)


def _breaks(panel: Panel, named: Callable[[int], str]) -> Iterator[str]:
    """Yield a warning for each month in which typical sales change by a factor above `BREAK`."""
    step = 1 + len(panel.firms) // 20_000  # firms, enough for a median
    for month in range(1, len(panel.months)):
        before, now = (panel.sales[::step, :, at].ravel() for at in (month - 1, month))
        both = np.flatnonzero((before > 0) & (now > 0))
        times = np.median(now[both] / before[both]) if len(both) >= MANY else 1.0
        if not 1 / BREAK < times < BREAK:
            firm = named(both[0] // len(panel.platforms) * step)
            sold = number(now[both[0]], 0)
            yield sentence(
                "break", month=panel.months[month], times=number(times, 3), firm=firm, sales=sold
            )


def _closures(panel: Panel, named: Callable[[int], str]) -> Iterator[str]:
    """Yield a warning if closed firms stopped selling at odd times.

    The times are odd if firms had sold nothing at home for long, or if most cease to at one other
    time.
    """
    first = panel.first_treated()
    home = panel.platforms[0]
    closed = np.flatnonzero(np.isfinite(first))
    month = first[closed].astype(int)
    sells = panel.sales[closed, 0] > 0
    last = np.where(sells, np.arange(len(panel.months)), -1).max(axis=1)
    ended = (last >= 0) & (last < len(panel.months) - 1)
    late = month - 1 - last
    # in the month of the closure a firm may still sell
    off = ended & np.isin(late, pd.Series(late[ended]).mode()[:1]) & ~np.isin(late, (-1, 0))
    odd = np.flatnonzero(off if off.sum() >= max(FEW, ended.sum() / 2) else ended & (late >= LATE))
    for at in odd[:1]:
        when = {"last": panel.months[last[at]], "month": panel.months[month[at]]}
        yield sentence(
            "closures", count=len(odd), ended=ended.sum(), home=home, firm=named(closed[at]), **when
        )


def rate_warnings(named: Map) -> list[str]:
    """Return warnings about exchange rates above 1 for currencies worth less than a US dollar."""
    rates = {money or named.currency: max(by.values()) for money, by in named.rates.items()}
    cheap = RECOGNISED["cheap"]
    odd = [(money, rate) for money, rate in rates.items() if money.lower() in cheap and rate > 1]
    return [
        sentence("inverted", money=money, rate=number(rate, 2), inverse=number(1 / rate, 3))
        for money, rate in odd
    ]


def unknown_doses(panel: Panel) -> str:
    """Explain why doses are unknown, or return an empty string if they are known.

    Without a column of doses, closed firms are presumed fully closed. Their doses are unknown if
    they kept selling at home.
    """
    first = panel.first_treated(cut=1.0)
    home = panel.sales[np.isfinite(first), 0]
    first = first[np.isfinite(first), np.newaxis]
    month = np.arange(home.shape[1])
    parts = (
        (first - 12 <= month) & (month < first),
        month > first,
    )  # the closure month may be partial
    before, after = (pd.DataFrame(np.where(window, home, np.nan)).mean(axis=1) for window in parts)
    seen = before.notna() & after.notna()
    sold = before[seen].sum()
    left = after[seen].sum()
    if not left > GOING_ON * sold > 0:
        return ""
    share = number(100 * left / sold, 0)
    home = panel.platforms[0]
    return sentence("no dose", count=seen.sum(), share=share, home=home)
