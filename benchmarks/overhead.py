"""Time the runner against running papermill by hand, on the same notebooks.

By hand, a careful person runs ``papermill`` on one notebook after the other, each followed by the
same conversion to PDF. The script prints medians and ranges over rounds. Only ratios matter, since
seconds depend on the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis.data import newest
from analysis.provenance import ROOT
from runner import document, publish, schedule

AS_OF = newest()["vintage"]
TO_PDF = (
    "import sys; from pathlib import Path; from runner.pdf import render; file = Path(sys.argv[1]);"
    " render(file, file.with_suffix('.pdf'), as_of=sys.argv[2], footer='Real figures')"
)


def plain(out: Path, names: Sequence[str] = ()) -> None:
    """Run notebooks with the papermill command, and convert them to PDF.

    They are the scheduled notebooks, or those named.
    """
    verdicts = out / "verdicts"
    verdicts.mkdir()
    for job in schedule.read_jobs(ROOT):
        if names and job.name not in names:
            continue
        notebook = out / f"{job.name.replace('/', '-')}.ipynb"
        values = {**job.parameters, "as_of": AS_OF}
        if job.reads_verdicts:
            values["verdict_folder"] = verdicts
        command = [
            sys.executable,
            "-m",
            "papermill",
            str(job.notebook),
            str(notebook),
            "--kernel",
            "python3",
        ]
        command += ["--cwd", str(job.notebook.parent)]
        command += [word for name, value in values.items() for word in ("-p", name, str(value))]
        subprocess.run(command, check=True, capture_output=True)
        executed = json.loads(notebook.read_bytes())
        judged = document.verdicts(executed, document.Text())
        publish.write_json(verdicts / f"{notebook.stem}.json", judged or [])
        write_numbers(executed)
        publish.write_json(notebook, executed)
        subprocess.run([sys.executable, "-c", TO_PDF, str(notebook), AS_OF], check=True)


def write_numbers(notebook: dict[str, Any]) -> None:
    """Put a number in the place of each expression in text, which papermill leaves as it is."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = document.EXPRESSION.sub("12.3", "".join(cell["source"]))


def ours(out: Path, names: Sequence[str] = ()) -> None:
    """Run all scheduled reports, or those named, with the project's own command."""
    command = [sys.executable, "-m", "runner", "run", *names, "--as-of", AS_OF, "--out", str(out)]
    subprocess.run(command, check=True, capture_output=True)


def seconds(work: Callable[[Path], None], out: Path) -> float:
    """Return the wall time, in seconds, of one call."""
    start = time.perf_counter()
    work(out)
    return time.perf_counter() - start


def main() -> None:
    """Time papermill, the runner and an unchanged run in turn; print medians, ranges and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=3, help="number of runs of each kind (default 3)"
    )
    rounds = parser.parse_args().rounds
    plainly = list[float]()
    cold = list[float]()
    unchanged = list[float]()
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as theirs, tempfile.TemporaryDirectory() as out:
            plainly.append(seconds(plain, Path(theirs)))
            cold.append(seconds(ours, Path(out)))
            unchanged.append(seconds(ours, Path(out)))
    print(
        f"{rounds} rounds on {os.cpu_count()} cores, alternating; seconds as median (lowest to"
        " highest)"
    )
    show("papermill command and PDF, one after the other", plainly)
    show("market-impact run, nothing published", cold)
    show("market-impact run, nothing changed", unchanged)
    show("first over second; wanted 1.8", [a / b for a, b in zip(plainly, cold, strict=True)])
    show("second over third", [a / b for a, b in zip(cold, unchanged, strict=True)])


def show(label: str, values: Sequence[float]) -> None:
    """Print the median and range of the measurements."""
    print(
        f"  {label:<48} {statistics.median(values):7.2f} ({min(values):.2f} to {max(values):.2f})"
    )


if __name__ == "__main__":
    main()
