"""Add up the rows of a file's units to the array of a panel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
from fewtreated.errors import refuse
from fewtreated.estimate import Bools, Floats, Ints

from analysis.panel.checks import Table, month_text, refuse_two_values
from analysis.panel.file import File
from analysis.panel.map import attributes, phrase
from analysis.panel.panel import DROPPED, Panel
from analysis.panel.rows import Notes
from analysis.untrusted import refuse_more

MOST_CELLS = 1 << 29  # firms x platforms x months: 4 GiB of sales, however few of them have a row


def panel_of(table: Table, notes: Notes) -> Panel:
    """Add up the rows of a table's units to a panel, with the cells of absent rows filled."""
    file = table.file
    cells, seen, used = _add_up_rows(table)
    codes = [*map(file.code, table.labels)]
    owners = [*table.units["firm"]]
    if file.named.closures == "account":
        before = table.wave - (table.begin + np.arange(table.months))  # months, or NaN
        home = np.array(codes) == table.platforms[0]
        sold = np.nansum(cells[:, home][:, :, (before > 0) & (before <= 12)], axis=(1, 2))
        notes = [*notes, *_close_firms(table.units, sold)]
    sales, seen = (
        _add_neighbours(_add_neighbours(each, codes, 1), owners, 0) for each in (cells, seen)
    )
    firms = _firms(file, table.units)
    weighted = "weight" in table.units
    if weighted:
        sales *= firms["weight"].to_numpy()[:, np.newaxis, np.newaxis]
    has_sales = (seen & (sales >= 0)).any(axis=(1, 2))
    of = "cells" if file.months else f"{file.named.rows.period}s".replace("month", "row")
    notes = [
        *notes,
        ("firms", phrase("sample"), len(firms) * weighted),
        (of, phrase("added up"), used - int(seen.sum())),
        (of, phrase("rows left out"), int(seen[~has_sales].sum())),
        ("firms", phrase("firms left out"), int((~has_sales).sum())),
    ]
    if not has_sales.all():
        sales = sales[has_sales]
        seen = seen[has_sales]
        firms = firms[has_sales]
    _fill_absent(table, sales, seen, firms["closed_on"])
    months = pd.PeriodIndex.from_ordinals(
        np.arange(table.begin, table.begin + table.months), freq="M", name="month"
    )
    return Panel(
        sales,
        firms[attributes()],
        table.platforms,
        months,
        table.provenance,
        pd.DataFrame([note for note in notes if note[2]], columns=DROPPED),
        population=file.population,
    )


# Cells of units, labels and months


def _add_up_rows(table: Table) -> tuple[Floats, Bools, int]:
    """Return sales[unit, label, month], a mask of observed cells, and the number of rows used.

    Sales without a row are 0. Rows of months, of which each is a cell, keep their value; others are
    added up in whole units of a power of ten of a dollar, so that their order does not change the
    sum. Each row has the bit of its day, and those of a cell reveal rows with the same key.
    """
    units, labels, months = shape = (len(table.units), len(table.labels), table.months)
    count = math.prod(shape)
    of = f"cells, from {units:,} firms or accounts, {labels:,} platforms and {months:,} months"
    do = "leave out firms, platforms or months"
    refuse_more(table.file.path, count, MOST_CELLS, of, do)
    by_month = table.file.named.rows.period == "month"
    scale = _scale(table)
    sales = np.zeros(count)
    seen = np.zeros(count, dtype=bool)
    used = 0
    days = 0
    for batch in table.found.rows.stream(_cells_sql(table, scale), **_tables(table)):
        unit, cell, amounts, unknown, bits, n = (
            each.to_numpy(zero_copy_only=False) for each in batch.columns
        )
        at = unit * np.int64(labels * months) + cell
        sales[at] = np.where(unknown, np.nan, amounts / scale)
        seen[at] = True
        used = used + int(n.sum())
        days = days + int(np.bitwise_count(bits).sum())
    if table.file.named.rows.period != "order" and (seen.sum() if by_month else days) < used:
        _refuse_again(table)
    sales = sales.reshape(shape)
    _refuse_negative(table, sales)
    return sales, seen.reshape(shape), used


def _scale(table: Table) -> float:
    """Return the parts of a dollar in which rows are added up; 1 if each row is a cell."""
    if table.file.named.rows.period == "month":
        return 1.0
    total = max(1.0, np.nansum(table.groups["size"] * table.groups["rate"]))
    return float(10.0 ** min(9, math.floor(math.log10(2**62 / total))))


def _tables(table: Table) -> dict[str, pa.Table]:
    """Return the tables of units and parts to which the rows are joined.

    Their names are those of no table in a database.
    The position of each is in its column, `unit` or `part`.
    """
    units = table.keys["units"]
    parts = table.keys["parts"].take(pa.array(table.parts.index))
    for name in ("cell", "rate", "bit"):
        parts = parts.append_column(name, pa.array(table.parts[name]))
    unit = pa.array(np.arange(len(units), dtype=np.int32))
    return {
        "market_impact_units": units.append_column("unit", unit),
        "market_impact_parts": parts.append_column("part", pa.array(table.parts.index)),
    }


def _joined_rows(table: Table) -> str:
    """Return SQL that joins the rows to their units and parts."""
    using = {name: ", ".join(keys.column_names) for name, keys in table.keys.items()}
    units = f"market_impact_units USING ({using['units']})"
    parts = f"market_impact_parts USING ({using['parts']})"
    return f"source JOIN {units} JOIN {parts}"


def _cells_sql(table: Table, scale: float) -> str:
    """Return SQL for the cells of a table, with their amounts and the bits of their days."""
    by_month = table.file.named.rows.period == "month"
    amount = f"CAST(floor(COALESCE(value, 0) * rate * {scale} + 0.5) AS BIGINT)"
    kind = "BIGINT"
    if by_month:
        amount = "value * rate"
        kind = "DOUBLE"
    sql = (
        f"{table.found.source} SELECT unit, cell, {amount} AS amount, value IS NULL AS unknown,"
        f" bit AS bits, CAST(1 AS BIGINT) AS n FROM {_joined_rows(table)}"
    )
    if by_month and not table.found.rows.remote:
        return sql
    return (
        f"SELECT unit, cell, CAST(sum(amount) AS {kind}) AS amount, bool_or(unknown) AS unknown,"
        f" bit_or(bits) AS bits, count(*) AS n FROM ({sql}) AS parted GROUP BY unit, cell"
    )


def _refuse_negative(table: Table, sales: Floats) -> None:
    """Raise DataError if the returns of a month of orders exceed its sales."""
    below = np.argwhere(sales < 0)
    if not len(below):
        return
    unit, label, month = below[0]
    key = ", ".join(map(repr, [*table.ids.loc[unit], table.labels[label]]))
    more = f", the first of {len(below):,} such months" * (len(below) > 1)
    when = month_text(month + table.begin)
    sold = sales[unit, label, month]
    refuse(
        table.file.path, *table.file.refusal("returns", sales=sold, key=key, month=when, more=more)
    )


def _refuse_again(table: Table) -> NoReturn:
    """Raise DataError for the first row that repeats an earlier row's key."""
    file = table.file
    found = table.found.rows.query(
        f"""{table.found.source},
keys AS (SELECT row, unit, cell, bit, part FROM {_joined_rows(table)}),
twice AS (
    SELECT unit, cell, bit, min(row) AS earlier FROM keys GROUP BY unit, cell, bit
    HAVING count(*) > 1)
SELECT keys.row, keys.unit, earlier, keys.part, other.part AS before
FROM keys JOIN twice USING (unit, cell, bit) JOIN keys AS other ON other.row = earlier
WHERE keys.row > earlier ORDER BY 1 LIMIT 1""",
        **_tables(table),
    )
    row, unit, earlier, *parts = (column[0].as_py() for column in found.columns)
    group, before = (table.parts.loc[at] for at in parts)
    form = "%Y-%m-%d"
    if file.named.rows.period == "month":
        form = "%Y-%m"
    key = ", ".join(map(repr, [*table.ids.loc[unit], group["platform"], f"{group['date']:{form}}"]))
    kind = "key twice"
    sums = "rows: order"
    if group["date"] != before["date"]:
        kind = "days"
        sums = "rows: day"
    days = (before["date"].day, group["date"].day)
    path, at = file.place(row)
    where = ", ".join(file.column(name, row) for name in (*table.ids, "platform", "month"))
    words = file.refusal(kind, sums, key=key, before=file.row(earlier), days=days)
    refuse(f"{path}, row {at}, column {where}", *words)


# Accounts: renamed, closed one by one, and added up to firms


def link_accounts(table: Table) -> tuple[Table, Notes]:
    """Return the units sorted by firm, and notes.

    Accounts are linked to the firm of their first id.
    """
    file = table.file
    units = table.units
    if "account" not in units:
        return table, []
    rule = "added up to their firms"
    if "renamed_from" not in units:
        rule += "; renamed accounts cannot be linked without a column renamed_from"
    notes: Notes = [("accounts", rule, len(units))]
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
        found = former[lost["first"].idxmin()]
        file.refuse(lost, "renamed_from", *file.refusal("lost account", found=found))
    root = parent = np.where(renamed, position, np.arange(len(units)))
    for _ in range(len(units).bit_length() + 1):
        root = root[root]
    if len(circular := units[renamed[root]]):
        at = circular["first"].idxmin()
        account, former = (units["account"][place] for place in (at, parent[at]))
        words = file.refusal("circle of accounts", account=account, former=former)
        file.refuse(circular, "renamed_from", *words)
    return root


def _close_firms(units: pd.DataFrame, sold: Floats) -> Notes:
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
    before = int((closed & (share == 0)).sum())
    return [
        ("firms", phrase("closed in part"), len(month) - len(half)),
        ("accounts", phrase("closed accounts"), int(closed.sum())),
        ("accounts", phrase("closed before"), before),
    ]


def _firms(file: File, units: pd.DataFrame) -> pd.DataFrame:
    """Return firm attributes sorted by id; raise DataError if any differ within a firm."""
    named = [name for name in (*attributes(), "weight") if name in units]
    if "account" in units:
        units = units.sort_values("first")
        refuse_two_values(file, units, "firm", named)
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


def _add_neighbours(cells: Any, keys: Sequence[str], axis: int) -> Any:
    """Add up the neighbouring cells with the same key; of a mask, return the union."""
    starts = np.flatnonzero([at == 0 or key != keys[at - 1] for at, key in enumerate(keys)])
    add = np.logical_or if cells.dtype == bool else np.add
    if len(starts) == len(keys):
        return cells
    return add.reduceat(cells, starts, axis=axis)


def _fill_absent(table: Table, sales: Floats, seen: Bools, closed_on: pd.Series) -> None:
    """Fill the cells of absent rows, which are 0, in place, following the map's `absent`.

    If absent rows are 0, an empty cell of a wide file counts as no row.
    """
    file = table.file
    groups = table.groups
    parts = table.parts
    rule = table.file.named.absent
    has_row = parts["n"] > 0
    if file.months and rule not in (None, "missing"):
        seen &= ~np.isnan(sales)
        has_row = parts["known"] > 0
    covered = np.zeros(len(table.labels) * table.months, dtype=bool)
    covered[parts["cell"][has_row]] = True
    covered = _add_neighbours(covered.reshape(-1, table.months), [*map(file.code, table.labels)], 0)
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
            refuse(
                file.path,
                *file.refusal("absent rows", "absent: zero", count=absent.sum(), cells=seen.size),
            )
    sales[~seen] = 0.0
    sales[~(seen | zero)] = np.nan
