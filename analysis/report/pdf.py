"""From an executed notebook to a PDF: pandoc reads it, typst sets it.

Nothing of the machine reaches the page: system fonts are ignored, the clock is the
as-of date, and pandoc is the one of the wheel. Same notebook, same date, same bytes.
"""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from datetime import UTC, date, datetime, time
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

SOURCES = Path(__file__).resolve().parents[2] / "reports"
AUTHOR = "market-impact-notebooks"
KEYWORDS = ("online marketplaces", "account closures", "market impact")
READER = "ipynb+smart+footnotes+native_divs+native_spans"
MARKS = {"●": "real", "◐": "estimated", "○": "simulated"}
HIDDEN = {"remove-cell", "parameters", "injected-parameters"}  # tags of cells that are not printed
# A number, at most its unit, and the mark; what is said about the marks has no number before them.
_MARKED = re.compile(r"\d[^<>\d●◐○.,;:]{0,40}([●◐○])")


class PdfError(RuntimeError):
    """The notebook cannot be set as a PDF."""


def marks(notebook: Path) -> Counter[str]:
    """Count the marked numbers that an executed notebook prints: real, estimated, simulated."""
    found: Counter[str] = Counter()
    for cell in json.loads(notebook.read_bytes())["cells"]:
        if not HIDDEN & set(cell["metadata"].get("tags", [])):
            for output in cell.get("outputs", []):
                html = unescape("".join(output.get("data", {}).get("text/html", "")))
                found.update(MARKS[mark] for mark in _MARKED.findall(html))
    return found


def shares(notebook: Path) -> str:
    """Say how many numbers of a report are real, estimated and simulated; nothing if it marks none."""
    counts = marks(notebook)
    if not counts:
        return ""
    parts = (f"{counts[name]} {name} {mark} ({counts[name] / counts.total():.0%})" for mark, name in MARKS.items())
    return f"Numbers in this report: {', '.join(parts)}"


def render(notebook: Path, pdf: Path, *, as_of: str, footer: str, simulated: bool = False) -> None:
    """Set an executed notebook as a tagged, archivable PDF (PDF/A-2a and PDF/UA-1).

    Page 1 holds the title, the share of numbers that are real, estimated and simulated, and the
    cells tagged ``answer``; the other cells follow in their order, without code. The file is
    built in a temporary folder beside `pdf` and moved into place, so that a failure leaves the
    old one as it was.

    Parameters
    ----------
    notebook : Path
        Executed notebook, nbformat 4.
    pdf : Path
        Where the PDF goes; its folder must exist.
    as_of : str
        Date of knowledge, YYYY-MM-DD: printed, and the PDF's own date (midnight UTC).
    footer : str
        What the figures are: stands under the title and at the foot of each page.
    simulated : bool
        Whether they are of a simulated market: such a report has a look of its own.

    Raises
    ------
    PdfError
        A cell failed, a character has no glyph in our fonts, a figure has no alt text,
        the answer does not fit on page 1, or anything else pandoc or typst warns of.
    """
    moment = datetime.combine(date.fromisoformat(as_of), time(), tzinfo=UTC)
    with TemporaryDirectory(prefix=f".{pdf.stem}-pdf-", dir=pdf.parent) as name:
        folder = Path(name)
        meta: dict[str, Any] = {"as_of": as_of, "footer": footer, "author": AUTHOR, "keywords": KEYWORDS}
        meta |= {"simulated": simulated, "numbers": shares(notebook)}
        (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        shutil.copy(SOURCES / "template.typ", folder)
        main = folder / "main.typ"
        main.write_text(_typst_source(notebook.resolve(), folder), encoding="utf-8")
        finished = folder / "finished.pdf"
        finished.write_bytes(_compiled(main, notebook, moment))
        os.replace(finished, pdf)


def pandoc() -> Path:
    """Return pandoc of the wheel: what the machine has makes no difference."""
    import pypandoc

    return Path(pypandoc.__file__).parent / "files" / "pandoc"


def _typst_source(notebook: Path, folder: Path) -> str:
    """Run pandoc in `folder`; our filter leaves the figures and the title there."""
    command = [str(pandoc()), str(notebook), f"--from={READER}", "--ipynb-output=all", "--to=typst", "--wrap=none"]
    command += ["--fail-if-warnings", f"--lua-filter={SOURCES / 'filter.lua'}"]
    command += [f"--data-dir={folder}", f"--resource-path={notebook.parent}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise PdfError(_message(notebook, "pandoc", done.stderr))
    return '#import "template.typ": *\n#let meta = json("meta.json")\n#show: report.with(meta)\n' + done.stdout


def _compiled(main: Path, notebook: Path, moment: datetime) -> bytes:
    """Compile with the standards' checks on; a warning is a failure."""
    import typst

    try:
        pdf, warnings = typst.compile_with_warnings(
            main,
            font_paths=[SOURCES / "fonts"],
            ignore_system_fonts=True,
            format="pdf",
            pdf_standards=["a-2a", "ua-1"],  # they also refuse missing glyphs and alt texts
            timestamp=moment,
        )
    except typst.TypstError as error:
        raise PdfError(_message(notebook, "typst", "\n".join([error.message, *error.hints]))) from error
    if warnings:
        raise PdfError(_message(notebook, "typst", "\n".join(warning.message for warning in warnings)))
    return pdf


def _message(notebook: Path, tool: str, said: str) -> str:
    """Three clauses; pandoc's frame around a message of our filter is cut away."""
    said = re.sub(r"^Error running filter .*:\n|\nstack traceback:[\s\S]*$", "", said.strip())
    return (
        f"{notebook.name} cannot be set as a PDF: {tool} stops with: {said.strip()}. Mend the notebook and run again."
    )
