"""Prepare executed notebooks for publication, and hash the inputs of reports."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis import provenance
from analysis.exhibits.fonts import LAYOUT
from runner import ReportError
from runner.cells import cells, shown
from runner.inputs import INPUTS
from runner.pdf import marks
from runner.schedule import Job

SOURCES = provenance.ROOT  # the folder of the code
TEMPLATES = Path(__file__).parent / "templates"

Verdict = dict[str, Any]
Verdicts = Mapping[str, list[Verdict]]  # by report


BARRED = re.compile(
    "[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)  # characters not allowed in XML


def rendered(template: str, **values: Any) -> str:
    """Render a template from ``runner/templates``, escaping text unless it is marked `safe`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    def printable(value: Any) -> Any:
        if isinstance(value, str):
            return type(value)(BARRED.sub("\ufffd", value))
        return value

    on: dict[str, Any] = dict.fromkeys(
        ("autoescape", "trim_blocks", "lstrip_blocks", "keep_trailing_newline"), True
    )
    pages = Environment(
        loader=FileSystemLoader([TEMPLATES, LAYOUT]),
        undefined=StrictUndefined,
        finalize=printable,
        **on,
    )
    return pages.get_template(template).render(values)


def name_of(verdict: Mapping[str, Any]) -> str:
    """Return a verdict's name: its claim and reading, such as ``"C01 V2"``."""
    return f"{verdict.get('claim', '')} {verdict.get('reading', '')}".strip()


def identity(verdict: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a verdict's key: report, claim, reading and tier."""
    return tuple(str(verdict.get(key) or "") for key in ("report", "claim", "reading", "tier"))


# What an executed notebook leaves behind


def verdicts(handed_on: list[Verdict] | None, job: Job) -> list[Verdict]:
    """Return the verdicts that a notebook hands on, with the report's name in each.

    The brief need not hand on any.
    """
    if handed_on is None and not job.is_brief:
        raise ReportError(f"{job.name}: it hands on no verdicts; end it with `finish(...)`.")
    try:
        json.dumps(handed_on, allow_nan=False)
    except ValueError as error:
        raise ReportError(f"{job.name}: its verdicts cannot be read ({error}).") from None
    return [{**each, "report": job.name} for each in handed_on or []]


def footer(notebook: Path, verdicts: list[Verdict], job: Job) -> str:
    """Return a report's footer, stating whether its figures are real, estimated or simulated.

    Parameters
    ----------
    notebook : Path
        The executed notebook.
    verdicts : list of verdicts
        The verdicts that the report gives or, if it is the brief, reads.
    job : Job

    Raises
    ------
    ReportError
        If a verdict is not marked as real, an estimate or simulated, or if real and simulated
        figures mix: a verdict is about a different market from the report, or the report has
        numbers marked as simulated though it is real, or the reverse. A report that reads the
        verdicts of others shows none of the simulated ones.
    """
    seen = {verdict.get("provenance") for verdict in verdicts}
    counts = marks(notebook)
    if unknown := seen - {"real", "estimate", "simulated"}:
        found = f"the provenance of a verdict is {', '.join(sorted(map(repr, unknown)))}"
        raise ReportError(
            f"{job.name}: {found}; it must be real, estimate or simulated: use `judge`."
        )
    wrong = []
    if job.market or not job.reads_verdicts:
        others = {verdict.get("market", "") for verdict in verdicts} - {job.market}
        wrong += [f"verdicts are about {name or 'the real market'}" for name in sorted(others)]
    mark = "estimated" if job.market else "simulated"
    if counts[mark]:
        why = "see style.use, or names in the data with ◐ or ○"
        wrong.append(f"numbers include {counts[mark]} marked {mark} ({why})")
    if wrong:
        of = (
            f"but the report is about {job.market or 'the real market'}; real and simulated"
            " never mix"
        )
        raise ReportError(f"{job.name}: its {', its '.join(wrong)}, {of}.")
    if job.market:
        return f"Simulated: {job.market}"
    if not seen:
        return "Figures as marked: ● real, ◐ estimate, ○ simulated"
    if "estimate" in seen or counts["estimated"]:
        return "Real figures and estimates from them"
    return "Real figures"


def make_reproducible(file: Path, job: Job, staged: Mapping[str, str]) -> None:
    """Rewrite an executed notebook so that the same inputs give the same bytes.

    Drop times and the metadata of papermill, replace random ids by cell numbers, the `staged` paths
    of this run by the values of their parameters, so that the notebook can be run again by hand,
    and the paths of the user's own files by their names. An error that papermill ignores, such as
    ``SystemExit``, raises a `ReportError`.
    """
    notebook = json.loads(file.read_bytes())
    ids = {cell.get("id") for cell in cells(job.notebook)}
    notebook["metadata"].pop("papermill", None)
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"].pop("papermill", None)
        if "id" in cell and cell["id"] not in ids:  # cells of nbformat 4.4 and older have no id
            cell["id"] = f"cell-{number}"
        for output in cell.get("outputs", []):
            if output["output_type"] == "error":
                raise ReportError(
                    f"{job.name}: a cell ended with {output['ename']} {output['evalue']}".rstrip()
                )
    text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    names = {path: str(job.parameters[name]) for name, path in staged.items()}
    names |= _by_name(job)
    file.write_text(replaced(text, names), encoding="utf-8")


def remove_local_paths(file: Path, job: Job) -> None:
    """Remove local paths from a failed report's notebook."""
    names = {**_by_name(job), str(provenance.ROOT): ".", sys.prefix: "python", **home()}
    file.write_text(replaced(file.read_text(encoding="utf-8"), names), encoding="utf-8")


def _by_name(job: Job) -> dict[str, str]:
    return {str(path): path.name for path in job.files}


def home() -> dict[str, str]:
    """Return what to replace the user's home folder by.

    Return nothing if there is none or it is the root of all paths.
    """
    try:
        folder = Path.home()
    except RuntimeError:  # no HOME, and a user whom the system does not know, as in a container
        return {}
    if folder.is_absolute():
        return {str(folder): "~"}
    return {}


# What comes before a path that is no part of a longer one: a sign that no name of a folder ends
# with, the escape of a line break or tab, or a colour of a traceback. Slashes may follow, as in
# file:///srv/me.
_BEFORE = re.compile(r"(?:^|[^\w.~/-]|\\[nrtfv]|\[[\d;]*m)/*$")
_ENDS = r"(?!\.*[\w+@~%=#$&(\[-])"  # no sign follows that continues a name


def replaced(text: str, names: Mapping[str, str]) -> str:
    """Replace paths in JSON, longest first, where they are whole.

    For example, /srv/me is in /srv/me/a, not in /srv/mean.

    Paths are replaced both as they are and escaped as in source code. The root of all paths stays.
    """
    new_of = dict[str, str]()
    for path in (path for path in names if path.strip("/")):
        for spelling in (path, path.encode("unicode_escape").decode()):
            old, new = (
                json.dumps(each, ensure_ascii=False)[1:-1] for each in (spelling, names[path])
            )
            new_of[old] = new
    if not new_of:
        return text
    paths = (
        re.escape(old) + _ENDS * (not old.endswith("/"))
        for old in sorted(new_of, key=len, reverse=True)
    )

    def replacement(match: re.Match[str]) -> str:
        before = text[max(0, match.start() - 20) : match.start()]
        if _BEFORE.search(before):
            return new_of[match[0]]
        return match[0]

    return re.sub("|".join(paths), replacement, text)


def open_with_answer(file: Path) -> None:
    """Fold an executed notebook's code, and repeat its answer below the title.

    The answer is the text or output of the first cell tagged ``answer`` that has any.
    """
    notebook = json.loads(file.read_bytes())
    answers = list[str]()
    for cell in notebook["cells"]:
        tagged = "answer" in cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code":
            cell["metadata"]["jupyter"] = {"source_hidden": True}
            if tagged:
                answers += ["".join(data.get("text/html", "")) for data in shown(cell)]
        elif tagged and cell is not notebook["cells"][0]:
            answers.append("".join(cell["source"]))
    if answer := next(filter(None, answers), ""):
        named = {}
        if "id" in notebook["cells"][0]:
            named = {"id": "answer-first"}
        answer = answer.replace(
            "$", "<span>&#36;</span>"
        )  # a pair of dollar signs would be read as a formula
        source = f"{answer}\n\n*As published. The cells that lead to it follow, their code folded.*"
        first = {"cell_type": "markdown", **named, "metadata": {}, "source": source}
        notebook["cells"].insert(1, first)
    file.write_text(json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


# Inputs of a report


def sha256(file: Path) -> str:
    """Return the SHA-256 hash of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def input_hashes(job: Job) -> dict[str, str]:
    """Hash a report's input files outside the data folder, by name."""
    return {file.name: sha256(file) for file in job.files}


def inputs(root: Path) -> dict[str, dict[str, str]]:
    """Hash the inputs common to all reports, by part and file.

    These are the files of `INPUTS`, with the `versions` of the software. The notebook of
    a report and its parameters are hashed separately, with the report.
    """
    hashed = {"versions": provenance.versions()}
    for part in ("data", "code", "layout", "words"):
        folder, *patterns = INPUTS[part]
        top = (SOURCES if part == "code" else root) / folder
        files = [
            file.relative_to(top)
            for pattern in patterns
            for file in top.glob(pattern)
            if file.is_file()
        ]
        visible = sorted(
            file for file in files if not any(name.startswith(".") for name in file.parts)
        )
        hashed[part] = {file.as_posix(): sha256(top / file) for file in visible}
    return hashed


def unlike(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the names whose values differ between two mappings, such as hashes by file."""
    return sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def parameters(job: Job) -> dict[str, Any]:
    """Return a report's parameters for publication.

    Paths of the user's files are replaced with file names.
    """
    return {name: _by_name(job).get(str(value), value) for name, value in job.parameters.items()}


def digest(notebook: Path) -> str:
    """Hash a notebook's cells, leaving out outputs, counters and ids."""
    passing = {"outputs", "execution_count", "id"}
    kept = [{key: cell[key] for key in cell.keys() - passing} for cell in cells(notebook)]
    return digest_of(kept)


def about(job: Job) -> dict[str, Any]:
    """Return the inputs specific to a report, as in its manifest entry."""
    of = {"notebook_sha256": digest(job.notebook), "parameters": parameters(job)}
    return {**of, "market": job.market, "files": input_hashes(job)}


def fingerprint(job: Job, common: Mapping[str, Any], read: Verdicts | None = None) -> str:
    """Hash all inputs of a report except the as-of date.

    A report with the same fingerprint need not be made again. `read` contains the verdicts that the
    brief reads.
    """
    of = about(job)
    of["parameters"].pop("as_of", None)
    return digest_of({**of, "inputs": common, "verdicts": read})


def digest_of(content: object) -> str:
    """Hash content that can be written as JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_json(file: Path, content: object) -> None:
    """Write JSON in a form that depends only on the content."""
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
    file.write_text(text + "\n", encoding="utf-8")
