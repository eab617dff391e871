"""Write the example panels: ``python data/examples/make.py``.

They are simulated, as every id shows (SIM-...).

They show one small market in three forms that a researcher might have: in rows (tidy.csv), with a
column per month, Chinese labels and sales in yuan (wide.csv), and by account, some of which were
renamed (accounts.csv).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.panel import Panel, read_panel
from market import simulate

HERE = Path(__file__).resolve().parent
MARKET = {
    "n_firms": 160,
    "n_categories": 14,
    "entrants": 0.35,
    "accounts": 2.0,
    "closed_gmv": 0.2,
    "tilt": -0.4,
    "evasion": 0.35,
    "reclosure": 0.2,
    "partial": 0.4,
    "group_size": 1.3,
}
SEED = 21

COUNTRY = {"CN": "China", "other": "elsewhere"}
SITES = {"AMZ": "Amazon", "EBY": "eBay", "ALI": "AliExpress", "WMT": "Walmart", "OWN": "own site"}
NAMED = {"AMZ": "亚马逊", "EBY": "eBay", "ALI": "速卖通", "WMT": "沃尔玛", "OWN": "独立站"}
FROM = {"CN": "中国", "other": "其他"}
YUAN = {
    "2019": 0.145,
    "2020": 0.145,
    "2021": 0.155,
    "2022": 0.15,
}  # round numbers, as in wide.map.yml

EARLY = 10  # month, from January 2019, in which two accounts that nobody closed are renamed
UNKNOWN = slice(6, 9)  # months in which the sales of two firms on eBay are missing


def main(folder: Path = HERE) -> None:
    """Write the three panels to a folder; the maps beside this script are written by hand."""
    rows = _accounts()
    rows.to_csv(folder / "accounts.csv", index=False, lineterminator="\n")
    panel = read_panel(folder / "accounts.csv", map=HERE / "accounts.map.yml")
    _tidy(panel).to_csv(folder / "tidy.csv", index=False, lineterminator="\n")
    # with a byte order mark, as Excel writes it
    _wide(panel).to_csv(folder / "wide.csv", index=False, lineterminator="\n", encoding="utf-8-sig")


def _accounts() -> pd.DataFrame:
    """Return one row per account, site and month with sales, rounded to whole sim-$."""
    panel, _ = simulate("mid_3k", SEED, by_account=1, **MARKET)
    sales = np.rint(panel.sales)
    known = panel.firms
    names = known.index.to_series()
    shops = pd.DataFrame(
        {
            "shop_id": names,
            "formerly": np.where(names.str.endswith("-R"), names.str.removesuffix("-R") + "-1", ""),
            "company": names.str.extract(r"(SIM-\d+)", expand=False),
            "country": known["origin"].map(COUNTRY),
            "category": known["category"],
            "shop_closed": known["closed_on"].dt.strftime("%Y-%m").fillna(""),
        }
    ).reset_index(drop=True)
    first = shops.drop_duplicates("company").set_index("company")
    parent = known.loc[first["shop_id"]].set_index(first.index)
    shops["owner"] = parent["brand_group"].reindex(shops["company"]).to_numpy()
    shops["suspicion"] = parent["risk"].reindex(shops["company"]).round(3).to_numpy()
    for row, month in _renamed_again(shops, sales):
        sales, shops = _split(sales, shops, row, month)
    return _rows(sales, shops, panel)


def _renamed_again(shops: pd.DataFrame, sales: np.ndarray) -> list[tuple[int, int]]:
    """Return accounts to rename, with months.

    They are one that was renamed before, and two of firms that were not closed.
    """
    sold = sales[:, 0] > 0
    again = int(np.where(shops["formerly"] != "", sold.sum(axis=1), -1).argmax())
    closed = set(shops.loc[shops["shop_closed"] != "", "company"])
    steady = sold.all(axis=1) & ~shops["company"].isin(closed)
    halfway = int(np.median(np.flatnonzero(sold[again])))
    return [(again, halfway), *((int(row), EARLY) for row in shops.index[steady][:2])]


def _split(
    sales: np.ndarray, shops: pd.DataFrame, row: int, month: int
) -> tuple[np.ndarray, pd.DataFrame]:
    """Split an account in two, with a new name from a month onwards."""
    shop = shops.loc[row]
    renamed = shop.copy()
    renamed["shop_id"] = f"{shop['shop_id']}-N"
    renamed["formerly"] = shop["shop_id"]
    later = np.where(np.arange(sales.shape[2]) >= month, sales[row], 0.0)
    sales = np.concatenate([sales, later[np.newaxis]])
    sales[row] -= later
    return sales, pd.concat([shops, renamed.to_frame().T], ignore_index=True)


def _rows(sales: np.ndarray, shops: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    closed = set(shops.loc[shops["shop_closed"] != "", "company"])
    elsewhere = (sales[:, 1] > 0).all(axis=1) & ~shops["company"].isin(closed)
    unknown = np.flatnonzero(elsewhere)[:2]
    sales[unknown, 1, UNKNOWN] = np.nan
    shop, site, month = np.nonzero(sales != 0)  # which NaN is too
    rows = shops.loc[shop].assign(
        site=[SITES[panel.platforms[k]] for k in site],
        month=panel.months.strftime("%Y-%m").to_numpy()[month],
        sales_usd=pd.array(sales[shop, site, month], dtype="Int64"),
    )
    order = [
        "shop_id",
        "formerly",
        "company",
        "owner",
        "country",
        "category",
        "site",
        "month",
        "sales_usd",
    ]
    return rows.sort_values(["company", "shop_id", "site", "month"])[
        [*order, "shop_closed", "suspicion"]
    ]


def _of_firms(panel: Panel, country: dict[str, str]) -> pd.DataFrame:
    """Return one row per firm, with the attributes in the tidy and the wide file."""
    known = panel.firms
    return pd.DataFrame(
        {
            "seller": known.index,
            "brand": known["brand_group"].to_numpy(),
            "country": known["origin"].map(country).to_numpy(),
            "category": known["category"].to_numpy(),
            "closed": known["closed_on"].dt.strftime("%Y-%m").fillna("").to_numpy(),
            "closed_share": known["dose"].round(9).to_numpy(),
            "suspicion": known["risk"].to_numpy(),
        }
    )


def _sold(panel: Panel) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of each pair of firm and platform with sales in any month."""
    return np.nonzero((np.nan_to_num(panel.sales, nan=1.0) > 0).any(axis=2))


def _tidy(panel: Panel) -> pd.DataFrame:
    firm, platform = _sold(panel)
    length = len(panel.months)
    rows = _of_firms(panel, COUNTRY).loc[np.repeat(firm, length)]
    rows.insert(4, "site", np.repeat([SITES[panel.platforms[k]] for k in platform], length))
    rows.insert(5, "month", np.tile(panel.months.strftime("%Y-%m"), len(firm)))
    rows.insert(6, "sales_usd", pd.array(panel.sales[firm, platform].ravel(), dtype="Int64"))
    return rows


def _wide(panel: Panel) -> pd.DataFrame:
    firm, platform = _sold(panel)
    about = _of_firms(panel, FROM).loc[firm].reset_index(drop=True)
    about.insert(4, "site", [NAMED[panel.platforms[k]] for k in platform])
    rates = np.array([YUAN[str(month.year)] for month in panel.months])
    yuan = panel.sales[firm, platform] / rates
    texts = [["" if np.isnan(value) else f"{value:.10g}" for value in row] for row in yuan]
    months = pd.DataFrame(texts, columns=[f"sales_{month:%Y%m}" for month in panel.months])
    return pd.concat([about, months], axis=1)


if __name__ == "__main__":
    main(*(Path(folder) for folder in sys.argv[1:]))
