"""Export reports and releases: estimates, tables, figures, sweeps, citation, RO-Crate.

An executed notebook holds what its exhibits are made of beside its HTML: see :mod:`analysis.exhibits.payload`.
"""

from __future__ import annotations

import base64
import json
import math
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from analysis import data
from analysis.exhibits.payload import COLUMNS, ESTIMATES, FACTS, MIME, read_estimates, read_facts, typed
from analysis.numbers import A_SET, DECIMALS, MARKS, number, quantity, sentence_of, span
from analysis.provenance import ROOT
from runner.pdf import PdfError, pandoc
from runner.publish import name_of, rendered, write_json
from runner.schedule import Job

SVG = re.compile(r'<img src="data:image/svg\+xml;base64,([^"]+)"')
MOST = 5  # columns of a table beside each other; more go below
COMPARISON = ".comparison.csv"  # how the name of a sweep's table ends
WORD = "word"  # its column of what a claim is given
CITATION, METADATA = "CITATION.cff", "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.2"
PYTHON = "https://www.python.org/"
Lines = list[tuple[str, list[str]]]  # the name of a line, and its cells


# A report


def parts(notebook: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """Yield the data of the exhibits of an executed notebook in order, each figure with its SVG."""
    for cell in json.loads(notebook.read_bytes())["cells"]:
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            pictures = iter(SVG.findall("".join(shown.get("text/html", ""))))
            for part in shown.get(MIME, []):
                yield part, base64.b64decode(next(pictures)) if part["kind"] == "figure" else b""


def facts(notebook: Path) -> pd.DataFrame:
    """Return the facts that an executed notebook recorded, with the columns of `FACTS`."""
    recorded = [read_facts(part["csv"]) for part, _ in parts(notebook) if part["kind"] == "facts"]
    return pd.concat([pd.DataFrame(columns=[*FACTS], dtype=object), *recorded], ignore_index=True)


def uncited(folder: Path, data_folder: Path) -> list[str]:
    """List the rows of ``data/facts`` whose source no report of a release cites: file, first columns, source."""
    recorded = pd.concat([facts(notebook) for notebook in folder.glob("*.ipynb")])
    cited = {*recorded[recorded["what"] == "source"]["value"]}
    lines = list[str]()
    for card in data.package(data_folder)["resources"]:
        if card["path"].startswith("facts/"):
            rows = data.load(card["name"], root=data_folder)
            rows = rows[~rows["source_url"].isin(cited)] if "source_url" in rows else rows[:0]
            shown = rows.iloc[:, :5].astype(str).agg(", ".join, axis=1)
            lines += (
                (card["path"] + ": " + shown + ", " + rows["source_url"].fillna("no address")).tolist()
                if len(rows)
                else []
            )
    return lines


def write(notebook: Path, job: Job) -> list[Path]:
    """Export a report's estimates, tables and figures beside its executed notebook; return the files written.

    ``NAME.estimates.parquet`` and ``.csv`` hold the estimates of the answer and of all tables of them,
    ``NAME.tables.tex`` and ``.docx`` these tables as a paper has them, ``NAME.figures`` each figure and what it was
    drawn from.

    Raises
    ------
    PdfError
        If pandoc cannot write the tables.
    """
    rows, tables, files = list[pd.DataFrame](), list[Table](), list[Path]()
    figures = numbered = 0
    stamp = {"report": job.name, "market": job.market, "as_of": str(job.parameters["as_of"])}
    folder = notebook.with_suffix(".figures")
    for part, picture in parts(notebook):
        if part["kind"] == "figure":
            figures += 1
            folder.mkdir(exist_ok=True)
            files += [folder / f"figure-{figures}.svg", folder / f"figure-{figures}.csv"]
            files[-2].write_bytes(picture)
            files[-1].write_text(part["csv"], encoding="utf-8")
            continue
        if part["kind"] not in ("answer", "estimates"):  # others go to the annex and to the page of the release
            continue
        of_table = part["kind"] == "estimates"
        numbered += of_table
        rows.append(read_estimates(part["csv"]).assign(table=numbered * of_table, **stamp))
        if of_table and rows[-1][["estimate", "conf_low"]].notna().any(axis=None):
            tables.append(Table(part["caption"], rows[-1]))
    if rows:
        estimates = pd.concat(rows, ignore_index=True).drop_duplicates()
        if len(digests := {*estimates["panel"]} - {""}) == 1:  # refusals and verdicts do not name it
            estimates["panel"] = digests.pop()
        files += [notebook.with_suffix(ESTIMATES), notebook.with_suffix(".estimates.csv")]
        estimates.to_parquet(files[-2], index=False)
        estimates.to_csv(files[-1], index=False, lineterminator="\n")
    return [*files, *(write_tables(tables, notebook.with_suffix(".tables")) if tables else [])]


# Tables as a paper has them: estimates as columns, errors in brackets, notes; no stars: an interval says more


@dataclass(frozen=True)
class Table:
    """A table of estimates: its caption in the report, and rows as of :data:`analysis.exhibits.payload.COLUMNS`."""

    caption: str
    rows: pd.DataFrame

    @property
    def id(self) -> str:
        """Its name in LaTeX, by report and number."""
        return f"{self.rows['report'].iloc[0]}-{self.rows['table'].iloc[0]}"

    @property
    def title(self) -> str:
        """The first sentence of the caption."""
        return _plain(self.caption).partition(". ")[0].rstrip(".")

    def panels(self) -> list[Lines]:
        """Return the panels of the table; the first line of each names the estimates.

        Estimates of the same name, such as those of another window, are of another panel.
        """
        again, panels = self.rows.groupby("label").cumcount(), list[Lines]()
        for _, rows in self.rows.groupby(again):
            panels += [self._lines(rows[start : start + MOST]) for start in range(0, len(rows), MOST)]
        return panels

    def _lines(self, rows: pd.DataFrame) -> Lines:
        units = rows["unit"]
        digits = [_digits(error, unit) for error, unit in zip(rows["std_error"], units, strict=True)]

        def written(name: str, around: str = "{}", *, signed: bool = True) -> list[str]:
            texts = [quantity(*cell) for cell in zip(rows[name], units, digits, strict=True)]
            return [text if text == "–" else around.format(text if signed else text.lstrip("+")) for text in texts]

        bounded = rows["conf_low"].notna()
        points = rows["estimate"].isna() & bounded
        ends = zip(rows["conf_low"], rows["conf_high"], units, digits, strict=True)
        lines = [
            ("", [_plain(label) for label in rows["label"]]),
            ("Estimand", rows["estimand"].tolist() if (rows["estimand"] != rows["label"]).any() else []),
            ("Effect", [A_SET if a_set else text for a_set, text in zip(points, written("estimate"), strict=True)]),
            ("", [text.replace("–", "") for text in written("std_error", "({})", signed=False)]),
            ("Interval", [f"[{span(*end)}]" if there else "–" for end, there in zip(ends, bounded, strict=True)]),
            ("n", [number(value, 0) for value in rows["n"]]),
            ("Degrees of freedom", [number(value) for value in rows["df"]]),
            ("Smallest effect seen", written("mde", signed=False)),
            ("Truth", written("truth")),
            ("Grade", rows["grade"].tolist()),
            ("Unit", units if len({*self.rows["unit"]} - {""}) > 1 else []),
            ("Window", rows["window"].tolist() if len({*self.rows["window"]} - {""}) > 1 else []),
        ]
        return [(name, cells) for name, cells in lines if {*cells} - {"", "–"} or name == "Effect"]

    def notes(self) -> str:
        """Write the notes: the rest of the caption, what the cells hold, why some are empty, and the origin."""
        rows, first = self.rows, self.rows.iloc[0]

        def the(name: str) -> list[str]:
            return [text for text in dict.fromkeys(rows[name].map(str)) if text not in ("", "nan")]

        kinds = " or ".join(dict.fromkeys(kind.partition(",")[0] for kind in the("interval"))) or "interval"
        levels = " or ".join(f"{float(level):.0%}" for level in the("level"))
        brackets = {"std_error": "in brackets standard errors"}
        brackets["conf_low"] = f"in square brackets the {kinds}{f' of {levels}' if levels else ''}"
        sentences = [_plain(self.caption).partition(". ")[2].rstrip(".")]
        sentences += [f"Unit: {unit}" for unit in the("unit") if len(the("unit")) == 1]
        sentences.append(", ".join(text for name, text in brackets.items() if rows[name].notna().any()))
        sentences += [f"Window: {window}" for window in the("window") if len(the("window")) == 1]
        sentences += [f"Compared with: {', '.join(the('comparison')).replace('_', ' ')}"] if the("comparison") else []
        empty = rows[rows["reason"] != ""].drop_duplicates("reason")
        sentences += [f"{row['label']}: {sentence_of(row['reason'])}".rstrip(".") for row in empty.to_dict("records")]
        if first["provenance"] == "simulated":
            sentences.append(f"Simulated: {first['market']}; no finding about a real market")
        sentences += [f"Panel {panel[:16]}" for panel in the("panel")]
        sentences.append(f"Report {first['report']}, as of {first['as_of']}")
        return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences if sentence)


def _digits(error: float, unit: str) -> int:
    """Return the decimals of a unit, or more where two digits of the error need them."""
    usual = DECIMALS.get(unit, 1)
    return max(usual, 1 - math.floor(math.log10(error))) if error > 0 else usual


def _plain(text: str) -> str:
    """Remove the marks of provenance from a text: a note states it."""
    return re.sub(f" ?[{''.join(MARKS.values())}]", "", text)


def write_tables(tables: Sequence[Table], stem: Path) -> list[Path]:
    """Write tables of one report as ``.tex``, which a document takes in, and ``.docx``; return both files.

    Raises
    ------
    PdfError
        If pandoc cannot write the latter.
    """
    files = [stem.with_name(f"{stem.name}{kind}") for kind in (".tex", ".docx")]
    files[0].write_text(rendered("tables.tex.j2", tables=tables), encoding="utf-8")
    command = [str(pandoc()), str(files[0]), "--from=latex", f"--output={files[1]}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise PdfError(f"{files[1].name} cannot be written: pandoc stops with: {done.stderr.strip()}; run again.")
    return files


# A sweep


def compare(folder: Path, jobs: Iterable[Job], verdicts: Mapping[str, Iterable[Mapping[str, Any]]]) -> list[Path]:
    """Write ``SWEEP.comparison.csv`` of each sweep beside its reports, and return the files.

    A row is an estimate of one of the reports, as in ``docs/estimates.md``. Before it stand the values of what differs;
    after it, where it is a finding on a claim, the word that the claim is given. A report that shows no estimate has a
    row without any, so that none is missing.

    Parameters
    ----------
    folder : Path
        It holds the estimates of the reports already; one that failed has none.
    jobs : iterable of Job
    verdicts : mapping
        By report, as the notebooks wrote them.
    """
    tables = dict[str, list[pd.DataFrame]]()
    for job in (job for job in jobs if job.sweep and (folder / f"{job.name}.pdf").is_file()):
        file = folder / f"{job.name}.estimates.parquet"
        without = typed(pd.DataFrame({"report": [job.name]}, columns=[*COLUMNS]))
        rows = pd.read_parquet(file) if file.is_file() else without
        words = {name_of(verdict): str(verdict.get("word", "")) for verdict in verdicts.get(job.name, ())}
        # "C01 V2: Growth was not lower ..."
        claims = rows["label"].str.partition(": ")[0].where(rows["table"] == 0, "")
        varied = {name + "_parameter" * (name in COLUMNS): text for name, text in job.swept.items()}
        before = pd.DataFrame(varied, index=rows.index)
        judged = rows.assign(**{WORD: [words.get(name, "") for name in claims]})
        tables.setdefault(job.sweep, []).append(pd.concat([before, judged], axis=1))
    files = []
    for sweep, parts in tables.items():
        files.append(folder / f"{sweep}{COMPARISON}")
        pd.concat(parts, ignore_index=True).to_csv(files[-1], index=False, float_format="%.12g", lineterminator="\n")
    return files


# A release


def cite(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the citation of a release: that of the project, with the date and commit of the release."""
    file, text = folder / CITATION, (ROOT / CITATION).read_text(encoding="utf-8")
    commit = f'commit: "{manifest["commit"]}"\n' if manifest["commit"] else ""
    file.write_text(f"{text}date-released: {manifest['as_of']}\n{commit}", encoding="utf-8")


def describe(folder: Path, manifest: Mapping[str, Any], others: Mapping[str, str]) -> None:
    """Describe the files of a release; `others` describes, by name, those that belong to no report.

    It is an RO-Crate: the release, its files, and that each report was made by running its notebook.
    """
    files = dict(others)
    for name, entry in manifest["reports"].items():
        of = f"Simulated ({entry['market']}), no finding about a real market: " if entry["market"] else ""
        files |= dict.fromkeys(entry["made"], f"{of}report {name}")
        files[f"{name}.ipynb"] = f"{of}executed notebook of report {name}"
    cited = YAML(typ="safe").load(ROOT / CITATION)
    names = {"metadata": METADATA, "specification": SPECIFICATION, "python": PYTHON}
    crate = rendered("ro-crate.json.j2", cited=cited, manifest=manifest, files=files, **names)
    write_json(folder / METADATA, json.loads(crate))
