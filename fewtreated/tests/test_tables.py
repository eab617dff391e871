"""A table of several models: what is in a cell, and what is said of each model."""

import sys

import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from fewtreated.estimate import Estimate, refusal

import fewtreated as ft

FIRST = np.where(np.arange(60) < 20, 4.0, np.inf)
Y = np.random.default_rng(1).lognormal(size=(60, 8)) + 2


@pytest.fixture(scope="module")
def models():
    firm, month = np.indices(Y.shape).reshape(2, -1)
    data = pd.DataFrame({"firm": firm, "month": month, "y": Y.ravel(), "closed": FIRST[firm]})
    data["owner"] = firm // 2
    names = {"outcome": "y", "unit": "firm", "time": "month", "first_treated": "closed"}
    later = {"comparison": "not_yet", "scale": "ratio", "cluster": "owner"}
    return {"plain": ft.att_gt(data, **names), "later": ft.att_gt(data, **names, **later)}


def test_a_table_has_the_estimate_and_its_error_and_what_each_model_is(models):
    table = ft.etable(models)
    for name, model in models.items():
        row = model.aggregate().rows.iloc[0]
        assert table.loc["simple", name] == f"{row['estimate']:.4g} ({row['std_error']:.4g})"
    said = {
        "unit": ["units of y", "log points"],
        "units": ["60", "60"],
        "treated": ["20", "20"],
        "clusters": ["60", "30"],
        "scale": ["level", "ratio"],
        "comparison": ["never", "not_yet"],
    }
    assert list(table.index[1:]) == list(said)
    for name, values in said.items():
        assert table.loc[name].tolist() == values


def test_models_with_other_terms_leave_cells_empty(models):
    part = models["plain"].aggregate("dynamic")[[0, "average"]]
    made = Estimate(
        estimand="", unit="u", terms=("other",), value=np.ones(1), reason="no error is known"
    )
    table = ft.etable({**models, "part": part, "made": made}, kind="dynamic")
    assert table.index[:8].tolist() == ["-4", "-3", "-2", "0", "1", "2", "3", "average"]
    assert table.loc["other"].tolist() == ["", "", "", "1 (no error)"]
    assert table.loc["-4", "part"] == table.loc["clusters", "made"] == ""
    assert table.loc["average", "part"] == table.loc["average", "plain"]
    assert ft.etable({"none": refusal("nobody was treated")}).iloc[0, 0] == ""


def test_a_table_is_latex_and_html(models):
    assert r"clusters & 60 & 30 \\" in ft.etable(models).to_latex()
    html = ft.etable(models, output="great").as_raw_html()
    assert ">not_yet</td>" in html
    assert ">comparison</th>" in html


def test_what_is_no_model_is_refused_and_a_missing_package_is_named(models, monkeypatch):
    with pytest.raises(
        DesignError, match=r"Cannot put 'y' into a table: it is of type float; pass"
    ):
        ft.etable({"y": 1.0})
    with pytest.raises(DesignError, match="Cannot make a table of 0 models"):
        ft.etable({})
    with pytest.raises(DesignError, match="Cannot use output = 'docx'; choose from frame, great"):
        ft.etable(models, output="docx")
    monkeypatch.setitem(sys.modules, "great_tables", None)
    with pytest.raises(ImportError, match=r"great-tables is not installed; .*\[tables\]"):
        ft.etable(models, output="great")
