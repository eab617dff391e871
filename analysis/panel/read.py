"""Read a panel from a file in one pass.

Errors name the row, column, value and remedy. Rows are read in blocks. Each block is converted to the schema's types,
its text is encoded, its attributes are compared with those of earlier rows, and its sales are set aside until all units
and months are known. A unit, which is the firm or (in a file by account) the account, has one row per platform and
month. Finally, accounts are added up to firms.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import refuse
from analysis.estimate import Bools, Floats, Ints
from analysis.panel.cells import ROW, Rows, Values, blocks, month_text, shown
from analysis.panel.checks import data_warnings, rate_warnings, refuse_months, refuse_spellings, unknown_doses
from analysis.panel.file import File, open_file
from analysis.panel.map import columns
from analysis.panel.panel import MONTH, NUMBER, ORDER, TEXT, UNITS, Panel, attributes
from analysis.provenance import SIMULATED_ID

_WAITING_BYTES = 1 << 26  # of sales kept in memory; the rest goes to a temporary file
MOST_CELLS = 1 << 29  # firms x platforms x months: 4 GiB of sales, however few of them have a row
_MONTHS = 12 * 130 + 1  # from January 1970 to the last month of the schema
_BY_ACCOUNT = "use one month in all rows of the firm, or write `closures: account` in a map if it differs by account"

Notes = list[tuple[str, str, int]]


def read_panel(
    path: str | Path, *, map: str | Path | None = None, home: str | None = None, platforms: Sequence[str] | None = None
) -> Panel:
    """Read a panel from a file.

    The file has the columns of ``data/panel.schema.json``, or a map that names its own.

    Parameters
    ----------
    path : str or Path
        A file ``.csv``, ``.csv.gz``, ``.tsv``, ``.parquet``, ``.xlsx`` or ``.dta``; rows and columns in any order. Rows
        of accounts, of sites of one platform and of days or weeks are added up to the firm, platform and month; the sum
        is missing if any part has a row without sales. A renamed account belongs to the firm of its first id, and has
        that firm's brand group, origin and category.
    map : str or Path, optional
        YAML file with the names of columns, platforms and months in the file, its currency, and the meaning of a
        firm-platform-month without a row. With ``absent: missing``, its sales are NaN, but 0 on a platform where the
        firm has no row at all, in every month in which the file has a row for that platform. With
        ``absent: zero_after_closure``, they are also 0 on the home platform from the month of closure onwards. With
        ``absent: zero``, the file lists all sales, so they are 0, and NaN only in months without any row. The default
        is missing, which raises an error for a file with absent rows but not a single 0. A row with 0 is always 0,
        and a row without sales is always NaN; an empty cell in a month column of a wide file counts as no row. None
        for a file with the schema's columns and sales in US dollars.
    home : str, optional
        The platform that closed the accounts, which comes first; by default that of the map, or else AMZ.
    platforms : sequence of str
        Platforms that may occur, in the order of the panel. By default all are allowed, in the order of the file's
        metadata or of the map, or else sorted by name.

    Returns
    -------
    Panel
        Firms are sorted by id. `dropped` counts the rows that were left out or added up. The panel is simulated if the
        metadata, the column `provenance` or the ids of firms, accounts or brand groups say so.

    Raises
    ------
    DataError
        If the file cannot be read; its columns or a value violate the schema; a key is repeated; an attribute differs
        within a firm; a firm was closed before the first month; a platform is not allowed or the home platform has no
        sales; real and simulated rows, or currencies without a rate, are mixed; rows are quarterly, or separated from
        all others by a year or more; a firm, origin or platform has two spellings; accounts were renamed in a
        cycle; fewer than two firms have sales; or `home` contradicts the map.

    Examples
    --------
    >>> from analysis import read_panel
    >>> panel = read_panel("data/examples/tidy.csv", map="data/examples/tidy.map.yml")
    >>> panel
    simulated panel: 192 firms on AMZ, EBY, ALI, WMT, OWN, 2019-01 to 2022-06, sim-$, census
    """
    for name, given, kind in (("panel", path, "a Parquet or CSV"), ("map", map or "", "a YAML")):
        if not isinstance(given, str | PathLike):
            refuse(f"the {name}", "a path", type(given).__name__, f"write it to {kind} file first")
    file = open_file(Path(path), Path(map) if map else None, platforms)
    if home and file.named.home not in (None, home):
        do = "correct the map, or request the same platform"
        refuse(map, f"home = {home!r}, as requested", repr(file.named.home), do)
    home = home or file.named.home or "AMZ"
    if platforms is not None and home not in platforms:
        refuse(path, f"the home platform {home!r} among those allowed", ", ".join(platforms), "add it to `platforms`")
    with tempfile.SpooledTemporaryFile(_WAITING_BYTES) as waiting:
        rows, units, notes = _gather(file, waiting)
        order, provenance = _platforms(rows, home), _provenance(rows)
        units, linked = _linked(rows, units, home)
        firms, units = _firms(rows, units), units[units.columns.intersection(["firm", "account"])]
        sales, seen, used = _sales(rows, units, order)
    if weighted := "weight" in file.theirs:
        sales *= firms["weight"].to_numpy()[:, np.newaxis, np.newaxis]
    has_sales = (seen & (sales >= 0)).any(axis=(1, 2))
    if has_sales.sum() < 2:
        actual = f"{has_sales.sum()} ({', '.join(firms.index[has_sales])})"
        refuse(path, "at least two firms with sales", actual, "add comparison firms")
    if not (sales[:, 0] > 0).any():
        expected, actual = f"positive sales on the home platform {home}", "none in any row"
        refuse(path, expected, actual, f"check the column {file.called('sales')}, or name another `home`")
    cells = {"day": "days", "week": "weeks or parts of weeks"}.get(file.named.rows, "cells" if file.months else "rows")
    weighing = "sampled: their sales are multiplied by their weights, but each counts as one firm"
    notes += [
        *linked,
        ("firms", weighing, len(firms) * weighted),
        (cells, "added up with another row of their firm, platform and month", used - int(seen.sum())),
        (cells, "left out: their firm has no known sales in any month", int(seen[~has_sales].sum())),
        ("firms", "left out: no known sales in any month", int((~has_sales).sum())),
    ]
    if not has_sales.all():
        sales, seen, firms = sales[has_sales], seen[has_sales], firms[has_sales]
    closed = firms["closed_on"].to_numpy("datetime64[M]").astype(np.int64) - rows.first
    _fill_absent(file, sales, seen, np.where(firms["closed_on"].isna(), sales.shape[2], closed))
    dropped = pd.DataFrame([note for note in notes if note[2]], columns=["what", "rule", "count"])
    months = pd.PeriodIndex.from_ordinals(np.arange(rows.first, rows.last + 1), freq="M", name="month")
    panel = Panel(sales, firms[attributes()], order, months, provenance, dropped, population=file.population)
    no_dose = "" if "dose" in file.theirs else unknown_doses(panel)
    warnings = [*data_warnings(panel, rows), *rate_warnings(file.named)]
    warnings += [f"E1e cannot be estimated without a dose: {no_dose}."] if no_dose else []
    return replace(panel, data_warnings=tuple(warnings), no_dose=no_dose)


# All rows of a file


def _gather(file: File, waiting: IO[bytes]) -> tuple[Rows, pd.DataFrame, Notes]:
    """Return a file's rows, the attributes of its units, and notes.

    The attribute `first` is the position of a unit's first row. Units are in order of appearance. Text is encoded, and
    missing months and numbers are NaN.
    """
    values, by_month, ends, count = defaultdict[str, Values](Values), np.zeros(_MONTHS, dtype=np.int64), list[Any](), 0
    names = [name for name in ("firm", "account", "renamed_from", *attributes(), "weight") if name in file.theirs]
    unit_of = "unit" if "account" in names and file.owner == "firm" else file.owner
    alike = ("provenance",) if file.named.money_by_row else ("provenance", "currency")
    unit_columns, begins = np.zeros((len(names), 0)), None
    for block in blocks(file):
        row = dict(block.typed)
        date, month = row.pop("date"), row["month"].astype(np.int64)
        for name in (name for name in row if columns()[name]["type"] == TEXT):
            row[name] = values[name].code(row[name], count)
        for name in (name for name in alike if name in row):
            block.refuse(row[name] != 0, name, f"{values[name].word(0)!r} as in row {file.row(0)}")
        if unit_of == "unit":
            row["unit"] = values["unit"].code(row["firm"] << 32 | row["account"], count)
        unit, new = row[unit_of], values[unit_of].first[-1] - count
        if unit.max() >= unit_columns.shape[1]:
            unit_columns = np.pad(unit_columns, ((0, 0), (0, int(unit.max()) + 1)))  # doubles the room
        for name, column in zip(names, unit_columns, strict=True):
            column[unit[new]] = row[name][new]
            _refuse_two(file, values, file.owner, name, row, column[unit], count + np.arange(len(unit)))
        day = (date - month.astype("datetime64[M]").astype(date.dtype)).astype(np.int64) + 1
        sales = np.rec.fromarrays([unit, row["platform"], month, day, row["sales"]], dtype=ROW)
        waiting.write(sales.tobytes())
        by_month += np.bincount(month, minlength=_MONTHS)
        begins = date[0] if begins is None else begins
        if file.named.rows == "week":
            expected = f"a week that begins on the same weekday as the week in row {file.row(0)}"
            block.refuse((date - begins).astype(np.int64) % 7 != 0, "month", expected, do="correct the day")
        ends += [date.min(), date.max()]
        count += len(unit)
    if not count:
        refuse(file.path, "rows of data", "only a header", "export it again")
    first = np.concatenate(values[unit_of].first)
    units = pd.DataFrame(dict(zip(names, unit_columns[:, : len(first)], strict=True))).assign(first=first)
    for name in (name for name in names if columns()[name]["type"] == TEXT):
        units[name] = values[name].sort()[units[name].astype(np.int64)]
    covered, notes = _whole_months(file, min(ends), max(ends))
    rows = Rows(file, values, waiting, *covered)
    refuse_months(rows, by_month)
    refuse_spellings(rows)
    if (early := units["closed_on"] < rows.first).any():
        at = units["first"].where(early).idxmin()
        expected = f"a closure in or after the first month, {month_text(rows.first)}"
        file.refuse(first[at], "closed_on", expected, repr(month_text(units["closed_on"][at])))
    pa.default_memory_pool().release_unused()
    others = len({*file.header} - {*file.theirs.values(), *file.months})
    return rows, units, [("columns", "left out: not named in the map", others), *notes]


def _whole_months(file: File, begin: Any, end: Any) -> tuple[tuple[int, int], Notes]:
    """Return the first and last fully covered months, and notes on partly covered months.

    The rows run from `begin` to `end`.
    """
    if file.named.rows == "month":
        first, last = (int(day.astype("datetime64[M]").astype(int)) for day in (begin, end))
        return (first, last), []
    end = end + 6 * (file.named.rows == "week")
    days = pd.period_range(begin, end, freq="D").asfreq("M").value_counts(sort=False)
    whole = days == days.index.days_in_month
    notes: Notes = [
        ("months", f"left out: {month} is covered in part, {count} of {month.days_in_month} days", 1)
        for month, count in days[~whole].items()
    ]
    if not whole.any():
        refuse(file.path, "a whole month", f"days from {begin} to {end}", "supply a longer panel")
    return (days.index[whole].asi8[0], days.index[whole].asi8[-1]), notes


def _refuse_two(
    file: File, values: Mapping[str, Values], owner: str, name: str, given: Any, reference: Any, positions: Ints
) -> None:
    """Raise DataError if an attribute differs within a firm or account."""
    differs = (given[name] != reference) & ~(np.isnan(given[name]) & np.isnan(reference))
    if differs.any():
        at = int(np.where(differs, positions, positions.max() + 1).argmin())
        say: Any = {TEXT: values[name].word, MONTH: month_text, NUMBER: float}[columns()[name]["type"]]
        texts = [shown(None if np.isnan(value) else say(value)) for value in (given[name][at], reference[at])]
        expected = f"one value for the {owner} {values[owner].word(given[owner][at])!r}"
        by_account = name == "closed_on" and "account" in given and file.named.closures == "firm"
        actual, do = f"{texts[0]}, where another row has {texts[1]}", _BY_ACCOUNT if by_account else ""
        file.refuse(positions[at], name, expected, actual, do)


# Properties of the whole file


def _platforms(rows: Rows, home: str) -> tuple[str, ...]:
    """Return the platforms in the file, with the home platform first."""
    file = rows.file
    present = sorted({file.code(label) for label in rows.labels()})
    if home not in present:
        do = "name the platform that closed the accounts as `home`"
        refuse(file.path, f"rows for the home platform {home!r}", f"rows for {', '.join(present)}", do)
    order = file.allowed or [*json.loads(file.metadata.get(ORDER, "[]")), *file.named.platforms.values(), *present]
    return tuple(dict.fromkeys([home, *(name for name in order if name in present)]))


def _provenance(rows: Rows) -> str:
    """Return "simulated" if the metadata, the column `provenance` or the ids say so, else "real".

    Raise DataError if real and simulated rows are mixed.
    """
    file, do, mixed = rows.file, columns()["provenance"]["remedy"], dict[str, Bools]()
    signs = {file.metadata.get("provenance", "real")}
    if not signs <= UNITS.keys():
        refuse(file.path, "real or simulated as provenance in the metadata", repr(*signs), do)
    signs |= {rows.values["provenance"].word(0)} if "provenance" in rows.values else set()
    for name in (name for name in ("firm", "account", "brand_group") if name in rows.values):
        marked = np.asarray(pc.match_substring_regex(rows.values[name].distinct, f"^{SIMULATED_ID}"))
        signs |= {"simulated"} if marked.all() else set()
        mixed |= {name: marked} if marked.any() else {}
    for name, marked in mixed.items() if "simulated" not in signs else ():
        ids, codes = rows.values[name], (int(marked.argmax()), int(marked.argmin()))
        pair = " and ".join(f"{ids.word(code)!r} (first in row {file.row(ids.first[0][code]):,})" for code in codes)
        actual = f"a simulated {name.replace('_', ' ')} and a real one: {pair}"
        refuse(f"{file.path}, column {file.called(name)}", "one provenance", actual, do)
    return "simulated" if "simulated" in signs else "real"


# Accounts: renamed, and closed one by one


def _linked(rows: Rows, units: pd.DataFrame, home: str) -> tuple[pd.DataFrame, Notes]:
    """Link accounts to firms and set the firms' closures; return the units and notes.

    An account belongs to the firm of its first id.
    """
    if "account" not in units:
        return units, []
    unlinked = "" if "renamed_from" in units else "; renamed accounts cannot be linked without a column renamed_from"
    notes: Notes = [("accounts", f"added up to their firms{unlinked}", len(units))]
    if rows.file.owner == "account":
        units = units.sort_values("account")
        root = _roots(rows, units)
        renamed = int((root != np.arange(len(root))).sum())
        notes.append(("accounts", "renamed: linked to their former accounts", renamed))
        texts = ["firm", "brand_group", "origin", "category"]
        units[texts] = units[texts].to_numpy()[root]
        notes += _close(rows, units, root, home) if rows.file.named.closures == "account" else []
    return units, notes


def _roots(rows: Rows, units: pd.DataFrame) -> Ints:
    """Return the position of each account's first id, found by pointer jumping."""
    root = np.arange(len(units))
    if "renamed_from" not in units:
        return root
    file, former, accounts = rows.file, rows.values["renamed_from"], rows.values["account"]
    first, code = units["first"].to_numpy(), units["renamed_from"].to_numpy()
    position = np.asarray(pc.index_in(former.distinct, accounts.distinct).fill_null(-1))[code]
    renamed = np.asarray(pc.not_equal(former.distinct, ""))[code]
    if (lost := renamed & (position < 0)).any():
        at = int(np.where(lost, first, first.max() + 1).argmin())
        actual = f"{former.word(code[at])!r}, which has no row"
        file.refuse(first[at], "renamed_from", "an id in the file", actual)
    root = parent = np.where(renamed, position, root)
    for _ in range(len(units).bit_length() + 1):
        root = root[root]
    if len(circular := np.flatnonzero(renamed[root])):
        at = circular[first[circular].argmin()]
        actual = f"a cycle: {accounts.word(at)} from {accounts.word(parent[at])} and so on"
        file.refuse(first[at], "renamed_from", "a chain of ids without a cycle", actual)
    return root


def _close(rows: Rows, units: pd.DataFrame, root: Ints, home: str) -> Notes:
    """Set each firm's closure month and dose from its accounts' closures; return notes.

    Each account's share is its share of the firm's home sales in the twelve months before the first closure, including
    sales under former names; for a firm without such sales, accounts have equal shares. A firm closes in the month in
    which the shares of its closed accounts reach one half, and its dose is the sum of these shares over all accounts
    ever closed. A firm whose closed accounts never reach one half closes when the first of them does.
    """
    wave, sold = units["closed_on"].min(), np.zeros(len(units))
    codes = [code for code, label in enumerate(rows.labels()) if rows.file.code(label) == home]
    for row in rows.sales():
        base = row[np.isin(row["platform"], codes) & (row["month"] >= wave - 12) & (row["month"] < wave)]
        sold += np.bincount(base["unit"], np.nan_to_num(base["sales"]), len(units))
    chains = units.assign(sold=sold[units.index]).groupby(root)  # all names of an account
    held = chains.agg(firm=("firm", "first"), month=("closed_on", "min"), sold=("sold", "sum"))
    total, number = (held.groupby("firm")["sold"].transform(how) for how in ("sum", "size"))
    share = (held["sold"] / total).where(total > 0, 1 / number)
    shut = held.assign(share=share)[held["month"].notna() & (share > 0)].sort_values(["firm", "month"], kind="stable")
    by_firm = shut.groupby("firm")
    half = shut[by_firm["share"].cumsum() >= 0.5 - 1e-12].groupby("firm")["month"].first()
    month = half.reindex(by_firm["month"].first().index).fillna(by_firm["month"].first())
    units["closed_on"] = month.reindex(units["firm"]).to_numpy()
    units["dose"] = by_firm["share"].sum().clip(upper=1.0).reindex(units["firm"]).to_numpy()
    count, never_sold = int(held["month"].count()), int((held["month"].notna() & (share == 0)).sum())
    return [
        ("accounts", "closed: a firm closes in the month in which its closed accounts reach half of its sales", count),
        ("firms", "closed in part: their closed accounts had less than half of their sales", len(month) - len(half)),
        ("accounts", "closed, but without home sales in the year before the first closure", never_sold),
    ]


# The parts of the panel


def _firms(rows: Rows, units: pd.DataFrame) -> pd.DataFrame:
    """Return firm attributes sorted by id; raise DataError if any differ within a firm."""
    heads = units.sort_values("first").drop_duplicates("firm").set_index("firm").sort_index()
    named = [name for name in (*attributes(), "weight") if name in heads]
    given = {name: units[name].to_numpy() for name in units}
    for name in named if len(heads) < len(units) else ():
        expected = heads[name].loc[given["firm"]].to_numpy()
        _refuse_two(rows.file, rows.values, "firm", name, given, expected, given["first"])
    firms: dict[str, Any] = {"weight": 1.0, "risk": np.nan, "dose": np.where(heads["closed_on"].isna(), np.nan, 1.0)}
    for name in named:
        firms[name] = heads[name].to_numpy()
        if columns()[name]["type"] == TEXT:
            firms[name] = rows.values[name].distinct.take(pa.array(heads[name])).to_pandas().array
        elif columns()[name]["type"] == MONTH:
            months = heads[name].astype("Int64").to_numpy("datetime64[M]", na_value=np.datetime64("NaT"))
            firms[name] = months.astype("datetime64[us]")
    ids = rows.values["firm"].distinct.take(pa.array(heads.index)).to_pandas()
    return pd.DataFrame(firms, index=pd.Index(ids, name="firm"))[[*attributes(), "weight"]]


def _sales(rows: Rows, units: pd.DataFrame, platforms: tuple[str, ...]) -> tuple[Floats, Bools, int]:
    """Return sales[firm, platform, month], a mask of observed cells, and the number of rows used.

    Firms are sorted by id, and sales without a row are 0. Each row sets a bit of its unit, label and month (the bit of
    its day in files of days or weeks), which reveals rows with the same key.
    """
    units = units.sort_values([name for name in ("firm", "account") if name in units])
    codes = [platforms.index(rows.file.code(label)) for label in rows.labels()]
    of_labels = np.argsort(codes, kind="stable")  # keeps the labels of one platform together
    by_day = rows.file.named.rows != "month"
    shape = (len(units), len(codes), rows.last - rows.first + 1)
    if (cells := math.prod(shape)) > MOST_CELLS:
        actual = f"{cells:,}, from {shape[0]:,} firms or accounts, {shape[1]:,} platforms and {shape[2]:,} months"
        refuse(rows.file.path, f"at most {MOST_CELLS:,} cells", actual, "leave out firms, platforms or months")
    sales, bits, used = np.zeros(shape), np.zeros(shape, dtype=np.uint32 if by_day else np.uint8), 0
    position, axis = np.argsort(units.index), np.argsort(of_labels)
    for row in [np.concatenate([*rows.sales()])] if by_day else rows.sales():
        at = np.ravel_multi_index((position[row["unit"]], axis[row["platform"]], row["month"] - rows.first), shape)
        if by_day:
            order = np.lexsort((row["day"], at))  # makes the last digit of a sum independent of row order
            np.add.at(sales.reshape(-1), at[order], row["sales"][order])
            np.bitwise_or.at(bits.reshape(-1), at, np.uint32(1) << row["day"].astype(np.uint32))
        else:
            sales.reshape(-1)[at], bits.reshape(-1)[at] = row["sales"], 1
        used += len(row)
    if int(np.bitwise_count(bits).sum(dtype=np.int64)) < used:
        _refuse_again(rows, units)
    seen: Bools = bits > 0
    if len(codes) > len(platforms):
        starts = np.flatnonzero(np.diff(np.sort(codes), prepend=-1))
        sales, seen = np.add.reduceat(sales, starts, axis=1), np.logical_or.reduceat(seen, starts, axis=1)
    if "account" in units:
        starts = np.flatnonzero(np.diff(units["firm"], prepend=-1))
        sales, seen = np.add.reduceat(sales, starts), np.logical_or.reduceat(seen, starts)
    return sales, seen, used


def _refuse_again(rows: Rows, units: pd.DataFrame) -> NoReturn:
    """Raise DataError for the first row that repeats an earlier row's key."""
    file, every = rows.file, np.concatenate([*rows.as_read()])
    key = ["unit", "platform", "month", *(["day"] if file.named.rows != "month" else [])]
    at = int(pd.DataFrame({name: every[name] for name in key}).duplicated().to_numpy().argmax())
    before = int(np.all([every[name] == every[name][at] for name in key], axis=0).argmax())
    unit, platform, month, day, _ = every[at]
    codes = units.loc[unit]
    key_values = {name: rows.values[name].word(codes[name]) for name in ("firm", "account") if name in units}
    key_values |= {"platform": rows.labels()[platform], "month": month_text(month) + f"-{day:02d}" * (len(key) > 3)}
    where = f"{file.path}, row {file.row(at)}, column {', '.join(file.called(name, at) for name in key_values)}"
    actual = f"{', '.join(map(repr, key_values.values()))}, which is already in row {file.row(before):,}"
    do = "remove one of the two rows, or correct its key"
    if len(key) == 3 and (days := abs(int(day) - int(every[before]["day"]))):
        actual += f", for another day of the month ({every[before]['day']} and {day})"
        do = file.line(f"rows: {'day' if days % 7 else 'week'}") + " to add them up"
    refuse(where, "each key once", actual, do)


def _fill_absent(file: File, sales: Floats, seen: Bools, closed: Ints) -> None:
    """Fill the cells of absent rows in place, following the map's `absent`.

    `closed` is each firm's month of closure.
    """
    rule = file.named.absent
    if file.months and rule not in (None, "missing"):
        seen &= ~np.isnan(sales)
        sales[~seen] = 0.0
    covered = np.asarray(seen.any(axis=0))
    if rule == "zero":
        sales[:, :, ~covered.any(axis=0)] = np.nan
        return
    elsewhere = ~np.asarray(seen.any(axis=2))
    absent = ~seen & ~elsewhere[:, :, np.newaxis] & covered.any(axis=0)
    if file.months:
        absent |= seen & np.isnan(sales)
    if rule is None and absent.any() and not (seen & (sales == 0)).any():
        actual = f"{absent.sum():,} of {seen.size:,} firm-platform-months without sales, and not a single 0"
        do = f"{file.line('absent: zero')} if the file lists every sale, `absent: zero_after_closure` if rows end once"
        do += " accounts are closed, or `absent: missing` if those sales are unknown"
        refuse(file.path, "sales in every month, or a rule for absent rows", actual, do)
    sales[~seen] = np.nan
    for platform in range(len(covered)):
        sales[:, platform][np.ix_(elsewhere[:, platform], covered[platform])] = 0.0
    if rule == "zero_after_closure":
        sales[:, 0][(np.arange(sales.shape[2]) >= closed[:, np.newaxis]) & ~seen[:, 0] & covered[0]] = 0.0
