"""Typeset an executed notebook as a PDF.

Pandoc converts the notebook to typst, and typst makes the pages. The result does not depend on the
machine: system fonts are ignored, the clock is set to the as-of date, and pandoc is the one bundled
in the wheel. The same notebook and date give the same bytes.
"""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fewtreated.errors import DesignError

from analysis.exhibits.fonts import FONTS, printable
from analysis.exhibits.fonts import LAYOUT as SOURCES
from analysis.numbers import MARKED
from runner.cells import COUNTS, HIDDEN, shown
from runner.inputs import INPUTS

AUTHOR = "market-impact-notebooks"
KEYWORDS = ("online marketplaces", "account closures", "market impact")
READER = "ipynb+smart+footnotes+native_divs+native_spans"
KINDS = {"●": "real", "◐": "estimated", "○": "simulated"}
Beside = Mapping[str, str]  # reports by number
_ABOVE = re.compile(r"caption>([●◐○])")  # the mark of an exhibit


class PdfError(RuntimeError):
    """Exception raised if a notebook cannot be typeset as a PDF."""


def refuse_incomplete() -> None:
    """Raise `DesignError` if layout files are missing.

    A substituted font would otherwise go unnoticed.
    """
    wanted = [*INPUTS["layout"][1:], *(f"fonts/{name}" for name in FONTS.values())]
    if missing := [pattern for pattern in wanted if not any(SOURCES.glob(pattern))]:
        why = f"cannot find {', '.join(missing)} in {SOURCES}"
        raise DesignError(
            f"Report layout: {why}; restore it, for example with `git checkout reports`."
        )


def marks(notebook: Path) -> Counter[str]:
    """Count the marks of real, estimated and simulated numbers in an executed notebook.

    An exhibit has one mark for all its numbers. The marks of sentences are not printed; their plain
    text contains them.
    """
    content = json.loads(notebook.read_bytes())
    counts: Counter[str] = Counter()
    for mark, count in content["metadata"].get(COUNTS, {}).items():
        counts[KINDS[mark]] += count
    for cell in content["cells"]:
        if HIDDEN & set(cell["metadata"].get("tags", [])):
            continue
        for data in shown(cell):
            for kind in ("text/html", "text/plain"):
                text = unescape("".join(data.get(kind, "")))
                marks = [*(mark for _, mark in MARKED.findall(text)), *_ABOVE.findall(text)]
                counts.update(KINDS[mark] for mark in marks)
    return counts


def render(
    notebook: Path,
    pdf: Path,
    *,
    as_of: str,
    footer: str,
    simulated: bool = False,
    beside: Beside | None = None,
) -> None:
    """Typeset an executed notebook as a tagged, archivable PDF (PDF/A-2a and PDF/UA-1).

    Page 1 contains the title and the cells tagged ``answer``; the other cells follow in order,
    without code. Addresses become links, as does "report 05" if that report is in `beside`. The
    file is built in a temporary folder next to `pdf` and then moved into place, so that a failure
    leaves the old file unchanged.

    Parameters
    ----------
    notebook : Path
        Executed notebook, nbformat 4.
    pdf : Path
        File to write; its folder must exist.
    as_of : str
        As-of date, YYYY-MM-DD: printed, and set as the date of the PDF (midnight UTC).
    footer : str
        Nature of the figures, printed under the title and at the foot of each page.
    simulated : bool
        Whether the figures come from a simulated market, which gives the report a distinct look.
    beside : mapping of str to str, optional
        Names of the reports published with it, keyed by number.

    Raises
    ------
    PdfError
        If a cell failed, a character has no glyph in the fonts, a figure has no alt text, the
        answer does not fit on page 1, or pandoc or typst warns about anything else.
    """
    from runner.document import printed

    moment = datetime.combine(date.fromisoformat(as_of), time(), tzinfo=UTC)
    with TemporaryDirectory(prefix=f".{pdf.stem}-pdf-", dir=pdf.parent) as name:
        folder = Path(name)
        meta = {
            "as_of": as_of,
            "footer": printable(footer),
            "author": AUTHOR,
            "keywords": KEYWORDS,
            "simulated": simulated,
            "beside": dict(beside or {}),
        }
        (folder / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        shutil.copy(SOURCES / "template.typ", folder)
        main = folder / "main.typ"
        page = folder / "page.ipynb"
        exhibits = printed(json.loads(notebook.read_bytes()))
        page.write_text(json.dumps(exhibits, ensure_ascii=False), encoding="utf-8")
        main.write_text(_typst_source(page, notebook, folder), encoding="utf-8")
        finished = folder / "finished.pdf"
        finished.write_bytes(_compiled(main, notebook, moment))
        os.replace(finished, pdf)


def pandoc() -> Path:
    """Return the path to the pandoc bundled in the wheel, ignoring any other installation."""
    import pypandoc

    return Path(pypandoc.__file__).parent / "files" / "pandoc"


def _typst_source(page: Path, notebook: Path, folder: Path) -> str:
    """Convert what is printed of a notebook to typst source.

    Pandoc runs in `folder`, where its filter writes the figures and the title.
    """
    command = [
        str(pandoc()),
        str(page),
        f"--from={READER}",
        "--ipynb-output=all",
        "--to=typst",
        "--wrap=none",
        "--fail-if-warnings",
        f"--lua-filter={SOURCES / 'filter.lua'}",
        f"--data-dir={folder}",
        f"--resource-path={notebook.resolve().parent}",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise _failure(notebook, "pandoc", done.stderr)
    return (
        '#import "template.typ": *\n#let meta = json("meta.json")\n#show: report.with(meta)\n'
        + done.stdout
    )


def _compiled(main: Path, notebook: Path, moment: datetime) -> bytes:
    """Compile a typst file to a PDF, treating warnings as errors.

    The PDF standards also reject missing glyphs and alt texts.
    """
    import typst

    options: dict[str, Any] = {
        "format": "pdf",
        "timestamp": moment,
        "pdf_standards": ["a-2a", "ua-1"],
        "font_paths": [SOURCES / "fonts"],
        "ignore_system_fonts": True,
    }
    try:
        pdf, warnings = typst.compile_with_warnings(main, **options)
    except typst.TypstError as error:
        raise _failure(notebook, "typst", error.message, *error.hints) from error
    if warnings:
        raise _failure(notebook, "typst", *(warning.message for warning in warnings))
    return bytes(pdf)


def _failure(notebook: Path, tool: str, *lines: str) -> PdfError:
    """Return the error for what a tool said, leaving out what pandoc adds to filter errors."""
    around = r"^Error running filter .*:\n|\nstack traceback:[\s\S]*$"
    reason = re.sub(around, "", "\n".join(lines).strip()).strip()
    return PdfError(
        f"{notebook.name} cannot be typeset as a PDF: {tool} stopped with: {reason}. Fix the"
        " notebook and run again."
    )
