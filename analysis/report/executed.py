"""What an executed notebook leaves behind: its verdicts, and itself made fit to publish."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from analysis.report.outcomes import ReportError
from analysis.report.schedule import Job

Verdict = dict[str, Any]


def verdicts(file: Path, job: Job) -> list[Verdict]:
    """Read the verdicts that a notebook wrote, each then named after its report.

    Raises
    ------
    ReportError
        If the file is missing, is not JSON (NaN is not), or is not a list of objects.
    """
    advice = "its last cell must write a JSON list of objects to `verdict_file`."
    try:
        found = json.loads(file.read_bytes(), parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise ReportError(f"{job.name}: it wrote no verdicts; {advice}") from None
    except ValueError as error:
        raise ReportError(f"{job.name}: its verdicts are not JSON ({error}); {advice}") from None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ReportError(f"{job.name}: its verdicts are {type(found).__name__} {found!r:.60}; {advice}")
    return [{**item, "report": job.name} for item in found]


def footer(found: Iterable[Verdict], job: Job) -> str:
    """Say what the figures of a report are, for the foot of its pages, by the provenance of its verdicts.

    Parameters
    ----------
    found : iterable of verdicts
        Those that the report gives, or reads if it is the brief.
    job : Job

    Raises
    ------
    ReportError
        If a verdict does not say that it is real or an estimate: nothing else earns a word.
    """
    seen = {verdict.get("provenance") for verdict in found}
    if unknown := seen - {"real", "estimate"}:
        raise ReportError(
            f"{job.name}: the provenance of a verdict is {', '.join(sorted(map(repr, unknown)))}; it must be real or "
            "estimate: write verdicts with `verdicts.write`."
        )
    if not seen:
        return "Figures as marked: ● real, ◐ estimate, ○ simulated"
    return "Real figures and estimates from them" if "estimate" in seen else "Real figures"


def make_reproducible(file: Path, job: Job, staged: str) -> None:
    """Rewrite an executed notebook so that the same inputs give the same bytes.

    Times and papermill's notes are dropped, ids that were drawn are replaced by the cell's
    number, and the temporary path of the verdicts becomes the default of the parameter, so
    that the notebook can be run again by hand.

    Raises
    ------
    ReportError
        If a cell ended in an error that papermill does not count, such as ``SystemExit``.
    """
    notebook = json.loads(file.read_bytes())
    known = {cell.get("id") for cell in json.loads(job.notebook.read_bytes())["cells"]}
    notebook["metadata"].pop("papermill", None)
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"].pop("papermill", None)
        if "id" in cell and cell["id"] not in known:  # nbformat 4.4 and older have none
            cell["id"] = f"cell-{number}"
        _refuse_errors(cell, job)
    text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    default = str(job.parameters[job.verdicts_parameter])
    for spelling in (staged, staged.encode("unicode_escape").decode()):  # as is; as in source
        text = text.replace(_in_json(spelling), _in_json(default))
    file.write_text(text, encoding="utf-8")


def _refuse_errors(cell: dict[str, Any], job: Job) -> None:
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            raise ReportError(f"{job.name}: a cell ended with {output['ename']} {output['evalue']}".rstrip())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
