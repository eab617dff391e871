"""Chinese sellers' sales outside Amazon, from figures published by sellers and other platforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import data, series
from analysis.series import Series

# Figures published by sellers, in platform_mix.csv
SHARE = "share of revenue"
REVENUE = "revenue"
GROWTH = "growth of revenue"
NAMED = "named as a place of sale"
PRINTED = (SHARE, REVENUE, NAMED, GROWTH)
AMAZON = "Amazon"
MILLIONS = 1000.0  # in a billion
OTHERS = ("other than Amazon", "third-party platforms other than Amazon")

# What a published share of Amazon is a part of
GOODS_PUBLISHED = "goods published apart"
OF_GROSS = "share of gross revenue, logistics included"
OF_GOODS = "share of goods alone"

# Figures published by eBay
EBAY = "eBay (own filings and releases)"
# includes China, not apart in yearly tables
REST = "Rest of world"
US = "American"
LEAD = "Lead, points"
LINES = {REST: "rest_of_world_incl_china", US: "us", "British": "uk", "German": "germany"}
WITH_OTHERS = "with StubHub and Classifieds"
MARKETPLACE = "marketplace"
# Growth uses one definition at a time: coverage, definition, years. The last one's 2019 is from an
# earlier filing.
TABLES = (
    ("incl. StubHub and Classifieds", WITH_OTHERS, ("2016", "2017", "2018", "2019")),
    ("Korea apart", MARKETPLACE, ("2018", "2019")),
    ("as named", MARKETPLACE, ("2019", "2020", "2021", "2022")),
)
CLOSURES = "2021"
AFTER = "2022"
# quarters: the last before the closures, and the last shown of eBay
FIRST = "2021Q1"
LAST = "2023Q2"
GROUP = "AliExpress's group"
LEVELS: dict[str, dict[str, str]] = {  # other places of sale, by quarter
    "Wish": {"platform": "Wish", "series": "revenue", "publisher": "Wish (own releases)"},
    GROUP: {
        "platform": "Alibaba international",
        "series": "international_commerce_retail_revenue",
        "publisher": "Alibaba (own results)",
        "definition": "as named",
    },
}


def mix() -> pd.DataFrame:
    """Return sellers' published figures by platform."""
    return data.load("platform_mix").fillna({"bound": "", "unit": "", "note": ""})


def stacks() -> pd.DataFrame:
    """Return what each seller sold on Amazon and elsewhere in two years, in billion yuan.

    Sellers are those with figures or limits for both places in both years.

    With a revenue of ``T`` and sales elsewhere between ``low`` and ``high``, at least ``T - high``
    was sold on Amazon, and ``high - low`` on either. The two ends differ where a figure is a bound,
    or where sales on Amazon are rounded.

    Returns
    -------
    DataFrame
        One row per seller and year, those with closed accounts first: `firm`, `closed`, `period`,
        `on_amazon`, `either`, `elsewhere`; and Amazon's part of revenue in per cent, from
        `part_low` to `part_high`.
    """
    money = mix().query("measure == @REVENUE and currency == 'CNY'")
    keys = ["firm", "closed", "period"]
    rest = money[money["platform"] == OTHERS[0]].set_index(keys)
    sold = money[money["platform"] == AMAZON].set_index(keys)["value"]
    total = rest["value"] + sold
    half = rest["rounded_to"].fillna(0.0) / 2
    high = rest["value"] + half
    low = (rest["value"] - half).mask(rest["bound"] == "upper", 0.0)
    ends = {"part_low": 100 * (1 - high / total), "part_high": 100 * (1 - low / total)}
    parts = {"on_amazon": total - high, "either": high - low, "elsewhere": low}
    frame = pd.DataFrame(parts) / MILLIONS
    return (
        frame.assign(**ends)
        .reset_index()
        .sort_values(["closed", "firm", "period"], ascending=[False, True, True])
    )


def goods_elsewhere() -> pd.DataFrame:
    """Return sales outside Amazon with and without logistics.

    They are given under both readings of an ambiguous share.

    Sailvan publishes its sales of goods, so that logistics for others can be taken out. Aukey does
    not, and its source does not say for certain whether Amazon's part is one of gross revenue T,
    which includes logistics, or of goods alone. With the part p, the two readings give, for
    logistics of L between nothing and T:

    - of gross revenue: on Amazon ``p T``; elsewhere, with logistics, ``(1 - p) T``; goods between
      nothing and that;
    - of goods alone: on Amazon ``p (T - L)``, at most ``p T``; elsewhere, with logistics, at least
      ``(1 - p) T``; goods ``(1 - p) (T - L)``, at most ``(1 - p) T``.

    Returns
    -------
    DataFrame
        One row per firm, year and reading, in million yuan: `firm`, `period`, `reading`, and the
        ends `amazon_low`, `amazon_high`, `with_logistics_low`, `with_logistics_high`, `goods_low`,
        `goods_high`.
    """
    return pd.concat([_sailvan_goods(), _aukey_readings()], ignore_index=True)


def _sailvan_goods() -> pd.DataFrame:
    rows = data.load("listed_sellers").query(
        "firm.str.startswith('Sailvan') and period in ['2020', '2021']"
    )
    money = rows.pivot_table(index="period", columns="measure", values="value")
    amazon = money["revenue_amazon"]
    everything = money["revenue_total"] - amazon
    goods = money["revenue_goods"] - amazon
    ends = {"amazon": amazon, "with_logistics": everything, "goods": goods}
    columns = {f"{name}_{end}": values for name, values in ends.items() for end in ("low", "high")}
    frame = pd.DataFrame(columns).rename_axis("period").reset_index()
    frame.insert(0, "firm", "Sailvan")
    frame.insert(2, "reading", GOODS_PUBLISHED)
    return frame


def _aukey_readings() -> pd.DataFrame:
    rows = mix().query("firm == 'Aukey'").set_index(["period", "platform", "measure"])["value"]
    lines = []
    for period in ("2021", "2023"):
        amazon = rows[period, AMAZON, REVENUE]
        elsewhere = rows[period, OTHERS[0], REVENUE]
        known = {
            "firm": "Aukey",
            "period": period,
            "amazon_high": amazon,
            "with_logistics_low": elsewhere,
        }
        known |= {"goods_low": 0.0, "goods_high": elsewhere}
        of_gross = {"reading": OF_GROSS, "amazon_low": amazon, "with_logistics_high": elsewhere}
        of_goods = {
            "reading": OF_GOODS,
            "amazon_low": 0.0,
            "with_logistics_high": amazon + elsewhere,
        }
        lines += [known | of_gross, known | of_goods]
    return pd.DataFrame(lines)


def platforms() -> pd.DataFrame:
    """Return which platforms other than Amazon each seller names, and what it publishes of them.

    Returns
    -------
    DataFrame
        One row per seller, those with closed accounts first: `firm`, `closed`, `period`, the
        platforms as text in `places`, and in `published` their part of revenue together, in per
        cent, NaN if the seller gives none.
    """
    figures = mix().query("bound == ''").sort_values(["period", "platform"])
    names = figures[figures["measure"] == NAMED]
    parts = figures[(figures["measure"] == SHARE) & (figures["platform"] != AMAZON)]
    firms = pd.concat([names, parts]).groupby("firm")
    frame = firms[["closed", "period"]].last()
    frame["places"] = names.groupby("firm")["platform"].agg(", ".join)
    latest = parts.groupby("firm").last()
    frame["places"] = frame["places"].fillna(latest["platform"])
    frame["published"] = latest["value"]
    return frame.reset_index().sort_values(["closed", "firm"], ascending=[False, True])


def _ebay(name: str, freq: str, **where: Any) -> Series:
    return series.published(
        "platform_quarterly", platform="eBay", series=name, publisher=EBAY, freq=freq, **where
    )


def revenue(
    lines: Mapping[str, str], periods: Sequence[str], definition: str = "as named"
) -> pd.DataFrame:
    """Return eBay's net revenue by year and seller location, in million US dollars.

    Raises KeyError if a figure is missing.
    """
    figures = {
        area: _ebay(f"net_revenue_{name}_sellers", "A", definition=definition)
        .points["value"]
        .loc[[*periods]]
        for area, name in lines.items()
    }
    return pd.DataFrame(figures)


def revenue_growth(
    lines: Mapping[str, str], periods: Sequence[str], definition: str = "as named"
) -> pd.DataFrame:
    """Return the growth of :func:`revenue` over the previous year, in per cent.

    The first year is left out.
    """
    return 100 * revenue(lines, periods, definition).pct_change(fill_method=None).iloc[1:]


def leads() -> pd.DataFrame:
    """Compare the yearly growth of eBay's revenue by seller location.

    Returns
    -------
    DataFrame
        `Year`, coverage in `Covers` (:data:`MARKETPLACE`, or with businesses since sold), growth of
        each of `LINES` in per cent, and the lead of sellers elsewhere over American sellers in
        percentage points.
    """
    tables = []
    for definition, covers, years in TABLES:
        grown = revenue_growth(LINES, years, definition).rename_axis("Year").reset_index()
        tables.append(grown.assign(Covers=covers, **{LEAD: grown[REST] - grown[US]}))
    return pd.concat(tables, ignore_index=True)


def volume() -> Series:
    """Return eBay's quarterly merchandise volume, in million US dollars.

    Values for 2021 are derived from growth in 2022.
    """
    published = _ebay("gmv_total", "Q")
    earlier = series.from_growth(
        published, _ebay("gmv_growth_yoy", "Q", first="2022Q1", last="2022Q4")
    )
    return series.join_segments([earlier, published], published.name)


def places() -> dict[str, Series]:
    """Return quarterly figures for eBay, Wish and AliExpress's group, by name.

    The figures are eBay's merchandise volume and the revenue of the others.

    AliExpress is not published separately; its group includes Lazada, Trendyol and Daraz. Nearly
    all sellers on Wish are Chinese, and we found no report of sellers moving there.
    """
    return {"eBay": volume()} | {
        name: series.published("platform_quarterly", freq="Q", first=FIRST, last=LAST, **where)
        for name, where in LEVELS.items()
    }


def indexed_quarters(quarters: Mapping[str, Series]) -> pd.DataFrame:
    """Index quarterly series to 100 in the last quarter before the closures.

    Rows are labelled by the last month of each quarter.
    """
    frame = pd.DataFrame({name: one.values for name, one in quarters.items()}).rename_axis(
        "quarter"
    )
    frame = 100 * frame.loc[FIRST:LAST] / frame.loc[FIRST]
    return frame.set_axis(frame.index.asfreq("M", "end"))


def sellers_on_wish() -> pd.DataFrame:
    """Return the percentage of Wish's sellers based in China, by date."""
    rows = data.load("platform_shift_evidence").query("platform == 'Wish'")
    return rows[rows["measure"].str.startswith("share of sellers based in China")]


def ebay_filings() -> pd.DataFrame:
    """Return the rows behind eBay's revenue by seller location."""
    rows = series.qualified_rows("platform_quarterly").query("publisher == @EBAY")
    return rows[rows["series"].str.contains("_sellers$") & rows["period"].between("2016", LAST)]


def sources() -> pd.DataFrame:
    """Return the rows behind the figures from eBay, Wish and sellers.

    The column `source_url` contains their sources.
    """
    return pd.concat([ebay_filings(), mix().query("measure in @PRINTED"), sellers_on_wish()])
