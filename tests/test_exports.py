"""Exports of other programs, each from the map that is proposed for it to a panel, with answers to
its questions.
"""

import gc

import messy
import numpy as np
import openpyxl
import pandas as pd
import pytest
from fewtreated.errors import DataError

from analysis.panel import read_panel, rows
from analysis.panel.propose import propose
from runner.cli import main

CENSUS = {"population": "census"}
SOLD = {"absent": "zero", **CENSUS}


def orders(folder):
    """Write orders of a platform as Parquet, several a day and in Shanghai's time, of which some
    are refunded.
    """
    rng = np.random.default_rng(1)
    count = 20_000
    firm = rng.integers(0, 40, count)
    days = pd.to_timedelta(rng.uniform(0, 912, count), "D")
    rows = (
        pd.DataFrame({"seller_id": firm, "brand_owner": firm // 2, "category": firm % 4})
        .astype(str)
        .radd("S")
    )
    rows["country"] = np.where(firm % 5, "US", "China")
    rows["marketplace"] = rng.choice(["amazon.com", "ebay.com"], count)
    rows["order_time"] = pd.Timestamp("2020-01-01", tz="Asia/Shanghai") + days
    rows["amount_usd"] = np.round(rng.lognormal(3, 1, count), 2)
    rows["suspended_on"] = pd.Series(pd.Timestamp("2021-05-03"), rows.index).where(firm % 10 == 0)
    sold_no_more = (
        (firm % 10 == 0)
        & (rows["order_time"] >= "2021-05-01")
        & (rows["marketplace"] == "amazon.com")
    )
    rows = rows[~sold_no_more]
    refunded = rows.sample(frac=0.05, random_state=1)
    rows = (
        pd.concat([rows, refunded.assign(amount_usd=-refunded["amount_usd"])])
        .rename_axis("order_id")
        .reset_index()
    )
    rows.to_parquet(folder / "orders.parquet")
    months = rows["order_time"].dt.tz_localize(None).dt.to_period("M")
    return (
        folder / "orders.parquet",
        rows["amount_usd"].groupby([rows["marketplace"], months]).sum(),
    )


def sheet(folder, totals=False):
    """Write a Chinese workbook with merged titles above its header, in yuan, and a row of totals if
    asked.
    """
    rng = np.random.default_rng(2)
    months = pd.period_range("2020-01", "2022-06", freq="M").astype(str)
    keys = [
        (firm, site, month)
        for firm in range(24)
        for site in ("亚马逊", "速卖通")
        for month in months
    ]
    firm, site, month = (np.array(part) for part in zip(*keys, strict=True))
    rows = (
        pd.DataFrame({"卖家": firm, "品牌集团": firm // 2})
        .astype(str)
        .radd("店")
        .assign(平台=site, 月份=month)
    )
    rows = rows.assign(
        国家=np.where(firm % 3, "美国", "中国"), 类目=np.where(firm % 2, "厨房", "玩具")
    )
    rows = rows.assign(
        关店月份=np.where(firm % 6, None, "2021-05"),
        销售额=np.round(1000 * rng.lognormal(size=len(firm)), 2),
    )
    rows.loc[(firm % 6 == 0) & (site == "亚马逊") & (month >= "2021-05"), "销售额"] = 0
    rows.to_excel(folder / "a.xlsx", index=False, startrow=3)
    book = openpyxl.load_workbook(folder / "a.xlsx")
    book.active["A1"] = "2020—2021年卖家销售月报"
    book.active["A2"] = "单位：元"
    book.active.merge_cells("A1:H1")
    if totals:
        book.active.append(["合计", *[None] * 6, rows["销售额"].sum()])
    book.save(folder / "a.xlsx")
    return folder / "a.xlsx", 0.15 * rows["销售额"].groupby([rows["平台"], rows["月份"]]).sum()


def wide(folder):
    """Write a Stata file with a column for each month, and the sellers' attributes beside it."""
    rng = np.random.default_rng(3)
    months = pd.period_range("2020-01", "2022-06", freq="M")
    seller = np.arange(48)
    shut = (months >= "2021-05") & (seller % 8 == 0)[:, np.newaxis]
    sold = {
        site: np.where(shut, 0, rng.lognormal(9, 1, shut.shape).round(2))
        for site in ("Amazon", "Walmart")
    }
    frames = [
        pd.DataFrame(cells, columns=[f"gmv{month:%Y%m}" for month in months])
        for cells in sold.values()
    ]
    keys = [pd.DataFrame({"seller_id": seller, "site": site}) for site in sold]
    rows = pd.concat([pd.concat(pair, axis=1) for pair in zip(keys, frames, strict=True)])
    rows.to_stata(folder / "sales.dta", write_index=False)
    attributes = pd.DataFrame({"brand_owner": seller // 2, "category": seller % 4}).astype(str)
    attributes = attributes.radd("S").assign(
        country=np.where(seller % 8, "US", "China"), seller_id=seller
    )
    closed = np.where(seller % 8, "", "2021-05-03")
    attributes.assign(suspended_on=closed).to_csv(folder / "sellers.csv", index=False)
    return folder / "sales.dta", np.array([cells.sum(axis=0) for cells in sold.values()]).ravel()


def api(folder):
    """Write orders as the interface of a shop gives them, as text and with refunds, whose sellers
    are told in a second file by an id that no name tells.
    """
    path, _ = orders(folder)
    rows = pd.read_parquet(path)
    utc = rows["order_time"].dt.tz_convert("UTC")
    of_seller = ["brand_owner", "category", "country", "suspended_on"]
    sellers = rows.groupby("seller_id", as_index=False)[of_seller].first()
    sellers = sellers.assign(vendor="Company " + sellers["brand_owner"])
    sellers.rename(columns={"seller_id": "ref"}).to_csv(folder / "sellers.csv", index=False)
    rows = rows.rename(columns={"seller_id": "ref"}).drop(columns=[*of_seller, "order_time"])
    rows.assign(order_ts=utc.dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_csv(
        folder / "orders.csv", index=False
    )
    months = utc.dt.tz_localize(None).dt.to_period("M")
    sold = rows["amount_usd"].groupby([rows["marketplace"], months]).sum()
    return folder / "orders.csv", sold.drop("2019-12", level=1)  # of which there are eight hours


def answered(folder, path, answers, *lines):
    """Write the map that is proposed for a file, and a second beside it, with an answer to each
    question.
    """
    text = propose(path, next(folder.glob("sellers.csv"), None))
    text = "\n".join([messy.finished(text, answers), *lines])
    (folder / "a.yml").write_text(text, encoding="utf-8")
    return folder / "a.yml"


EXPORTS = {
    orders: SOLD,
    sheet: {"currency": "CNY", "rates": "0.15", **CENSUS},
    wide: {"currency": "USD", "rates": "1", **CENSUS},
    api: SOLD,
}
HEAD = "brand_owner,category,country,seller_id,suspended_on"
SECOND = {  # its rows, and what is wrong with them
    "seller_id,country\n2,US\n3,US\n2,US\n": (
        "expected each key once; found '2' in rows 2 and 4; keep one of them"
    ),
    f"{HEAD}\nS,S,US,99,\n": (
        "keys of sellers.csv in the column 'seller_id'; found none in 96 rows; correct `join` in"
    ),
    "id,country\n1,China\n": (
        "expected the column 'seller_id'; found the columns id, country; correct `join`"
    ),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_an_export_is_read_with_answers_to_its_questions_only_and_its_sums_are_those_of_pandas(
    tmp_path, monkeypatch, export
):
    monkeypatch.setattr(rows, "_MOST_GROUPS", 1 << 17)  # so that groups are days, not times
    path, expected = export(tmp_path)
    panel = read_panel(path, map=answered(tmp_path, path, EXPORTS[export]))
    np.testing.assert_allclose(panel.sales.sum(axis=0).ravel(), expected, rtol=1e-12)
    assert panel.count_closed() == {orders: 4, sheet: 4, wide: 6, api: 4}[export]
    assert panel.doubts == ()


@pytest.mark.filterwarnings("error")
def test_a_row_of_totals_is_named_by_its_row_and_the_workbook_is_closed(tmp_path):
    path, expected = sheet(tmp_path, totals=True)
    map_ = answered(tmp_path, path, EXPORTS[sheet])
    proposed = map_.read_text(encoding="utf-8")
    dropped = 'rows:\n  drop: {"卖家": "合计"}'
    map_.write_text(proposed.replace(dropped, "absent: zero\n#"), encoding="utf-8")
    found = r"row 1445, column '卖家' \(firm\): expected rows of single firms; found '合计'"
    with pytest.raises(DataError, match=found):
        read_panel(path, map=map_)
    gc.collect()  # warns of a file left open
    map_.write_text(proposed, encoding="utf-8")
    panel = read_panel(path, map=map_)
    np.testing.assert_allclose(panel.sales.sum(axis=0).ravel(), expected, rtol=1e-12)
    note = ["rows", "left out: their 卖家 fits '合计'", 1]
    assert note in panel.dropped.to_numpy().tolist()


def test_attributes_of_a_second_file_are_reconciled_and_a_key_that_comes_twice_is_refused(tmp_path):
    path, expected = wide(tmp_path)
    map_ = answered(tmp_path, path, EXPORTS[wide])
    second = tmp_path / "sellers.csv"
    second.write_text("".join(second.read_text().splitlines(keepends=True)[:-1]))
    panel = read_panel(path, map=map_)
    assert panel.sales.sum() < expected.sum()
    notes = [
        ["rows", "joined with sellers.csv", 94],
        ["rows", "left out: their seller_id is not in sellers.csv", 2],
    ]
    assert panel.dropped.to_numpy().tolist()[:2] == notes
    for text, found in SECOND.items():
        second.write_text(text)
        with pytest.raises(DataError, match=found):
            read_panel(path, map=map_)
    with pytest.raises(
        DataError,
        match="expected a column of the first file, with another value in each row; found",
    ):
        propose(path, second)


@pytest.mark.slow
@pytest.mark.parametrize("export", EXPORTS)
def test_a_report_is_made_of_an_export(tmp_path, export):
    path, _ = export(tmp_path)
    own = ["--panel", str(path), "--map", str(answered(tmp_path, path, EXPORTS[export]))]
    assert main(["run", "panel_01_closed_firms", *own, "--out", str(tmp_path / "out")]) == 0
