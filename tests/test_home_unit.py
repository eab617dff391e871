"""A home platform in another unit than the others is refused, and a clean panel never is."""

import re
from dataclasses import replace

import numpy as np
import pytest
from fewtreated.errors import DataError
from panels import changed, random_panel

from analysis.panel import checks, read_panel
from analysis.provenance import ROOT
from market import audit, simulate
from runner.cli import main

PRESETS = [
    "null",
    "mid_3k",
    "ceiling_50k",
    "few_treated",
    "stress",
    "plain_sd1_9",
    "plain_sd2_30",
    "heavy_9",
]
EXAMPLES = ["tidy", "wide", "accounts"]


def at_home(panel, factor, platform=0):
    def scale(sales):
        sales[:, platform] *= factor

    return changed(panel, scale)


def refusal(panel):
    with pytest.raises(DataError) as refused:
        checks.refuse_units(panel, "panel.csv")
    return str(refused.value)


@pytest.fixture(scope="module")
def clean():
    return simulate("mid_3k", 1)[0]


@pytest.mark.parametrize("preset", PRESETS)
def test_a_home_platform_in_thousands_is_refused_and_a_clean_one_is_not(preset):
    panel, _ = audit.simulated(preset, 3)
    assert checks.beside_home(panel).least < 0.5
    checks.refuse_units(panel, "panel.csv")
    assert "convert the sales on AMZ" in refusal(at_home(panel, 1e-3))


@pytest.mark.slow
@pytest.mark.parametrize("preset", audit.PRESETS)
def test_no_clean_panel_is_refused(preset):
    for seed in range(1, 11):
        panel, _ = audit.simulated(preset, seed)
        assert checks.beside_home(panel).least < 0.5
        assert "in the unit of the others" in refusal(at_home(panel, 1e-3))


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_example_is_refused_or_doubted(name):
    folder = ROOT / "data" / "examples"
    panel = read_panel(folder / f"{name}.csv", map=folder / f"{name}.map.yml")
    assert not any("are small beside" in warning for warning in panel.data_warnings)


def test_a_file_whose_home_platform_is_in_thousands_is_refused_with_what_was_found(
    tmp_path, clean, capsys
):
    at_home(clean, 1e-3).to_parquet(tmp_path / "panel.parquet")
    assert main(["check", "--panel", str(tmp_path / "panel.parquet")]) == 2
    told = capsys.readouterr().err
    before = slice(0, 28)
    other = clean.platforms.index("EBY")
    ratio = 1000 * clean.sales[:, other, before].sum() / clean.sales[:, 0, before].sum()
    assert float(
        re.search(r"found ([\d.]+) times as many on EBY as on AMZ in the 28 months", told)[1]
    ) == pytest.approx(ratio, abs=0.01)
    assert "if both are right, leave out the rows of EBY" in told


@pytest.mark.parametrize(
    ("factor", "refused", "doubted"), [(1, 0, 0), (1 / 6.5, 0, 1), (1 / 110, 1, 1), (6.5, 0, 0)]
)
def test_what_is_refused_and_what_is_only_doubted(tmp_path, clean, factor, refused, doubted):
    at_home(clean, factor).to_parquet(tmp_path / "panel.parquet")
    if refused:
        with pytest.raises(DataError, match="in the unit of the others"):
            read_panel(tmp_path / "panel.parquet")
        return
    warnings = read_panel(tmp_path / "panel.parquet").data_warnings
    assert any("check that both are in one unit" in warning for warning in warnings) == bool(
        doubted
    )


def test_sellers_of_another_platform_do_not_make_the_home_platform_small():
    panel = random_panel(np.random.default_rng(5), n=40)
    apart = changed(panel, _apart)
    assert checks.beside_home(apart) is None
    checks.refuse_units(apart, "panel.csv")


def _apart(sales):
    """Let half of the firms sell at home, and the others elsewhere, a thousand times as much."""
    sales[:20, 1:] = 0
    sales[20:, 0] = 0
    sales[20:, 1:] *= 1000


def test_one_wrong_cell_is_no_unit(clean):
    both = np.flatnonzero((clean.sales[:, 0, 0] > 0) & (clean.sales[:, 1, 0] > 0))[0]

    def spoil(sales):
        sales[both, 1, 0] = 1e15

    checks.refuse_units(changed(clean, spoil), "panel.csv")


def test_unknown_cells_are_not_compared(clean):
    def hide(sales):
        sales[:, 0, :27] = np.nan

    hidden = changed(clean, hide)
    assert checks.beside_home(hidden).months == 1
    checks.refuse_units(hidden, "panel.csv")


def test_a_panel_of_one_platform_has_nothing_beside_it(clean):
    alone = replace(clean, sales=clean.sales[:, :1].copy(), platforms=clean.platforms[:1])
    assert checks.beside_home(alone) is None
