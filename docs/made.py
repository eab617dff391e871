"""Parts of the pages that are made from data, so that they are written down once."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

import analysis
import fewtreated
from analysis.estimands.catalogue import VERBS
from analysis.provenance import ROOT
from market import ranking
from runner import replication

DATA = ROOT / "data"
RETURNED = {
    "Answers": ("analysis.estimands.catalogue", "rows, require"),
    "CohortEffects": ("fewtreated.frames", "rows, aggregate, tidy, summary, to_latex, plot"),
    "Estimate": (
        "fewtreated.estimate",
        "rows, row, bounds, sup_t_band, exp, tidy, summary, to_latex, plot",
    ),
    "Bounds": ("fewtreated.estimators.honest_did", "rows, conf_int, breakdown, plot"),
    "TestResult": ("fewtreated.testing", "rows"),
    "Panel": ("analysis.panel", "to_frame, from_frame, to_parquet"),
}
"""Classes of what is returned: their module, and what a user calls of them."""
ON_ARRAYS = (
    "att_gt.att_gt",
    "doubly_robust.doubly_robust",
    "exposure.exposure_effects",
    "honest_did.honest_bounds",
    "power.minimum_detectable_effect",
    "survival.exit_survival",
)
ON_ARRAYS += (
    "units.usable_units",
    "synthetic.synthetic_did",
    "randomization.randomization_did",
)
AUDIT_ALONE = "in the audit of methods alone"
IN_RELEASES = (
    "Each release has this page with a list of its tables and figures by number, as"
    " `replication.md`."
)


def estimands() -> str:
    """Return the glossary of estimands.

    It has each id of data/estimands.csv with its label, unit, formula and the function behind it.
    """
    known = pd.read_csv(DATA / "estimands.csv", index_col="id", dtype=str)
    verbs = {
        name: verb.func if isinstance(verb, partial) else verb
        for verb, terms in VERBS
        for name in terms.values()
    }
    lines = []
    for section, rows in YAML(typ="safe").load(ROOT / "docs" / "formulas.yml").items():
        lines += [f"## {section}", ""]
        for name, row in rows.items():
            label, unit, report = known.loc[name, ["label", "unit", "report"]]
            verb = verbs.get(name)
            if verb:
                source = f"`{verb.__module__}.{verb.__name__}`"
            else:
                source = AUDIT_ALONE
            lines += [f"### {name}", "", f"**{label}**, {unit}; report {report}; {source}.", ""]
            lines += ["$$", row["formula"], "$$", "", row["says"], ""]
    return "\n".join(lines)


def dictionary() -> str:
    """Return the data dictionary.

    It has each table of data/datapackage.json, and the columns of a panel.
    """
    resources = json.loads((DATA / "datapackage.json").read_bytes())["resources"]
    tables = [(f"data/{row['path']}", row, row["schema"]) for row in resources if "schema" in row]
    schema = json.loads((DATA / "panel.schema.json").read_bytes())
    lines = []
    for path, row, columns in [
        *tables,
        ("a panel of yours, as data/panel.schema.json", schema, schema),
    ]:
        lines += [f"## {row['title']}", "", f"`{path}`. {row['description']} {row['notThis']}", ""]
        lines += [*filter(None, [row.get("licenseNote")]), ""]
        lines += ["| column | type | what | allowed |", "|---|---|---|---|"]
        lines += [
            "| " + " | ".join(_column(field)).replace("\n", " ") + " |"
            for field in columns["fields"]
        ]
        lines += (
            ["", f"Key: {', '.join(columns['primaryKey'])}.", ""]
            if "primaryKey" in columns
            else [""]
        )
    return "\n".join(lines)


def _column(field: dict[str, Any]) -> tuple[str, ...]:
    rule = field.get("constraints", {})
    allowed = ["never empty"] * rule.get("required", False) + ["each once"] * rule.get(
        "unique", False
    )
    allowed += ["may be left out"] * field.get("optional", False)
    allowed += [
        f"{word} {rule[end]}"
        for word, end in (("from", "minimum"), ("to", "maximum"))
        if end in rule
    ]
    allowed += [", ".join(map(str, rule["enum"]))] if "enum" in rule else []
    kind = ", ".join(filter(None, [field["type"], field.get("unit")]))
    return f"`{field['name']}`", kind, field["description"], "; ".join(allowed)


def functions() -> str:
    """Return a section for each name that users call, what these return, and what is behind it."""
    lines = []
    for package in (analysis, fewtreated):
        for name in package.__all__:
            if callable(offered := getattr(package, name)) and name not in RETURNED:
                if isinstance(offered, type):
                    kind = "autoclass"
                else:
                    kind = "autofunction"
                lines += _section(f"## {name}", f"{kind}:: {package.__name__}.{name}")
    lines += ["## What is returned", ""]
    for name, (module, members) in RETURNED.items():
        lines += _section(
            f"### {name}",
            f"autoclass:: {module}.{name}",
            *[f"   :members: {members}"] * bool(members),
        )
    lines += [
        "## The same on arrays",
        "",
        "What the functions above call, with the formulas and the literature.",
        "",
    ]
    for name in ON_ARRAYS:
        lines += _section(f"### {name}", f"autofunction:: fewtreated.estimators.{name}")
    return "\n".join(lines)


def _section(title: str, directive: str, *options: str) -> list[str]:
    return [title, "", "```{eval-rst}", f".. {directive}", *options, "```", ""]


def programs() -> str:
    """Return which notebook makes which report, by the schedule."""
    rows = YAML(typ="safe").load(ROOT / "reports" / "schedule.yml")["reports"]
    names = {row["name"]: row["notebook"] for row in rows}
    files = {report: ROOT / "notebooks" / name for report, name in names.items()}
    return replication.programs(files, names)


def estimators() -> str:
    """Return the table of which estimator to take for how many closed brands."""
    heads = ["closed brands", "take", "right, per cent", "score", "power, per cent"]
    heads += ["another of `fewtreated`", "its score over that of the best of others"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in ranking.chosen(ranking.results()).itertuples():
        first = (row.kind, row.name, f"{row.coverage:.0f}", f"{row.score:.2f}", f"{row.power:.0f}")
        ends = f"{row.score_ratio_low_ours:.2f} to {row.score_ratio_high_ours:.2f}"
        own = (row.label_ours, f"{row.score_ratio_ours:.2f} ({ends})")
        lines.append(f"| {' | '.join([*first, *own])} |")
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {
    "estimands": estimands,
    "dictionary": dictionary,
    "functions": functions,
    "datasets": replication.datasets,
    "programs": programs,
    "estimators": estimators,
    "exhibits": lambda: IN_RELEASES,
}
