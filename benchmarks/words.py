"""Count the words and numbers of the reports of a release, in the text of their PDFs.

``make words`` prints them beside their limits in ``[tool.house.reports]`` of pyproject.toml, and
fails if the reports on real figures exceed them. Text is that of ``pdftotext -layout``, with the
labels inside figures. Words are what stands between spaces; numbers are digits with what separates
them, so that a date has two.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUMBER = re.compile(r"[0-9][0-9.,]*")
TOOL = "pdftotext"


def text_of(pdf: Path) -> str:
    """Return the text of a PDF as ``pdftotext -layout`` gives it."""
    if not shutil.which(TOOL):
        raise SystemExit(f"Cannot count words: {TOOL} is missing; install poppler-utils.")
    command = [TOOL, "-layout", str(pdf), "-"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def counted(text: str) -> tuple[int, int]:
    """Return how many words and how many numbers a text has.

    >>> counted("On 6 July 2021 shares fell 17.9 per cent.")
    (9, 3)
    """
    return len(text.split()), len(NUMBER.findall(text))


def real_reports(release: Path) -> list[Path]:
    """Return the PDFs on real figures in a folder of reports, without the annex."""
    return sorted(pdf for pdf in release.glob("*.pdf") if pdf.stem != "annex")


def table(pdfs: Iterable[Path]) -> tuple[list[str], tuple[int, int]]:
    """Return one line per PDF, and the words and numbers of all together."""
    lines = [f"{'report':28} {'words':>7} {'numbers':>8}"]
    words = 0
    numbers = 0
    for pdf in pdfs:
        own_words, own_numbers = counted(text_of(pdf))
        lines.append(f"{pdf.stem:28} {own_words:7,} {own_numbers:8,}")
        words += own_words
        numbers += own_numbers
    lines.append(f"{'together':28} {words:7,} {numbers:8,}")
    return lines, (words, numbers)


def main() -> int:
    """Print the counts, and return 1 if the reports together exceed a limit."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    ask.add_argument("place", nargs="*", type=Path, help="PDFs, or the folder of a release")
    ask.add_argument("--check", action="store_true", help="fail if a limit is exceeded")
    given = ask.parse_args()
    places = given.place or [ROOT / "reports" / "latest"]
    pdfs = [pdf for place in places for pdf in (real_reports(place) if place.is_dir() else [place])]
    if not pdfs:
        raise SystemExit("Cannot count words: there is no PDF; run `make report` first.")
    lines, together = table(pdfs)
    print(*lines, sep="\n")
    limits = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["house"]["reports"]
    most = (limits["words"], limits["numbers"])
    print(f"{'at most':28} {most[0]:7,} {most[1]:8,}")
    over = any(count > limit for count, limit in zip(together, most, strict=True))
    return int(over and given.check)


if __name__ == "__main__":
    sys.exit(main())
