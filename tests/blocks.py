"""Commands and Python of README.md and docs/, and a copy of the project in which they run."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from reading import project_text
from ruamel.yaml import YAML

from analysis.provenance import ROOT

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = {"console", "sh", "bash"}  # languages of blocks of commands
SHOWN = {"", "bibtex", "cron", "latex", "text", "yaml"}  # languages of blocks that nobody runs
BUILT = "{"  # begins the language of cells and directives that `make docs` runs


CASES = YAML(typ="safe").load(ROOT / "tests" / "cases" / "blocks.yml")


def listed(kind):
    """Return what the cases of a kind say of each command, by page and command."""
    pages = CASES[kind]
    return {(page, command): said for page in pages for command, said in pages[page].items()}


NOT_RUN = listed("not run")
SLOW = listed("slow")


@dataclass(frozen=True)
class Step:
    """A command, or a block of Python, as a page shows it."""

    page: str
    line: int
    source: str
    python: bool = False

    @property
    def keys(self):
        """Names of the step in the lists above: its command, or any of its lines."""
        lines = [line for line in self.source.splitlines() if line.strip()]
        return [(self.page, line) for line in lines]

    def among(self, listed):
        """What a list says of the step, or None if it is not there."""
        return next((listed[key] for key in self.keys if key in listed), None)

    def run(self, project):
        """Run it as a reader would; fail with what was printed."""
        if self.python:
            command = [sys.executable, "-"]
        else:
            command = ["bash", "-e", "-o", "pipefail", "-c", self.source]
        done = subprocess.run(
            command,
            input=self.source if self.python else None,
            cwd=project,
            env=environment(project),
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{done.stdout}{done.stderr}"[-3000:]
        assert done.returncode == 0, (
            f"{self.page}, line {self.line}: exit code {done.returncode}\n{self.source}\n{said}"
        )


def languages(page):
    return [language for language, _ in FENCE.findall(project_text(page))]


def steps(page):
    """Return the commands and the blocks of Python of a page, in order."""
    text = project_text(page)
    found = []
    for block in FENCE.finditer(text):
        line = text.count("\n", 0, block.start()) + 2
        source = block[2]
        if block[1] == "python":
            found.append(Step(page, line, source, python=True))
        elif block[1] == "console":  # lines without a prompt are what the command prints
            typed = [
                text.removeprefix("$ ") for text in source.splitlines() if text.startswith("$ ")
            ]
            found += [Step(page, line, command) for command in typed]
        elif block[1] == "sh":
            found += [
                Step(page, line, command) for command in source.splitlines() if command.strip()
            ]
        elif block[1] in TYPED:  # a script
            found.append(Step(page, line, source))
    return found


def copied(folder):
    """Copy the project, with a history of its own and this environment, so that nothing here
    changes.
    """
    listed = [
        "git",
        "-C",
        str(ROOT),
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]
    for name in filter(
        None, subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split("\0")
    ):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / ".venv").mkdir()
    for part in (part for part in Path(sys.prefix).iterdir() if part.name != ".ready"):
        (folder / ".venv" / part.name).symlink_to(part)
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "--message", "As it is"],
    ):
        subprocess.run(["git", *command], cwd=folder, env=environment(folder), check=True)
    (folder / ".venv" / ".ready").touch()  # newer than the lock, so that make sets up nothing
    tidy = folder / "data" / "examples" / "tidy.csv"
    rows = pd.read_csv(tidy)  # what the reader has, in one file and in two
    rows.to_parquet(folder / "orders.parquet")
    rows[::2].to_csv(folder / "orders-1.csv", index=False)
    rows[1::2].to_csv(folder / "orders-2.csv", index=False)
    shutil.copy2(tidy.with_name("tidy.map.yml"), folder / "orders.map.yml")
    return folder


def environment(project):
    """Return the environment of a reader who works in a copy: its code comes first, its editor adds
    a word.
    """
    who = {
        f"GIT_{part}_{what}": "reader"
        for part in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    path = f"{project / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    code = os.pathsep.join([str(project), str(project / "fewtreated" / "src")])
    known = {"PYTHONPATH": code, "PATH": path, "MPLCONFIGDIR": mpl.get_cachedir(), "COLUMNS": "80"}
    return {**os.environ, **who, **known, "EDITOR": "sed -i 2s/bans/forbids/"}
