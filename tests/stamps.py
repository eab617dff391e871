"""Whether a published report says on every page and in every exhibit that it is simulated, or
nowhere if it is real.
"""

import base64
import json
import re
from pathlib import Path

from pypdf import PdfReader

STAMPS = ("Simulated –", "Simulated:", "SIMULATED", "THE ANSWER, OF A SIMULATED MARKET")
IMAGE = re.compile(r'<img src=\\?"data:image/svg\+xml;base64,([^"\\]+)\\?" alt=\\?"([^"\\]*)')
CAPTION = re.compile(r"Figure \d+ +(\S \S+ \S)")


def pages(pdf: Path) -> list[str]:
    return [
        " ".join(page.extract_text().replace("\xa0", " ").split()) for page in PdfReader(pdf).pages
    ]


def images(notebook: Path) -> list[tuple[str, str]]:
    """Return each figure of an executed notebook: its SVG and its alternative text."""
    cells = json.loads(notebook.read_bytes())["cells"]
    html = [
        "".join(one.get("data", {}).get("text/html", ""))
        for cell in cells
        for one in cell.get("outputs", [])
    ]
    return [
        (base64.b64decode(svg).decode(), alt) for text in html for svg, alt in IMAGE.findall(text)
    ]


def assert_stamped(folder: Path, name: str, market: str) -> None:
    """Look through the PDF and the notebook of a report of a simulated market."""
    assert name.startswith("simulated/")
    for number, text in enumerate(pages(folder / f"{name}.pdf")):
        assert f"Simulated: {market}" in text
        assert ("SIMULATED" in text) or number == 0
        assert all(caption.endswith("Simulated –") for caption in CAPTION.findall(text))
        assert "◐" not in text
    for svg, alt in images(folder / f"{name}.ipynb"):
        assert svg.count('id="simulated"') == 1  # its title
        assert "Simulated –" in svg
        assert alt.startswith("Simulated – ")


def assert_unstamped(folder: Path, name: str) -> None:
    """Look through those of a report of the real market."""
    assert not name.startswith("simulated/")
    for text in pages(folder / f"{name}.pdf"):
        assert not any(stamp in text for stamp in STAMPS)
        assert "In the simulated market" not in text
    for svg, alt in images(folder / f"{name}.ipynb"):
        assert 'id="simulated' not in svg
        assert "imulated" not in alt.replace(
            "in the simulated market", ""
        )  # as report 01 calls a share of report 07


def assert_told_apart(folder: Path) -> None:
    """Look through every report of a run."""
    for name, entry in json.loads((folder / "manifest.json").read_bytes())["reports"].items():
        if entry["market"]:
            assert_stamped(folder, name, entry["market"])
        else:
            assert_unstamped(folder, name)
