"""A panel in files of every kind and size, under other orders and names, and with parts that do not
fit.
"""

import gzip
import io
import json
from dataclasses import replace

import frictionless
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fewtreated.errors import DataError
from panels import EARLY, random_panel

from analysis.panel import Panel, read_panel
from analysis.panel.map import attributes, columns
from analysis.panel.panel import Doubt
from analysis.provenance import ROOT

TEXT = """\
firm,brand_group,origin,category,platform,month,sales,closed_on
A,g1,CN,kitchen,AMZ,2021-01,10,2021-03
A,g1,CN,kitchen,AMZ,2021-02,12.5,2021-03
A,g1,CN,kitchen,AMZ,2021-03,0,2021-03
B,g2,US,kitchen,AMZ,2021-01,30,
B,g2,US,kitchen,AMZ,2021-02,30,
B,g2,US,kitchen,AMZ,2021-03,40,
"""


def refusal(path, **options):
    with pytest.raises(DataError) as refused:
        read_panel(path, **options)
    return str(refused.value)


def dated():
    """Return the rows of TEXT with months and closures as dates."""
    frame = pd.read_csv(io.StringIO(TEXT))
    return frame.assign(
        month=pd.to_datetime(frame["month"]), closed_on=pd.to_datetime(frame["closed_on"])
    )


def rows_of(panel):
    """Return one row per firm, platform and month, in the columns of the schema."""
    keys = pd.MultiIndex.from_product(
        [panel.firms.index, panel.platforms, panel.months.strftime("%Y-%m")],
        names=["firm", "platform", "month"],
    )
    frame = pd.Series(panel.sales.reshape(-1), keys, name="sales").reset_index()
    frame = frame.join(panel.firms, on="firm")
    return frame.assign(
        closed_on=frame["closed_on"].dt.strftime("%Y-%m"), provenance=panel.provenance
    )


def assert_same(one, other):
    np.testing.assert_array_equal(one.sales, other.sales)
    pd.testing.assert_frame_equal(one.firms[attributes()], other.firms[attributes()])
    assert (one.platforms, one.provenance, one.digest) == (
        other.platforms,
        other.provenance,
        other.digest,
    )
    assert one.months.equals(other.months)


# Frames


@pytest.mark.parametrize("provenance", ["real", "simulated"])
def test_a_long_frame_gives_the_same_panel_back(provenance):
    panel = random_panel(np.random.default_rng(3), provenance=provenance)
    doubt = Doubt("gap", "rows in all months", "none in one", "add them")
    told = {"population": "census", "doubts": (doubt,), "no_dose": "none"}
    dropped = pd.DataFrame([("rows", "left out", 3)], columns=panel.dropped.columns)
    panel = replace(panel, dropped=dropped, **told)
    frame = panel.to_frame()
    assert len(frame) == panel.sales.size
    again = Panel.from_frame(frame)
    assert_same(again, panel)
    pd.testing.assert_frame_equal(again.dropped, dropped)
    assert {name: getattr(again, name) for name in told} == told
    mixed = Panel.from_frame(frame.sample(frac=1, random_state=1), home=panel.platforms[0])
    assert mixed.digest == panel.digest
    other = Panel.from_frame(frame, home=panel.platforms[1])
    assert other.platforms == panel.platforms[::-1]
    np.testing.assert_array_equal(other.sales, panel.sales[:, ::-1])


def test_rows_that_are_left_out_of_a_frame_are_firms_fewer_or_sales_unknown():
    panel = random_panel(np.random.default_rng(3))
    frame = panel.to_frame()
    first = panel.firms.index[0]
    assert [*Panel.from_frame(frame[frame["firm"] != first]).firms.index] == [
        *panel.firms.index[1:]
    ]
    without = Panel.from_frame(frame.drop(index=0))
    assert np.isnan(without.sales[0, 0, 0])
    np.testing.assert_array_equal(without.sales[1:], panel.sales[1:])


WRONG_FRAMES = {
    "expected the columns firm, .*; found no column 'dose'; add it": lambda frame: frame.drop(
        columns="dose"
    ),
    "each firm, platform and month once; found F0000, AMZ, 2020-01-01; add up": lambda frame: (
        pd.concat([frame, frame.head(1)])
    ),
    "one value for the firm 'F0000'; found 2 in the column 'origin'": lambda frame: frame.assign(
        origin=frame["origin"].where(frame.index > 0, "XX")
    ),
    "real or simulated as provenance; found 'both, real'": lambda frame: frame.assign(
        provenance=frame["provenance"].where(frame.index > 0, "both")
    ),
}


@pytest.mark.parametrize("message", WRONG_FRAMES)
def test_a_frame_that_is_no_panel_is_refused(message):
    frame = random_panel(np.random.default_rng(3), provenance="real").to_frame()
    with pytest.raises(DataError, match=message):
        Panel.from_frame(WRONG_FRAMES[message](frame))
    with pytest.raises(DataError, match="rows for the home platform 'XYZ'; found rows for AMZ"):
        Panel.from_frame(frame, home="XYZ")


# Files


@pytest.mark.parametrize("seed", range(3))
def test_csv_and_parquet_round_trips_change_nothing(tmp_path, seed):
    panel = random_panel(np.random.default_rng(seed), provenance=["simulated", "real"][seed % 2])
    panel.to_parquet(tmp_path / "panel.parquet")
    rows_of(panel).to_csv(tmp_path / "panel.csv", index=False)
    assert_same(read_panel(tmp_path / "panel.parquet"), panel)
    assert_same(read_panel(tmp_path / "panel.csv"), panel)
    assert read_panel(tmp_path / "panel.parquet").dropped.empty


def test_many_blocks_give_the_same_panel_as_one(tmp_path, monkeypatch):
    panel = random_panel(np.random.default_rng(4), n=30)
    rows_of(panel).sample(frac=1, random_state=1).to_parquet(
        tmp_path / "mixed.parquet", index=False, row_group_size=50
    )
    rows_of(panel).sample(frac=1, random_state=2).to_csv(tmp_path / "mixed.csv", index=False)
    monkeypatch.setattr("analysis.panel.rows.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("analysis.panel.opening._BYTES_AT_ONCE", 512)
    monkeypatch.setattr("analysis.panel.panel._ROWS_AT_ONCE", 40)
    assert_same(read_panel(tmp_path / "mixed.parquet"), panel)
    assert_same(read_panel(tmp_path / "mixed.csv"), panel)
    panel.to_parquet(tmp_path / "groups.parquet")
    assert pq.ParquetFile(tmp_path / "groups.parquet").num_row_groups == 15
    assert_same(read_panel(tmp_path / "groups.parquet"), panel)


def test_the_types_that_pandas_writes_to_parquet_are_read(tmp_path):
    (tmp_path / "panel.csv").write_text(TEXT)
    dates = dated()
    expected = read_panel(tmp_path / "panel.csv")
    numbered = dates.assign(
        firm=dates["firm"].map({"A": 7, "B": 30}), sales=dates["sales"].astype("Float32")
    )
    coded = dates.assign(
        **{name: dates[name].astype("category") for name in ("firm", "origin", "category")}
    )
    for name, frame in {"coded": coded, "never": dates.assign(closed_on=None)}.items():
        frame.to_parquet(tmp_path / "panel.parquet")
        panel = read_panel(tmp_path / "panel.parquet")
        np.testing.assert_array_equal(panel.sales, expected.sales)
        assert (panel.digest == expected.digest) == (name != "never")
    numbered.to_parquet(tmp_path / "panel.parquet")
    panel = read_panel(tmp_path / "panel.parquet")
    assert list(panel.firms.index) == ["30", "7"]
    np.testing.assert_array_equal(panel.sales, expected.sales[::-1])


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/Los_Angeles", "+08:00", "-03:30"])
def test_months_of_a_time_zone_are_those_of_its_calendar(tmp_path, zone):
    tidy = pd.read_csv(ROOT / "data/examples/tidy.csv", dtype=str)
    for name in ("month", "closed"):
        tidy[name] = pd.to_datetime(tidy[name], format="%Y-%m").dt.tz_localize(zone)
    tidy.to_parquet(tmp_path / "tidy.parquet")
    named = ROOT / "data/examples/tidy.map.yml"
    local = read_panel(tmp_path / "tidy.parquet", map=named)
    assert local.digest == read_panel(ROOT / "data/examples/tidy.csv", map=named).digest


def test_a_file_that_is_not_of_its_kind_is_refused(tmp_path):
    assert "found no such file" in refusal(tmp_path / "panel.csv")
    for kind in (".csv.gz", ".parquet", ".xlsx", ".dta"):
        (tmp_path / f"panel{kind}").write_text("nothing of the kind")
        assert f"expected a valid {kind} file; found one that cannot be read (" in refusal(
            tmp_path / f"panel{kind}"
        )
    (tmp_path / "panel.csv.gz").write_bytes(gzip.compress(TEXT.encode())[:-20])
    assert "found one that cannot be read (" in refusal(tmp_path / "panel.csv.gz")


# Names


def test_relabelling_firms_permutes_them(tmp_path):
    panel = random_panel(np.random.default_rng(6))
    order = np.random.default_rng(7).permutation(len(panel.firms))
    names = dict(zip(panel.firms.index[order], panel.firms.index, strict=True))
    rows = rows_of(panel)
    rows.assign(firm=rows["firm"].map(names)).to_csv(tmp_path / "panel.csv", index=False)
    found = read_panel(tmp_path / "panel.csv")
    np.testing.assert_array_equal(found.sales, panel.sales[order])
    np.testing.assert_array_equal(found.first_treated(), panel.first_treated()[order])
    base = slice(0, 4)
    np.testing.assert_allclose(
        found.exposure(base=base), panel.exposure(base=base)[order], atol=1e-15
    )
    assert found.digest != panel.digest


def test_the_digest_changes_with_content_and_not_with_the_order_of_axes():
    panel = random_panel(np.random.default_rng(8))
    order = np.random.default_rng(9).permutation(len(panel.firms))
    moved = replace(
        panel,
        sales=panel.sales[order][:, ::-1],
        firms=panel.firms.iloc[order],
        platforms=("EBY", "AMZ"),
    )
    negative_zero = np.where(panel.sales == 0, -0.0, panel.sales)
    assert {moved.digest, replace(panel, sales=negative_zero).digest} == {panel.digest}
    sold = panel.sales.copy()
    if sold[3, 1, 2] > 0:
        sold[3, 1, 2] = np.nan
    else:
        sold[3, 1, 2] = 1.0
    changes = [{"sales": sold}, {"months": panel.months + 1}, {"platforms": ("AMZ", "ALI")}]
    for column, value in {
        "risk": 0.25,
        "origin": "XX",
        "closed_on": pd.Timestamp("2020-07-01"),
    }.items():
        firms = panel.firms.copy()
        firms.loc[firms.index[2], column] = value
        changes.append({"firms": firms})
    assert len({panel.digest, *(replace(panel, **change).digest for change in changes)}) == 1 + len(
        changes
    )


def test_nothing_of_the_caller_is_changed(tmp_path):
    panel = random_panel(np.random.default_rng(10))
    sales = panel.sales.copy()
    firms = panel.firms.copy()
    panel.to_parquet(tmp_path / "panel.parquet")
    bytes_before = (tmp_path / "panel.parquet").read_bytes()
    read_panel(tmp_path / "panel.parquet")
    _ = (
        panel.exposure(base=slice(0, 4)),
        panel.base_share(base=slice(0, 4)),
        panel.cohorts(),
        panel.total(),
    )
    assert panel.digest == panel.digest
    np.testing.assert_array_equal(panel.sales, sales)
    pd.testing.assert_frame_equal(panel.firms, firms)
    assert (tmp_path / "panel.parquet").read_bytes() == bytes_before


# Writing, and parts of a panel


def test_a_written_panel_carries_all_three_signs_its_population_and_no_doses_that_are_unknown(
    tmp_path,
):
    panel = random_panel(np.random.default_rng(11))
    path = tmp_path / "panel.parquet"
    unsure = replace(
        panel,
        firms=panel.firms.assign(dose=panel.firms["dose"].where(panel.firms["dose"].isna(), 1.0)),
    )
    replace(unsure, population="sample", no_dose="the file has no dose").to_parquet(path)
    table = pq.read_table(path)
    assert table.schema.metadata[b"provenance"] == b"simulated"
    assert set(table["provenance"].to_pylist()) == {"simulated"}
    assert all(firm.startswith("SIM-0") for firm in table["firm"].to_pylist())
    assert "dose" not in table.column_names
    again = read_panel(path)
    assert (again.population, again.digest) == ("sample", unsure.digest)
    assert again.no_dose.startswith("firms presumed fully closed")


def test_a_simulated_panel_whose_ids_do_not_say_so_is_not_written(tmp_path):
    path = tmp_path / "panel.parquet"
    panel = replace(
        random_panel(np.random.default_rng(12), provenance="real"), provenance="simulated"
    )
    with pytest.raises(
        DataError,
        match="found 12 of 12 firms with other ids, such as 'F0000'; use ids such as SIM-0417",
    ):
        panel.to_parquet(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provenance": "estimate"}, "real or simulated as provenance"),
        ({"provenance": "real"}, "12 simulated ids such as"),
        ({"months": EARLY[:-1]}, "sales of shape"),
        ({"months": EARLY.delete(3).append(EARLY[-1:] + 1)}, "months without gaps"),
        ({"months": pd.period_range("2020Q1", periods=8, freq="Q")}, "months without gaps"),
        ({"sales": np.full((12, 2, 8), -1.0)}, r"expected sales from 0 to 1e\+30; found -1 to 0"),
        ({"sales": np.full((12, 2, 8), np.inf)}, "found 0 to inf"),
    ],
)
def test_parts_that_do_not_fit_each_other_are_no_panel(change, said):
    panel = random_panel(np.random.default_rng(15))
    with pytest.raises(DataError, match=said):
        replace(panel, **change)
    real = random_panel(np.random.default_rng(15), provenance="real")
    with pytest.raises(
        DataError, match=r"found 12 simulated ids such as 'SIM-G0000'; declare it simulated"
    ):
        replace(real, firms=real.firms.assign(brand_group=[f"SIM-G{k:04d}" for k in range(12)]))
    with pytest.raises(DataError, match="found no risk; add the column"):
        replace(panel, firms=panel.firms.drop(columns="risk"))
    with pytest.raises(DataError, match="each firm once"):
        replace(panel, firms=panel.firms.set_axis([panel.firms.index[0]] * len(panel.firms)))


# The schema


def test_frictionless_reads_the_schema_and_finds_a_panel_valid(tmp_path):
    schema = json.loads((ROOT / "data" / "panel.schema.json").read_text(encoding="utf-8"))
    rows = rows_of(random_panel(np.random.default_rng(23))).assign(
        account="a", renamed_from="", currency="sim-$", weight=1
    )
    rows[list(columns())].to_csv(tmp_path / "panel.csv", index=False)
    resource = {
        "name": "panel",
        "type": "table",
        "path": "panel.csv",
        "encoding": "utf-8",
        "schema": schema,
    }
    package = {
        "$schema": "https://datapackage.org/profiles/2.0/datapackage.json",
        "resources": [resource],
    }
    report = frictionless.Package.from_descriptor(package, basepath=str(tmp_path)).validate()
    assert report.valid, report.flatten(["type", "message"])
    rows[list(columns())].assign(sales=-1.0).to_csv(tmp_path / "panel.csv", index=False)
    assert (
        not frictionless.Package.from_descriptor(package, basepath=str(tmp_path)).validate().valid
    )


def test_every_column_says_what_to_do_about_a_wrong_value():
    assert all(column["remedy"] for column in columns().values())
    assert attributes() == ["brand_group", "origin", "category", "closed_on", "dose", "risk"]
