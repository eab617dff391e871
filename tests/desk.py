"""A small project in a folder: three notebooks, one data file, a stub in the place of the PDF."""

import errno
import hashlib
import io
import json
import os
import re
import shutil
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

from nbformat.v4 import new_output
from papermill.engines import Engine, papermill_engines
from reading import read_json
from ruamel.yaml import YAML

from runner import NEWS, Exit, State, engine, publish, run, scheduled
from runner.cli import main

AS_OF = "2026-11-25"
LATER = "2026-11-26"
VINTAGE = "2026-11-24"


def cases(name):
    """The cases of tests/cases/runner/NAME.yml."""
    return YAML(typ="safe").load(Path(__file__).parent / "cases" / "runner" / f"{name}.yml")


SOURCES = cases("sources")  # of notebooks, and other texts
PARAMETERS = SOURCES["parameters"]
BRIEF_PARAMETERS = SOURCES["brief_parameters"]
WRITE_VERDICTS = SOURCES["write_verdicts"]
READ_VERDICTS = SOURCES["read_verdicts"]
NO_VERDICTS = WRITE_VERDICTS.replace("[verdict]", "[]")


def stub_render(notebook, pdf, *, as_of, footer, simulated=False, **_):
    digest = hashlib.sha256(notebook.read_bytes()).hexdigest()
    pdf.write_text(f"%PDF of {digest}, {as_of}, {footer}{', simulated' if simulated else ''}")


class Here(Engine):
    """Runs cells in the process of the tests: most of what a runner does needs no kernel, which
    takes a second each.
    """

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **_):
        names = {}
        for number, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type == "code":
                said = io.StringIO()
                names["print"] = partial(print, file=said)
                names["display"] = lambda data, raw=True, cell=cell: cell.outputs.append(
                    new_output("display_data", data=data)
                )
                try:
                    exec(cell.source, names)
                except Exception as error:
                    told = {"evalue": str(error), "traceback": traceback.format_exc().splitlines()}
                    cell.outputs = [new_output("error", ename=type(error).__name__, **told)]
                    return nb_man.cell_exception(cell, number)
                if text := said.getvalue():
                    cell.outputs.append(new_output("stream", name="stdout", text=text))


def contents(folder):
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


@contextmanager
def sources_kept(folder):
    """Let the sources that count be a copy in a folder, so that nobody who edits them meanwhile
    makes reports run.
    """
    for package in ("analysis", "fewtreated/src", "market", "runner"):
        shutil.copytree(publish.SOURCES / package, folder / "sources" / package)
    with mock.patch.object(publish, "SOURCES", folder / "sources"):
        yield


@contextmanager
def published_once(folder, *sources):
    """Lend a project in a folder whose reports have been published once, its first of these cells
    if there are any.
    """
    desk = Desk(folder / "project")
    desk.furnish()
    if sources:
        desk.write("01_first", *sources)
    with sources_kept(folder):
        assert desk.run() == Exit.OK
        yield desk


def plain(outcome):
    """An outcome in JSON, with what is said as text and the states of reports as lines."""
    told = json.loads(outcome)
    lines = {name: State(**state).line for name, state in told["reports"].items()}
    news = {part: [each["said"] for each in told[part]] for part in (*NEWS, "notes")}
    return told | news | {"reports": lines}


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def describe(file, vintage=VINTAGE):
    """Entry of a file in datapackage.json, as far as the runner reads it."""
    known = {"name": Path(file).stem, "path": file, "vintage": vintage}
    known["schema"] = {"fields": [{"name": "year", "type": "year"}]}
    return {
        **known,
        "title": "T",
        "description": "D",
        "notThis": "N",
        "bytes": 1,
        "hash": "sha256:0",
        "sources": [],
    }


def cell(kind, number, source, *tags):
    if kind == "code":
        code = {"execution_count": None, "outputs": []}
    else:
        code = {}
    return {
        "cell_type": kind,
        "id": f"c{number}",
        "metadata": {"tags": [*tags]},
        "source": source,
        **code,
    }


def document_text(source, *tags):
    """A cell of text, whose expressions stand in <<double brackets>>."""
    return cell("markdown", "", re.sub("<<(.+?)>>", r"{eval}`\1`", source), *tags)


def write_notebook(file, *sources, parameters=PARAMETERS, **metadata):
    cells = [cell("markdown", 0, "# What is asked?")]
    if parameters is not None:
        cells.append(cell("code", 1, parameters, "parameters"))
    for number, source in enumerate(sources, start=2):
        if isinstance(source, dict):
            cells.append({**source, "id": f"c{number}"})
        else:
            cells.append(cell("code", number, source))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, **metadata},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    file.write_text(json.dumps(notebook))


@dataclass(frozen=True)
class Desk:
    root: Path
    kernels: bool = True  # whether notebooks run in kernels of their own, as they do for users

    @contextmanager
    def executing(self, render=stub_render):
        """Let a run render with a stub, and execute notebooks in this process if there are to be no
        kernels.
        """
        engines = papermill_engines._engines
        if not self.kernels:
            engines = {engine.NAME: Here}
        with (
            mock.patch.dict(papermill_engines._engines, engines),
            mock.patch.object(run.pdf, "render", render),
        ):
            yield

    @property
    def reports(self):
        return self.root / "reports"

    @property
    def published(self):
        return (self.reports / "latest").resolve()

    @property
    def draft(self):
        return self.reports / "draft"

    def copied(self, folder):
        """Return a copy to be changed."""
        shutil.copytree(self.root, folder / "project", symlinks=True)
        return replace(self, root=folder / "project")

    def furnish(self):
        for folder in ("notebooks", "data", "reports/fonts"):
            (self.root / folder).mkdir(parents=True)
        (self.root / "data" / "figures.csv").write_text("year,value\n2021,1\n")
        self.declare(describe("figures.csv"))
        (self.reports / "template.typ").write_text("// template")
        (self.reports / "figures.mplstyle").write_text("font.size: 8")
        (self.reports / "filter.lua").write_text("-- filter")
        (self.reports / "fonts" / "one.otf").write_bytes(b"font")
        (self.reports / "schedule.yml").write_text(SOURCES["schedule"])
        self.write("01_first", WRITE_VERDICTS)
        self.write("02_second", WRITE_VERDICTS)
        self.write("00_brief", READ_VERDICTS, parameters=BRIEF_PARAMETERS)

    def declare(self, *entries):
        (self.root / "data" / "datapackage.json").write_text(json.dumps({"resources": entries}))

    def write(self, name, *sources, **known):
        file = self.root / "notebooks" / f"{name}.ipynb"
        file.parent.mkdir(exist_ok=True)
        write_notebook(file, *sources, **known)

    def run(self, *names, render=stub_render, **options):
        with self.executing(render):
            request = run.Request(names=names, **{"as_of": AS_OF, **options})
            outcome = run.reports(self.root, request)
        outcome.tell()
        return outcome.code

    def work(self, *, due=False, **options):
        """Run as the command line does, with what is told elsewhere."""
        with self.executing():
            request = run.Request(**{"as_of": LATER, **options})
            return scheduled.work(self.root, request, due=due)

    def ask(self, *words, render=stub_render):
        """Give a command."""
        with self.executing(render):
            return main([*words], self.root)

    def bytes(self):
        """What is published, and what `latest` shows."""
        return {
            f"{folder.name}/{name}": content
            for folder in (*self.reports.glob("20*"), self.reports / "latest")
            for name, content in contents(folder).items()
        }

    def text(self, name):
        """Return a file of the newest release as text."""
        return (self.published / name).read_text()

    def manifest(self):
        return read_json(self.published / "manifest.json")

    def is_clear(self):
        """No temporary folder is left."""
        return not list(self.reports.glob(".run-*"))
