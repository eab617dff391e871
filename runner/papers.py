"""Tables of estimates as a paper has them: estimates as columns, errors in brackets, notes; for LaTeX and for Word.

LaTeX needs the package booktabs alone. No stars: an interval says more.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.exhibits.blocks import A_SET, sentence_of
from analysis.numbers import DECIMALS, MARKS, MINUS, number, quantity, span
from runner.pdf import PdfError, pandoc

MOST = 5  # columns beside each other; more go below
SIGNS = {**{sign: f"\\{sign}" for sign in "&%$#_{}"}, "\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
SIGNS |= {"^": r"\textasciicircum{}", "<": "$<$", ">": "$>$", "≤": r"$\leq$", "≥": r"$\geq$"}
SIGNS |= {MINUS: "$-$", "∞": r"$\infty$", "_": r"\_\allowbreak{}"}
Lines = list[tuple[str, list[str]]]  # the name of a line, and its cells


@dataclass(frozen=True)
class Table:
    """A table of estimates: its caption in the report, and rows as of :data:`analysis.exhibits.payload.COLUMNS`."""

    caption: str
    rows: pd.DataFrame

    @property
    def title(self) -> str:
        """The first sentence of the caption."""
        return _plain(self.caption).partition(". ")[0].rstrip(".")

    def panels(self) -> list[Lines]:
        """Return what stands below each other; the first line of each has the names of the estimates.

        Estimates of the same name, such as those of another window, are of another panel.
        """
        again, found = self.rows.groupby("label").cumcount(), list[Lines]()
        for _, rows in self.rows.groupby(again):
            found += [self._lines(rows[start : start + MOST]) for start in range(0, len(rows), MOST)]
        return found

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
        """Return the rest of the caption, what is in the cells, why some are empty, and where all of it is from."""
        rows, first = self.rows, self.rows.iloc[0]

        def the(name: str) -> list[str]:
            return [text for text in dict.fromkeys(rows[name].map(str)) if text not in ("", "nan")]

        kinds = " or ".join(dict.fromkeys(kind.partition(",")[0] for kind in the("interval"))) or "interval"
        levels = " or ".join(f"{float(level):.0%}" for level in the("level"))
        brackets = {"std_error": "in brackets standard errors"}
        brackets["conf_low"] = f"in square brackets the {kinds}{f' of {levels}' if levels else ''}"
        said = [_plain(self.caption).partition(". ")[2].rstrip(".")]
        said += [f"Unit: {unit}" for unit in the("unit") if len(the("unit")) == 1]
        said.append(", ".join(text for name, text in brackets.items() if rows[name].notna().any()))
        said += [f"Window: {window}" for window in the("window") if len(the("window")) == 1]
        said += [f"Compared with: {', '.join(the('comparison')).replace('_', ' ')}"] if the("comparison") else []
        empty = rows[rows["reason"] != ""].drop_duplicates("reason")
        said += [f"{row['label']}: {sentence_of(row['reason'])}".rstrip(".") for row in empty.to_dict("records")]
        if first["provenance"] == "simulated":
            said.append(f"Simulated: {first['market']}; no finding about a real market")
        said += [f"Panel {panel[:16]}" for panel in the("panel")]
        said.append(f"Report {first['report']}, as of {first['as_of']}")
        return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in said if sentence)


def _digits(error: float, unit: str) -> int:
    """Return the decimals of a unit, or as many more as show two digits of an error."""
    usual = DECIMALS.get(unit, 1)
    return max(usual, 1 - math.floor(math.log10(error))) if error > 0 else usual


def _plain(text: str) -> str:
    """Take the marks off a text: a note says what numbers are made of."""
    return re.sub(f" ?[{''.join(MARKS.values())}]", "", text)


def write(tables: Sequence[Table], stem: Path) -> list[Path]:
    """Write tables of one report as ``.tex``, which a document takes in, and ``.docx``; return both files.

    Raises
    ------
    PdfError
        If pandoc cannot write the latter.
    """
    files = [stem.with_name(f"{stem.name}{kind}") for kind in (".tex", ".docx")]
    files[0].write_text("% Needs \\usepackage{booktabs}.\n" + "\n".join(map(_tex, tables)), encoding="utf-8")
    command = [str(pandoc()), str(files[0]), "--from=latex", f"--output={files[1]}"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        raise PdfError(f"{files[1].name} cannot be written: pandoc stops with: {done.stderr.strip()}; run again.")
    return files


def _tex(table: Table) -> str:
    panels, signs = table.panels(), str.maketrans(SIGNS)
    columns, first = max(len(lines[0][1]) for lines in panels), table.rows.iloc[0]
    body, wide = list[str](), f"p{{\\dimexpr{0.8 / columns:.4f}\\linewidth-6pt\\relax}}"
    for lines in panels:
        cells = [
            [f"\\raggedright{{}}{name.translate(signs)}", *(f"\\centering{{}}{cell.translate(signs)}" for cell in line)]
            for name, line in lines
        ]
        head, *rest = [f"{' & '.join(line)} \\tabularnewline" for line in cells]
        body += ["\\midrule" if body else "\\toprule", head, "\\midrule", *rest]
    parts = [
        "\\begin{table}[htbp]\n\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}",
        f"\\caption{{{table.title.translate(signs)}}}\n\\label{{tab:{first['report']}-{first['table']}}}",
        f"\\begin{{tabular}}{{@{{}}p{{0.2\\linewidth}}*{{{columns}}}{{{wide}}}@{{}}}}",
        *body,
        "\\bottomrule\n\\end{tabular}\n\n\\smallskip",
        f"\\parbox{{\\linewidth}}{{\\scriptsize\\emph{{Notes.}} {table.notes().translate(signs)}}}\n\\end{{table}}\n",
    ]
    return "\n".join(parts)
