"""Read a panel from a file, or build one from any number of rows.

Errors name the row, column, value and remedy. The distinct combinations of a unit's attributes, and
those of platform, month and currency, are queried first, checked and converted to the schema's
types. Then the sales of all rows are added up by unit and by these combinations. A unit is the firm
or (in a file by account) the account. Finally, accounts are added up to firms. A panel is built in
pieces of firms, which bound its memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from fewtreated.errors import refuse
from fewtreated.estimate import Bools, Floats, Ints

from analysis.panel import checks
from analysis.panel.checks import Table, month_text
from analysis.panel.file import File, open_file, shown
from analysis.panel.map import columns, said, sentence
from analysis.panel.panel import MONTH, NUMBER, TEXT, UNITS, Panel, attributes, write
from analysis.panel.rows import Rows, attributes_apart, rows_of, source
from analysis.provenance import SIMULATED_ID
from analysis.untrusted import LONGEST_NAME, refuse_more

MOST_CELLS = 1 << 29  # firms x platforms x months: 4 GiB of sales, however few of them have a row
_CELLS_AT_ONCE = 1 << 25  # of a piece of a panel that is built: 256 MiB of sales
_MOST_GROUPS = (
    1 << 24
)  # combinations of attributes, or of platform, date and currency, that are compared in memory
_DROPPED = ["what", "rule", "count"]

Notes = list[tuple[str, str, int]]


def read_panel(
    path: str | Path,
    *,
    map: str | Path | None = None,
    home: str | None = None,
    platforms: Sequence[str] | None = None,
) -> Panel:
    """Read a panel from a file.

    The file has the columns of ``data/panel.schema.json``, or a map that names its own.

    Parameters
    ----------
    path : str or Path
        A file or, if no file has that name, all whose names fit a pattern such as ``2021-*.csv``:
        ``.csv``, ``.csv.gz``, ``.tsv``, ``.parquet``, ``.xlsx`` or ``.dta``; rows and columns in
        any order. Rows of accounts, of sites of one platform and of days or weeks are added up to
        the firm, platform and month; the sum is missing if any part has a row without sales. A
        renamed account belongs to the firm of its first id, and has that firm's brand group, origin
        and category.
    map : str or Path, optional
        YAML file with the names of columns, platforms and months in the file, its currency, and the
        meaning of a firm-platform-month without a row. With ``absent: missing``, its sales are NaN,
        but 0 on a platform where the firm has no row at all, in every month in which the file has a
        row for that platform. With ``absent: zero_after_closure``, they are also 0 on the home
        platform from the month of closure onwards. With ``absent: zero``, the file lists all sales,
        so they are 0, and NaN only in months without any row. The default is missing, which raises
        an error for a file with absent rows but not a single 0. A row with 0 is always 0, and a row
        without sales is always NaN; an empty cell in a month column of a wide file counts as no
        row. None for a file with the schema's columns and sales in US dollars.
    home : str, optional
        The platform that closed the accounts, which comes first; by default that of the map, or
        else AMZ.
    platforms : sequence of str
        Platforms that may occur, in the order of the panel. By default all are allowed, in the
        order of the map, or else sorted by name.

    Returns
    -------
    Panel
        Firms are sorted by id. `dropped` counts the rows that were left out or added up. The panel
        is simulated if the metadata, the column `provenance` or the ids of firms, accounts or brand
        groups say so.

    Raises
    ------
    DataError
        If the file cannot be read; its columns or a value violate the schema; a key is repeated; an
        attribute differs within a firm; a firm was closed before the first month; a platform is not
        allowed or the home platform has no sales; real and simulated rows, or currencies without a
        rate, are mixed; rows are quarterly, or separated from all others by a year or more; a firm,
        origin or platform has two spellings; accounts were renamed in a cycle; fewer than two firms
        have sales; the home platform is in another unit than another platform, which has more than
        twenty times its sales, in all and for the median firm; or `home` contradicts the map.

    Examples
    --------
    >>> from analysis import read_panel
    >>> panel = read_panel("data/examples/tidy.csv", map="data/examples/tidy.map.yml")
    >>> panel
    simulated panel: 192 firms on AMZ, EBY, ALI, WMT, OWN, 2019-01 to 2022-06, sim-$, census
    """
    for name, given, form in (("panel", path, "a Parquet"), ("map", map or "", "a YAML")):
        if not isinstance(given, str | Path):
            refuse(f"the {name}", "a path", type(given).__name__, f"write it to {form} file first")
    with _opened([Path(path)], map, home, platforms) as (table, notes):
        panel = _panel(table, notes)
    file = table.file
    firms = panel.firms.index
    if len(firms) < 2:
        refuse(path, *said("few firms", count=len(firms), names=", ".join(firms)))
    if not (panel.sales[:, 0] > 0).any():
        refuse(path, *said("no home sales", home=table.platforms[0], column=file.called("sales")))
    checks.refuse_units(panel, path)
    if "dose" in file.theirs:
        no_dose = ""
    else:
        no_dose = checks.unknown_doses(panel)
    warnings = [*checks.data_warnings(panel, table), *checks.rate_warnings(file.named)]
    warnings += [f"E1e cannot be estimated without a dose: {no_dose}."] if no_dose else []
    return replace(panel, data_warnings=tuple(warnings), no_dose=no_dose)


def build_panel(
    paths: Sequence[Path],
    out: Path,
    *,
    map: Path | None,
    home: str,
    platforms: Sequence[str],
    pieces: int = 0,
    sample: int = 0,
    engine: str = "",
) -> pd.DataFrame:
    """Write the panel of one file or several to Parquet, and reconcile it with their rows.

    Memory is bounded by the number of pieces of firms, which are added up one after the other.

    Parameters
    ----------
    paths : sequence of Path
        Files, which are read as one. If no file has a name, a ``*`` in it stands for any
        characters.
    map, home, platforms
        As in `read_panel`.
    out : Path
        The Parquet file to write.
    pieces : int, optional
        Number of pieces; by default as many as keep each below 256 MiB of sales.
    sample : int, optional
        Number of firms to sample, with weights, from categories without a closed firm; all by
        default.
    engine : str
        URL of a database, such as postgresql://host/name, in which the only path names a table.

    Returns
    -------
    DataFrame
        `count` and `sales`, in US dollars, of what was read, left out and written, and of firms and
        rows by note.

    Raises
    ------
    DataError
        As `read_panel`.
    """
    with _opened(paths, map, home, platforms, engine) as (every, notes):
        table, metadata = _sampled(every, sample) if sample else (every, {})
        groups = table.groups.fillna({"rate": 0.0, "amount": 0.0})
        parts = table.parts
        sales = groups["amount"] @ groups["rate"]
        outside = sales - groups["amount"].to_numpy()[parts["group"]] @ parts["factor"]
        lines: list[tuple[Any, ...]] = [("rows", "read", groups["n"].sum(), sales)]
        lines.append(("rows", "left out: in a month that is not covered whole", np.nan, outside))
        lines.extend((*note, np.nan) for note in notes)
        pieces = pieces or math.ceil(
            len(table.units) * len(table.labels) * table.months / _CELLS_AT_ONCE
        )
        firm, firms = pd.factorize(table.units["firm"])
        piece = firm * pieces // len(firms)

        def panels() -> Iterator[Panel]:
            for each in np.unique(piece):
                panel = _panel(table.of(table.units[piece == each]), [])
                known = int(np.count_nonzero(~np.isnan(panel.sales))), float(np.nansum(panel.sales))
                lines.extend((*note, np.nan) for note in panel.dropped.itertuples(index=False))
                lines.append(("cells", "written with known sales", *known))
                has_dose = "dose" in table.units or table.file.named.closures == "account"
                yield panel if has_dose else replace(panel, no_dose="judged when the panel is read")

        write(panels(), out, metadata)
    frame = pd.DataFrame(lines, columns=[*_DROPPED, "sales"])
    added = (
        frame.groupby(_DROPPED[:2], sort=False, as_index=False)
        .sum(min_count=1)
        .astype({"count": "Int64"})
    )
    return added[(added["count"] > 0) | (added["sales"].abs() > 0.005)]


def _sampled(table: Table, count: int) -> tuple[Table, dict[str, str]]:
    """Draw firms from categories without a closed one, by category and origin.

    Also return metadata on the sample.

    Firms are drawn by a hash of their names, so that the sample is the same on every engine; all
    others are kept.
    """
    firms = table.units.groupby("firm").agg(
        {"closed_on": "count", "category": "first", "origin": "first"}
    )
    rest = firms[~firms["category"].isin(firms["category"][firms["closed_on"] > 0])]
    rest = rest.assign(drawn=pd.util.hash_array(rest.index.to_numpy(object)))
    drawn = rest.groupby(["category", "origin"])["drawn"]
    size = drawn.transform("size")
    wanted = np.ceil(size * min(1.0, count / max(1, len(rest))))
    weight = (
        (size / wanted)
        .where(drawn.rank(method="first") <= wanted, 0.0)
        .reindex(firms.index, fill_value=1.0)
    )
    values = {
        "drawn": int((weight[rest.index] > 0).sum()),
        "rest": len(rest),
        "kept": len(firms) - len(rest),
    }
    units = table.units.assign(
        weight=table.units["firm"].map(weight) * table.units.get("weight", 1.0)
    )
    if table.file.population in ("census", "sample"):
        population = "sample"
    else:
        population = table.file.population
    return table.of(units[units["weight"] > 0]), {
        "population": population,
        "sampled": sentence("drawn", **values),
    }


@contextmanager
def _opened(
    paths: Sequence[Path],
    map: str | Path | None,
    home: str | None,
    platforms: Sequence[str] | None,
    engine: str = "",
) -> Iterator[tuple[Table, Notes]]:
    """Open files or a database table, and yield their units and groups, and notes."""
    file = open_file(paths, Path(map) if map else None, platforms, engine)
    if home and file.named.home not in (None, home):
        refuse(map, *said("other home", home=home, found=file.named.home))
    home = home or file.named.home or "AMZ"
    if platforms is not None and home not in platforms:
        refuse(file.path, *said("home not allowed", home=home, allowed=", ".join(platforms)))
    with rows_of(file, [*dict.fromkeys([*file.theirs.values(), *file.months])]) as rows:
        yield _gather(file, rows, home)


# The distinct values of a file


def _gather(file: File, rows: Rows, home: str) -> tuple[Table, Notes]:
    """Return a file's units and groups, and notes."""
    names = [
        name
        for name in ("firm", "account", "renamed_from", *attributes(), "weight")
        if name in file.theirs
    ]
    divide = [
        "platform",
        "month",
        *(name for name in ("currency", "provenance") if name in file.theirs),
    ]
    rows.refuse_long(LONGEST_NAME)
    sql = source(file, rows)
    raw_units = _raw_units(file, rows, sql, names)
    raw_groups = _distinct(file, rows, sql, divide, _OF_SALES)
    joined = _reconciled(file, rows, pc.sum(raw_units["n"]).as_py() or 0)
    if not len(raw_units):
        refuse(file.path, "rows of data", "only a header", "export it again")
    units, groups = checks.typed(file, raw_units, raw_groups)
    if groups["bad"].any() or groups["pointed"].max() == 1:
        cells = (
            f"{sql} SELECT sales, count(*) AS n, min(row) AS first, max(row) AS last FROM source"
            " GROUP BY sales"
        )
        checks.typed(
            file, rows.query(f"{cells} ORDER BY bool_or(bad) DESC, first LIMIT {_MOST_GROUPS}")
        )
    units = units.sort_values("first")
    if "account" in units and file.owner == "firm":
        key = ["firm", "account"]
    else:
        key = [file.owner]
    _refuse_two(
        file, units, file.owner, [name for name in names if name not in ("account", file.owner)]
    )
    units = units.drop_duplicates(key).sort_values(
        [name for name in ("firm", "account") if name in units]
    )
    groups["rate"] = checks.rates(file, groups)
    begin, months, notes = _whole_months(file, groups["date"].min(), groups["date"].max())
    keys = {
        "units": raw_units.select(key).take(pa.array(units.index)),
        "parts": raw_groups.select(divide),
    }
    wave = units["closed_on"].min()
    units = units.reset_index(drop=True)
    signs = _provenance(file, units, groups), _platforms(file, groups, home)
    table = Table(file, rows, sql, units, groups, keys, begin, months, wave, *signs)
    checks.refuse_months(table)
    checks.refuse_spellings(table)
    if len(early := units[units["closed_on"] < begin]):
        found = month_text(early["closed_on"][early["first"].idxmin()])
        file.refuse(
            early, "closed_on", *said("early closure", first=month_text(begin), found=found)
        )
    others = len(
        {*file.header}
        - {*file.theirs.values(), *file.months, file.named.join and file.named.join.key}
    )
    notes += [
        ("firms", text, len(units)) for key, text in file.metadata.items() if key == "sampled"
    ]
    table, linked = _linked(table)
    return table, [*joined, ("columns", "left out: not named in the map", others), *notes, *linked]


_OF_SALES = """, count(value) AS known, bool_or(bad) AS bad, max(pointed) AS pointed,
COALESCE(bool_or(value = 0), FALSE) AS zero, sum(abs(value)) AS size,
CAST(sum(TRY_CAST(round(value * 100) AS BIGINT)) AS DOUBLE) / 100 AS amount"""


def _raw_units(file: File, rows: Rows, sql: str, names: list[str]) -> pa.Table:
    """Return the distinct combinations of the columns of units.

    Their attributes from a second file are returned with them.
    """
    if not file.apart:
        return _distinct(file, rows, sql, names, "")
    found = _distinct(
        file, rows, sql, ["_key", *(name for name in names if name not in file.apart)], ""
    )
    joined = found.join(attributes_apart(file, rows), "_key", join_type="inner").group_by([*names])
    found = joined.aggregate([("n", "sum"), ("first", "min"), ("last", "max")])
    return found.rename_columns({"n_sum": "n", "first_min": "first", "last_max": "last"})


def _distinct(file: File, rows: Rows, sql: str, names: list[str], more: str) -> pa.Table:
    """Return the distinct combinations of columns, with the number of rows of each.

    The first and the last row of each are returned, too.
    """
    select = (
        f"{sql} SELECT {', '.join(names)}, count(*) AS n, min(row) AS first, max(row) AS last{more}"
        " FROM source"
    )
    most = _MOST_GROUPS >> (6 * bool(more))
    found = rows.query(f"{select} GROUP BY {', '.join(names)} LIMIT {most + 1}")
    do = "leave out columns of attributes that contain other values in each row"
    refuse_more(file.path, len(found), most, f"combinations of {', '.join(names)}", do)
    return found


def _reconciled(file: File, rows: Rows, cells: int) -> Notes:
    """Return notes on rows that were joined with a second file; raise DataError if none were."""
    if not (join := file.named.join):
        return []
    count = rows.query(f"SELECT count(*) AS n {rows.own or rows.base}")["n"][0].as_py()
    joined = cells // max(1, len(file.months))
    if count and not joined:
        expected = f"keys of {join.file} in the column {join.key!r}"
        do = f"correct `join` in {file.map}, or the keys"
        refuse(file.path, expected, f"none in {count:,} rows", do)
    lost = ("rows", f"left out: their {join.key} is not in {join.file}", count - joined)
    return [("rows", f"joined with {join.file}", joined), lost]


def _whole_months(file: File, begin: Any, end: Any) -> tuple[int, int, Notes]:
    """Return the first fully covered month, and the number of such months.

    Also return notes on partly covered months.

    The rows run from `begin` to `end`.
    """
    if file.named.rows == "month":
        begin = begin.to_period("M").start_time
        end = end.to_period("M").end_time
    until = end + pd.Timedelta(days=6 * (file.named.rows == "week"))
    days = pd.period_range(begin, until, freq="D").asfreq("M").value_counts(sort=False)
    whole = days == days.index.days_in_month
    part = [
        sentence("part month", month=of, count=n, days=of.days_in_month)
        for of, n in days[~whole].items()
    ]
    if not whole.any():
        refuse(file.path, *said("no whole month", begin=begin, until=until))
    return days.index[whole].asi8[0], int(whole.sum()), [("months", words, 1) for words in part]


def _refuse_two(file: File, given: pd.DataFrame, owner: str, names: Sequence[str]) -> None:
    """Raise DataError if an attribute differs within a firm or account.

    The rows of `given` are in order of their first position in the file.
    """
    twice = given[given[owner].duplicated(keep=False)]
    by_account = "account" in given and file.named.closures == "firm"
    for name in names:
        known = twice.groupby(owner, sort=False)[name].transform("first")
        if len(wrong := twice[(twice[name] != known) & known.notna()].head(1)):
            say: Any = {TEXT: str, MONTH: month_text, NUMBER: float}[columns()[name]["type"]]
            both = wrong[name].iloc[0], known[wrong.index[0]]
            value, other = (shown(cell if pd.isna(cell) else say(cell)) for cell in both)
            if name == "closed_on" and by_account:
                key = "two closures"
            else:
                key = "two values"
            values = {"owner": owner, "id": wrong[owner].iloc[0], "value": value, "other": other}
            file.refuse(wrong.assign(n=1), name, *said(key, **values))


# Properties of the whole file


def _platforms(file: File, groups: pd.DataFrame, home: str) -> tuple[str, ...]:
    """Return the platforms in the file, with the home platform first."""
    present = sorted({*map(file.code, groups["platform"])})
    if home not in present:
        refuse(file.path, *said("home without rows", home=home, present=", ".join(present)))
    order = file.allowed or [*file.named.platforms.values(), *present]
    return tuple(dict.fromkeys([home, *(name for name in order if name in present)]))


def _provenance(file: File, units: pd.DataFrame, groups: pd.DataFrame) -> str:
    """Return "simulated" if the metadata, the column `provenance` or the ids say so, else "real".

    Raise DataError if real and simulated rows are mixed.
    """
    if (stated := file.metadata.get("provenance", "real")) not in UNITS:
        refuse(file.path, *said("unknown provenance", stated=stated))
    marked = {
        name: units[name].str.match(SIMULATED_ID)
        for name in ("firm", "account", "brand_group")
        if name in units
    }
    if "simulated" in {stated, *groups.get("provenance", [])} or any(
        each.all() for each in marked.values()
    ):
        return "simulated"
    for name, each in marked.items():
        if each.any():
            first = (units[part].sort_values("first").iloc[0] for part in (each, ~each))
            pair = " and ".join(
                f"{unit[name]!r} (first in row {file.row(unit['first'])})" for unit in first
            )
            words = said("two provenances", name=name.replace("_", " "), pair=pair)
            refuse(f"{file.path}, column {file.called(name)}", *words)
    return "real"


# Cells of units, labels and months


def _cells(table: Table) -> tuple[Floats, Bools, int]:
    """Return sales[unit, label, month], a mask of observed cells, and the number of rows used.

    Sales without a row are 0. Rows of months, of which each is a cell, keep their value; others are
    added up in whole units of a power of ten of a dollar, so that their order does not change the
    sum. Each row has the bit of its day (for days or weeks), and those of a cell reveal rows with
    the same key.
    """
    rows = table.rows
    shape = (len(table.units), len(table.labels), table.months)
    of = (
        f"cells, from {shape[0]:,} firms or accounts, {shape[1]:,} platforms and {shape[2]:,}"
        " months"
    )
    refuse_more(
        table.file.path,
        count := math.prod(shape),
        MOST_CELLS,
        of,
        "leave out firms, platforms or months",
    )
    by_month = table.file.named.rows == "month"
    total = max(1.0, np.nansum(table.groups["size"] * table.groups["rate"]))
    if by_month:
        scale = 1.0
    else:
        scale = 10.0 ** min(9, math.floor(math.log10(2**62 / total)))
    if by_month:
        amount = "value * factor"
    else:
        amount = f"CAST(floor(COALESCE(value, 0) * factor * {scale} + 0.5) AS BIGINT)"
    listed = (
        f"unit, cell, {amount} AS amount, value IS NULL AS unknown, bit AS bits, CAST(1 AS BIGINT)"
        " AS n"
    )
    sql = f"{table.source} SELECT {listed} FROM {table.joined}"
    if rows.remote or not by_month:
        amount = (
            f"CAST(sum(amount) AS {'DOUBLE' if by_month else 'BIGINT'}) AS amount, bool_or(unknown)"
            " AS unknown"
        )
        listed = f"unit, cell, {amount}, bit_or(bits) AS bits, count(*) AS n"
        sql = f"SELECT {listed} FROM ({sql}) AS parted GROUP BY unit, cell"
    sales = np.zeros(count)
    seen = np.zeros(count, dtype=bool)
    used = 0
    days = 0
    for batch in rows.stream(sql, **table.tables):
        unit, cell, amounts, unknown, bits, n = (
            each.to_numpy(zero_copy_only=False) for each in batch.columns
        )
        at = unit * np.int64(shape[1] * shape[2]) + cell
        sales[at] = np.where(unknown, np.nan, amounts / scale)
        seen[at] = True
        used = used + int(n.sum())
        days = days + int(np.bitwise_count(bits).sum())
    if table.file.named.rows != "order" and (seen.sum() if by_month else days) < used:
        _refuse_again(table)
    sales = sales.reshape(shape)
    seen = seen.reshape(shape)
    if len(below := np.argwhere(sales < 0)):  # of orders
        unit, label, month = below[0]
        key = ", ".join(map(repr, [*table.ids.loc[unit], table.labels[label]]))
        more = f", the first of {len(below):,} such months" * (len(below) > 1)
        when = month_text(month + table.begin)
        sold = sales[unit, label, month]
        refuse(table.file.path, *said("returns", sales=sold, key=key, month=when, more=more))
    return sales, seen, used


def _refuse_again(table: Table) -> NoReturn:
    """Raise DataError for the first row that repeats an earlier row's key."""
    file = table.file
    by_day = table.file.named.rows != "month"
    keys = f"keys AS (SELECT row, unit, cell, bit, part FROM {table.joined})"
    twice = (
        "SELECT unit, cell, bit, min(row) AS earlier FROM keys GROUP BY unit, cell, bit HAVING"
        " count(*) > 1"
    )
    pairs = (
        "keys JOIN twice USING (unit, cell, bit) JOIN keys AS other ON other.row = earlier WHERE"
        " keys.row > earlier"
    )
    first = (
        f"SELECT keys.row, keys.unit, earlier, keys.part, other.part AS before FROM {pairs} ORDER"
        " BY 1 LIMIT 1"
    )
    found = table.rows.query(f"{table.source}, {keys}, twice AS ({twice}) {first}", **table.tables)
    row, unit, earlier, *parts = (column[0].as_py() for column in found.columns)
    group, before = (table.groups.loc[table.parts["group"][at]] for at in parts)
    where = ", ".join(file.called(name, row) for name in (*table.ids, "platform", "month"))
    when = f"{group['date']:{'%Y-%m-%d' if by_day else '%Y-%m'}}"
    key = ", ".join(map(repr, [*table.ids.loc[unit], group["platform"], when]))
    apart = abs((group["date"] - before["date"]).days)
    days = (before["date"].day, group["date"].day)
    kind = ("days" if apart % 7 else "weeks") if apart else "key twice"
    path, at = file.place(row)
    refuse(
        f"{path}, row {at}, column {where}",
        *file.said(kind, key=key, before=file.row(earlier), days=days),
    )


# Accounts: renamed, closed one by one, and added up to firms


def _linked(table: Table) -> tuple[Table, Notes]:
    """Return the units sorted by firm, and notes.

    Accounts are linked to the firm of their first id.
    """
    file = table.file
    units = table.units
    if "account" not in units:
        return table, []
    if "renamed_from" in units:
        unlinked = ""
    else:
        unlinked = "; renamed accounts cannot be linked without a column renamed_from"
    notes: Notes = [("accounts", f"added up to their firms{unlinked}", len(units))]
    if file.owner == "account":
        units = units.sort_values("account")
        units["root"] = _roots(file, units.reset_index(drop=True))
        texts = ["firm", "brand_group", "origin", "category"]
        units[texts] = units[texts].to_numpy()[units["root"]]
        renamed = units["root"] != np.arange(len(units))
        notes += [("accounts", "renamed: linked to their former accounts", int(renamed.sum()))]
    return table.of(units.sort_values(["firm", "account"])), notes


def _roots(file: File, units: pd.DataFrame) -> Ints:
    """Return the position of each account's first id, found by pointer jumping."""
    former = units.get("renamed_from", pd.Series("", units.index))
    renamed = (former != "").to_numpy()
    position = pd.Index(units["account"]).get_indexer(former)
    if len(lost := units[renamed & (position < 0)]):
        file.refuse(
            lost, "renamed_from", *said("lost account", found=former[lost["first"].idxmin()])
        )
    root = parent = np.where(renamed, position, np.arange(len(units)))
    for _ in range(len(units).bit_length() + 1):
        root = root[root]
    if len(circular := units[renamed[root]]):
        at = circular["first"].idxmin()
        pair = {"account": units["account"][at], "former": units["account"][parent[at]]}
        file.refuse(circular, "renamed_from", *said("circle of accounts", **pair))
    return root


def _close(units: pd.DataFrame, sold: Floats) -> Notes:
    """Set each firm's closure month and dose from its accounts' closures; return notes.

    Each account's share is its share of the firm's home sales in the twelve months before the first
    closure, which are `sold` and include sales under former names; for a firm without such sales,
    accounts have equal shares. A firm closes in the month in which the shares of its closed
    accounts reach one half, and its dose is the sum of these shares over all accounts ever closed.
    A firm whose closed accounts never reach one half closes when the first of them does.
    """
    chains = units.assign(sold=sold).groupby("root")  # all names of an account
    held = chains.agg(firm=("firm", "first"), month=("closed_on", "min"), sold=("sold", "sum"))
    total, number = (held.groupby("firm")["sold"].transform(how) for how in ("sum", "size"))
    share = (held["sold"] / total).where(total > 0, 1 / number)
    shut = held.assign(share=share)[held["month"].notna() & (share > 0)].sort_values(
        ["firm", "month"], kind="stable"
    )
    by_firm = shut.groupby("firm")
    half = shut[by_firm["share"].cumsum() >= 0.5 - 1e-12].groupby("firm")["month"].first()
    month = half.reindex(by_firm["month"].first().index).fillna(by_firm["month"].first())
    units["closed_on"] = month.reindex(units["firm"]).to_numpy()
    units["dose"] = by_firm["share"].sum().clip(upper=1.0).reindex(units["firm"]).to_numpy()
    closed = held["month"].notna()
    counts = {"closed in part": len(month) - len(half)}
    counts |= {
        "closed accounts": int(closed.sum()),
        "closed before": int((closed & (share == 0)).sum()),
    }
    return [
        ("firms" if key == "closed in part" else "accounts", sentence(key), n)
        for key, n in counts.items()
    ]


def _firms(file: File, units: pd.DataFrame) -> pd.DataFrame:
    """Return firm attributes sorted by id; raise DataError if any differ within a firm."""
    named = [name for name in (*attributes(), "weight") if name in units]
    if "account" in units:
        units = units.sort_values("first")
        _refuse_two(file, units, "firm", named)
        units = units.drop_duplicates("firm").sort_values("firm")
    heads = units.set_index("firm")
    months = (
        heads["closed_on"].astype("Int64").to_numpy("datetime64[M]", na_value=np.datetime64("NaT"))
    )
    usual = {
        "weight": 1.0,
        "risk": np.nan,
        "dose": np.where(heads["closed_on"].isna(), np.nan, 1.0),
    }
    cells = {
        name: heads[name] if name in heads else usual[name] for name in (*attributes(), "weight")
    }
    return pd.DataFrame(cells | {"closed_on": months.astype("datetime64[us]")}, heads.index)


def _added(cells: Any, keys: Sequence[str], axis: int) -> Any:
    """Add up the neighbouring cells with the same key; of a mask, return the union."""
    starts = np.flatnonzero([at == 0 or key != keys[at - 1] for at, key in enumerate(keys)])
    add = np.logical_or if cells.dtype == bool else np.add
    if len(starts) == len(keys):
        return cells
    return add.reduceat(cells, starts, axis=axis)


# The panel


def _panel(table: Table, notes: Notes) -> Panel:
    """Add up the rows of a table's units to a panel, with the cells of absent rows filled."""
    file = table.file
    cells, seen, used = _cells(table)
    codes = [*map(file.code, table.labels)]
    owners = [*table.units["firm"]]
    if file.named.closures == "account":
        before = table.wave - (table.begin + np.arange(table.months))  # months, or NaN
        home = np.array(codes) == table.platforms[0]
        sold = np.nansum(cells[:, home][:, :, (before > 0) & (before <= 12)], axis=(1, 2))
        notes = [*notes, *_close(table.units, sold)]
    sales, seen = (_added(_added(each, codes, 1), owners, 0) for each in (cells, seen))
    firms = _firms(file, table.units)
    if weighted := "weight" in table.units:
        sales *= firms["weight"].to_numpy()[:, np.newaxis, np.newaxis]
    has_sales = (seen & (sales >= 0)).any(axis=(1, 2))
    what = {"month": "cells" if file.months else "rows", "week": "weeks or parts of weeks"}
    of = what.get(file.named.rows, f"{file.named.rows}s")
    used = used - int(seen.sum())
    gone = [
        (of, "rows left out", int(seen[~has_sales].sum())),
        ("firms", "firms left out", int((~has_sales).sum())),
    ]
    gone = [("firms", "sample", len(firms) * weighted), (of, "added up", used), *gone]
    notes = [*notes, *((what, sentence(key), n) for what, key, n in gone)]
    if not has_sales.all():
        sales = sales[has_sales]
        seen = seen[has_sales]
        firms = firms[has_sales]
    _fill_absent(table, sales, seen, firms["closed_on"])
    months = pd.PeriodIndex.from_ordinals(
        np.arange(table.begin, table.begin + table.months), freq="M", name="month"
    )
    dropped = pd.DataFrame([note for note in notes if note[2]], columns=_DROPPED)
    of = file.population
    return Panel(
        sales,
        firms[attributes()],
        table.platforms,
        months,
        table.provenance,
        dropped,
        population=of,
    )


def _fill_absent(table: Table, sales: Floats, seen: Bools, closed_on: pd.Series) -> None:
    """Fill the cells of absent rows, which are 0, in place, following the map's `absent`.

    If absent rows are 0, an empty cell of a wide file counts as no row.
    """
    file = table.file
    groups = table.groups
    parts = table.parts
    rule = table.file.named.absent
    has_row = groups["n"] > 0
    if file.months and rule not in (None, "missing"):
        seen &= ~np.isnan(sales)
        has_row = groups["known"] > 0
    covered = np.zeros(len(table.labels) * table.months, dtype=bool)
    covered[parts["cell"][has_row.to_numpy()[parts["group"]]]] = True
    covered = _added(covered.reshape(-1, table.months), [*map(file.code, table.labels)], 0)
    elsewhere = ~seen.any(axis=2, keepdims=True)
    zero = elsewhere & covered
    if rule == "zero":
        zero = np.broadcast_to(covered.any(axis=0), sales.shape)
    elif rule == "zero_after_closure":
        month = closed_on.to_numpy("datetime64[M]").astype(np.int64) - table.begin
        after = (
            np.arange(table.months)
            >= np.where(closed_on.isna(), table.months, month)[:, np.newaxis]
        )
        zero[:, 0] |= after & covered[0]
    elif rule is None and not groups["zero"].any():
        absent = (~seen & ~elsewhere & covered.any(axis=0)) | (
            bool(file.months) & seen & np.isnan(sales)
        )
        if absent.any():
            refuse(file.path, *file.said("absent rows", count=absent.sum(), cells=seen.size))
    sales[~seen] = 0.0
    sales[~(seen | zero)] = np.nan
