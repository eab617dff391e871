"""The example panels: simulated, made by their script, and one panel in three shapes."""

import re
import runpy

import numpy as np
import pandas as pd
import pytest

from analysis.event import QUESTIONS, read_event
from analysis.panel import read_panel
from analysis.panel.map import attributes
from analysis.provenance import ROOT
from market import simulate
from runner import cli as front_desk

EXAMPLES = ROOT / "data" / "examples"
SHAPES = ("tidy", "wide", "accounts")
TUTORIAL = ROOT / "docs" / "bring-your-own-panel.md"


@pytest.fixture(scope="module")
def panels():
    return {
        shape: read_panel(EXAMPLES / f"{shape}.csv", map=EXAMPLES / f"{shape}.map.yml")
        for shape in SHAPES
    }


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(EXAMPLES / "make.py"))


def test_the_script_makes_the_files_that_are_there(script, tmp_path):
    script["main"](tmp_path)
    for shape in SHAPES:
        made, there = (pd.read_csv(folder / f"{shape}.csv") for folder in (tmp_path, EXAMPLES))
        pd.testing.assert_frame_equal(
            made, there, rtol=1e-6
        )  # a sum may round otherwise on another machine


def test_the_three_shapes_are_one_panel(panels):
    one = panels["tidy"]
    for other in panels.values():
        np.testing.assert_allclose(other.sales, one.sales, rtol=1e-6)
        assert (other.platforms, other.provenance) == (one.platforms, "simulated")
        assert other.months.equals(one.months)
        for name in attributes():
            if name == "dose":
                np.testing.assert_allclose(other.firms[name], one.firms[name], atol=1e-6)
            else:
                pd.testing.assert_series_equal(other.firms[name], one.firms[name])


def test_accounts_put_together_are_the_firms_that_were_simulated(panels, script):
    firms, truth = simulate("mid_3k", script["SEED"], **script["MARKET"])
    found = panels["accounts"]
    assert list(found.firms.index) == list(firms.firms.index)
    assert found.platforms == firms.platforms
    known = ~np.isnan(found.sales)
    assert (
        np.abs(found.sales - firms.sales)[known] <= 0.5 * 15
    ).all()  # each account and site is rounded to 1 sim-$
    pd.testing.assert_series_equal(
        found.firms["closed_on"], firms.firms["closed_on"].astype(found.firms["closed_on"].dtype)
    )
    np.testing.assert_allclose(found.firms["dose"], firms.firms["dose"], atol=1e-6)
    assert (found.firms["dose"] < 1).any()
    assert np.isfinite(truth.firms["opened"]).any()


def test_some_accounts_were_renamed_more_than_once_and_some_that_nobody_closed(panels):
    rows = (
        pd.read_csv(EXAMPLES / "accounts.csv", keep_default_na=False)
        .drop_duplicates("shop_id")
        .set_index("shop_id")
    )
    renamed = rows[rows["formerly"] != ""]
    assert (rows.loc[renamed["formerly"], "formerly"] != "").any()
    assert (rows.groupby("company")["shop_closed"].max()[renamed["company"]] == "").any()
    linked = panels["accounts"].dropped.set_index("rule")["count"]
    assert linked["renamed: linked to their former accounts"] == len(renamed)


def test_every_example_is_recognised_as_simulated_and_is_small(panels):
    for shape in SHAPES:
        ids = pd.read_csv(EXAMPLES / f"{shape}.csv").iloc[:, 0]
        assert ids.str.match(r"SIM-\d").all()
        assert panels[shape].unit == "sim-$"
    assert sum(path.stat().st_size for path in EXAMPLES.iterdir() if path.is_file()) < 3e6


def blocks(language):
    """Return what stands between fences of a language in the tutorial."""
    found = re.findall(
        r"^```(\w*)\n(.*?)^```$",
        TUTORIAL.read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
    return [block for name, block in found if name == language]


def test_the_tutorial_shows_the_rows_and_the_audit_as_they_are(capsys):
    shown = [line for block in blocks("") for line in block.splitlines() if line]
    rows = (EXAMPLES / "tidy.csv").read_text(encoding="utf-8").splitlines()
    given = ["--panel", str(EXAMPLES / "tidy.csv"), "--map", str(EXAMPLES / "tidy.map.yml")]
    assert front_desk.main(["check", *given, "--details"]) == 0
    audit = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert len(shown) > 10
    for line in shown:
        assert line in rows or line.split() in audit, line


def test_the_event_of_the_tutorial_is_read_and_its_questions_are_all_that_there_are(tmp_path):
    (written,) = (block for block in blocks("yaml") if block.startswith("title:"))
    (tmp_path / "my_event.yml").write_text(written, encoding="utf-8")
    event = read_event(str(tmp_path / "my_event.yml"))
    assert [*event.own] == ["B1", "B2"]
    (said,) = re.findall(
        r"There are five questions: (.*?)\.", TUTORIAL.read_text(encoding="utf-8"), re.DOTALL
    )
    assert re.findall(r"`(\w+)`", said) == [*QUESTIONS]


def test_the_tutorial_names_files_that_there_are_and_shows_the_map_as_it_is():
    text = TUTORIAL.read_text(encoding="utf-8")
    for name in set(re.findall(r"data/examples/[a-z.]+\.(?:csv|yml|py)", text)):
        assert (ROOT / name).is_file(), name
    assert (EXAMPLES / "tidy.map.yml").read_text(encoding="utf-8") in blocks("yaml")
