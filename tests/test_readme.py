"""What the README shows in Python runs as a reader would run it, on a narrow terminal, and says the
truth.
"""

import os
import re
import subprocess
import sys

import pytest
from reading import project_text
from record import ANSWER, spoken

from analysis.provenance import ROOT
from benchmarks import solve
from market import simulate

README = project_text("README.md")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
SIMULATED = next(block for block in BLOCKS if "simulate(" in block)
ASKED = ["E1a", "E2a", "E3_seen", *(f"d{number}" for number in range(1, 8))]


BULLETS = dict(
    re.findall(
        r"^- \*\*(.+?)\.\*\* (.+)$", README.split("## The answer so far")[1].split("\n## ")[0], re.M
    )
)


def test_every_bullet_of_the_answer_is_made_from_verdicts():
    assert set(BULLETS) == set(ANSWER)


def test_the_page_is_short_and_its_answer_shorter():
    assert len(README.split()) <= 1400
    assert len(" ".join(BULLETS.values()).split()) <= 150
    assert README.index("$ make report") < 100


@pytest.fixture(scope="module")
def verdicts():
    return spoken()


@pytest.mark.parametrize("bullet", ANSWER)
def test_each_sentence_of_the_answer_is_that_of_its_verdicts(bullet, verdicts):
    assert BULLETS[bullet] == ANSWER[bullet](verdicts)


@pytest.mark.parametrize(
    ("bullet", "name", "field"),
    [
        ("Counts", "C03", "claimed"),
        ("Counts", "C06", "claimed"),
    ],
)
def test_another_figure_makes_another_sentence(bullet, name, field, verdicts):
    changed = verdicts[name].model_copy(update={field: getattr(verdicts[name], field) + 1})
    assert ANSWER[bullet](verdicts | {name: changed}) != BULLETS[bullet]


def printed(block):
    """Return what a fresh interpreter prints in a terminal of 80 columns."""
    run = subprocess.run(
        [sys.executable, "-"],
        input=block,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "80"},
    )
    assert run.stderr == ""
    return run.stdout


def test_ten_lines_print_each_estimate_beside_its_truth_in_eighty_columns():
    assert len([line for line in SIMULATED.splitlines() if line.strip()]) <= 10
    lines = printed(SIMULATED).splitlines()
    assert max(map(len, lines)) <= 80
    assert "..." not in "".join(lines)
    assert lines[0].split() == ["truth", "estimate", "conf_low", "conf_high", "unit"]
    rows = {line.split()[0]: [float(word) for word in line.split()[1:5]] for line in lines[2:]}
    assert list(rows) == ASKED
    _, truth = simulate("mid_3k", seed=1)
    known = truth.scalars()
    for name, (true, estimate, low, high) in rows.items():
        assert true == round(known[name], 2)
        assert low <= estimate <= high
    assert sum(rows[f"d{number}"][0] for number in range(1, 8)) == pytest.approx(100, abs=0.05)


def test_the_moments_that_miss_their_targets_are_named_on_screen_and_in_the_readme(capsys):
    report = solve.held_against_targets()
    solve.show(report)
    missed = report[~report["passed"]].set_index("moment")
    screen = capsys.readouterr().out.split(
        f"{len(missed)} of {len(report)} moments miss their target", 1
    )[1]
    assert [line.split(":")[0].strip() for line in screen.splitlines()[1:]] == list(missed.index)
    assert f"prints {len(report)} simulated moments" in README
    assert f"names the {len(missed)} that miss" in README
    told = {
        "cheaters' share of sales, cheating third": "Cheaters hold",
        "top 10,000 there two years before": "10,000 largest sellers",
        "AMZ growth 2020 to 2021": "Amazon grows by",
    }
    assert set(told) == set(missed.index)
    for moment, words in told.items():
        found, target = (
            f"{100 * missed.loc[moment, name]:.0f}" for name in ("simulated", "target")
        )
        assert re.search(rf"{words} {found} per cent .*?\(target {target}:", README)
