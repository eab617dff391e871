"""The wheel, installed alone into an empty environment, runs the example of README.md there."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import readme
from matplotlib import pyplot as plt

import fewtreated as ft

FOLDER = Path(__file__).resolve().parent.parent
UV = Path(sys.executable).with_name("uv")


def text(name):
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_example_prints_what_the_readme_says_and_draws(tmp_path):
    assert readme.run(str(tmp_path / "effects.png")) == "".join(readme.blocks("text"))
    assert (tmp_path / "effects.png").stat().st_size > 10_000
    plt.close("all")


def test_a_table_of_the_readme_has_every_function_that_a_user_calls():
    named = set(re.findall(r"`(\w+)`", text("README.md")))
    assert {name for name in ft.__all__ if name not in ("Estimate", "arrays")} <= named


def test_the_version_is_that_of_the_package_wherever_it_is_written():
    declared = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert ft.__version__ == version("fewtreated") == declared
    assert f"version: {declared}\n" in text("CITATION.cff")
    assert re.search(r"^## (\S+)", text("CHANGELOG.md"), re.MULTILINE)[1] == declared


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A copy of the folder, and the wheel built from it."""
    copy = tmp_path_factory.mktemp("wheel") / "fewtreated"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("*.egg-info", "build", "dist"))
    build = [UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable, copy]
    subprocess.run(build, check=True, capture_output=True)
    (built,) = (copy / "dist").glob("*.whl")
    return copy, built


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["", "[plot]"])
def test_the_wheel_alone_runs_the_example_in_an_empty_environment(wheel, extra, tmp_path):
    copy, built = wheel
    python = tmp_path / "empty" / "bin" / "python"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, tmp_path / "empty"], check=True)
    wanted = f"fewtreated{extra} @ {built.as_uri()}"
    subprocess.run([UV, "pip", "install", "-q", "--python", python, wanted], check=True)
    listed = [UV, "pip", "list", "-q", "--python", python]
    there = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
    assert ("matplotlib" in there.split()) == bool(extra)
    figure = [tmp_path / "effects.png"] if extra else []
    example = [python, copy / "tests" / "readme.py", *figure]
    own = {"MPLBACKEND": "Agg", "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(example, check=True, capture_output=True, text=True, env=own)
    assert done.stdout == "".join(readme.blocks("text"))
    assert all(path.exists() for path in figure)
