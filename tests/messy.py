"""What a data vendor exports, made up: ``python tests/messy.py FOLDER --seed 1`` writes export.csv
and truth.json.

Some 750 sellers over 30 months, with headers in Chinese and English, three currencies by row,
thousands separators, five ways to write a month and two to write a day, several accounts a firm and
several sites a platform. A row says what was sold; where nothing was sold there is none, so that
those of a closed account end. The sellers are those of a plain panel (`market.plain`), whose
effects are known. Every id says that it is simulated, unless the export is asked for without that
mark, as a researcher's own file would be.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from market import plain

HERE = Path(__file__).parent
MAP = HERE / "messy.map.yml"
# which panel, and the month from which on it is exported, January 2020
PRESET = "plain_sd1_99"
FIRST = 12
SCALE = 20_000  # dollars for one unit of a plain panel, so that rows are amounts as shops have them
ESTIMANDS = ("E1a", "E1b", "E3g_seen", "E3g", "E4a_sales", "d1", "d2", "d3", "d4", "d5")

SITES = {  # of each platform, with their currency
    "AMZ": {"Amazon.com": "USD", "Amazon.de": "EUR", "亚马逊日本站": "USD"},
    "EBY": {"eBay": "USD", "eBay.de": "EUR"},
    "ALI": {"速卖通": "CNY"},
    "WMT": {"Walmart": "USD"},
    "OWN": {"独立站": "CNY"},
}
RATES = {  # US dollars for one unit, round numbers; those of messy.map.yml
    "USD": {2020: 1.0, 2021: 1.0, 2022: 1.0},
    "EUR": {2020: 1.14, 2021: 1.18, 2022: 1.07},
    "CNY": {2020: 0.145, 2021: 0.155, 2022: 0.15},
}
FROM = {"CN": ["中国", "China"], "other": ["US", "德国", "Japan"]}
MONTHS = ["%Y-%m", "%Y/%m/%d", "%Y年%m月", "%b %Y", "%m.%Y"]
DAYS = ["%Y-%m-%d", "%d.%m.%Y"]


def panel_of(seed):
    """Return the panel that is exported, and its truth."""
    whole, truth = plain.simulate(PRESET, seed)
    sales, without = (SCALE * cells[:, :, FIRST:] for cells in (whole.sales, truth.without))
    panel = replace(whole, sales=sales, months=whole.months[FIRST:])
    return panel, plain.Truth(panel, without)


def export(panel, seed):
    """Return the rows of the export, every cell as text."""
    rng = np.random.default_rng([seed, 1])
    firm, platform, month = np.nonzero(panel.sales)
    rows = pd.DataFrame(
        {
            "firm": firm,
            "platform": platform,
            "month": month,
            "sold": panel.sales[firm, platform, month],
        }
    )
    rows = _sites(_accounts(rows, panel, rng), panel, rng).reset_index(drop=True)
    known = panel.firms.iloc[rows["firm"]].reset_index(drop=True)
    months = panel.months[rows["month"]]
    rate = [RATES[money][year] for money, year in zip(rows["currency"], months.year, strict=True)]
    sold = (rows["sold"] / rate).round(2)
    days = pd.Series([_written(day, DAYS[k % 2]) for k, day in enumerate(_days(panel, rng))])
    country = pd.Series(
        [FROM[code][k % len(FROM[code])] for k, code in enumerate(panel.firms["origin"])]
    )
    name = panel.firms.index[rows["firm"]]
    found = pd.DataFrame(
        {
            "店铺ID": name + "-" + rows["account"].map("ABC".__getitem__),
            "卖家 Seller": name,
            "品牌集团 Brand Group": known["brand_group"],
            "国家 Country": country.iloc[rows["firm"]].to_numpy(),
            "类目 Category": known["category"],
            "站点 Site": rows["site"],
            "月份 Month": _months(months, rng),
            "销售额 GMV": sold.map("{:,.2f}".format),
            "币种 Currency": rows["currency"],
            "订单数 Orders": (1 + rows["sold"] // 35).astype(int).astype(str),
            "关店日期 Closed": days.iloc[rows["firm"]].to_numpy(),
            "备注 Note": np.where(rng.random(len(rows)) < 0.01, "待核对", ""),
        }
    )
    return found[sold > 0]


def _accounts(rows, panel, rng):
    """Share home sales among one to three accounts; of a firm that is closed, the first holds half
    and then ends.
    """
    closed = panel.first_treated()[rows["firm"]] <= rows["month"]
    hit = np.isfinite(panel.first_treated())
    number = rng.integers(1, 4, len(panel.firms))
    number[hit] = 2
    parts = []
    for account in range(3):
        share = np.where(account < number, 1 / number, 0.0)[rows["firm"]]
        share = np.where(closed, account == 1, share)
        share = np.where(rows["platform"] == 0, share, account == number[rows["firm"]] - 1)
        parts.append(rows.assign(account=account, sold=rows["sold"] * share))
    return pd.concat(parts).query("sold > 0")


def _sites(rows, panel, rng):
    """Share sales on a platform among its sites, each firm in its own way."""
    parts = []
    for platform, code in enumerate(panel.platforms):
        here = rows[rows["platform"] == platform]
        share = rng.dirichlet([2.0] * len(SITES[code]), len(panel.firms))
        for site, (label, money) in enumerate(SITES[code].items()):
            sold = here["sold"] * share[here["firm"], site]
            parts.append(here.assign(site=label, currency=money, sold=sold))
    return pd.concat(parts).sort_values(["firm", "account", "site", "month"])


def _days(panel, rng):
    """Return a day in the month of each closure."""
    return pd.DatetimeIndex(panel.firms["closed_on"]) + pd.to_timedelta(
        rng.integers(0, 28, len(panel.firms)), "D"
    )


def _written(day, pattern):
    if day is pd.NaT:
        return ""
    return f"{day:{pattern}}"


def _months(months, rng):
    """Write each month in one of the formats."""
    written = np.array([months.strftime(pattern) for pattern in MONTHS])
    return written[rng.integers(0, len(MONTHS), len(months)), np.arange(len(months))]


def write(folder, seed, *, marked=True):
    """Write export.csv, as Excel writes it, and truth.json; return the panel and the true value of
    each estimand.
    """
    panel, truth = panel_of(seed)
    known = {name: value for name, value in truth.scalars().items() if name in ESTIMANDS}
    folder.mkdir(parents=True, exist_ok=True)
    text = export(panel, seed).to_csv(index=False, lineterminator="\r\n")
    if not marked:
        text = text.replace("SIM-", "S")
    (folder / "export.csv").write_text(text, encoding="utf-8-sig", newline="")
    told = {"provenance": "simulated", "preset": PRESET, "seed": seed, "scalars": known}
    (folder / "truth.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return panel, known


def finished(text, answers):
    """Return a proposed map in which each question has its answer, by key, and nothing else."""
    asked = re.compile(r'^( *)(.+?): "\?".*$', re.MULTILINE)
    assert {found[2] for found in asked.finditer(text)} == answers.keys()
    return asked.sub(lambda found: f"{found[1]}{found[2]}: {answers[found[2]]}", text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="write export.csv and truth.json here")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--unmarked", action="store_true", help="without SIM- in ids: reports then take it for real"
    )
    asked = parser.parse_args()
    write(asked.folder, asked.seed, marked=not asked.unmarked)
