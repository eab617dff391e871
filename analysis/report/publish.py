"""Publication: what is fit to be published, what need not be made again, and releases that are whole at any moment."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis import provenance
from analysis.report import Exit, ReportError
from analysis.report.pdf import marks
from analysis.report.schedule import Job

PACKAGE = Path(__file__).resolve().parent.parent
GLOSSARY = "glossary.md"  # in docs/, and quoted by reports
LAYOUT = ("*.lua", "*.typ", "*.mplstyle", "*.css", "fonts/*.otf")
_STAGE, _RELEASE = ".run-", ".release-"

Verdict = dict[str, Any]
Verdicts = Mapping[str, list[Verdict]]  # by report


# What an executed notebook leaves behind


def verdicts(file: Path, job: Job) -> list[Verdict]:
    """Read the verdicts that a notebook wrote, each then named after its report."""
    try:
        found = json.loads(file.read_bytes())
        json.dumps(found, allow_nan=False)
        return [{**item, "report": job.name} for item in found]
    except (OSError, ValueError, TypeError) as error:
        raise ReportError(
            f"{job.name}: its verdicts cannot be read ({error}); its last cell must write a JSON list of objects to "
            "`verdict_file`."
        ) from None


def footer(notebook: Path, found: list[Verdict], job: Job) -> str:
    """Say what the figures of a report are, for the foot of its pages, by its verdicts and the marks of its numbers.

    Parameters
    ----------
    notebook : Path
        Executed.
    found : list of verdicts
        Those that the report gives, or reads if it is the brief.
    job : Job

    Raises
    ------
    ReportError
        If a verdict does not say that it is real, an estimate or simulated; or if real and simulated mix: verdicts of
        another market than the report, or numbers marked as simulated in a real report or as estimates of the real
        market in a simulated one. The brief reads simulated verdicts beside others, and shows none of them.
    """
    seen, markets = {one.get("provenance") for one in found}, {one.get("market", "") for one in found}
    if unknown := seen - {"real", "estimate", "simulated"}:
        raise ReportError(
            f"{job.name}: the provenance of a verdict is {', '.join(sorted(map(repr, unknown)))}; it must be real, "
            "estimate or simulated: write verdicts with `verdicts.write`."
        )
    wrong = [f"verdicts are of {name or 'the real market'}" for name in sorted(markets - {job.market})]
    if job.is_brief and not job.market:
        wrong = []
    mark = "estimated" if job.market else "simulated"
    if number := marks(notebook)[mark]:
        wrong.append(f"numbers, {number} of them, are marked {mark} (style.use says as what)")
    if wrong:
        raise ReportError(
            f"{job.name}: its {', its '.join(wrong)}, and the report is of {job.market or 'the real market'}; real and "
            "simulated never mix."
        )
    if job.market:
        return f"Simulated: {job.market}"
    if not seen:
        return "Figures as marked: ● real, ◐ estimate, ○ simulated"
    estimated = "estimate" in seen or marks(notebook)["estimated"]
    return "Real figures and estimates from them" if estimated else "Real figures"


def make_reproducible(file: Path, job: Job, staged: str) -> None:
    """Rewrite an executed notebook so that the same inputs give the same bytes.

    Times and papermill's notes are dropped, ids that were drawn become the cell's number, and the temporary path of
    verdicts becomes the parameter's default, so that the notebook can be run again by hand. An error that papermill
    does not count, such as ``SystemExit``, is a `ReportError`.
    """
    notebook = json.loads(file.read_bytes())
    known = {cell.get("id") for cell in json.loads(job.notebook.read_bytes())["cells"]}
    notebook["metadata"].pop("papermill", None)
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"].pop("papermill", None)
        if "id" in cell and cell["id"] not in known:  # nbformat 4.4 and older have none
            cell["id"] = f"cell-{number}"
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                raise ReportError(f"{job.name}: a cell ended with {output['ename']} {output['evalue']}".rstrip())
    text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    default = str(job.parameters[job.verdicts_parameter])
    for spelling in (staged, staged.encode("unicode_escape").decode()):  # as is; as in source
        old, new = (json.dumps(name, ensure_ascii=False)[1:-1] for name in (spelling, default))
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def open_with_answer(file: Path) -> None:
    """Fold the code of an executed notebook, and let what its first cell tagged `answer` shows follow the title."""
    notebook = json.loads(file.read_bytes())
    cells, shown = notebook["cells"], list[str]()
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["metadata"]["jupyter"] = {"source_hidden": True}
            if "answer" in cell["metadata"].get("tags", []):
                shown += ["".join(output.get("data", {}).get("text/html", "")) for output in cell["outputs"]]
    if answer := next(filter(None, shown), ""):
        named = {"id": "answer-first"} if "id" in cells[0] else {}
        answer = answer.replace("$", "<span>&#36;</span>")  # a pair of them would be read as a formula
        source = f"{answer}\n\n*As published. The cells that lead to it follow, their code folded.*"
        cells.insert(1, {"cell_type": "markdown", **named, "metadata": {}, "source": source})
    file.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


# What a report is made of


def sha256(file: Path) -> str:
    """Hash of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hashes(job: Job) -> dict[str, str]:
    """Hash by name the files that a report reads beside the data folder."""
    return {file.name: sha256(file) for file in job.files}


def inputs(root: Path) -> dict[str, dict[str, str]]:
    """Hash by file what reports are made of: `data`, `code`, `layout`, `words`; and `versions` of what they run on.

    Every file under ``data/`` counts. Of ``reports/``, into which runs write, only the layout counts: template,
    filters, styles of figures and fonts. The schedule's parameters count by themselves.
    """
    found = {"versions": provenance.versions()}
    for name, folder, patterns in (
        ("data", root / "data", ["**/*"]),
        ("code", PACKAGE, ["**/*.py"]),
        ("layout", root / "reports", LAYOUT),
        ("words", root / "docs", [GLOSSARY]),
    ):
        files = [file for pattern in patterns for file in folder.glob(pattern)]
        parts = sorted(file.relative_to(folder) for file in files if file.is_file())
        seen = [part for part in parts if not any(word.startswith(".") for word in part.parts)]
        found[name] = {part.as_posix(): sha256(folder / part) for part in seen}
    return found


def fingerprint(job: Job, common: Mapping[str, Any], read: Verdicts | None = None) -> str:
    """Return what a report is made of as one number: if it is the same, the report need not be made again.

    `read` are the verdicts that the brief reads. Outputs, counters and ids in the notebook's file do not count.
    """
    notebook = json.loads(job.notebook.read_bytes())
    passing = {"outputs", "execution_count", "id"}
    content = {
        "cells": [{key: cell[key] for key in cell.keys() - passing} for cell in notebook["cells"]],
        "kernel": notebook["metadata"].get("kernelspec"),
        "parameters": job.parameters,
        "market": job.market,
        "files": [sha256(file) for file in job.files],
        "inputs": common,
        "verdicts": read,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# The published folder


@dataclass(frozen=True)
class Published:
    """What lies in the folder of a date: the manifest's entries and verdicts by report, the path of the panel.

    And whether the annex is there as it was published.
    """

    folder: Path
    entries: dict[str, dict[str, Any]]
    verdicts: dict[str, list[Verdict]]
    panel: str = ""
    annex: bool = False

    def holds(self, name: str, print_: str) -> bool:
        """Whether the report stands there, made of just this and untouched since."""
        entry, pdf = self.entries.get(name, {}), self.folder / f"{name}.pdf"
        if print_ != entry.get("fingerprint") or not pdf.with_suffix(".ipynb").is_file():
            return False
        files = {pdf.name: entry.get("pdf_sha256"), **entry.get("takeaway", {})}
        return all((self.folder / file).is_file() and sha256(self.folder / file) == was for file, was in files.items())


def read(folder: Path) -> Published:
    """Read what was published; a folder without manifest and verdicts as a run wrote them holds nothing."""
    try:
        content = json.loads((folder / "manifest.json").read_bytes())
        entries, panel = dict(content["reports"]), str(content.get("panel", ""))
        if sha256(folder / "verdicts.json") != content["verdicts_sha256"]:
            return Published(folder, {}, {})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return Published(folder, {}, {})
    found = json.loads((folder / "verdicts.json").read_bytes())
    by_report = {name: [one for one in found if one["report"] == name] for name in entries}
    annex = folder / provenance.ANNEX
    return Published(
        folder, entries, by_report, panel, annex.is_file() and sha256(annex) == content.get("annex_sha256")
    )


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep all other runs out of an output folder; the lock goes with the process."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ReportError(
                f"Publishing into {out}: process {file.read().strip() or '(unknown)'} is doing so already; "
                "wait for it, or give another folder with --out.",
                Exit.LOCKED,
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextmanager
def staging(out: Path) -> Iterator[Path]:
    """Make a temporary folder in the file system of `out`; needs the lock.

    It is gone afterwards. What a killed run has left, and releases that no link shows any more, go before.
    """
    shown = {os.readlink(file) for file in out.iterdir() if file.is_symlink()}
    for stale in (*out.glob(f"{_STAGE}*"), *out.glob(f"{_RELEASE}*")):
        if stale.name not in shown:
            shutil.rmtree(stale)
    with tempfile.TemporaryDirectory(prefix=_STAGE, dir=out) as stage:
        yield Path(stage)


def release(folder: Path, files: Iterable[Path], stage: Path, *, gone: Iterable[str] = ()) -> None:
    """Publish staged files, and folders of them, among those that stand in a folder, without those that are `gone`.

    ``reports/2026-11-25`` is a link to a release, a folder that never changes. The next release is built aside, reaches
    the disk, and then takes the link over: whoever looks, and whenever a run is killed, there is the old one or the new
    one, whole. The old one stays for its readers until the next run.
    """
    new = stage / "release"
    if folder.exists():
        shutil.copytree(folder, new)
    new.mkdir(exist_ok=True)
    for name in gone:
        (new / name).unlink(missing_ok=True)
    for file in files:
        if (new / file.name).is_dir():
            shutil.rmtree(new / file.name)
        os.replace(file, new / file.name)
    for path in (*new.rglob("*"), new):
        _reach_disk(path)
    target = folder.with_name(f"{_RELEASE}{folder.name}-{secrets.token_hex(4)}")
    os.rename(new, target)
    if folder.is_dir() and not folder.is_symlink():  # published before there were releases
        os.rename(folder, folder.with_name(f"{folder.name}.old"))
    point(folder, target.name, stage)
    _reach_disk(folder.parent)


def _reach_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def point(link: Path, name: str, stage: Path) -> None:
    """Let a link show another name beside it, in one step."""
    if not link.is_symlink() or os.readlink(link) != name:
        os.symlink(name, stage / "link")
        os.replace(stage / "link", link)


def write_json(file: Path, content: object) -> None:
    """Write JSON that is the same for the same content."""
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    file.write_text(text + "\n", encoding="utf-8")
