"""Exports of other programs, each from the map that is proposed for it to a panel, with answers to its questions."""

import numpy as np
import openpyxl
import pandas as pd
import pytest

from analysis.errors import DataError
from analysis.panel import read_panel
from analysis.panel.propose import propose

CENSUS = "population: census"
SOLD = ["absent: zero", CENSUS]


def orders(folder):
    """Write orders of a platform as Parquet, several a day and in Shanghai's time, of which some are refunded."""
    rng = np.random.default_rng(1)
    firm, days = rng.integers(0, 30, 6000), pd.to_timedelta(rng.uniform(0, 181, 6000), "D")
    rows = pd.DataFrame({"seller_id": firm, "brand_owner": firm // 2, "category": firm % 4}).astype(str).radd("S")
    rows["country"], rows["marketplace"] = (
        np.where(firm % 3, "US", "China"),
        rng.choice(["amazon.com", "ebay.com"], 6000),
    )
    rows["order_time"] = pd.Timestamp("2021-01-01", tz="Asia/Shanghai") + days
    rows["amount_usd"] = np.round(rng.lognormal(3, 1, 6000), 2)
    rows["suspended_on"] = pd.Series(pd.Timestamp("2021-05-03"), rows.index).where(firm % 10 == 0)
    refunded = rows.sample(frac=0.05, random_state=1)
    rows = pd.concat([rows, refunded.assign(amount_usd=-refunded["amount_usd"])]).rename_axis("order_id").reset_index()
    rows.to_parquet(folder / "orders.parquet")
    months = rows["order_time"].dt.tz_localize(None).dt.to_period("M")
    return folder / "orders.parquet", rows["amount_usd"].groupby([rows["marketplace"], months]).sum()


def sheet(folder, totals=False):
    """Write a Chinese workbook with merged titles above its header, in yuan, and a row of totals if asked."""
    rng, months = np.random.default_rng(2), pd.period_range("2020-07", "2021-12", freq="M").astype(str)
    keys = [(firm, site, month) for firm in range(12) for site in ("亚马逊", "速卖通") for month in months]
    firm, site, month = (np.array(part) for part in zip(*keys, strict=True))
    rows = pd.DataFrame({"卖家": firm, "品牌集团": firm // 2}).astype(str).radd("店").assign(平台=site, 月份=month)
    rows = rows.assign(国家=np.where(firm % 3, "美国", "中国"), 类目=np.where(firm % 2, "厨房", "玩具"))
    rows = rows.assign(
        关店月份=np.where(firm % 5, None, "2021-05"), 销售额=np.round(1000 * rng.lognormal(size=len(firm)), 2)
    )
    rows.to_excel(folder / "a.xlsx", index=False, startrow=3)
    book = openpyxl.load_workbook(folder / "a.xlsx")
    book.active["A1"], book.active["A2"] = "2020—2021年卖家销售月报", "单位：元"
    book.active.merge_cells("A1:H1")
    if totals:
        book.active.append(["合计", *[None] * 6, rows["销售额"].sum()])
    book.save(folder / "a.xlsx")
    return folder / "a.xlsx", 0.15 * rows["销售额"].groupby([rows["平台"], rows["月份"]]).sum()


def answered(folder, path, *answers):
    """Write the map that is proposed for a file, with answers in place of its questions."""
    lines = [line for line in propose(path).splitlines() if not line.endswith('"?"') and not line.startswith("# ?")]
    (folder / "a.yml").write_text("\n".join([*lines, *answers]), encoding="utf-8")
    return folder / "a.yml"


@pytest.mark.parametrize(("export", "answers"), [(orders, SOLD), (sheet, ["currency: CNY", "rates: 0.15", CENSUS])])
def test_an_export_is_read_with_answers_to_its_questions_only_and_its_sums_are_those_of_pandas(
    tmp_path, export, answers
):
    path, expected = export(tmp_path)
    panel = read_panel(path, map=answered(tmp_path, path, *answers))
    np.testing.assert_allclose(panel.sales.sum(axis=0).ravel(), expected, rtol=1e-12)
    assert panel.count_closed() == 3
    assert not panel.data_warnings[1:]


def test_a_row_of_totals_is_named_by_its_row(tmp_path):
    path, _ = sheet(tmp_path, totals=True)
    answers = ["currency: CNY", "rates: 0.15", *SOLD]
    with pytest.raises(
        DataError, match=r"row 437, column '卖家' \(firm\): expected rows of single firms; found '合计'"
    ):
        read_panel(path, map=answered(tmp_path, path, *answers))
