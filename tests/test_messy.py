"""A vendor's export, from the map that is proposed for it to its known effects, without a line of
code.
"""

import messy
import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DataError

from analysis.estimands.catalogue import estimate_all
from analysis.estimands.design import Design
from analysis.panel import read_panel
from analysis.panel.map import Map
from analysis.panel.propose import propose
from analysis.yaml import load
from runner import cli as front_desk

SEED = 1


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An export of the seed: its file, the panel that it was made of, and its known effects."""
    folder = tmp_path_factory.mktemp("messy")
    panel, known = messy.write(folder, SEED)
    return folder / "export.csv", panel, known


@pytest.fixture(scope="module")
def panel(exported):
    return read_panel(exported[0], map=messy.MAP)


def test_the_proposed_map_says_all_but_four_lines_of_the_one_that_is_used(exported, tmp_path):
    text = propose(exported[0])
    said = [line for line in text.splitlines() if not line.startswith("#")]
    used = [
        line
        for line in messy.MAP.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert len(said) == len(used)
    edited = [(old, new) for old, new in zip(said, used, strict=True) if old != new]
    assert [new.strip().partition(":")[0] for _, new in edited] == [
        "EUR",
        "CNY",
        "absent",
        "population",
    ]
    assert all("# EDITED" in new and '"?"' in old for old, new in edited)
    path = tmp_path / "proposed.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        DataError, match=r"4 open questions: rates.EUR, rates.CNY, absent, population"
    ):
        load(path, Map)
    answers = {new.strip().partition(": ")[::2] for _, new in edited}
    path.write_text(messy.finished(text, dict(answers)), encoding="utf-8")
    assert load(path, Map) == load(messy.MAP, Map)


def test_the_export_is_read_as_the_panel_that_it_was_made_of(exported, panel):
    _, made, _ = exported
    assert panel.platforms == made.platforms
    assert panel.months.equals(made.months)
    firms = made.firms.drop(columns="risk").astype({"closed_on": panel.firms["closed_on"].dtype})
    pd.testing.assert_frame_equal(panel.firms.drop(columns="risk"), firms, check_dtype=False)
    np.testing.assert_allclose(
        panel.sales, made.sales, rtol=0, atol=0.01 * 12
    )  # a cent in each of its rows
    assert panel.population == "not representative"


def test_check_tells_what_the_export_holds(exported, capsys):
    assert front_desk.main(["check", "--panel", str(exported[0]), "--map", str(messy.MAP)]) == 0
    said = capsys.readouterr().out
    made = exported[1]
    assert f"{len(made.firms)} firms" in said
    assert f"in its waves: {made.count_closed(cut=Design.cut)}" in said


def test_known_effects_lie_in_the_intervals(exported, panel):
    rows = estimate_all(panel, Design()).rows.set_index("id")
    known = pd.Series(exported[2])
    rows = rows.loc[[name for name in known.index if name != "E3g"]]  # which needs two years before
    assert (rows["conf_low"] <= known[rows.index]).all()
    assert (known[rows.index] <= rows["conf_high"]).all()
    assert rows.loc["E1b", "conf_high"] < 0 < known["d3"] < rows.loc["d3", "conf_high"]
