"""What an executed notebook leaves behind: its verdicts, and itself made fit to publish."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from analysis.report import marks
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
        If a verdict does not say that it is real, an estimate or simulated; if a simulated one is of another market
        than the report, or stands in a real report that is not the brief; or a real one in a simulated report.
    """
    found = list(found)
    seen = {verdict.get("provenance") for verdict in found}
    if unknown := seen - {"real", "estimate", "simulated"}:
        raise ReportError(
            f"{job.name}: the provenance of a verdict is {', '.join(sorted(map(repr, unknown)))}; it must be real, "
            "estimate or simulated: write verdicts with `verdicts.write`."
        )
    markets = {verdict.get("market", "") for verdict in found}
    others = markets - {job.market} if job.market or not job.is_brief else set()
    if others:
        raise ReportError(
            f"{job.name}: its verdicts are of {_markets(others)}, and the report is of {_markets({job.market})}; "
            "real and simulated never mix."
        )
    if job.market:
        return f"Simulated: {job.market}"
    if not seen:
        return "Figures as marked: ● real, ◐ estimate, ○ simulated"
    real = "Real figures and estimates from them" if "estimate" in seen else "Real figures"
    apart = ", ".join(sorted(markets - {""}))
    return f"{real}; in a column of its own ○ simulated: {apart}" if apart else real


def _markets(names: Iterable[str]) -> str:
    return ", ".join(sorted(name or "the real market" for name in names))


def refuse_mixture(file: Path, job: Job) -> None:
    """Raise `ReportError` if a real report prints simulated numbers, or a simulated one estimates of the real market.

    The brief may hold both: what is simulated stands there in a column of its own.
    """
    name = "estimated" if job.market else "simulated"
    if (number := marks.count(file)[name]) and not job.is_brief:
        raise ReportError(
            f"{job.name}: {number} of its numbers are marked {name}, and the report is of {_markets({job.market})}; "
            "call style.use with the kind of its numbers."
        )


def make_reproducible(file: Path, job: Job, staged: str) -> None:
    """Rewrite an executed notebook so that the same inputs give the same bytes.

    Times and papermill's notes are dropped, ids that were drawn are replaced by the cell's
    number, and the temporary path of the verdicts becomes the default of the parameter, so
    that the notebook can be run again by hand. Cells of other tiers, which did not run, are left out.

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
    notebook["cells"] = list(_of_tier(notebook["cells"], job.tier))
    text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    default = str(job.parameters[job.verdicts_parameter])
    for spelling in (staged, staged.encode("unicode_escape").decode()):  # as is; as in source
        text = text.replace(_in_json(spelling), _in_json(default))
    file.write_text(text, encoding="utf-8")


def _of_tier(cells: Iterable[dict[str, Any]], tier: str) -> Iterator[dict[str, Any]]:
    """Leave out cells of other tiers; the line that names the tiers goes from text, and stays in code."""
    from analysis import tiers  # not above: it brings pandas, which the front desk does without

    for cell in cells:
        source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
        named = tiers.of(source)
        if named and tier not in named:
            continue
        yield {**cell, "source": tiers.body(source)} if named and cell["cell_type"] == "markdown" else cell


def _refuse_errors(cell: dict[str, Any], job: Job) -> None:
    for output in cell.get("outputs", []):
        if output["output_type"] == "error":
            raise ReportError(f"{job.name}: a cell ended with {output['ename']} {output['evalue']}".rstrip())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
