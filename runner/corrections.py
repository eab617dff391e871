"""Tell what earlier releases said that was wrong.

A correction is a row of ``data/corrections.csv``. The first release that knows it tells it, and so
does the next one. Each manifest counts the releases that have told a correction, so the rule
follows the chain of releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis import data
from analysis.numbers import spelled

NAME = "corrections"  # of the file in the descriptor
TOLD = 2  # releases that tell a correction


@dataclass(frozen=True)
class Correction:
    """A correction: what was wrong, where, what is right, and why it changed.

    `gravity` is 1 for a verdict or a number, 2 for a sentence, and 3 for what is beside the
    findings.
    """

    id: str
    gravity: int
    where: str
    said: str
    right: str
    why: str

    @property
    def sentence(self) -> str:
        """The correction in one sentence."""
        return f"{self.where} said “{self.said}”; {self.right}."

    @property
    def said_in_full(self) -> str:
        """The correction, and why it changed."""
        return f"{self.sentence} {self.why}."


def read_corrections(root: Path) -> list[Correction]:
    """Read the corrections of a project, the gravest first.

    A project that declares no such file has none.

    Raises
    ------
    DataError
        If the file is not as declared.
    """
    folder = root / "data"
    if NAME not in {entry["name"] for entry in data.package(folder)["resources"]}:
        return []
    rows = [
        Correction(
            row["correction_id"],
            int(row["gravity"]),
            row["place"],
            row["said"],
            row["right"],
            row["why"],
        )
        for row in data.rows(NAME, root=folder)
    ]
    return sorted(rows, key=lambda row: row.gravity)


def shown(corrections: Iterable[Correction], before: Mapping[str, int]) -> list[Correction]:
    """Return the corrections that the next release tells.

    `before` has, by id, the number of releases that have told each, as the manifest of the last
    release counts them.
    """
    return [each for each in corrections if before.get(each.id, 0) < TOLD]


def counted(corrections: Sequence[Correction], before: Mapping[str, int]) -> dict[str, int]:
    """Return the number of releases that have told each correction, by id.

    It is the number once the next release is published.

    Corrections that all have told stay counted, so that they are never told again.
    """
    return dict(before) | {
        each.id: before.get(each.id, 0) + 1 for each in shown(corrections, before)
    }


def line(told: Sequence[Correction]) -> str:
    """Return the correction, or the number of corrections and where they stand.

    Return an empty string if there is none.
    """
    if not told:
        return ""
    if len(told) == 1:
        return told[0].sentence
    return f"{spelled(len(told))} statements of earlier releases, listed in index.html."
