"""The panel of sales by firm, platform and month, with the firms' attributes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from fewtreated.errors import DesignError, refuse
from fewtreated.estimate import Bools, Floats, Ints

from analysis.panel.map import MONTH, NUMBER, POPULATIONS, TEXT, attributes, columns, refusal_words
from analysis.provenance import SIMULATED_ID

UNITS = {"real": "USD", "simulated": "sim-$"}
DROPPED = ["what", "rule", "count"]
TOLD = ("population", "doubts", "no_dose")
"""Attributes of a panel that its frame keeps in `attrs`."""
LARGEST = 1e30
"""Upper limit on monthly sales in any currency; squares and products of larger values overflow."""

_ROWS_AT_ONCE = 1 << 18  # written to a file
_FIRMS_AT_ONCE = 1 << 16  # hashed in a digest, to avoid copying a large panel whole

Method = TypeVar("Method", bound=Callable[..., Any])
Result = TypeVar("Result")


def _once(method: Method) -> Method:
    """Cache a method's results in the panel, and make arrays read-only.

    `functools.cache` would keep the panel alive.
    """

    @wraps(method)
    def once(self: Panel, *args: Any, **options: Any) -> Any:
        def make() -> Any:
            result = method(self, *args, **options)
            for array in result if isinstance(result, tuple) else [result]:
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False
            return result

        return self.cached((method.__name__, args, *options.items()), make)

    return cast(Method, once)


@dataclass(frozen=True)
class Doubt:
    """What may be wrong in a panel.

    Attributes
    ----------
    name : str
        By which a map accepts it, such as "break EBY".
    expected, found, do : str
        What is expected, what was found instead and what to do.
    stops : bool
        Whether no panel is read that has it. Otherwise verdicts from the panel have low confidence.
    platform : str
        The platform that it is about; empty for all.
    accepted : str
        The reason why the map accepts it; empty if it does not.
    """

    name: str
    expected: str
    found: str
    do: str
    stops: bool = False
    platform: str = ""
    accepted: str = ""

    @property
    def line(self) -> str:
        """Line of a map that accepts it."""
        return f"accepted: {{{self.name}: REASON}}"

    def __str__(self) -> str:
        """Return a sentence with what to do, or why it is accepted."""
        if self.accepted:
            return f"Accepted ({self.name}): {self.found}. Reason: {self.accepted}."
        doubt = f"Doubtful ({self.name}): expected {self.expected}; found {self.found}; {self.do};"
        return f"{doubt} if it is right, write `{self.line}` in the map."


@dataclass(frozen=True, eq=False, repr=False)
class Panel:
    """Sales by firm, platform and month.

    Attributes
    ----------
    sales : float64[firm, platform, month]
        USD, or sim-$ in a simulated panel. Zero means no sales, and NaN means unknown.
    firms : DataFrame
        Index: firm id, in the order of axis 0. Columns: `brand_group`, `origin` ("CN" or other),
        `category` (str), `closed_on` (datetime64, first day of the month of closure; NaT if never;
        after the last month it is right-censored), `dose` (closed share of the firm's home sales,
        in (0, 1]; NaN if never closed), `risk` (larger is more suspect; NaN if unknown).
    platforms : tuple of str
        Axis 1, with the home platform first.
    months : PeriodIndex
        Axis 2, monthly, without gaps.
    provenance : str
        "real" or "simulated".
    dropped : DataFrame
        Rows, firms and other parts that were left out or added up, with columns `what`, `rule` and
        `count`.
    population : str
        How firms represent all sellers: "census", "sample" (their sales are multiplied by their
        weights, so that sums are the population's), or "not representative". Not part of the
        digest.
    doubts : tuple of Doubt
        What may be wrong in the file.
    no_dose : str
        Why the closed accounts' own sales are unknown, and what to do; empty if doses are known.

    Raises
    ------
    DataError
        If the parts do not fit together, a value is negative, infinite or implausibly large, an id
        is repeated, or a firm or brand group with a simulated id is declared real.
    """

    sales: Floats
    firms: pd.DataFrame
    platforms: tuple[str, ...]
    months: pd.PeriodIndex
    provenance: str
    dropped: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=DROPPED))
    population: str = field(default=POPULATIONS[-1], kw_only=True)
    doubts: tuple[Doubt, ...] = field(default=(), kw_only=True)
    no_dose: str = field(default="", kw_only=True)
    _results: dict[Any, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        """Raise DataError if the parts do not fit together or contain invalid values."""
        shape = (len(self.firms), len(self.platforms), len(self.months))
        ids = self.firms.index
        lacking = [name for name in attributes() if name not in self.firms]
        twice = [*ids[ids.duplicated()][:1]]
        gap = self.months.freqstr != "M" or (np.diff(self.months.asi8) != 1).any()
        low = np.fmin.reduce(self.sales, None, initial=0.0)
        high = np.fmax.reduce(self.sales, None, initial=0.0)
        odd = low < 0 or high > LARGEST or 0 < high < 1 / LARGEST
        named = ids.append(pd.Index(self.firms.get("brand_group", ids).unique())).astype(str)
        simulated = named[named.str.match(SIMULATED_ID) & (self.provenance == "real")]
        values = {
            "provenance": self.provenance,
            "shape": shape,
            "found": self.sales.shape,
            "attributes": ", ".join(attributes()),
            "lacking": ", ".join(lacking),
            "twice": ", ".join(map(repr, twice)),
            "months": ", ".join(map(str, self.months[:3])),
            "largest": LARGEST,
            "low": low,
            "high": high,
            "count": len(simulated),
            "id": ", ".join(map(repr, simulated[:1])),
        }
        for key, wrong in (
            ("other provenance", self.provenance not in UNITS),
            ("other shape", self.sales.shape != shape),
            ("attributes lacking", lacking),
            ("firm twice", twice),
            ("months lacking", gap),
            ("sales out of range", odd),
            ("simulated as real", len(simulated)),
        ):
            if wrong:
                refuse("a panel", *refusal_words(key, **values))

    def __repr__(self) -> str:
        """Summarise the panel in one line."""
        size = (
            f"{len(self.firms):,} firms on {', '.join(self.platforms)}, {self.months[0]} to"
            f" {self.months[-1]}"
        )
        return f"{self.provenance} panel: {size}, {self.unit}, {self.population}"

    def cached(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return the result stored under a key; make and store it first if there is none.

        Results live as long as the panel. A copy of the panel starts without any.
        """
        if key not in self._results:
            self._results[key] = make()
        return cast(Result, self._results[key])

    @property
    def unit(self) -> str:
        """Unit of the sales: "USD" or "sim-$"."""
        return UNITS[self.provenance]

    @cached_property
    def digest(self) -> str:
        """SHA-256 hash of the panel's content, as 64 hexadecimal digits.

        Firms and platforms are sorted by name, all NaN are equal, and -0 is 0. Simulated numbers
        are rounded to seven digits, since their last ones depend on the processor that drew them.
        """
        if self.provenance == "simulated":
            floats = "<f4"
        else:
            floats = "<f8"
        first = str(self.months[0])
        count = len(self.months)
        header = {
            "provenance": self.provenance,
            "platforms": sorted(self.platforms),
            "months": [first, count],
        }
        digest = hashlib.sha256(json.dumps(header).encode())
        order = np.argsort(self.firms.index.to_numpy(object), kind="stable")
        digest.update("\0".join(self.firms.index[order]).encode())
        for name in attributes():
            cells = self.firms[name].iloc[order]
            kind = columns()[name]["type"]
            if kind == TEXT:
                digest.update("\0".join(cells).encode())
            elif kind == NUMBER:
                digest.update(_canonical(cells.to_numpy(float), floats))
            else:
                digest.update(_month(cells).astype("<i8").data)
        for platform in sorted(self.platforms):
            sales = self.sales[:, self.platforms.index(platform)]
            for start in range(0, len(order), _FIRMS_AT_ONCE):
                digest.update(_canonical(sales[order[start : start + _FIRMS_AT_ONCE]], floats))
        return digest.hexdigest()

    @_once
    def total(self) -> Floats:
        """Return sales summed over platforms, float64[firm, month].

        They are NaN if sales on any platform are missing.
        """
        if len(self.platforms) == 1:
            return self.sales[:, 0]
        return np.asarray(self.sales.sum(axis=1))

    @_once
    def codes(self, column: str) -> tuple[Ints, pd.Index]:
        """Return each firm's code in a text column, int64[firm], and the column's sorted values.

        `column` is origin, category, brand_group or id (one code per firm).
        """
        codes, words = pd.factorize(
            self.firms.index if column == "id" else self.firms[column], sort=True
        )
        return codes.astype(np.int64, copy=False), words

    def closures(self, *, cut: float = 0.5) -> Floats:
        """Return each firm's month of closure, including closures after the last month.

        `cut`, in (0, 1], is the smallest dose that counts as a closure.

        Returns
        -------
        float64[firm]
            Position of the month on axis 2, beyond its end for closures after the last month
            (right-censored, counted in `censored`); inf for firms never closed, or with a dose
            below `cut`.

        Raises
        ------
        DataError
            If a firm was closed before the first month.
        """
        closed = self.firms["closed_on"].notna().to_numpy()
        position = _month(self.firms["closed_on"]) - self.months.asi8[0]
        if (early := closed & (position < 0)).any():
            such = {"count": early.sum(), "firm": self.firms.index[early][0]}
            refuse("a panel", *refusal_words("closed before", first=self.months[0], **such))
        return np.where(closed & (self.firms["dose"].to_numpy(float) >= cut), position, np.inf)

    @_once
    def first_treated(self, *, cut: float = 0.5) -> Floats:
        """Return each firm's month of closure, or inf if it is not closed within the panel.

        Months are positions, as in :meth:`closures`.
        """
        position = self.closures(cut=cut)
        return np.where(position < len(self.months), position, np.inf)

    def count_closed(self, *, cut: float = 0.5) -> int:
        """Count the firms closed within the panel with a dose of at least `cut`."""
        return int(np.isfinite(self.first_treated(cut=cut)).sum())

    @property
    def censored(self) -> int:
        """Number of firms closed after the last month of the panel."""
        return int((_month(self.firms["closed_on"]) > self.months.asi8[-1]).sum())

    def cohorts(self, *, cut: float = 0.5) -> pd.DataFrame:
        """Count the firms and brand groups closed within the panel, by month of closure.

        Returns
        -------
        DataFrame
            `month` (Period), `firms`, `brand_groups`; one row per month in which firms were closed,
            in order.
        """
        first = self.first_treated(cut=cut)
        closed = np.isfinite(first)
        month = self.months[first[closed].astype(int)]
        by_month = self.firms.loc[closed, ["brand_group"]].groupby(pd.Index(month, name="month"))[
            "brand_group"
        ]
        return by_month.agg(firms="size", brand_groups="nunique").reset_index()

    def base_share(self, *, base: slice) -> Floats:
        """Return each firm's share of its category's home sales in the base months.

        Parameters
        ----------
        base : slice
            Positions of the base months on axis 2.

        Returns
        -------
        float64[firm]
            Sales recorded in the base months divided by those of the category. NaN if the firm has
            no known base month, or if the category has no sales.
        """
        sold, observed, of_category = self._base_sales(base.start, base.stop)
        with np.errstate(invalid="ignore"):
            return np.where(observed, sold / of_category[self.codes("category")[0]], np.nan)

    def exposure(self, *, base: slice, cut: float = 0.5, months: slice = slice(None)) -> Floats:
        """Return each firm's exposure: the base share of closed rivals in its category.

        ``E[i, t]`` is the sum of the base shares of firms other than i in i's category that were
        closed by t.

        Parameters
        ----------
        base : slice
            Positions of the base months on axis 2, before the first closure.
        cut : float
            Smallest dose that counts as a closure.
        months : slice
            Positions of the months t; all by default.

        Returns
        -------
        float64[firm, month]
            Shares between 0 and 1. A firm with no known base month counts as having no sales. NaN
            in a category without sales in the base months.

        Raises
        ------
        DesignError
            If the base overlaps the closures.
        """
        first = self.first_treated(cut=cut)
        every = np.arange(len(self.months))
        if (last := every[base].max(initial=-1)) >= first.min():
            raise DesignError(
                f"Cannot compute exposure: the base months end in {self.months[last]}, but the"
                f" first closure is in {self.months[int(first.min())]}; choose earlier base months"
            )
        category, names = self.codes("category")
        sold, _, of_category = self._base_sales(base.start, base.stop)
        closed = np.flatnonzero(np.isfinite(first))
        lost = np.zeros((len(names), len(every)))
        np.add.at(lost, (category[closed], first[closed].astype(int)), sold[closed])
        lost = lost.cumsum(axis=1)[:, months]
        held = sold[closed, None] * (every[months] >= first[closed, None])
        of_rivals = np.maximum(
            lost[category[closed]] - held, 0.0
        )  # equal sums may differ by rounding
        with np.errstate(invalid="ignore"):
            exposure: Floats = (lost / of_category[:, None])[category]
            exposure[closed] = of_rivals / of_category[category[closed], None]
        return exposure

    @_once
    def _base_sales(self, start: int, stop: int) -> tuple[Floats, Bools, Floats]:
        """Return base sales by firm, a mask of observed firms, and base sales by category.

        The mask is that of firms observed in the base months.
        """
        sales = self.sales[:, 0, start:stop]
        observed = ~np.isnan(sales)
        sold = sales.sum(axis=1, where=observed)
        of_category = np.bincount(self.codes("category")[0], weights=sold).astype(float)
        return sold, np.asarray(observed.any(axis=1)), of_category

    def to_frame(self) -> pd.DataFrame:
        """Return one row per firm, platform and month, for pandas and other libraries.

        Returns
        -------
        DataFrame
            `firm`; `brand_group`, `origin`, `category`, `closed_on`, `dose` and `risk`, as in
            `firms`; `platform` (str); `month` (datetime64, its first day); `sales` (float64, in
            `unit`; 0 is none, NaN unknown); and `provenance` (str). Rows are in the order of the
            axes, so that the home platform comes first. What else is known of the panel is in
            `attrs`.

        Examples
        --------
        >>> from analysis.panel import Panel, read_panel
        >>> panel = read_panel("data/examples/tidy.csv", map="data/examples/tidy.map.yml")
        >>> frame = panel.to_frame()
        >>> frame.loc[0, ["firm", "platform", "month", "sales"]].tolist()
        ['SIM-0000', 'AMZ', Timestamp('2019-01-01 00:00:00'), 238778883.0]
        >>> Panel.from_frame(frame).digest == panel.digest
        True
        """
        axes = {"platform": self.platforms, "month": self.months.to_timestamp()}
        keys = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame(index=False)
        firms = self.firms[attributes()].rename_axis("firm").reset_index()
        frame = firms.merge(keys, how="cross")
        frame["sales"] = self.sales.flatten()
        frame["provenance"] = self.provenance
        frame.attrs = {name: getattr(self, name) for name in TOLD}
        frame.attrs["dropped"] = self.dropped.to_numpy().tolist()
        return frame

    @classmethod
    def from_frame(cls, frame: pd.DataFrame, *, home: str | None = None) -> Panel:
        """Return the panel of a long frame with the columns of `to_frame`.

        Rows may be in any order, and other columns are ignored. A firm, platform and month without
        a row has unknown sales.

        Parameters
        ----------
        frame : DataFrame
            As from `to_frame`. Firms and platforms are in the order in which they first occur.
        home : str, optional
            The platform that closed the accounts; by default the one that occurs first.

        Raises
        ------
        DataError
            If a column is missing, a firm, platform and month has two rows, an attribute differs
            within a firm, or `home` has no row.
        """
        firms = _firms_of(frame)
        platforms = [*frame["platform"].unique()]
        if home and home not in platforms:
            present = ", ".join(platforms)
            refuse("a frame", *refusal_words("home without rows", home=home, present=present))
        if home:
            platforms = [home, *(name for name in platforms if name != home)]
        month = pd.PeriodIndex(frame["month"], freq="M")
        months = pd.period_range(month.min(), month.max(), freq="M", name="month")
        cells = (
            firms.index.get_indexer(frame["firm"]),
            pd.Index(platforms).get_indexer(frame["platform"]),
            months.get_indexer(month),
        )
        sales = np.full((len(firms), len(platforms), len(months)), np.nan)
        sales[cells] = frame["sales"]
        return cls(
            sales,
            firms,
            tuple(platforms),
            months,
            ", ".join(frame["provenance"].unique()),
            pd.DataFrame(frame.attrs.get("dropped", []), columns=DROPPED),
            **{name: frame.attrs[name] for name in TOLD if name in frame.attrs},
        )

    def to_parquet(self, path: str | Path) -> None:
        """Write one row per firm, platform and month to a Parquet file, with missing sales as null.

        The file's metadata, a column and, in simulated panels, the ids state the provenance.

        Raises
        ------
        DataError
            If the panel is simulated and a firm id does not look like SIM-0417.
        """
        write_parquet([self], path, {})


def _firms_of(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the attributes of a long frame's firms.

    Raise DataError if a column is missing, a key comes twice, or an attribute differs within a
    firm.
    """
    where = "a frame"
    keys = ["firm", "platform", "month"]
    needed = [*keys, *attributes(), "sales", "provenance"]
    for name in (name for name in needed if name not in frame):
        remedy = columns()[name]["remedy"]
        words = refusal_words("no column", needed=", ".join(needed), name=name, remedy=remedy)
        refuse(where, *words)
    for key in frame.loc[frame.duplicated(keys), keys].head(1).astype(str).to_numpy():
        refuse(where, "each firm, platform and month once", ", ".join(key), "add up its rows")
    firms = frame[["firm", *attributes()]].drop_duplicates()
    for firm in firms["firm"][firms["firm"].duplicated()].head(1):
        count = firms[firms["firm"] == firm].nunique(dropna=False)
        name = count.index[count > 1][0]
        found = f"{count[name]} in the column {name!r}"
        refuse(where, f"one value for the firm {firm!r}", found, columns()[name]["remedy"])
    return firms.set_index("firm")


def write_parquet(panels: Iterable[Panel], path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write panels of different firms to one Parquet file.

    The panels agree in all else. See `Panel.to_parquet`.

    Metadata replace those of the panel.
    """
    kinds = {TEXT: pa.dictionary(pa.int32(), pa.string()), NUMBER: pa.float64(), MONTH: pa.date32()}
    with ExitStack() as closing:
        for number, panel in enumerate(panels):
            unmarked = panel.firms.index[~panel.firms.index.str.match(SIMULATED_ID)]
            if panel.provenance == "simulated" and len(unmarked):
                such = {"count": len(unmarked), "all": len(panel.firms), "firm": unmarked[0]}
                refuse("a simulated panel", *refusal_words("unmarked", **such))
            axes = {"platform": panel.platforms, "month": panel.months.to_timestamp()}
            keys = pd.MultiIndex.from_product(axes.values(), names=axes).to_frame()
            firms = (
                panel.firms.rename_axis("firm").reset_index().assign(provenance=panel.provenance)
            )
            held = {*firms, *keys, "sales"} - ({"dose"} if panel.no_dose else set())
            schema = pa.schema(
                [(name, kinds[columns()[name]["type"]]) for name in columns() if name in held]
            )
            if number == 0:  # text, no codes
                opened = pa.parquet.ParquetWriter(
                    Path(path).absolute(), schema, compression="zstd", store_schema=False
                )
                writer = closing.enter_context(opened)
                stated = {"provenance": panel.provenance, "population": panel.population}
                writer.add_key_value_metadata(stated | dict(metadata))
            step = max(1, _ROWS_AT_ONCE // len(keys))
            for start in range(0, len(firms), step):
                some = firms.iloc[start : start + step]
                rows = np.repeat(np.arange(len(some)), len(keys))
                at = np.tile(np.arange(len(keys)), len(some))
                cells = {
                    "sales": pa.array(panel.sales[start : start + step].ravel(), from_pandas=True)
                }
                for frame, places in ((some, rows), (keys, at)):
                    for name in frame.columns.intersection(schema.names):
                        cells[name] = pa.array(frame[name], schema.field(name).type).take(
                            pa.array(places)
                        )
                writer.write_table(pa.table([cells[name] for name in schema.names], schema))


def _month(dates: pd.Series) -> Ints:
    """Convert dates to months since January 1970; NaT becomes the smallest int64."""
    return np.asarray(dates.to_numpy("datetime64[M]").astype(np.int64))


def _canonical(values: Floats, kind: str) -> bytes:
    return np.where(np.isnan(values), np.nan, values + 0.0).astype(kind).tobytes()
