"""Fifteen shapes in which one small panel may come: each is read as that panel, or stopped by one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.errors import DataError, DesignError
from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.panel import Panel, read_panel
from analysis.provenance import ROOT

CENSUS = "population: census\n"
WAVE = pd.Period("2021-05", "M")


def small() -> pd.DataFrame:
    """Return rows of sixty firms of the examples, all closed ones among them, in our columns."""
    whole = read_panel(ROOT / "data" / "examples" / "tidy.csv", map=ROOT / "data" / "examples" / "tidy.map.yml")
    kept = np.argsort(whole.firms["closed_on"].isna(), kind="stable")[:60]
    firms, (firm, platform) = whole.firms.iloc[kept], np.nonzero(np.nansum(whole.sales[kept], axis=2))
    count, sales = len(whole.months), np.nan_to_num(whole.sales[kept])[firm, platform]
    about = firms.iloc[np.repeat(firm, count)].reset_index()
    return about.assign(
        platform=np.repeat(np.array(whole.platforms)[platform], count),
        month=np.tile(whole.months, len(firm)),
        sales=sales.ravel(),
        closed_on=about["closed_on"].dt.strftime("%Y-%m").fillna(""),
    )


@dataclass(frozen=True)
class Shape:
    """How the rows come: `make` changes them, `save` writes them as `name`, and `named` is the map.

    `says` are words of the sentence that stops them, `left` is what else than the same panel they are read as.
    """

    make: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows
    named: str = CENSUS
    name: str = "mine.csv"
    save: Callable[[pd.DataFrame, Path], object] = lambda rows, path: rows.to_csv(path, index=False)
    says: str = ""
    left: str = ""


def wide(rows: pd.DataFrame) -> pd.DataFrame:
    """Put months in columns."""
    about = [name for name in rows if name not in ("month", "sales")]
    return rows.pivot(index=about, columns="month", values="sales").add_prefix("sales_").reset_index()


def accounts(rows: pd.DataFrame) -> pd.DataFrame:
    """Share the home sales of each firm between two accounts."""
    home = rows["platform"] == "AMZ"
    second = rows[home].assign(account=rows["firm"] + "-2", sales=0.25 * rows["sales"])
    first = rows.assign(account=rows["firm"] + "-1", sales=rows["sales"].where(~home, 0.75 * rows["sales"]))
    return pd.concat([first, second])


def daily(rows: pd.DataFrame) -> pd.DataFrame:
    """Spread each month evenly over its days."""
    days = rows["month"].dt.days_in_month
    each = rows.loc[rows.index.repeat(days)].assign(sales=np.repeat(rows["sales"] / days, days))
    start, number = each["month"].dt.to_timestamp(), each.groupby(level=0).cumcount()
    return each.assign(month=(start + pd.to_timedelta(number, "D")).dt.strftime("%Y-%m-%d"))


def weekly(rows: pd.DataFrame) -> pd.DataFrame:
    """Add days up to weeks that begin on a Monday."""
    each = daily(rows)
    day = pd.to_datetime(each["month"])
    each["month"] = (day - pd.to_timedelta(day.dt.day_of_week, "D")).dt.strftime("%Y-%m-%d")
    about = [name for name in rows if name != "sales"]
    return each.groupby(about, dropna=False, sort=False)["sales"].sum().reset_index()


def quarterly(rows: pd.DataFrame) -> pd.DataFrame:
    """Add months up to quarters, as in 2021Q2."""
    about = [name for name in rows if name != "sales"]
    rows = rows.assign(month=rows["month"].dt.asfreq("Q"))
    return rows.groupby(about, dropna=False, sort=False)["sales"].sum().reset_index()


def first_months(rows: pd.DataFrame) -> pd.DataFrame:
    """Write each quarter as its first month."""
    return quarterly(rows).assign(month=lambda all_: all_["month"].dt.asfreq("M", how="start"))


def lost(rows: pd.DataFrame) -> pd.DataFrame:
    """Let closed firms lose all sales at home."""
    closed = (rows["closed_on"] != "") & (rows["month"].astype(str) >= rows["closed_on"]) & (rows["platform"] == "AMZ")
    return rows.assign(sales=rows["sales"].where(~closed, 0.0), dose=np.where(rows["closed_on"] == "", np.nan, 1.0))


def holes(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave one cell in a hundred empty."""
    return rows.assign(sales=rows["sales"].where(np.random.default_rng(1).random(len(rows)) > 0.01))


def five(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep two closed firms and three others."""
    ids = rows["firm"].unique()
    return rows[rows["firm"].isin([*ids[:2], *ids[-3:]])]


def sold(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out rows that sold nothing, so that those of closed accounts end."""
    return lost(rows)[lambda all_: all_["sales"] > 0]


def excel(rows: pd.DataFrame, path: Path) -> None:
    """Write a sheet in which months are dates."""
    rows.assign(month=rows["month"].dt.to_timestamp()).to_excel(path, index=False)


def stata(rows: pd.DataFrame, path: Path) -> None:
    """Write a file of Stata in which months are dates."""
    dated = rows.assign(month=rows["month"].dt.to_timestamp())
    dated.to_stata(path, write_index=False, version=118, convert_dates={"month": "td"})


SHAPES = {
    "format: csv": Shape(),
    "format: csv with ; and 1.234,5": Shape(
        lambda rows: rows.assign(sales=rows["sales"].map(lambda all_: f"{all_:,.1f}".translate({44: ".", 46: ","}))),
        named=CENSUS + 'separator: ";"\nthousands: "."\ndecimal: ","\n',
        save=lambda rows, path: rows.to_csv(path, index=False, sep=";", decimal=","),
    ),
    "format: csv.gz": Shape(name="mine.csv.gz"),
    "format: tsv": Shape(name="mine.tsv", save=lambda rows, path: rows.to_csv(path, index=False, sep="\t")),
    "format: parquet": Shape(
        lambda rows: rows.assign(month=rows["month"].dt.to_timestamp()),
        name="mine.parquet",
        save=lambda rows, path: rows.to_parquet(path, index=False),
    ),
    "format: xlsx": Shape(name="mine.xlsx", save=excel),
    "format: dta": Shape(name="mine.dta", save=stata),
    "wide": Shape(wide, named=CENSUS + 'wide: {prefix: "sales_"}\n'),
    "accounts": Shape(accounts),
    "daily": Shape(daily, named=CENSUS + 'rows: day\nmonth_format: "%Y-%m-%d"\nclosed_format: "%Y-%m"\n'),
    "weekly": Shape(
        weekly, named=CENSUS + 'rows: week\nmonth_format: "%Y-%m-%d"\nclosed_format: "%Y-%m"\n', left="weeks split"
    ),
    "weekly, not said": Shape(
        weekly, named=CENSUS + 'month_format: "%Y-%m-%d"\nclosed_format: "%Y-%m"\n', says="rows: (day|week)"
    ),
    "quarterly": Shape(quarterly, says="quarter"),
    "quarters as months": Shape(first_months, says="quarter"),
    "12 months": Shape(lambda rows: rows[rows["month"].between(WAVE - 6, WAVE + 5)], left="12 months"),
    "five firms": Shape(five, left="five firms"),
    "one platform": Shape(lambda rows: rows[rows["platform"] == "AMZ"], left="one platform"),
    "census": Shape(),
    "weighted": Shape(lambda rows: rows.assign(weight=2.0), named="population: sample\n", left="weighted"),
    "weighted, without weights": Shape(named="population: sample\n", says="weight"),
    "weighted, not said": Shape(
        lambda rows: rows.assign(weight=2.0), named="absent: missing\n", says="population: sample"
    ),
    "not representative": Shape(named="population: not representative\n"),
    "all sales lost": Shape(lost, left="lost"),
    "1 % holes": Shape(holes, left="holes"),
    "rows ending at closure": Shape(sold, named=CENSUS + "absent: zero\n", left="lost"),
    "rows ending at closure, after it 0": Shape(sold, named=CENSUS + "absent: zero_after_closure\n", left="after it 0"),
    "rows ending at closure, not said": Shape(sold, says="absent: (zero|missing|zero_after_closure)"),
}


def read(rows: pd.DataFrame, shape: Shape, folder: Path) -> Panel:
    """Write the rows in a shape, and read them."""
    (folder / "mine.map.yml").write_text(shape.named, encoding="utf-8")
    shape.save(shape.make(rows), folder / shape.name)
    return read_panel(folder / shape.name, map=folder / "mine.map.yml")


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return small()


@pytest.fixture(scope="module")
def panel(rows, tmp_path_factory) -> Panel:
    return read(rows, Shape(), tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if not (shape.says or shape.left)])
def test_a_shape_is_read_as_the_same_panel(rows, panel, tmp_path, name):
    found = read(rows, SHAPES[name], tmp_path)
    pd.testing.assert_frame_equal(found.firms, panel.firms)
    assert (found.platforms, [*found.months]) == (panel.platforms, [*panel.months])
    np.testing.assert_allclose(found.sales, panel.sales, rtol=1e-12)
    assert found.population == ("not representative" if name == "not representative" else "census")


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape.says])
def test_a_shape_that_cannot_be_read_is_stopped_by_one_sentence_that_says_what_to_do(rows, tmp_path, name):
    with pytest.raises(DataError, match=SHAPES[name].says) as stopped:
        read(rows, SHAPES[name], tmp_path)
    said = str(stopped.value)
    assert str(tmp_path) in said
    assert said.count("; ") >= 2
    assert len(said.replace(str(tmp_path), "")) < 420


def test_weeks_are_split_by_their_days(rows, panel, tmp_path):
    found = read(rows, SHAPES["weekly"], tmp_path)
    assert len(found.months) >= len(panel.months) - 2
    both = panel.months.isin(found.months)
    expected = panel.sales[:, :, both].sum(axis=(0, 1))
    np.testing.assert_allclose(found.sales.sum(axis=(0, 1)), expected, rtol=0.06)  # within a week sales are even


def test_a_panel_of_twelve_months_is_read_and_the_design_says_what_it_lacks(rows, tmp_path):
    found = read(rows, SHAPES["12 months"], tmp_path)
    assert len(found.months) == 12
    with pytest.raises(DesignError, match="month"):
        Design().sample(found)


@pytest.mark.parametrize("name", [name for name, shape in SHAPES.items() if shape.left])
def test_no_panel_that_is_read_ends_in_an_exception(rows, tmp_path, name):
    assert said(read(rows, SHAPES[name], tmp_path))


def test_five_firms_and_one_platform_are_read_as_they_are(rows, panel, tmp_path):
    found = read(rows, SHAPES["five firms"], tmp_path)
    assert len(found.firms) == 5
    for platform in found.platforms:
        expected = panel.platform(platform)[panel.firms.index.isin(found.firms.index)]
        np.testing.assert_array_equal(found.platform(platform), expected)
    found = read(rows, SHAPES["one platform"], tmp_path)
    assert found.platforms == ("AMZ",)
    np.testing.assert_array_equal(found.sales[:, 0], panel.sales[panel.firms.index.isin(found.firms.index), 0])


def test_a_weighted_sample_has_the_sums_of_its_population(rows, panel, tmp_path):
    found = read(rows, SHAPES["weighted"], tmp_path)
    np.testing.assert_array_equal(found.sales, 2 * panel.sales)
    assert found.population == "sample"
    assert found.dropped["rule"].str.startswith("of a sample").any()


def test_holes_stay_holes(rows, panel, tmp_path):
    found = read(rows, SHAPES["1 % holes"], tmp_path)
    assert np.isnan(found.sales).sum() == holes(rows)["sales"].isna().sum() > 0
    known = ~np.isnan(found.sales)
    np.testing.assert_array_equal(found.sales[known], panel.sales[known])


def test_rows_that_end_at_closure_are_zeros_after_it_if_the_map_says_so(rows, tmp_path):
    expected = read(rows, SHAPES["all sales lost"], tmp_path)
    found = read(rows, SHAPES["rows ending at closure"], tmp_path)
    np.testing.assert_array_equal(found.sales, expected.sales)
    careful = read(rows, SHAPES["rows ending at closure, after it 0"], tmp_path)
    after = np.isfinite(expected.first_treated())[:, np.newaxis] & (
        np.arange(len(expected.months)) >= expected.first_treated()[:, np.newaxis]
    )
    np.testing.assert_array_equal(careful.platform("AMZ")[after], 0)
    known = ~np.isnan(careful.sales)
    np.testing.assert_array_equal(careful.sales[known], expected.sales[known])


def said(panel: Panel) -> str:
    """Return what the default design says to a panel, and what of it is in doubt."""
    try:
        Design().sample(panel)
    except DesignError as refused:
        return str(refused)
    rows = estimate_all(panel, Design()).rows.set_index("id")
    able, reason = np.isfinite(rows["std_error"]), rows.loc["E1a", "reason"]
    found = f"{len(panel.firms)} firms, {len(panel.months)} months; {able.sum()} of {len(able)} estimands estimable"
    return "; ".join([found, *[f"E1a is not: {reason}"] * (not able["E1a"]), *panel.data_warnings])
