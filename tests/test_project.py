"""The repository keeps its promises: one set of dependencies, commands that exist, no trace of a
machine.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from reading import project_text
from ruamel.yaml import YAML

from analysis.provenance import ROOT

PROJECT = tomllib.loads(project_text("pyproject.toml"))["project"]
REQUIRED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
REQUIRED = [
    requirement for requirement in REQUIRED if not requirement.startswith("fewtreated")
]  # of this repository


def name(requirement):
    return re.split(r"[<>=;\s]", requirement, maxsplit=1)[0].lower().replace(".", "-")


def tracked(*patterns):
    command = ["git", "-C", str(ROOT), "ls-files", *patterns]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_environment_yml_and_pyproject_name_the_same_ranges():
    listed = YAML(typ="safe").load(ROOT / "environment.yml")["dependencies"]
    pip = next(entry["pip"] for entry in listed if isinstance(entry, dict))
    conda = [entry for entry in listed if isinstance(entry, str) and entry != "pip"]
    assert f"python{PROJECT['requires-python']}" in conda
    assert sorted([entry for entry in conda if not entry.startswith("python>")] + pip) == sorted(
        REQUIRED
    )


def test_the_lock_pins_every_direct_dependency_with_hashes():
    lock = project_text("requirements.txt")
    pinned = {name(line) for line in lock.splitlines() if re.match(r"[\w.-]+==", line)}
    assert {name(requirement) for requirement in REQUIRED} <= pinned
    entries = re.split(r"\n(?=[\w.-]+==)", lock)
    assert all("--hash=sha256:" in entry for entry in entries if re.match(r"[\w.-]+==", entry))


def test_every_make_target_of_the_readme_exists():
    makefile = project_text("Makefile")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)\b", project_text("README.md")))
    assert {"report", "test"} <= named <= targets


def test_every_file_that_the_readme_links_to_exists():
    readme = project_text("README.md")
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", readme) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("trace", ["/root/", "/home/", "/tmp/", "../shared"])
def test_no_tracked_text_names_a_path_of_one_machine(trace):
    command = [
        "git",
        "-C",
        str(ROOT),
        "grep",
        "-lIF",
        trace,
        "--",
        ".",
        ":!tests",
        ":!data/events",
        ":!*.ipynb",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == ""


def test_nothing_that_a_run_writes_is_tracked():
    assert tracked("reports/20*") == []
    assert tracked("reports/scratch") == []


# What a copy of the project needs to be installed
PARTS = ["pyproject.toml", "README.md", "LICENSE", "deploy", "analysis", "market", "runner"]


@pytest.fixture
def clone(tmp_path):
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, tmp_path)
    return tmp_path


def test_pip_refuses_a_wheel_of_the_project_in_one_sentence_and_without_a_traceback(clone):
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        "built",
        ".",
    ]
    done = subprocess.run(pip, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert (
        "not a package but a repository that one clones: run `make report` in the clone"
        in done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (clone / "built").exists()


@pytest.mark.parametrize(
    ("hook", "refused"), [("build_editable", False), ("build_wheel", True), ("build_sdist", True)]
)
def test_the_build_backend_makes_editable_installs_alone(clone, hook, refused):
    call = f"import clone_only; clone_only.{hook}('built')"
    where = os.environ | {"PYTHONPATH": str(clone / "deploy")}
    command = [sys.executable, "-c", call]
    done = subprocess.run(
        command, cwd=clone, env=where, capture_output=True, text=True, check=False
    )
    assert ("repository that one clones" in done.stderr) == refused
    assert len([*clone.glob("built/*")]) == (not refused)


def test_pre_commit_runs_the_commands_of_make_check_on_files_that_exist():
    recipe = re.search(
        r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )[1]
    checks = [line.split(" notebooks/")[0].split(" > ")[0] for line in recipe.splitlines()]
    (local,) = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [hook["entry"].replace(".venv/bin", "\t@$(BIN)") for hook in local["hooks"]] == checks
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    for hook in local["hooks"]:
        assert any(re.search(hook["files"], file) for file in tracked())


def test_the_configuration_of_pre_commit_is_valid():
    pre_commit = os.path.join(os.path.dirname(sys.executable), "pre-commit")
    subprocess.run([pre_commit, "validate-config", ".pre-commit-config.yaml"], cwd=ROOT, check=True)


def test_every_file_of_make_quick_is_there():
    command = ["make", "-n", "quick"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    files = re.findall(r"\S+/test_\w+\.py", printed.stdout)
    assert len(files) > 20
    assert [file for file in files if not (ROOT / file).exists()] == []
