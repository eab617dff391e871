"""Folders of the machine are left out of what is published, and nothing else is."""

import json
import pwd
from pathlib import Path

import pytest
from desk import Desk

from runner import Outcome, Said, publish, scheduled
from runner.schedule import Job

ROOT = Path("/work/project")
ME = "/home/me"
UNTOUCHED = [
    "either/or, 3/4, https://example.org/a/b, reports/2026-11-25/05.pdf",
    "/mnt/home/me/panel.csv",
    "/home/mean/panel.csv",
    "/home/me-too/panel.csv",
    "/home/me.old/panel.csv",
    "/home/me(1)/panel.csv",
    "/home/me@work/panel.csv",
    "/work/project-reports/2026-11-25/05.pdf",
    "/work/project.reports/2026-11-25/05.pdf",
    "/work/projects/2026-11-25/05.pdf",
    "/net/work/project/05.pdf",
    "../home/me",
]
CHANGED = [
    ("/home/me/panel.csv", "~/panel.csv"),
    ("/home/me", "~"),
    ("in /home/me.", "in ~."),
    ("'/home/me', \"/home/me\"", "'~', \"~\""),
    ("--out=/home/me/x:/home/me/y", "--out=~/x:~/y"),
    ("a line\n/home/me/x\tand\t/home/me/y", "a line\n~/x\tand\t~/y"),
    ("\x1b[0;32m/home/me/x\x1b[0m", "\x1b[0;32m~/x\x1b[0m"),
    (repr("a line\n/home/me/x"), repr("a line\n~/x")),
    ("file:///home/me/x", "file://~/x"),
    ("/work/project/reports/05.pdf", "reports/05.pdf"),
    ("in /work/project: x", "in .: x"),
]


def told(text, root=ROOT):
    outcome = Outcome(
        outcome="failed", failures=[Said(said=text)], notes=[Said(about="05", said=text)]
    )
    clean = scheduled.outcome_without_paths(outcome, root)
    assert clean.failures[0].said == clean.notes[0].said
    return clean.failures[0].said


@pytest.mark.parametrize("text", UNTOUCHED)
def test_only_whole_parts_of_a_path_are_replaced(monkeypatch, text):
    monkeypatch.setenv("HOME", ME)
    assert told(text) == text


@pytest.mark.parametrize(("text", "clean"), CHANGED)
def test_the_home_folder_and_the_project_are_replaced(monkeypatch, text, clean):
    monkeypatch.setenv("HOME", ME)
    assert told(text) == clean


@pytest.mark.parametrize("home", ["/", "//", "", "relative", "."])
@pytest.mark.parametrize("text", [*UNTOUCHED, "/home/me/panel.csv", "relative", "a.b"])
def test_a_home_folder_that_is_none_replaces_nothing(monkeypatch, home, text):
    monkeypatch.setenv("HOME", home)
    assert told(text) == text


def unknown(_):
    raise KeyError("uid not found")


def test_a_user_without_home_is_told_what_others_are(monkeypatch):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert told("/work/project/reports/05.pdf, /home/me") == "reports/05.pdf, /home/me"


def test_the_shorter_path_is_replaced_where_the_longer_one_only_begins():
    names = {"/home/me": "~", "/home/me/panel": "panel"}
    assert publish.replaced("/home/me/panel, /home/me/panels", names) == "panel, ~/panels"


def test_paths_with_other_letters_are_replaced_as_they_are_and_as_code_has_them():
    names = {"/home/zoë": "~"}
    text = json.dumps(["/home/zoë/a", ascii("/home/zoë/a"), "/home/zoët"], ensure_ascii=False)
    assert json.loads(publish.replaced(text, names)) == ["~/a", "'~/a'", "/home/zoët"]


@pytest.mark.parametrize("home", ["/", None])
def test_a_failed_notebook_keeps_its_slashes(tmp_path, monkeypatch, home):
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    if home:
        monkeypatch.setenv("HOME", home)
    file = tmp_path / "05.ipynb"
    file.write_text(text := json.dumps({"cells": ["3/4 of https://example.org/a"]}))
    publish.remove_local_paths(file, Job("05_growth", tmp_path / "05_growth.ipynb", {}))
    assert file.read_text() == text


def test_a_run_without_a_home_names_its_reports_as_any_other(tmp_path, monkeypatch, capsys):
    desk = Desk(tmp_path / "project", kernels=False)
    desk.furnish()
    desk.write("01_first", "1 / 0")
    monkeypatch.setenv("HOME", "/")
    monkeypatch.chdir(tmp_path)
    with desk.executing():
        assert (
            scheduled.work(
                desk.root,
                scheduled.Request("2026-11-25", out=tmp_path / "project-out"),
                as_json=True,
            )
            == 3
        )
    shown = json.loads(capsys.readouterr().out)
    assert "~" not in json.dumps(shown)
    assert {each["about"] for each in shown["failures"]} <= {*shown["reports"]}
