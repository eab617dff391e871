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

from analysis.provenance import ROOT

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = {"console", "sh", "bash"}  # languages of blocks of commands
SHOWN = {"", "bibtex", "cron", "latex", "text", "yaml"}  # languages of blocks that nobody runs
BUILT = "{"  # begins the language of cells and directives that `make docs` runs

# What is not run, by page and command (of Python, a line of the block), with the reason.
NOT_RUN = {
    ("README.md", "make test"): "it is the suite that this test belongs to",
    ("README.md", "make lab"): "it opens a browser and waits; test_lab.py looks at what it starts",
    (
        "README.md",
        'panel, truth = simulate("mid_3k", seed=1)',
    ): "test_readme.py runs it and reads what it prints",
    (
        "docs/bring-your-own-panel.md",
        (
            "market-impact panel orders --engine postgresql://user@host/shop --map orders.map.yml "
            "--out my-reports/orders.parquet"
        ),
    ): "it needs a server; test_panel_build.py starts one where PostgreSQL is installed",
    (
        "docs/bring-your-own-panel.md",
        (
            "market-impact run --panel FILE --map MAP.yml --event my_event.yml --out"
            " my-reports/my_event"
        ),
    ): (
        "FILE and MAP.yml stand for the reader's own; test_other_event.py runs reports on another"
        " event"
    ),
    (
        "docs/tutorial-event.md",
        (
            "market-impact run --panel stalls.csv --map stalls.map.yml --event bazaar.yml --out"
            " bazaar-reports"
        ),
    ): (
        "the page makes stalls.csv where it is built; test_other_event.py runs reports on another"
        " event"
    ),
    (
        "docs/cluster.md",
        'make audit ARGS="--workers 2"',
    ): "it takes hours; test_audit.py runs a few cells",
    (
        "docs/cluster.md",
        'make audit ARGS="--local-cluster 2"',
    ): "it takes hours; test_executor.py runs a local cluster",
    ("docs/cluster.md", 'make audit ARGS="--scheduler tcp://scheduler:8786"'): "it needs a cluster",
    (
        "docs/cluster.md",
        "from distributed import Client",
    ): "it needs a cluster; test_executor.py runs a local one",
    (
        "docs/cluster.md",
        "from dask_kubernetes.operator import KubeCluster, make_cluster_spec",
    ): "it needs Kubernetes",
    ("docs/cluster.md", "from dask_jobqueue import SLURMCluster"): "it needs Slurm",
    (
        "docs/cluster.md",
        "#SBATCH --job-name=audit --ntasks=32 --cpus-per-task=1 --mem-per-cpu=2G --time=02:00:00",
    ): "it needs Slurm",
    (
        "docs/households.md",
        ".venv/bin/market-impact purchases amazon-purchases.csv --out my-households",
    ): (
        "the file must be downloaded from its archive; test_households.py counts one that is"
        " made up"
    ),
    (
        "docs/households.md",
        (
            ".venv/bin/market-impact purchases amazon-purchases.csv --brands products.parquet --out"
            " my-named-households"
        ),
    ): (
        "the files must be downloaded from their archives; test_households_closed.py counts ones"
        " that are made up"
    ),
    (
        "docs/households.md",
        "from analysis.evidence.households import Households, Specification, closed, worst_case",
    ): (
        "it reads what the command above it writes; test_households_closed.py calls the same"
        " functions"
    ),
    (
        "docs/night-shift.md",
        ".venv/bin/jupyter lab reports/draft/failed/05_growth_public.ipynb",
    ): "it opens a browser and waits; test_lab.py looks at what it starts",
    (
        "docs/night-shift.md",
        ".venv/bin/ipython --pdb reports/draft/failed/05_growth_public.ipynb",
    ): "it needs a failed run; test_night.py debugs the notebook of one",
    (
        "docs/night-shift.md",
        ".venv/bin/market-impact run --due",
    ): "it needs a failed run; test_night.py makes up for one",
    (
        "docs/night-shift.md",
        (
            "ssh-keygen -Y verify -f signers -I reports -n market-impact "
            "-s reports/latest/manifest.json.sig < reports/latest/manifest.json"
        ),
    ): "it needs the key of the operator",
    (
        "docs/side-by-side.md",
        'wide = pd.read_csv("tests/data/county_teen_employment.csv")',
    ): "test_side_by_side.py",
    (
        "docs/side-by-side.md",
        "from fewtreated import att_gt",
    ): "test_side_by_side.py runs it and compares its numbers",
    (
        "docs/side-by-side.md",
        "import pyfixest",
    ): "test_side_by_side.py runs it and compares its numbers",
    (
        "docs/side-by-side.md",
        "from diff_diff import CallawaySantAnna",
    ): "test_side_by_side.py compares its numbers",
    (
        "docs/side-by-side.md",
        "import moderndid",
    ): "the page says that the project does not install it",
}
# What takes minutes and so runs in `make test-all` alone, with a command that stands in for it in
# `make test`, if any.
SLOW = {
    ("README.md", "make report"): ".venv/bin/market-impact run --dry-run",
    (
        "README.md",
        (
            ".venv/bin/market-impact run --panel data/examples/wide.csv --map"
            " data/examples/wide.map.yml --out my-reports/wide"
        ),
    ): (
        ".venv/bin/market-impact run --panel data/examples/wide.csv --map"
        " data/examples/wide.map.yml --out my-reports/wide --dry-run"
    ),
    (
        "docs/bring-your-own-panel.md",
        (
            "market-impact run --panel data/examples/tidy.csv --map data/examples/tidy.map.yml"
            " --out my-reports/tidy"
        ),
    ): (
        "market-impact run --panel data/examples/tidy.csv --map data/examples/tidy.map.yml --out"
        " my-reports/tidy --dry-run"
    ),
    (
        "docs/estimates.md",
        'found = load_estimates("reports/latest")',
    ): "",  # what follows needs a release
    ("docs/night-shift.md", ".venv/bin/market-impact verify reports/latest"): "",
    ("docs/night-shift.md", ".venv/bin/market-impact diff reports/2026-11-25 reports/latest"): "",
    ("docs/night-shift.md", ".venv/bin/market-impact prune --keep 30"): "",
}


@dataclass(frozen=True)
class Step:
    """A command, or a block of Python, as a page shows it."""

    page: str
    line: int
    source: str
    python: bool = False

    @property
    def keys(self) -> list[tuple[str, str]]:
        """Names of the step in the lists above: its command, or any of its lines."""
        lines = [line for line in self.source.splitlines() if line.strip()]
        return [(self.page, line) for line in lines]

    def among(self, listed: dict) -> str | None:
        """What a list says of the step, or None if it is not there."""
        return next((listed[key] for key in self.keys if key in listed), None)

    def run(self, project: Path) -> None:
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


def languages(page: str) -> list[str]:
    return [language for language, _ in FENCE.findall((ROOT / page).read_text(encoding="utf-8"))]


def steps(page: str) -> list[Step]:
    """Return the commands and the blocks of Python of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
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


def copied(folder: Path) -> Path:
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


def environment(project: Path) -> dict[str, str]:
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
