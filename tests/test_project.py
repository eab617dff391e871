"""The repository keeps its promises: one set of dependencies, commands that exist, no trace of a
machine.
"""

import re
import subprocess
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
        ":!data/facts",
        ":!*.ipynb",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == ""


def test_nothing_that_a_run_writes_is_tracked():
    assert tracked("reports/20*") == []
    assert tracked("reports/scratch") == []
