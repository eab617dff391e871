"""An experiment is no release: what differs from the last commit is published only if it is
accepted.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from desk import (
    AS_OF,
    BRIEF_PARAMETERS,
    LATER,
    PARAMETERS,
    WRITE_VERDICTS,
    Desk,
    describe,
    sources_kept,
)
from reading import read_json

from runner import Exit, committed, log, run

SAYS = BRIEF_PARAMETERS + 'changed: str = ""  # what differs from the last commit\n'
READS = "print(failed, changed)"
EXPERIMENT = PARAMETERS.replace("count: int = 3", "count: int = 5")
DIFFERS = "count = 5 in notebooks/02_second.ipynb (3 at the last commit)"


def git(folder, *arguments):
    who = {
        f"GIT_{part}_{what}": "desk"
        for part in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    subprocess.run(
        ["git", *arguments], cwd=folder, env=os.environ | who, check=True, capture_output=True
    )


def commit(desk):
    git(desk.root, "add", "--force", "data", "notebooks", "reports/schedule.yml")
    git(desk.root, "commit", "--quiet", "--message", "As it is")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A project with a history whose first release is of its last commit."""
    folder = tmp_path_factory.mktemp("finished")
    desk = Desk(folder / "project", kernels=False)
    desk.furnish()
    desk.write("00_brief", READS, parameters=SAYS)
    git(desk.root, "init", "--quiet")
    commit(desk)
    with sources_kept(folder):
        assert desk.work(as_of=AS_OF) == Exit.OK
        assert desk.manifest()["uncommitted"] == []
        yield desk


def experiment(desk):
    desk.write("02_second", WRITE_VERDICTS, parameters=EXPERIMENT)


def revise(desk):
    (desk.root / "data" / "figures.csv").write_text("year,value\n2021,2\n")


def remove(desk):
    (desk.root / "data" / "figures.csv").unlink()


def declare_another(desk):
    (desk.root / "data" / "more.csv").write_text("year,value\n2022,1\n")
    desk.declare(describe("figures.csv"), describe("more.csv"))


CHANGES = [
    (experiment, [DIFFERS]),
    (revise, ["data/figures.csv"]),
    (remove, ["data/figures.csv"]),
    (declare_another, ["data/datapackage.json", "data/more.csv (not in git)"]),
]


@pytest.mark.parametrize(
    ("change", "differences"), CHANGES, ids=[change.__name__ for change, _ in CHANGES]
)
def test_what_differs_from_the_last_commit_makes_a_draft_that_names_it(
    desk, capsys, change, differences
):
    before = desk.bytes()
    change(desk)
    assert desk.work() == Exit.REFUSED
    said = capsys.readouterr().err
    for words in (
        *differences,
        "reports are in a draft",
        "git commit",
        "git restore",
        "--accept-changes",
    ):
        assert words in said
    assert desk.bytes() == before
    manifest = read_json(desk.draft / "manifest.json")
    assert (manifest["uncommitted"], manifest["failed"]) == (differences, [])
    for page in ("00_brief.ipynb", "index.html"):
        assert differences[0] in (desk.draft / page).read_text()
    (logged,) = log.logged(desk.reports)[1:]
    assert (logged.outcome, logged.draft, logged.release) == ("refused", "draft", "")


@pytest.mark.parametrize(
    ("change", "differences"), CHANGES, ids=[change.__name__ for change, _ in CHANGES]
)
def test_what_is_accepted_is_published_and_says_so_until_it_is_committed(
    desk, capsys, change, differences
):
    change(desk)
    assert desk.work(accept=True) == Exit.OK
    assert desk.published.name == LATER
    assert desk.manifest()["uncommitted"] == differences
    for page in ("00_brief.ipynb", "index.html"):
        assert differences[0] in desk.text(page)
    published = desk.bytes()
    assert desk.work() == Exit.OK  # nothing new: neither a draft nor a release
    assert desk.bytes() == published
    assert not desk.draft.exists()
    commit(desk)
    assert desk.work() == Exit.OK
    assert desk.published.name == f"{LATER}.2"
    assert desk.manifest()["made"] == ["00_brief"]
    for page in ("00_brief.ipynb", "index.html"):
        assert differences[0] not in desk.text(page)


@pytest.mark.parametrize("accept", [False, True])
def test_a_scheduled_run_accepts_only_if_it_is_told_to(desk, tmp_path, capsys, accept):
    experiment(desk)
    elsewhere = tmp_path / "elsewhere"
    for out in (None, elsewhere):  # a schedule publishes wherever its folder is
        assert desk.work(due=True, accept=accept, out=out) == (Exit.OK if accept else Exit.REFUSED)
    for folder in (desk.reports, elsewhere):
        assert (folder / LATER).exists() == accept
        assert (folder / "draft").exists() != accept


def test_an_experiment_goes_to_a_folder_of_its_own_as_before(desk, tmp_path):
    experiment(desk)
    assert desk.work(out=tmp_path / "mine") == Exit.OK
    assert (tmp_path / "mine" / LATER).exists()
    assert desk.work(out=tmp_path / "named", names=["01"], given={"count": "6"}) == Exit.OK
    assert (tmp_path / "named" / "draft").exists()


def test_a_dry_run_says_that_there_would_be_a_draft(desk, capsys):
    experiment(desk)
    before = desk.bytes()
    assert desk.work(dry=True) == Exit.OK
    assert DIFFERS in capsys.readouterr().out
    assert desk.bytes() == before
    assert not desk.draft.exists()


def test_a_copy_without_a_history_publishes_as_it_is(desk, tmp_path, capsys):
    experiment(desk)
    shutil.rmtree(desk.root / ".git")
    git(tmp_path, "init", "--quiet")  # a repository around it is another project's
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "Another project")
    assert desk.work() == Exit.OK
    assert desk.published.name == LATER
    assert desk.manifest()["uncommitted"] == []
    assert "last commit" not in "".join(capsys.readouterr())


def break_history(desk, monkeypatch):
    shutil.rmtree(desk.root / ".git")
    (desk.root / ".git").write_text("gitdir: nowhere\n")
    return "not a git repository"


def hide_git(desk, monkeypatch):
    monkeypatch.setattr(committed.shutil, "which", lambda _: None)
    return "git is not installed"


@pytest.mark.parametrize("spoil", [break_history, hide_git])
def test_a_history_that_cannot_be_read_is_said(desk, monkeypatch, capsys, spoil):
    experiment(desk)
    why = spoil(desk, monkeypatch)
    assert desk.work() == Exit.OK
    assert desk.published.name == LATER
    assert f"{run.UNKNOWN}: {why}" in capsys.readouterr().out


def comment(desk):
    desk.write(
        "02_second", WRITE_VERDICTS, parameters=PARAMETERS.replace("# free text", "# any text")
    )


def restate_date(desk):
    desk.write(
        "02_second", WRITE_VERDICTS, parameters=PARAMETERS.replace('"2026-11-01"', '"2026-11-02"')
    )


def change_mode(desk):
    (desk.root / "data" / "figures.csv").chmod(0o755)


def add_example(desk):
    (desk.root / "data" / "examples").mkdir()
    (desk.root / "data" / "examples" / "mine.csv").write_text("a\n")


def add_notes(desk):
    (desk.root / "data" / "notes.txt").write_text("not declared\n")


@pytest.mark.parametrize("change", [comment, restate_date, change_mode, add_example, add_notes])
def test_what_is_neither_a_default_nor_declared_data_is_no_experiment(desk, change):
    change(desk)
    jobs = [
        desk.root / "notebooks" / f"{name}.ipynb" for name in ("01_first", "02_second", "00_brief")
    ]
    assert committed.uncommitted(desk.root, jobs) == ([], "")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (
            PARAMETERS + "more: int = 1  # of it\n",
            "more = 1 in {} (no parameter at the last commit)",
        ),
        (
            PARAMETERS.replace('note: str = "a=b"  # free text\n', ""),
            "no note in {} ('a=b' at the last commit)",
        ),
        (PARAMETERS.replace("0.5", "1.0"), "share = 1.0 in {} (0.5 at the last commit)"),
    ],
)
def test_each_parameter_that_differs_is_named(desk, parameters, said):
    desk.write("02_second", WRITE_VERDICTS, parameters=parameters)
    name = "notebooks/02_second.ipynb"
    assert committed.uncommitted(desk.root, [desk.root / name]) == ([said.format(name)], "")


def test_a_notebook_that_git_does_not_know_is_named(desk):
    desk.write("04_fourth", WRITE_VERDICTS)
    name = "notebooks/04_fourth.ipynb"
    assert committed.uncommitted(desk.root, [desk.root / name]) == ([f"{name} (not in git)"], "")


def test_a_long_list_is_cut_and_counted():
    said = committed.sentence([f"data/{number}.csv" for number in range(6)])
    assert said.endswith("data/3.csv; and 2 more.")
    assert committed.sentence([]) == ""
    assert Path(committed.EXAMPLES).parts[0] == "data"
