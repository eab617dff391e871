"""Follow accounts through their names to their firm, and make the closure of a firm from those of its accounts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.errors import DataError
from analysis.estimate import Floats
from analysis.panel.blocks import NEVER
from analysis.panel.columns import TEXT, attributes, columns
from analysis.panel.files import File, Links, Months
from analysis.panel.problem import Problem
from analysis.panel.translating import translated

HALF = 0.5
"""Share of a firm's home sales before the closures that sits in closed accounts when the firm counts as closed."""

BASE_MONTHS = 12
_KEYS = ("firm", "renamed_from", "brand_group", "origin", "category")
Positions = npt.NDArray[np.int64]


def linked(file: File, home: str) -> File:
    """Look through the accounts of a file, where they are renamed or closed one by one.

    A renamed account belongs to the firm that it belonged to under its first id, and has that firm's brand group,
    origin and category. Where accounts are closed one by one, a firm is closed in the first month in which half of its
    home sales of the twelve months before the first closure sat in closed accounts (science: G_i); its dose is the
    share that sat in all closed accounts. Sales under former names count for the account. A firm with less than half
    in closed accounts is closed in the month of the first of them, with that dose; a firm that sold nothing at home in
    these months is measured by the number of its accounts.

    Raises
    ------
    DataError
        When an account has two firms, former ids or months of closure; a former id is no account of the file; or ids
        were renamed in a circle.
    """
    one_by_one = bool(file.named and file.named.closures == "account")
    if "renamed_from" not in file.names and not one_by_one:
        return file
    found = _accounts(file, one_by_one)
    root = _roots(file, found)
    renamed = int((root != np.arange(len(found))).sum())
    notes = [("accounts", "renamed: linked to the account that they were", renamed)]
    texts = {} if not renamed else {name: _words(found[name].iloc[root]) for name in _texts(found)}
    closed = dose = None
    if one_by_one:
        closed, dose, extra = _closures(file, found, root, home)
        notes += extra
    return replace(file, links=Links(_words(found.index), texts, closed, dose, notes))


def _texts(found: pd.DataFrame) -> list[str]:
    return [name for name in ("firm", *attributes()) if columns()[name].kind == TEXT and name in found]


def _words(values: Any) -> pa.StringArray:
    return pa.array(list(values), pa.string())


def _accounts(file: File, one_by_one: bool) -> pd.DataFrame:
    """Return what is said of each account, in the order of their ids, with the first row that says it."""
    names = [name for name in ("account", *_KEYS) if name in file.names]
    parts: list[pd.DataFrame] = []
    first = NEVER
    for block in translated(file, [*names, "month", *(["closed_on"] if one_by_one else [])]):
        part = {name: block.texts[name].dictionary_decode() for name in names}
        part["closed"] = pa.array(block.months.get("closed_on", np.full(block.raw.num_rows, NEVER)))
        part["row"] = pa.array(block.rows())
        if len(month := block.months["month"]):
            first = int(month.min()) if first == NEVER else min(first, int(month.min()))
        grouped = pa.table(part).group_by([*names, "closed"], use_threads=False).aggregate([("row", "min")])
        parts.append(grouped.to_pandas())
    if not parts or not len(found := pd.concat(parts)):
        raise DataError(str(Problem(f"{file.path}", "rows of data", "a header alone", "export it again")))
    found = found.groupby([*names, "closed"], as_index=False)["row_min"].min().sort_values("row_min")
    for name in (*names[1:], "closed"):
        _refuse_two(file, found, name)
    found = found.drop_duplicates("account").set_index("account").sort_index()
    early = found[(found["closed"] != NEVER) & (found["closed"] < first)]
    if len(early):
        where = f"{file.path}, row {early['row_min'].iloc[0]}, column {file.layout.called('closed_on')}"
        shown = str(np.datetime64(int(early["closed"].iloc[0]), "M"))
        asked = f"a closure in or after the first month, {np.datetime64(first, 'M')}"
        raise DataError(str(Problem(where, asked, repr(shown), columns()["closed_on"].remedy)))
    return found


def _refuse_two(file: File, found: pd.DataFrame, name: str) -> None:
    different = found.drop_duplicates(["account", name])
    again = different["account"].duplicated()
    if again.any():
        row = different[again].iloc[0]
        before = different.loc[different["account"] == row["account"], name].iloc[0]
        ours = "closed_on" if name == "closed" else name
        value, other = (_shown(value, name) for value in (row[name], before))
        where = f"{file.path}, row {row['row_min']}, column {file.layout.called(ours)}"
        _refuse(where, f"one value for the account {row['account']!r}", f"{value}, where another row has {other}", ours)


def _shown(value: Any, name: str) -> str:
    if name == "closed":
        value = "" if value == NEVER else str(np.datetime64(int(value), "M"))
    return repr(value) if value else "nothing"


def _refuse(where: str, asked: str, found: str, name: str) -> NoReturn:
    raise DataError(str(Problem(where, asked, found, columns()[name].remedy)))


def _roots(file: File, found: pd.DataFrame) -> Positions:
    """Return the position of the first id of each account, by pointer jumping."""
    if "renamed_from" not in found:
        return np.arange(len(found))
    former, renamed = found["renamed_from"], (found["renamed_from"] != "").to_numpy()
    parent = np.where(renamed, found.index.get_indexer(former), np.arange(len(found)))
    column = file.layout.called("renamed_from")
    if (parent < 0).any():
        row = found[parent < 0].iloc[0]
        where = f"{file.path}, row {row['row_min']}, column {column}"
        _refuse(where, "an id of the file", f"{row['renamed_from']!r}, which has no row", "renamed_from")
    root = parent
    for _ in range(len(found).bit_length() + 1):
        root = root[root]
    circular = renamed[root]
    if circular.any():
        circle = [int(root[circular.argmax()])]
        while (following := int(parent[circle[-1]])) != circle[0]:
            circle.append(following)
        start = min(circle, key=lambda position: found["row_min"].iloc[position])
        turned = circle[circle.index(start) :] + circle[: circle.index(start)]
        ids = " from ".join(found.index[[*turned, start]])
        where = f"{file.path}, row {found['row_min'].iloc[start]}, column {column}"
        _refuse(where, "ids renamed one after the other", f"a circle: {ids}", "renamed_from")
    return root


def _closures(
    file: File, found: pd.DataFrame, root: Positions, home: str
) -> tuple[Months, Floats, list[tuple[str, str, int]]]:
    """Return month and dose of the firm of each account, and what is to be said about it."""
    closed, count = found["closed"].to_numpy(), len(found)
    months = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(months, root, np.where(closed == NEVER, months.max(), closed))  # the first closure under any name
    ever = months < np.iinfo(np.int64).max
    sold = _home_sales(file, found, root, home, first=int(months[ever].min())) if ever.any() else np.zeros(count)
    chains = pd.DataFrame({"firm": found["firm"].iloc[root].to_numpy(), "month": months, "sold": sold, "ever": ever})
    held = chains[root == np.arange(count)]
    total = held.groupby("firm")["sold"].transform("sum")
    number = held.groupby("firm")["sold"].transform("size")
    share = (held["sold"] / total.where(total > 0)).fillna(0.0).where(total > 0, 1 / number)
    shut = held.assign(share=share)[held["ever"] & (share > 0)].sort_values(["firm", "month"], kind="stable")
    reached = shut.groupby("firm")["share"].cumsum() >= HALF - 1e-12
    by_firm = pd.DataFrame(
        {
            "closed": shut[reached].groupby("firm")["month"].first(),
            "first": shut.groupby("firm")["month"].first(),
            "dose": shut.groupby("firm")["share"].sum().clip(upper=1.0),
        }
    )
    of_firm = by_firm.reindex(chains["firm"])
    month = of_firm["closed"].fillna(of_firm["first"])
    notes = [
        ("accounts", "closed: their firm is closed in the month in which half of its sales are", int(ever.sum())),
        ("firms", "closed in accounts that held less than half of their sales", int(by_firm["closed"].isna().sum())),
        ("accounts", "closed, but without home sales in the year before", int((held["ever"] & (share == 0)).sum())),
    ]
    return month.fillna(NEVER).to_numpy(np.int64), of_firm["dose"].to_numpy(float), notes


def _home_sales(file: File, found: pd.DataFrame, root: Positions, home: str, *, first: int) -> Floats:
    """Return the known home sales over the base months under all names of an account, at its first id; else 0."""
    sold, accounts = np.zeros(len(found)), _words(found.index)
    for block in translated(file, ["account", "platform", "month", "sales"]):
        at_home = pc.equal(block.texts["platform"].dictionary_decode(), home).to_numpy(False)
        month, sales = block.months["month"], block.numbers["sales"]
        used = at_home & (month >= first - BASE_MONTHS) & (month < first) & ~np.isnan(sales)
        coded = block.texts["account"]
        at = np.asarray(pc.index_in(coded.dictionary, accounts).fill_null(0))[np.asarray(coded.indices)]
        sold += np.bincount(root[at[used]], weights=sales[used], minlength=len(found))
    return sold
