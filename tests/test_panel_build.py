"""Panels built from orders and tables: in pieces, reconciled with their rows."""

import duckdb
import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError

from analysis.panel import read, read_panel, rows
from runner.cli import main

SAMPLES = [(0, 0), (8, 0), (4, 0), (4, 3)]  # firms to draw, and pieces
MAP = 'rows: order\nmonth_format: "%Y-%m-%d"\nrates: {CNY: 0.1551}\nabsent: zero\n'


def orders(count=4000):
    """Return orders of forty firms in two currencies, several a day, some of which are returned."""
    rng = np.random.default_rng(0)
    firm = rng.integers(0, 40, count)
    frame = (
        pd.DataFrame({"firm": firm, "brand_group": firm // 2, "category": firm % 4})
        .astype(str)
        .radd("F")
    )
    frame = frame.assign(
        origin=np.where(firm % 3 == 0, "CN", "US"), platform=rng.choice(["AMZ", "EBY"], count)
    )
    frame["month"] = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 181, count), "D")
    frame["sales"], frame["currency"] = (
        np.round(rng.lognormal(3, 1, count), 2),
        rng.choice(["USD", "CNY"], count),
    )
    frame["closed_on"] = pd.Series(pd.Timestamp("2021-05-01"), frame.index).where(firm % 10 == 0)
    returned = frame.sample(frac=0.05, random_state=1)
    return pd.concat([frame, returned.assign(sales=-returned["sales"])], ignore_index=True)


def written(folder, frame, text=MAP):
    frame.assign(month=frame["month"].dt.date, closed_on=frame["closed_on"].dt.date).to_parquet(
        folder / "o.parquet"
    )
    (folder / "o.yml").write_text(text)
    return folder / "o.parquet", folder / "o.yml"


def built(folder, name="out", source=None, **options):
    source = source or folder / "o.parquet"
    out = folder / f"{name}.parquet"
    lines = read.build_panel(
        [source], out, map=folder / "o.yml", home="AMZ", platforms=["AMZ", "EBY"], **options
    )
    return read_panel(out), lines.set_index(["what", "rule"])


def test_orders_are_added_up_to_the_cent_in_any_pieces_and_with_any_number_of_threads(
    tmp_path, monkeypatch
):
    frame = orders()
    path, map_ = written(tmp_path, frame)
    dollars = frame["sales"] * np.where(frame["currency"] == "CNY", 0.1551, 1)
    keys = [frame["firm"], frame["platform"], frame["month"].dt.to_period("M")]
    panels = [read_panel(path, map=map_)]
    expected = dollars.groupby(keys).sum().unstack(fill_value=0)
    np.testing.assert_allclose(panels[0].sales.reshape(-1, 6), expected, rtol=1e-12, atol=1e-9)
    for pieces in (1, 3, 100):
        panel, lines = built(tmp_path, f"{pieces}", pieces=pieces)
        panels.append(panel)
        assert lines.loc[("rows", "read"), "count"] == len(frame)
        for line in (("rows", "read"), ("cells", "written with known sales")):
            assert lines.loc[line, "sales"] == pytest.approx(dollars.sum(), abs=0.005)
    connect = duckdb.connect
    monkeypatch.setattr(
        duckdb, "connect", lambda **options: connect(config=options["config"] | {"threads": 1})
    )
    panels.append(read_panel(path, map=map_))
    path, map_ = written(tmp_path, frame.sample(frac=1, random_state=2))
    panels.append(read_panel(path, map=map_))
    assert len({panel.digest for panel in panels}) == 1


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_several_files_are_read_as_one_and_a_wrong_cell_is_named_with_its_file(tmp_path, kind):
    frame = orders()
    files = tmp_path / f"part-*.{kind}"
    path, map_ = written(tmp_path, frame, MAP + 'missing: ["x"]')
    cells = frame.astype({"sales": str}).assign(
        **{c: frame[c].dt.strftime("%F") for c in ("month", "closed_on")}
    )
    cells.loc[2000, "sales"] = "x"
    for at in range(3):
        getattr(cells[cells.index // 1500 == at], f"to_{kind}")(
            str(files).replace("*", f"{at}"), index=False
        )
    sales = read_panel(files, map=map_).sales
    whole = read_panel(path, map=map_).sales
    np.testing.assert_array_equal(sales, np.where(np.isnan(sales), np.nan, whole))
    assert np.isnan(sales).sum() == 1
    map_.write_text(MAP)
    row = 502 - (kind == "parquet")
    with pytest.raises(
        DataError, match=f"part-1.{kind}, row {row}, column sales: expected a number"
    ):
        read_panel(files, map=map_)


def test_a_month_in_which_returns_exceed_sales_is_named(tmp_path):
    frame = orders()
    path, map_ = written(tmp_path, pd.concat([frame, frame[:1].assign(sales=-1e6, currency="USD")]))
    with pytest.raises(
        DataError, match=r"as large as returns; found -[\d,.]+ for 'F\d+', '\w+' in 2021-0\d; add"
    ):
        read_panel(path, map=map_)


def test_what_is_left_out_is_reconciled(tmp_path):
    frame = orders()
    late = frame[:1].assign(month=pd.Timestamp("2021-07-02"), sales=12.5, currency="USD")
    written(tmp_path, pd.concat([frame, late]))
    _, lines = built(tmp_path)
    assert lines.loc[
        ("rows", "left out: in a month that is not covered whole"), "sales"
    ] == pytest.approx(12.5)
    assert (lines["count"].fillna(1) > 0).all()
    assert lines["sales"].sum() == pytest.approx(2 * lines.loc[("rows", "read"), "sales"], abs=0.01)


def test_a_sample_keeps_hit_categories_and_weighs_the_others(tmp_path):
    frame = orders()
    frame["category"] = "F" + (frame["firm"].str[1:].astype(int) // 8).astype(
        str
    )  # no firm of F4 was closed
    written(tmp_path, frame, MAP + "population: census\n")
    panels = [
        built(tmp_path, f"{sample}-{pieces}", sample=sample, pieces=pieces)[0]
        for sample, pieces in SAMPLES
    ]
    whole, every, few, again = panels
    np.testing.assert_allclose(every.sales, whole.sales, rtol=1e-12)
    assert (few.digest, few.population, whole.population) == (again.digest, "sample", "census")
    times = few.sales.sum(axis=(1, 2)) / whole.sales[whole.firms.index.isin(few.firms.index)].sum(
        axis=(1, 2)
    )
    weights = pd.Series(times.round(9)).groupby(
        [few.firms["category"].to_numpy() == "F4", few.firms["origin"].to_numpy()]
    )
    expected = {
        (False, "CN"): [1.0] * 11,
        (False, "US"): [1.0] * 21,
        (True, "CN"): [1.5] * 2,
        (True, "US"): [1.666666667] * 3,
    }
    assert weights.agg(list).to_dict() == expected
    assert (
        "sampled: 5 of 8 firms, by category and origin, with weights, beside all 32"
        in few.dropped["rule"].str.cat()
    )


def test_the_command_writes_a_new_file_that_check_takes(tmp_path, capsys):
    path, map_ = written(tmp_path, orders())
    files = ["panel", str(path), "--map", str(map_), "--out", str(tmp_path / "new.parquet")]
    assert main(files) == 0
    assert "rows" in capsys.readouterr().out
    assert main(files) == 2
    assert "already exists" in capsys.readouterr().err
    main(["check", "--panel", str(tmp_path / "new.parquet")])
    assert "40 firms" in capsys.readouterr().out


def test_what_the_engine_cannot_keep_in_memory_goes_to_disk(tmp_path, monkeypatch):
    path, map_ = written(tmp_path, orders(200_000))
    expected = read_panel(path, map=map_).digest
    monkeypatch.setattr(rows, "MEMORY", "45MB")
    assert read_panel(path, map=map_).digest == expected


def test_attributes_in_a_second_file_are_not_joined_to_each_order(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    sellers = 40_000
    names = pd.Series([f"seller of some length {number:06d}" for number in range(sellers)])
    shops = pd.DataFrame(
        {"firm": names, "brand_group": "brand of " + names, "category": names.str[-2:]}
    )
    closed = pd.Series(pd.Timestamp("2021-03-01").date(), shops.index).where(shops.index % 50 == 0)
    shops.assign(origin=np.where(shops.index % 3, "US", "CN"), closed_on=closed).to_parquet(
        tmp_path / "shops.parquet"
    )
    frame = pd.DataFrame(
        {"firm": names[rng.integers(0, sellers, 400_000)], "platform": "AMZ", "sales": 1.25}
    )
    frame["month"] = pd.to_datetime("2021-01-01") + pd.to_timedelta(
        rng.integers(0, 181, len(frame)), "D"
    )
    path = tmp_path / "o.parquet"
    map_ = tmp_path / "o.yml"
    frame.assign(month=frame["month"].dt.date).to_parquet(path)
    map_.write_text(
        'rows: order\nmonth_format: "%Y-%m-%d"\nabsent: zero\njoin: {file: shops.parquet, key:'
        " firm}\n"
    )
    monkeypatch.setattr(rows, "MEMORY", "45MB")
    panel = read_panel(path, map=map_)
    assert panel.sales.sum() == 1.25 * len(frame)
    assert panel.count_closed() == len(closed.dropna())


def test_only_months_lose_the_hour_of_their_times(tmp_path):
    frame = orders(400).assign(category=pd.Timestamp("2020-01-01 08:00"))
    frame["category"] += pd.to_timedelta(frame["firm"].str[1:].astype(int) % 2, "h")
    path, map_ = written(tmp_path, frame)
    assert read_panel(path, map=map_).firms["category"].nunique() == 2
