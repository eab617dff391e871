"""The command of the image, as a container starts it: by a user without an account or a home.

The project is root's, as in the image, and the user may write to the folder of releases alone.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from desk import write_notebook
from reading import project_text, read_json

from analysis.provenance import ROOT

USER = 1000
NAME = "05_paths"
SAID = "neither /srv/panel.csv nor 3/4 of https://example.org/a/b is there, says ~root"
SCHEDULE = f"""\
reports:
  - {{name: {NAME}, notebook: {NAME}.ipynb, owner: growth@example.org}}
notices:
  - {{command: [tee, OUT/told.json], on: always}}
"""
STEPS = dict(re.findall(r"^([A-Z]+) (.+)", project_text("Dockerfile"), re.MULTILINE))

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root can start a command as another user, by setpriv",
)


def as_user(command, folder, **environment):
    """Run a command as the user.

    He may read what root has hidden, since the Python of a developer may be in a home folder; in
    an image, everybody can read it.
    """
    reads = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *reads]
    return subprocess.run(
        [*user, *command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def scratch():
    """Return a folder that everybody may look into, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def project(scratch):
    """Return a copy of the project with one report, which fails."""
    folder = scratch / "project"
    listed = ["git", "-C", str(ROOT), "ls-files", "--", ".", ":!notebooks", ":!tests"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "notebooks").mkdir()
    write_notebook(folder / "notebooks" / f"{NAME}.ipynb", f"raise OSError({SAID!r})")
    schedule = SCHEDULE.replace("OUT", str(scratch / "out"))
    (folder / "reports" / "schedule.yml").write_text(schedule, encoding="utf-8")
    (folder / ".venv").symlink_to(sys.prefix)
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "All"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def settings(project):
    """Return the system's settings of git, written by the command of the Dockerfile."""
    file = project.parent / "gitconfig"
    (command,) = re.findall(r"git config --system .+?(?= \\)", project_text("Dockerfile"))
    subprocess.run(
        shlex.split(command.replace(STEPS["WORKDIR"], str(project))),
        env=os.environ | {"GIT_CONFIG_SYSTEM": str(file)},
        check=True,
    )
    return {"GIT_CONFIG_SYSTEM": str(file)}


@pytest.fixture
def out(scratch):
    """Return a new folder of releases, which is the user's."""
    folder = scratch / "out"
    folder.mkdir()
    os.chown(folder, USER, USER)
    yield folder
    shutil.rmtree(folder)


def test_git_would_refuse_the_history_without_the_settings_of_the_image(project):
    asked = as_user(["git", "rev-parse", "HEAD"], project, GIT_CONFIG_SYSTEM=os.devnull)
    assert "dubious ownership" in asked.stderr


@pytest.mark.parametrize("home", [{}, {"HOME": "/"}], ids=["none", "root"])
def test_a_run_tells_paths_owners_and_the_commit_as_anywhere(project, settings, out, home):
    words = [*json.loads(STEPS["ENTRYPOINT"]), *json.loads(STEPS["CMD"]), "--json"]
    ended = as_user([word.replace("/out", str(out)) for word in words], project, **settings, **home)
    assert ended.returncode == 3, ended.stderr
    assert "dubious" not in ended.stderr + ended.stdout
    shown = json.loads(ended.stdout)
    logged = json.loads((out / "outcomes.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    for told in (shown, read_json(out / "told.json"), logged):
        (failure,) = told["failures"]
        assert failure["about"] == NAME
        # the log, which is published, names no folder of the machine
        assert (SAID.replace("/srv/", "") if told is logged else SAID) in failure["said"]
        assert [*told["reports"]] == [NAME]
        assert told["notes"] == []
    assert shown["owners"] == ["growth@example.org"]
    assert shown["notices"] == []
    notebook = (out / "draft" / "failed" / f"{NAME}.ipynb").read_text(encoding="utf-8")
    assert SAID in notebook
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=project, capture_output=True, text=True, check=True
    )
    assert read_json(out / "draft" / "manifest.json")["commit"] == head.stdout.strip()
