"""Read a panel: look through the file once for its words and months, then fill the array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.config import DOLLARS, Absent, Map, read_map
from analysis.errors import DataError
from analysis.estimate import Bools, Floats
from analysis.panel.coding import UNIT, Coding, look_through
from analysis.panel.columns import columns
from analysis.panel.files import ORDER, open_file
from analysis.panel.filling import Filled, fill
from analysis.panel.linking import linked
from analysis.panel.panel import IDS, SIMULATED_ID, UNITS, Panel
from analysis.panel.problem import Problem

HOME = "AMZ"
UNLINKED = "; renamed ones cannot be linked, there is no column renamed_from"


def read_panel(
    path: str | Path,
    *,
    map: Map | str | Path | None = None,
    home: str | None = None,
    platforms: Sequence[str] | None = None,
    absent: Absent | None = None,
) -> Panel:
    """Read a panel from a CSV or Parquet file: with the columns of ``data/panel.schema.json``, or with a map.

    Parameters
    ----------
    path : str or Path
        A ``.csv`` file (UTF-8, commas) or a ``.parquet`` file; rows and columns in any order. Rows by account are
        added up to their firm; the sum is missing where one of them is given as not known. A renamed account belongs
        to the firm of its first id (:func:`analysis.panel.linking.linked`).
    map : Map, str or Path, optional
        What the file calls the columns, platforms and months, and its money; or the file of a map. None for a file in
        our columns and US dollars.
    home : str, optional
        The platform that closed the accounts; it becomes the first. None: as the map says, else AMZ.
    platforms : sequence of str
        Platforms that may occur, in the order of the panel. None allows all, in the order that the metadata of the
        file or the map say, or else of their names.
    absent : {"missing", "zero"}, optional
        What a firm-platform-month without a row is; None: as the map says, else ``"missing"``. ``"missing"``: NaN,
        except on a platform for which the firm has no row at all: there it sold nothing, in every month for which the
        file has a row of that platform. ``"zero"``: the file lists all sales, so it is 0; NaN only in a month for
        which the file has no row at all.
        A row with 0 is 0, and a row without sales is NaN, in either case.

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
        row; real and simulated rows, or two currencies, are mixed; there are fewer than two firms with sales; or home
        and absent are not what the map says.
    """
    named = map if isinstance(map, Map) or map is None else read_map(map)
    home = _settled("home", home, named, HOME)
    rule = _settled("absent", absent, named, "missing")
    if rule not in get_args(Absent):
        raise DataError(f"a rule for absent rows was asked for; found {rule!r}; use 'missing' or 'zero'")
    coding = look_through(linked(open_file(Path(path), named), home))
    order = _platforms(coding, home, platforms)
    provenance = _provenance(coding)
    _check_currency(coding)
    filled, dropped = _without_empty(fill(coding, order), coding)
    if len(filled.firms) < 2:
        found = f"{len(filled.firms)} ({', '.join(filled.firms.index)})"
        raise _refusal(coding, "at least two firms with sales", found, "add firms to compare with")
    _fill_absent(filled.sales, filled.seen, zero=rule == "zero")
    return Panel(filled.sales, filled.firms, order, coding.months, provenance, dropped)


def _settled(name: str, asked: str | None, named: Map | None, usual: str) -> str:
    """Return what was asked for, or what the map says, or what is usual; refuse two answers."""
    mapped: str | None = getattr(named, name, None)
    if named and asked and mapped and asked != mapped:
        raise DataError(
            f"{name} = {asked!r} was asked for; {named.path} says {mapped!r}; correct the map, or ask for the same"
        )
    return asked or mapped or usual


def _refusal(coding: Coding, asked: str, found: str, do: str, place: str = "") -> DataError:
    return DataError(str(Problem(f"{coding.file.path}{place}", asked, found, do)))


def _platforms(coding: Coding, home: str, allowed: Sequence[str] | None) -> tuple[str, ...]:
    """Return the platforms that occur and are allowed, the home platform first."""
    found = coding.words["platform"].to_pylist()
    if home not in found or (allowed is not None and home not in allowed):
        do = "name the platform that closed the accounts as `home`"
        raise _refusal(coding, f"rows of the home platform {home!r}", f"rows of {', '.join(found)}", do)
    named = coding.file.named
    mapped = named.platforms.values() if named else ()
    order = list(allowed) if allowed is not None else [*coding.file.said.get(ORDER, []), *mapped, *found]
    return tuple(dict.fromkeys([home, *(name for name in order if name in found)]))


def _provenance(coding: Coding) -> str:
    """Return "simulated" if any of the three signs says so; refuse a file that is in part real."""
    do = columns()["provenance"].remedy
    said = coding.file.said.get("provenance", "real")
    if said not in UNITS:
        raise _refusal(coding, "real or simulated as provenance in the metadata", repr(said), do)
    column = coding.words["provenance"].to_pylist() if "provenance" in coding.words else ["real"]
    if len(column) > 1:
        rows = " and ".join(f"{word!r} (first in row {coding.first_row('provenance', word):,})" for word in column)
        raise _refusal(coding, "one provenance", rows, do, ", column provenance")
    marks = {name: _marked(coding.words[name]) for name in IDS if name in coding.words}
    if "simulated" in (said, column[0]) or any(marked.all() for marked in marks.values()):
        return "simulated"
    for name, marked in marks.items():
        if marked.any():
            ids = coding.words[name]
            examples = (ids[int(marked.argmax())].as_py(), ids[int(marked.argmin())].as_py())
            rows = " and ".join(f"{word!r} (first in row {coding.first_row(name, word):,})" for word in examples)
            found = f"a simulated {name.replace('_', ' ')} beside another: {rows}"
            place = f", column {coding.file.layout.called(name)}"
            raise _refusal(coding, "one provenance", found, do, place)
    return "real"


def _marked(ids: pa.StringArray) -> Bools:
    """Return which ids say that what they name is simulated."""
    return np.asarray(pc.match_substring_regex(ids, f"^{SIMULATED_ID}").to_numpy(zero_copy_only=False), dtype=bool)


def _check_currency(coding: Coding) -> None:
    """Refuse sales in several currencies, or in another one than the map says."""
    if "currency" not in coding.words:
        return
    found, file = coding.words["currency"].to_pylist(), coding.file
    place = f", column {file.layout.called('currency')}"
    rows = " and ".join(f"{word!r} (first in row {coding.first_row('currency', word):,})" for word in found)
    if len(found) > 1:
        raise _refusal(coding, "one currency", rows, columns()["currency"].remedy, place)
    if found[0] not in ((DOLLARS, UNITS["simulated"]) if file.currency == DOLLARS else (file.currency,)):
        asked = f"sales in {file.currency}" + (f", as {file.named.path} says" if file.named else "")
        do = f"write `currency: {found[0]}` and `rates` in a map"
        raise _refusal(coding, asked, rows, do, place)


def _without_empty(filled: Filled, coding: Coding) -> tuple[Filled, pd.DataFrame]:
    """Leave out firms without any known sales; count every row that has no place of its own."""
    empty = ~(filled.seen & ~np.isnan(filled.sales)).any(axis=(1, 2))
    rows = "cells" if coding.file.layout.months else "rows"
    counts = [
        ("columns", "not named in the map", coding.file.layout.ignored),
        *_accounts(coding),
        (rows, "added up with another account of their firm", coding.rows - int(filled.seen.sum())),
        (rows, "their firm has no known sales in any month", int(filled.seen[empty].sum())),
        ("firms", "they have no known sales in any month", int(empty.sum())),
    ]
    dropped = pd.DataFrame([row for row in counts if row[2]], columns=["what", "rule", "count"])
    if empty.any():
        filled = Filled(filled.sales[~empty], filled.seen[~empty], filled.firms[~empty])
    return filled, dropped


def _accounts(coding: Coding) -> list[tuple[str, str, int]]:
    file = coding.file
    if "account" not in file.names:
        return []
    unlinked = "" if "renamed_from" in file.names else UNLINKED
    notes = file.links.notes if file.links else []
    return [("accounts", f"added up to their firms{unlinked}", len(coding.words[UNIT])), *notes]


def _fill_absent(sales: Floats, seen: Bools, *, zero: bool) -> None:
    """Set what has no row, in place; it is 0 so far."""
    covered = np.asarray(seen.any(axis=0))
    if zero:
        sales[:, :, ~covered.any(axis=0)] = np.nan
        return
    sales[~seen] = np.nan
    elsewhere = np.asarray(~seen.any(axis=2))
    for platform in range(len(covered)):
        of_platform = sales[:, platform]
        of_platform[np.ix_(elsewhere[:, platform], covered[platform])] = 0.0
