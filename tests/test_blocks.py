"""What README.md and docs/ show runs: each command and each block of Python, in a copy of the
project.
"""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import blocks
import pandas as pd
import pytest
from blocks import NOT_RUN, PAGES, SLOW, steps
from matplotlib import pyplot as plt

from analysis.exhibits.blocks import figure
from analysis.provenance import ROOT

EVERY = [step for page in PAGES for step in steps(page)]
QUICK = [page for page in PAGES if any(step.among(NOT_RUN) is None for step in steps(page))]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return blocks.copied(tmp_path_factory.mktemp("reader"))


def clear(folder: Path, source: str) -> None:
    """Remove the file that a command writes anew: pages show several ways to the same one."""
    for name in re.findall(r"--out (\S+\.parquet)", source):
        (folder / name).unlink(missing_ok=True)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("page", PAGES)
def test_a_block_is_in_a_language_that_is_run_or_that_nobody_runs(page):
    known = {*blocks.TYPED, *blocks.SHOWN, "python"}
    assert {name for name in blocks.languages(page) if not name.startswith(blocks.BUILT)} <= known


@pytest.mark.parametrize("listed", [NOT_RUN, SLOW], ids=["not run", "slow"])
def test_what_is_listed_is_still_shown(listed):
    assert {*listed} - {key for step in EVERY for key in step.keys} == set()


def test_what_is_not_run_says_why_and_names_a_test_that_exists():
    assert all(NOT_RUN.values())
    named = {file for why in NOT_RUN.values() for file in re.findall(r"test_\w+\.py", why)}
    assert [file for file in sorted(named) if not (ROOT / "tests" / file).is_file()] == []


def test_the_copy_runs_its_own_code_and_has_a_history(project):
    command = [
        f"{project}/.venv/bin/python",
        "-c",
        "import analysis, runner; print(analysis.__file__, runner.__file__)",
    ]
    done = subprocess.run(
        command,
        cwd=project,
        env=blocks.environment(project),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [Path(file).parent.parent for file in done.stdout.split()] == [project, project]
    status = subprocess.run(
        ["git", "status", "--porcelain", "-uno"], cwd=project, capture_output=True, check=True
    )
    assert status.stdout == b""


@pytest.mark.parametrize(
    "page",
    [page if page == "README.md" else pytest.param(page, marks=pytest.mark.slow) for page in QUICK],
)
def test_what_a_page_shows_runs(project, page):
    for step in steps(page):
        if step.among(NOT_RUN) is None:
            if (instead := step.among(SLOW)) is None:
                source = step.source
            else:
                source = instead
            clear(project, source)
            replace(step, source=source).run(project)


@pytest.mark.slow
def test_what_takes_minutes_runs_too_and_then_what_needs_a_release(tmp_path):
    project = blocks.copied(tmp_path)
    for step in steps("README.md"):
        if step.among(NOT_RUN) is None:
            step.run(project)
    releases = sorted(path.name for path in (project / "reports").glob("20*"))
    assert len(releases) == 2  # of the data as they were, and as they were revised and committed
    for step in [
        *steps("docs/estimates.md"),
        *steps("docs/night-shift.md"),
        *steps("docs/bring-your-own-panel.md"),
    ]:
        if step.among(NOT_RUN) is None and step.among(SLOW) is not None:
            source = step.source.replace("reports/2026-11-25", f"reports/{releases[0]}")
            replace(step, source=source).run(project)
    manifest = json.loads((project / "reports" / "latest" / "manifest.json").read_bytes())
    assert manifest["uncommitted"] == []


def test_the_data_of_an_exhibit_are_where_the_page_says():
    (said,) = re.findall(
        r"`shown\.(\S+)`", (ROOT / "docs" / "estimates.md").read_text(encoding="utf-8")
    )
    rows = pd.DataFrame({"year": [2020, 2021], "estimate": [1.0, 2.0]})
    drawing = plt.figure()
    drawing.data = rows
    shown = figure(
        drawing,
        "What was sold.",
        title="Sales rose",
        source="made up",
        alt="Two years.",
        provenance="real",
    )
    plt.close(drawing)
    pd.testing.assert_frame_equal(eval(f"shown.{said}", {"shown": shown}), rows)
