"""Which commit a report names: the same for the same inputs, never another repository's."""

import re
import shutil
import subprocess

import pytest

from analysis import provenance
from runner.inputs import INPUTS


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


MADE_OF = [
    "runner/pdf.py",
    "fewtreated/src/fewtreated/estimate.py",
    "notebooks/05_growth.ipynb",
    "data/events/amazon_2021/events.csv",
    "docs/glossary.md",
    "runner/templates/tables.html.j2",
    "reports/filter.lua",
    "reports/template.typ",
    "reports/figures.mplstyle",
    "reports/fonts/a.otf",
    "reports/schedule.yml",
]
OTHERS = [
    "README.md",
    "fewtreated/tests/a.py",
    "tests/test_pdf.py",
    "docs/analysis/a.md",
    "reports/old/filter.lua",
    "reports/notes.txt",
]
PATTERNS = [folder + pattern for folder, *patterns in INPUTS.values() for pattern in patterns]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A work tree with one commit."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    tree = tmp_path / "tree"
    for name in [*MADE_OF, *OTHERS]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("1")
    git(tree, "init")
    git(tree, "add", ".")
    git(tree, "commit", "-m", "one")
    return tree


def test_the_commit_is_its_whole_hash(tree):
    clean = provenance.commit(tree, PATTERNS)
    assert re.fullmatch("[0-9a-f]{40}", clean)
    git(tree, "config", "core.abbrev", "4")
    git(tree, "tag", "-a", "v1", "-m", "a tag has no part in it")
    assert provenance.commit(tree, PATTERNS) == clean == git(tree, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", MADE_OF)
def test_a_changed_input_is_a_local_change_staged_or_not(tree, name):
    clean = provenance.commit(tree, PATTERNS)
    (tree / name).write_text("2")
    assert provenance.commit(tree, PATTERNS) == f"{clean} + local changes"
    git(tree, "add", ".")
    assert provenance.commit(tree, PATTERNS) == f"{clean} + local changes"
    git(tree, "rm", "-f", name)
    assert provenance.commit(tree, PATTERNS) == f"{clean} + local changes"


@pytest.mark.parametrize("name", [*OTHERS, "reports/2026-11-25/05_growth.pdf"])
def test_a_change_of_what_makes_no_report_is_none(tree, name):
    clean = provenance.commit(tree, PATTERNS)
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("2")
    assert provenance.commit(tree, PATTERNS) == clean


def test_a_copy_inside_another_repository_has_no_commit(tree):
    copy = tree / "vendor" / "copy"
    shutil.copytree(tree / "runner", copy / "runner")
    git(tree, "add", ".")
    git(tree, "commit", "-m", "vendored")
    assert provenance.commit(copy) is None
    assert provenance.commit(tree, PATTERNS) is not None


def test_a_work_tree_is_known_through_a_link(tree, tmp_path):
    (tmp_path / "link").symlink_to(tree)
    assert provenance.commit(tmp_path / "link") == provenance.commit(tree, PATTERNS)


def test_there_is_no_commit_outside_git_before_a_first_one_and_without_git(
    tree, tmp_path, monkeypatch
):
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    assert provenance.commit(fresh) is None
    git(fresh, "init")
    assert provenance.commit(fresh) is None
    monkeypatch.setenv("PATH", "")
    assert provenance.commit(tree, PATTERNS) is None


def test_by_default_every_tracked_file_counts(tree):
    clean = provenance.commit(tree)
    (tree / "tests" / "test_pdf.py").write_text("2")
    assert provenance.commit(tree) == f"{clean} + local changes"


def test_every_input_that_is_named_exists():
    assert [pattern for pattern in PATTERNS if not list(provenance.ROOT.glob(pattern))] == []
