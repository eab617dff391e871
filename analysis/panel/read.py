"""Read a panel from a file, or build one from any number of rows.

A file is opened, its rows are queried, they are checked, and the array is made: a file each. The
distinct combinations of a unit's attributes, and those of platform, month and currency, are queried
first, checked and converted to the schema's types. Then the sales of all rows are added up by unit
and by these combinations. A unit is the firm or (in a file by account) the account. Finally,
accounts are added up to firms. A panel is built in pieces of firms, which bound its memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fewtreated.errors import DesignError, refuse

from analysis.panel import doubts
from analysis.panel.array import link_accounts, panel_of
from analysis.panel.checks import Table, checked_table
from analysis.panel.database import DatabaseTable
from analysis.panel.file import open_file
from analysis.panel.map import phrase, refusal_words
from analysis.panel.panel import DROPPED, Panel, write_parquet
from analysis.panel.rows import Notes, opened_rows, query_distinct

_CELLS_AT_ONCE = 1 << 25  # of a piece of a panel that is built: 256 MiB of sales


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
        any order. Rows of accounts, of sites of one platform and of days are added up to
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
        have sales; another platform has more sales than the home platform, in all and for the
        median firm; a firm is the sum of others; home sales of most closed firms fall some months
        before or after `closed_on`; or `home` contradicts the map. The map can accept all but the
        last of these five, and what is otherwise doubtful is in `doubts`.

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
    with _checked_table([Path(path)], map, home, platforms) as (table, notes):
        panel = panel_of(table, notes)
    firms = panel.firms.index
    if len(firms) < 2:
        refuse(path, *refusal_words("few firms", count=len(firms), names=", ".join(firms)))
    if not (panel.sales[:, 0] > 0).any():
        column = table.file.column("sales")
        refuse(path, *refusal_words("no home sales", home=table.platforms[0], column=column))
    no_dose = ""
    if "dose" not in table.file.theirs:
        no_dose = doubts.unknown_doses(panel)
    return replace(panel, doubts=doubts.raised(panel, table), no_dose=no_dose)


def _quietly(step: str, total: int) -> None:
    """Tell nobody that a step begins."""


def build_panel(
    sources: Sequence[str | Path],
    out: Path,
    *,
    map: Path | None,
    home: str,
    platforms: Sequence[str],
    pieces: int = 0,
    sample: int = 0,
    engine: str = "",
    begin: Callable[[str, int], Any] = _quietly,
) -> pd.DataFrame:
    """Write the panel of one file or several to Parquet, and reconcile it with their rows.

    Memory is bounded by the number of pieces of firms, which are added up one after the other.

    Parameters
    ----------
    sources : sequence of str or Path
        Files, which are read as one. If no file has a name, a ``*`` in it stands for any
        characters. With `engine`, the name of one table.
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
        Address of the database of that table, such as duckdb:///shop.db or postgresql://host/shop,
        or the name of an environment variable that has it. Messages quote nothing of it.
    begin : callable
        Called with the name of each step when it begins, and the number of all steps.

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
    in_database = None
    if engine:
        if len(sources) > 1:
            raise DesignError(
                f"Cannot read {len(sources)} tables with --engine: rows of one are added up;"
                " name one table, or a view of them."
            )
        in_database = DatabaseTable(str(sources[0]), engine)
    paths = [Path(source) for source in sources]
    with _checked_table(paths, map, home, platforms, in_database) as (every, notes):
        table, metadata = _sampled(every, sample) if sample else (every, {})
        lines = [*_lines_read(table), *((*note, np.nan) for note in notes)]
        cells = len(table.units) * len(table.labels) * table.months
        pieces = pieces or math.ceil(cells / _CELLS_AT_ONCE)
        write_parquet(_panels(table, pieces, lines, begin), out, metadata)
    frame = pd.DataFrame(lines, columns=[*DROPPED, "sales"])
    added = (
        frame.groupby(DROPPED[:2], sort=False, as_index=False)
        .sum(min_count=1)
        .astype({"count": "Int64"})
    )
    return added[(added["count"] > 0) | (added["sales"].abs() > 0.005)]


def _lines_read(table: Table) -> list[tuple[Any, ...]]:
    """Return what was read and what was left out, with its sales in US dollars."""
    groups = table.groups.fillna({"rate": 0.0, "amount": 0.0})
    amounts = groups["amount"] * groups["rate"]
    outside = amounts.sum() - amounts[table.parts.index].sum()
    return [
        ("rows", "read", groups["n"].sum(), amounts.sum()),
        ("rows", "left out: in a month that is not covered whole", np.nan, outside),
    ]


def _panels(
    table: Table, pieces: int, lines: list[tuple[Any, ...]], begin: Callable[[str, int], Any]
) -> Iterator[Panel]:
    """Yield the panels of pieces of firms, and add what was left out and written to the lines."""
    firm, firms = pd.factorize(table.units["firm"])
    piece = firm * pieces // len(firms)
    has_dose = "dose" in table.units or table.file.named.closures == "account"
    for number, each in enumerate(np.unique(piece), start=1):
        begin(f"piece {number} of {pieces}", 1 + pieces)
        panel = panel_of(table.of(table.units[piece == each]), [])
        known = int(np.count_nonzero(~np.isnan(panel.sales))), float(np.nansum(panel.sales))
        lines.extend((*note, np.nan) for note in panel.dropped.itertuples(index=False))
        lines.append(("cells", "written with known sales", *known))
        if not has_dose:
            panel = replace(panel, no_dose="judged when the panel is read")
        yield panel


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
    units = table.units.assign(
        weight=table.units["firm"].map(weight) * table.units.get("weight", 1.0)
    )
    population = table.file.population
    if population == "census":
        population = "sample"
    drawn = int((weight[rest.index] > 0).sum())
    note = phrase("drawn", drawn=drawn, rest=len(rest), kept=len(firms) - len(rest))
    return table.of(units[units["weight"] > 0]), {"population": population, "sampled": note}


@contextmanager
def _checked_table(
    paths: Sequence[Path],
    map: str | Path | None,
    home: str | None,
    platforms: Sequence[str] | None,
    in_database: DatabaseTable | None = None,
) -> Iterator[tuple[Table, Notes]]:
    """Open files or a database table, query and check their rows, and yield them with notes."""
    file = open_file(paths, Path(map) if map else None, platforms, in_database)
    if home and file.named.home not in (None, home):
        refuse(map, *refusal_words("other home", home=home, found=file.named.home))
    home = home or file.named.home or "AMZ"
    if platforms is not None and home not in platforms:
        refuse(
            file.path, *refusal_words("home not allowed", home=home, allowed=", ".join(platforms))
        )
    with opened_rows(file) as rows:
        table, notes = checked_table(file, query_distinct(file, rows), home)
        table, linked = link_accounts(table)
        yield table, [*notes, *linked]
