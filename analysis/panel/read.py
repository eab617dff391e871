"""Read a panel from a CSV or Parquet file in one pass, or refuse it with row, column, value and remedy.

Rows are taken in blocks. A block is typed by the schema and its words become codes; what it says of its units is held
against what earlier rows said, and its sales wait until all units and months are known. A unit has one row per platform
and month: the firm, or where rows are by account the account. At the end accounts are linked and added up to firms.
"""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import DataError
from analysis.estimate import Bools, Floats, Ints
from analysis.panel.file import ROWS_AT_ONCE, File, blocks, month_text, open_file, refuse, shown
from analysis.panel.panel import (
    MONTH,
    NUMBER,
    ORDER,
    POPULATIONS,
    SIMULATED_ID,
    TEXT,
    UNITS,
    Panel,
    attributes,
    columns,
)

_WAITING_BYTES = 1 << 26  # of sales that wait in memory; more go to a temporary file
_WAITING = np.dtype([("unit", np.int32), ("platform", np.int32), ("month", np.int32), ("sales", np.float64)])
_BY_ACCOUNT = "give the firm's month in all its rows, or write `closures: account` in a map if accounts have their own"

Notes = list[tuple[str, str, int]]


def read_panel(
    path: str | Path,
    *,
    map: str | Path | None = None,
    home: str | None = None,
    platforms: Sequence[str] | None = None,
) -> Panel:
    """Read a panel from a CSV or Parquet file: with the columns of ``data/panel.schema.json``, or with a map.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file (UTF-8, commas) or a ``.parquet`` file; rows and columns in any order. Rows by account are
        added up to their firm; the sum is missing where one of them is given as not known. A renamed account belongs
        to the firm of its first id, and has that firm's brand group, origin and category.
    map : str or Path, optional
        YAML file of a map: what the file calls the columns, platforms and months, its money, and what a
        firm-platform-month without a row is. ``absent: missing``, as without a map, is NaN, except on a platform for
        which the firm has no row at all: there it sold nothing, in every month for which the file has a row of that
        platform. ``absent: zero``: the file lists all sales, so it is 0; NaN only in a month for which the file has no
        row at all. A row with 0 is 0, and a row without sales is NaN, in either case. None for a file in our columns
        and US dollars.
    home : str, optional
        The platform that closed the accounts; it becomes the first. None: as the map says, else AMZ.
    platforms : sequence of str
        Platforms that may occur, in the order of the panel. None allows all, in the order that the metadata of the
        file or the map say, or else of their names.

    Returns
    -------
    Panel
        Firms in the order of their ids. `dropped` counts the rows without a place of their own in it. Simulated, if
        the metadata, the column `provenance` or the ids of firms, accounts or brand groups say so.

    Raises
    ------
    DataError
        When the file cannot be read; its columns or a value break the schema; a key comes twice; an attribute differs
        within a firm; a firm was closed before the first month; a platform is not allowed or the home platform has no
        row; real and simulated rows, or two currencies, are mixed; accounts were renamed in a circle; there are fewer
        than two firms with sales; or home is not what the map says.

    Examples
    --------
    >>> from analysis import read_panel
    >>> panel = read_panel("data/examples/tidy.csv", map="data/examples/tidy.map.yml")
    >>> panel
    simulated panel: 192 firms on AMZ, EBY, ALI, WMT, OWN, 2019-01 to 2022-06, sim-$
    """
    file = open_file(Path(path), Path(map) if map else None, platforms)
    if home and file.named.home not in (None, home):
        do = "correct the map, or ask for the same"
        raise DataError(f"home = {home!r} was asked for; {map} says {file.named.home!r}; {do}")
    home = home or file.named.home or "AMZ"
    if platforms is not None and home not in platforms:
        refuse(path, f"the home platform {home!r} among those allowed", ", ".join(platforms), "name it among them")
    with tempfile.SpooledTemporaryFile(_WAITING_BYTES) as waiting:
        rows, units = _gather(file, waiting)
        order, provenance = _platforms(rows, home), _provenance(rows)
        units, linked = _linked(rows, units, home)
        firms, units = _firms(rows, units), units[units.columns.intersection(["firm", "account"])]
        sales, seen = _sales(rows, units, order)
    if "weight" in file.theirs:
        sales *= firms["weight"].to_numpy()[:, np.newaxis, np.newaxis]
    known = (seen & (sales >= 0)).any(axis=(1, 2))
    if known.sum() < 2:
        found = f"{known.sum()} ({', '.join(firms.index[known])})"
        refuse(path, "at least two firms with sales", found, "add firms to compare with")
    cells = "cells" if file.months else "rows"
    notes = [
        ("columns", "not named in the map", len({*file.header} - {*file.theirs.values(), *file.months})),
        *linked,
        (
            "firms",
            "of a sample: their sales are multiplied by their weights, and what counts firms counts those of it",
            len(firms) * ("weight" in file.theirs),
        ),
        (cells, "added up with another account of their firm", rows.count - int(seen.sum())),
        (cells, "their firm has no known sales in any month", int(seen[~known].sum())),
        ("firms", "they have no known sales in any month", int((~known).sum())),
    ]
    if not known.all():
        sales, seen, firms = sales[known], seen[known], firms[known]
    _fill_absent(sales, seen, zero=file.named.absent == "zero")
    dropped = pd.DataFrame([note for note in notes if note[2]], columns=["what", "rule", "count"])
    months = pd.PeriodIndex.from_ordinals(np.arange(rows.first, rows.last + 1), freq="M", name="month")
    population = file.named.population or file.said.get("population", POPULATIONS[-1])
    firms = firms.drop(columns="weight")
    return Panel(sales, firms, order, months, provenance, dropped, population=population)


# All rows of a file


class _Values:
    """Distinct values, in the order in which they appear: a value's code is its place among them.

    `known` are the values, `first` the positions of the first rows that hold them, block by block.
    """

    def __init__(self) -> None:
        self.known: Any = None
        self.first = list[Ints]()

    def code(self, values: Any, start: int) -> Ints:
        """Return the codes of a block of rows; values that are new get the next ones."""
        coded = values if isinstance(values, pa.DictionaryArray) else pa.array(values).dictionary_encode()
        found, indices = coded.dictionary, np.asarray(coded.indices)
        known = found[:0] if self.known is None else self.known
        codes = np.array(pc.index_in(found, known).fill_null(-1), dtype=np.int64)
        new = np.flatnonzero(codes < 0)
        codes[new] = len(known) + np.arange(len(new))
        self.known = pa.concat_arrays([known, found.take(pa.array(new))])
        self.first.append(start + np.searchsorted(np.maximum.accumulate(indices), new))  # a block's codes rise as well
        return np.asarray(codes[indices])

    def word(self, code: Any) -> str:
        """Return the value of a code."""
        return str(self.known[int(code)].as_py())

    def sort(self) -> Ints:
        """Put the values in order; return the new code of each."""
        order = np.asarray(pc.sort_indices(self.known)).astype(np.int64)
        self.known, self.first = self.known.take(pa.array(order)), [np.concatenate(self.first)[order]]
        return np.argsort(order)


@dataclass(frozen=True)
class _Rows:
    """What the rows of a file say.

    `values` are the words of each column of text, in order, except that the platforms are in the order in which they
    appear; `waiting` holds the sales, in memory or of a large file on disk; `first` and `last` are months, and `count`
    is the number of rows.
    """

    file: File
    values: Mapping[str, _Values]
    waiting: IO[bytes]
    first: int
    last: int
    count: int

    def sales(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the sales in the order of the rows, each with the codes of its unit and platform and its month."""
        self.waiting.seek(0)
        while content := self.waiting.read(_WAITING.itemsize * ROWS_AT_ONCE):
            yield np.frombuffer(content, _WAITING)


def _gather(file: File, waiting: IO[bytes]) -> tuple[_Rows, pd.DataFrame]:
    """Take up the rows of a file; return also what is said of each unit, and the position of its `first` row.

    Units stand in the order in which they appear; words as codes, months and numbers as NaN where missing.
    """
    values, months, count = defaultdict[str, _Values](_Values), set[int](), 0
    names = [name for name in ("firm", "account", "renamed_from", *attributes(), "weight") if name in file.theirs]
    unit_of = "unit" if "account" in names and file.owner == "firm" else file.owner
    said = np.zeros((len(names), 0))
    for block in blocks(file):
        row = dict(block.typed)
        for name in (name for name in row if columns()[name]["type"] == TEXT):
            row[name] = values[name].code(row[name], count)
        for name in (name for name in ("provenance", "currency") if name in row):
            block.refuse(row[name] != 0, name, f"{values[name].word(0)!r} as in row {file.row(0)}")
        if unit_of == "unit":
            row["unit"] = values["unit"].code(row["firm"] << 32 | row["account"], count)
        unit, new = row[unit_of], values[unit_of].first[-1] - count
        if unit.max() >= said.shape[1]:
            said = np.pad(said, ((0, 0), (0, int(unit.max()) + 1)))  # room for as many again
        for name, known in zip(names, said, strict=True):
            known[unit[new]] = row[name][new]
            _refuse_two(file, values, file.owner, name, row, known[unit], count + np.arange(len(unit)))
        sales = np.rec.fromarrays([unit, row["platform"], row["month"], row["sales"]], dtype=_WAITING)
        waiting.write(sales.tobytes())
        months |= {int(row["month"].min()), int(row["month"].max())}
        count += len(unit)
    if not count:
        refuse(file.path, "rows of data", "a header alone", "export it again")
    first = np.concatenate(values[unit_of].first)
    units = pd.DataFrame(dict(zip(names, said[:, : len(first)], strict=True))).assign(first=first)
    for name in (name for name in names if columns()[name]["type"] == TEXT):
        units[name] = values[name].sort()[units[name].astype(np.int64)]
    if (early := units["closed_on"] < min(months)).any():
        at = units["first"].where(early).idxmin()
        asked = f"a closure in or after the first month, {month_text(min(months))}"
        file.refuse(first[at], "closed_on", asked, repr(month_text(units["closed_on"][at])))
    pa.default_memory_pool().release_unused()
    return _Rows(file, values, waiting, min(months), max(months), count), units


def _refuse_two(
    file: File, values: Mapping[str, _Values], owner: str, name: str, given: Any, expected: Any, positions: Ints
) -> None:
    """Refuse the first row or unit of which a column says something else than another one of its firm or account."""
    differs = (given[name] != expected) & ~(np.isnan(given[name]) & np.isnan(expected))
    if differs.any():
        at = int(np.where(differs, positions, positions.max() + 1).argmin())
        say: Any = {TEXT: values[name].word, MONTH: month_text, NUMBER: float}[columns()[name]["type"]]
        told = [shown(None if np.isnan(value) else say(value)) for value in (given[name][at], expected[at])]
        asked = f"one value for the {owner} {values[owner].word(given[owner][at])!r}"
        by_account = name == "closed_on" and "account" in given and file.named.closures == "firm"
        found, do = f"{told[0]}, where another row has {told[1]}", _BY_ACCOUNT if by_account else ""
        file.refuse(positions[at], name, asked, found, do)


# What the whole file says


def _platforms(rows: _Rows, home: str) -> tuple[str, ...]:
    """Return the platforms that occur, the home platform first."""
    found, file = sorted(rows.values["platform"].known.to_pylist()), rows.file
    if home not in found:
        do = "name the platform that closed the accounts as `home`"
        refuse(file.path, f"rows of the home platform {home!r}", f"rows of {', '.join(found)}", do)
    order = file.allowed or [*json.loads(file.said.get(ORDER, "[]")), *file.named.platforms.values(), *found]
    return tuple(dict.fromkeys([home, *(name for name in order if name in found)]))


def _provenance(rows: _Rows) -> str:
    """Return "simulated" if the metadata, the column or the ids say so; refuse a file that is in part real."""
    file, do, mixed = rows.file, columns()["provenance"]["remedy"], dict[str, Bools]()
    said = {file.said.get("provenance", "real")}
    if not said <= UNITS.keys():
        refuse(file.path, "real or simulated as provenance in the metadata", repr(*said), do)
    said |= {rows.values["provenance"].word(0)} if "provenance" in rows.values else set()
    for name in (name for name in ("firm", "account", "brand_group") if name in rows.values):
        marked = np.asarray(pc.match_substring_regex(rows.values[name].known, f"^{SIMULATED_ID}"))
        said |= {"simulated"} if marked.all() else set()
        mixed |= {name: marked} if marked.any() else {}
    for name, marked in mixed.items() if "simulated" not in said else ():
        ids, codes = rows.values[name], (int(marked.argmax()), int(marked.argmin()))
        pair = " and ".join(f"{ids.word(code)!r} (first in row {file.row(ids.first[0][code]):,})" for code in codes)
        found = f"a simulated {name.replace('_', ' ')} beside another: {pair}"
        refuse(f"{file.path}, column {file.called(name)}", "one provenance", found, do)
    return "simulated" if "simulated" in said else "real"


# Accounts: renamed, and closed one by one


def _linked(rows: _Rows, units: pd.DataFrame, home: str) -> tuple[pd.DataFrame, Notes]:
    """Return the units with the firm of their account's first id and its closure, and what is to be said about them."""
    if "account" not in units:
        return units, []
    unlinked = "" if "renamed_from" in units else "; renamed ones cannot be linked, there is no column renamed_from"
    notes: Notes = [("accounts", f"added up to their firms{unlinked}", len(units))]
    if rows.file.owner == "account":
        units = units.sort_values("account")
        root = _roots(rows, units)
        renamed = int((root != np.arange(len(root))).sum())
        notes.append(("accounts", "renamed: linked to the account that they were", renamed))
        texts = ["firm", "brand_group", "origin", "category"]
        units[texts] = units[texts].to_numpy()[root]
        notes += _close(rows, units, root, home) if rows.file.named.closures == "account" else []
    return units, notes


def _roots(rows: _Rows, units: pd.DataFrame) -> Ints:
    """Return the position of the first id of each account, by pointer jumping."""
    root = np.arange(len(units))
    if "renamed_from" not in units:
        return root
    file, former, accounts = rows.file, rows.values["renamed_from"], rows.values["account"]
    first, code = units["first"].to_numpy(), units["renamed_from"].to_numpy()
    position = np.asarray(pc.index_in(former.known, accounts.known).fill_null(-1))[code]
    renamed = np.asarray(pc.not_equal(former.known, ""))[code]
    if (lost := renamed & (position < 0)).any():
        at = int(np.where(lost, first, first.max() + 1).argmin())
        found = f"{former.word(code[at])!r}, which has no row"
        file.refuse(first[at], "renamed_from", "an id of the file", found)
    root = parent = np.where(renamed, position, root)
    for _ in range(len(units).bit_length() + 1):
        root = root[root]
    if (circular := renamed[root]).any():
        cycle = np.unique(root[circular])
        circle = [cycle[first[cycle].argmin()]]
        while (following := parent[circle[-1]]) != circle[0]:
            circle.append(following)
        found = f"a circle: {' from '.join(map(accounts.word, [*circle, circle[0]]))}"
        file.refuse(first[circle[0]], "renamed_from", "ids renamed one after the other", found)
    return root


def _close(rows: _Rows, units: pd.DataFrame, root: Ints, home: str) -> Notes:
    """Set month and dose of the closure of each account's firm; return what is to be said about it.

    A firm is closed in the first month in which half of its home sales of the twelve months before the first closure
    sat in closed accounts (science: G_i); its dose is the share that sat in all closed accounts. Sales under former
    names count for the account. A firm with less than half in closed accounts is closed in the month of the first of
    them, with that dose; a firm that sold nothing at home in these months is measured by the number of its accounts.
    """
    wave, sold = units["closed_on"].min(), np.zeros(len(units))
    code = rows.values["platform"].known.index(home).as_py()
    for row in rows.sales():
        base = row[(row["platform"] == code) & (row["month"] >= wave - 12) & (row["month"] < wave)]
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
        ("accounts", "closed: their firm is closed in the month in which half of its sales are", count),
        ("firms", "closed in accounts that held less than half of their sales", len(month) - len(half)),
        ("accounts", "closed, but without home sales in the year before", never_sold),
    ]


# The parts of the panel


def _firms(rows: _Rows, units: pd.DataFrame) -> pd.DataFrame:
    """Return what describes the firms, in the order of their ids; refuse units of a firm that differ."""
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
            firms[name] = rows.values[name].known.take(pa.array(heads[name])).to_pandas().array
        elif columns()[name]["type"] == MONTH:
            months = heads[name].astype("Int64").to_numpy("datetime64[M]", na_value=np.datetime64("NaT"))
            firms[name] = months.astype("datetime64[us]")
    ids = rows.values["firm"].known.take(pa.array(heads.index)).to_pandas()
    return pd.DataFrame(firms, index=pd.Index(ids, name="firm"))[[*attributes(), "weight"]]


def _sales(rows: _Rows, units: pd.DataFrame, platforms: tuple[str, ...]) -> tuple[Floats, Bools]:
    """Return the sales by firm, 0 where there is no row, and where there is one, in the order of the firms' ids."""
    units = units.sort_values([name for name in ("firm", "account") if name in units])
    shape = (len(units), len(platforms), rows.last - rows.first + 1)
    position, sales, seen = np.argsort(units.index), np.zeros(shape), np.zeros(shape, dtype=bool)
    axis = np.array([platforms.index(word) for word in rows.values["platform"].known.to_pylist()])

    def cells(row: npt.NDArray[Any]) -> tuple[Ints, ...]:
        return position[row["unit"]], axis[row["platform"]], row["month"] - rows.first

    for row in rows.sales():
        sales[cells(row)], seen[cells(row)] = row["sales"], True
    if np.count_nonzero(seen) < rows.count:
        _refuse_again(rows, units, platforms, np.concatenate([np.stack(cells(row)) for row in rows.sales()], axis=1))
    if "account" in units:
        starts = np.flatnonzero(np.diff(units["firm"], prepend=-1))
        sales, seen = np.add.reduceat(sales, starts), np.logical_or.reduceat(seen, starts)
    return sales, seen


def _refuse_again(rows: _Rows, units: pd.DataFrame, platforms: tuple[str, ...], cells: Ints) -> NoReturn:
    """Refuse the first row whose cell is that of an earlier row."""
    at = int(pd.DataFrame(cells.T).duplicated().to_numpy().argmax())
    unit, platform, month = cells[:, at]
    before = int((cells == cells[:, [at]]).all(axis=0).argmax())
    owners = {name: rows.values[name].word(units[name].iloc[unit]) for name in ("firm", "account") if name in units}
    key = owners | {"platform": platforms[platform], "month": month_text(rows.first + month)}
    where = f"{rows.file.path}, row {rows.file.row(at)}, column {', '.join(rows.file.called(name, at) for name in key)}"
    found = f"{tuple(key.values())}, which stands in row {rows.file.row(before):,} already"
    refuse(where, "a key once", found, "remove one of the two rows, or correct its key")


def _fill_absent(sales: Floats, seen: Bools, *, zero: bool) -> None:
    """Set what has no row, in place; it is 0 so far."""
    covered = np.asarray(seen.any(axis=0))
    if zero:
        sales[:, :, ~covered.any(axis=0)] = np.nan
        return
    sales[~seen] = np.nan
    elsewhere = ~np.asarray(seen.any(axis=2))
    for platform in range(len(covered)):
        sales[:, platform][np.ix_(elsewhere[:, platform], covered[platform])] = 0.0
