"""Every benchmark runs, at a size that takes a moment; what it finds at this size is not judged."""

import shutil
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from reading import read_json

from analysis import data
from benchmarks import coverage, estimators, overhead, panel
from market import audit

REPORT = "03_shift"  # one that is quick


@pytest.mark.filterwarnings("ignore")  # the other libraries' own
@pytest.mark.parametrize(
    ("compared", "rows"),
    [
        (lambda: estimators.group_time(300, 1), 4),
        (lambda: estimators.poisson(300), 1),
        (lambda: estimators.synthetic(100, 1), 1),
        (lambda: estimators.largest(2_000, 1), 2),
    ],
    ids=["group_time", "poisson", "synthetic", "largest"],
)
def test_an_estimator_gives_what_another_library_gives_and_is_timed(compared, rows):
    found = compared()
    assert len(found) == rows
    assert all(row.ours > 0 and row.ratio > 0 for row in found)


def test_results_that_differ_end_the_comparison():
    with pytest.raises(SystemExit, match=r"effects: the results differ by 0\.5, more than 0\.1"):
        estimators.same("effects", [1.0, 2.0], [1.0, 2.5], 0.1)


def test_a_line_says_whether_what_was_wanted_is_met():
    rows = [estimators.Row("a work", 1.0, 6.0, 6.0, wanted) for wanted in (5, 8, 13)]
    rows += [
        estimators.Row("a work", 6.0, 1.0, 6.0, wanted, at_most=True) for wanted in (7, 5, 3.9)
    ]
    assert [str(row).split("  ")[-1] for row in rows] == ["met", "MISSED", "MISSED BY HALF"] * 2


def test_a_target_missed_by_half_is_an_error(monkeypatch, capsys):
    met, far = (
        estimators.Row(work, 1.0, 6.0, 6.0, wanted) for work, wanted in (("near", 8), ("far", 13))
    )
    for name in ("largest", "group_time", "on_top", "poisson", "synthetic", "everything"):
        monkeypatch.setattr(
            estimators, name, lambda *_, name=name: [far if name == "poisson" else met]
        )
    monkeypatch.setattr(sys, "argv", ["estimators.py"])
    with pytest.raises(SystemExit, match=r"^missed by half: far$"):
        estimators.main()
    assert capsys.readouterr().out.count("MISSED BY HALF") == 1


@pytest.mark.slow
def test_a_panel_is_read_in_either_order(monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["panel.py", "--firms", "300"])
    panel.main()
    lines = capfd.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["by_firm", "by_month"]
    assert all("times the array" in line for line in lines)


@pytest.mark.slow
def test_the_audit_of_a_few_markets_makes_its_page(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(coverage, "JUDGES", {"market": ("few_treated",), "plain": ("plain_sd1_9",)})
    monkeypatch.setattr(coverage, "PAGE", tmp_path / "coverage.md")
    written = []
    monkeypatch.setattr(
        coverage.audit, "write", lambda table: written.append(table) or ["few_treated E1a: new"]
    )
    monkeypatch.setattr(coverage, "shipped", lambda: written[0])
    monkeypatch.setattr(
        sys, "argv", ["coverage.py", "--market", "2", "--plain", "3", "--workers", "1"]
    )
    coverage.main()
    page = coverage.PAGE.read_text(encoding="utf-8")
    assert capsys.readouterr().out == "data/audit.csv: 1 row moved:\n  few_treated E1a: new\n"
    assert "seeds 1 to 2 of each market preset, seeds 1 to 3 of each plain preset" in page
    assert "| few_treated | E1a | 2 |" in page
    assert "| plain_sd1_9 | E1a | 3 |" in page


@pytest.fixture
def small_audit(monkeypatch, tmp_path):
    """Store an audit of two panels of a preset in place of the shipped one; return its file."""
    root = Path(shutil.copytree(data.DATA, tmp_path / "data"))
    preset = "plain_sd1_9"
    stored = pd.DataFrame({"preset": ["plain_sd1_9"], "first_seed": [1], "last_seed": [2]})
    audit.write(coverage.again([preset], stored, workers=1), root=root)
    monkeypatch.setattr(coverage, "shipped", partial(data.load, "audit", root=root))
    monkeypatch.setattr(coverage.audit, "compare", partial(audit.compare, root=root))
    monkeypatch.setattr(coverage, "CHECKED", (preset,))
    monkeypatch.setattr(sys, "argv", ["coverage.py", "--check", "--workers", "1"])
    return root / "audit.csv"


def test_a_check_passes_where_the_audit_is_as_it_was_and_writes_nothing(small_audit, capsys):
    before = small_audit.read_bytes()
    with pytest.raises(SystemExit) as ended:
        coverage.main()
    assert not ended.value.code
    assert capsys.readouterr().out == "data/audit.csv, plain_sd1_9: as it was.\n"
    assert small_audit.read_bytes() == before


def test_a_check_names_the_rows_that_moved_and_fails(small_audit, capsys):
    text = small_audit.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("plain_sd1_9,E1a,"))
    small_audit.write_text(
        text.replace(row, row.replace(",0.95,1,2,", ",0.9,1,2,")), encoding="utf-8"
    )
    data.accept("audit", vintage="2020-01-01", root=small_audit.parent)
    before = small_audit.read_bytes()
    with pytest.raises(SystemExit) as ended:
        coverage.main()
    assert ended.value.code == 1
    assert capsys.readouterr().out.splitlines()[1:] == ["  plain_sd1_9 E1a: level 0.95 (was 0.9)"]
    assert small_audit.read_bytes() == before


def test_a_preset_that_the_audit_lacks_cannot_be_checked(small_audit, monkeypatch):
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--presets", "mid_3k"])
    with pytest.raises(
        SystemExit,
        match=r"^Cannot check mid_3k: data/audit\.csv has no such preset; run `make audit`\.",
    ):
        coverage.main()


@pytest.mark.slow
def test_both_ways_make_a_report_as_of_the_same_day(tmp_path):
    plain = tmp_path / "plain"
    ours = tmp_path / "ours"
    plain.mkdir()
    for way, out in ((overhead.plain, plain), (overhead.ours, ours)):
        assert overhead.seconds(lambda out, way=way: way(out, [REPORT]), out) > 0
        # one report, where no release stands
        if way is overhead.plain:
            where = out
        else:
            where = out / "draft"
        assert (where / f"{REPORT}.pdf").read_bytes().startswith(b"%PDF")
        cells = read_json(where / f"{REPORT}.ipynb")["cells"]
        injected = [
            "".join(cell["source"])
            for cell in cells
            if "injected-parameters" in cell["metadata"].get("tags", [])
        ]
        assert f'as_of = "{overhead.AS_OF}"' in injected[0]
