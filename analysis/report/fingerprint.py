"""What a report is made of, as one number: if it is the same, the report need not be made again."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from analysis import provenance
from analysis.report.schedule import Job, Paths

PACKAGE = Path(__file__).resolve().parent.parent
LAYOUT = ("*.lua", "*.typ", "fonts/*.otf")


@dataclass(frozen=True)
class Inputs:
    """What all reports of a run have in common: sha256 by file, and versions by name."""

    data: dict[str, str]
    code: dict[str, str]
    layout: dict[str, str]
    versions: dict[str, str]


def inputs(paths: Paths) -> Inputs:
    """Hash the data, the sources of `analysis` and the layout, and note the versions.

    Every file under ``data/`` counts. Of ``reports/``, into which runs write, only the
    layout counts: template, filters and fonts. The schedule's parameters count by themselves.
    """
    layout = [file for pattern in LAYOUT for file in paths.reports.glob(pattern)]
    return Inputs(
        data=_hashes(paths.data, paths.data.rglob("*")),
        code=_hashes(PACKAGE, PACKAGE.rglob("*.py")),
        layout=_hashes(paths.reports, layout),
        versions=provenance.versions(),
    )


def of(job: Job, common: Inputs, verdicts: object = None) -> str:
    """Fingerprint of one report.

    Parameters
    ----------
    job : Job
        Settled: with a value for each parameter.
    common : Inputs
    verdicts : object
        The verdicts that it reads, if it is the brief.

    Returns
    -------
    str
        A sha256. Outputs, counters and ids in the notebook's file do not count.
    """
    notebook = json.loads(job.notebook.read_bytes())
    content = {
        "cells": [_source(cell) for cell in notebook["cells"]],
        "kernel": notebook["metadata"].get("kernelspec"),
        "parameters": job.parameters,
        "market": job.market,
        "files": [sha256(file) for file in job.files],
        "inputs": asdict(common),
        "verdicts": verdicts,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256(file: Path) -> str:
    """Hash of a file's bytes."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _source(cell: dict[str, Any]) -> dict[str, Any]:
    return {key: cell[key] for key in cell.keys() - {"outputs", "execution_count", "id"}}


def _hashes(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    names = {file.relative_to(folder): file for file in files if file.is_file()}
    return {
        name.as_posix(): sha256(names[name])
        for name in sorted(names)
        if not any(part.startswith(".") for part in name.parts)
    }
