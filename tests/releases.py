"""Small releases as a run would leave them, for tests of what looks at releases."""

import json

from runner import publish, release
from runner.release import DATA, MANIFEST, VERDICTS

COLUMNS = [
    "table",
    "estimand",
    "label",
    "estimate",
    "std_error",
    "conf_low",
    "conf_high",
    "level",
    "unit",
    "interval",
]
COLUMNS += ["window", "comparison", "market"]
FIGURES = "firm,year,sales\nAcme,2020,10\nAcme,2021,12\nBright,2020,7\n"
DESCRIPTOR = {
    "resources": [
        {
            "path": "facts/figures.csv",
            "hash": "x",
            "schema": {"primaryKey": ["firm", "year"], "fields": []},
        }
    ]
}
REPORT = "05_growth"
SIMULATED = "simulated/05_growth"
BRIEF = "00_brief"


def verdict(word="Not shown", **known):
    given = {
        "claim": "C01",
        "reading": "V1",
        "statement": "Growth stayed positive.",
        "confidence": "low",
        "market": "",
    }
    given |= {"notebook": REPORT, "report": REPORT, "as_of": "2026-11-25"}
    return {**given, "word": word, **known}


def estimate(**known):
    row = dict.fromkeys(COLUMNS, "") | {
        "table": "1",
        "estimand": "E1",
        "label": "Growth of Acme",
        "unit": "per cent",
    }
    row |= {"estimate": "10", "std_error": "2", "conf_low": "6", "conf_high": "14", "level": "0.95"}
    return row | known


def make(
    out,
    name="2026-11-25",
    *,
    verdicts=None,
    estimates=None,
    data=None,
    inputs=None,
    parameters=None,
    reports=(REPORT, SIMULATED, BRIEF),
    formerly=None,
    **known,
):
    """Write a release of three reports; `estimates` are rows by report, `data` and `more` texts by
    file, and `formerly` names in earlier releases by report.
    """
    folder = out / name
    as_of = name[:10]
    (folder / SIMULATED).parent.mkdir(parents=True)
    tables = {"datapackage.json": json.dumps(DESCRIPTOR), "facts/figures.csv": FIGURES} | (
        data or {}
    )
    texts = out / f".texts-{name}"
    for file, text in tables.items():
        (texts / file).parent.mkdir(parents=True, exist_ok=True)
        (texts / file).write_text(text)
    release.pack(texts, tables, folder / DATA)
    of = {
        "data": {file: publish.sha256(texts / file) for file in tables},
        "code": {"a.py": "1"},
        "layout": {},
    }
    of |= {"words": {}, "versions": {"python": "3.11.9"}} | (inputs or {})
    entries = {}
    for report in reports:
        rows = (estimates or {REPORT: [estimate()], SIMULATED: [estimate(market="m, seed 1")]}).get(
            report, []
        )
        made = [f"{report}.pdf", f"{report}.ipynb"]
        (folder / made[0]).write_bytes(b"%PDF-1.7\n%%EOF\n")
        (folder / made[1]).write_text('{"cells": []}\n')
        if rows:
            made.append(f"{report}.estimates.csv")
            lines = [
                ",".join(COLUMNS),
                *(",".join(row[column] for column in COLUMNS) for row in rows),
            ]
            (folder / made[-1]).write_text("\n".join(lines) + "\n")
        about = {
            "notebook": f"{report[-9:]}.ipynb",
            "notebook_sha256": known.get("notebook", "n"),
            "fingerprint": "f",
        }
        about |= {
            "parameters": {"as_of": as_of, **(parameters or {})},
            "files": {},
            "commit": "c" * 40,
            "seconds": 2.0,
        }
        if report == SIMULATED:
            market = "m, seed 1"
        else:
            market = ""
        finished = f"{as_of}T06:00:00+00:00"
        entries[report] = {**about, "market": market, "finished": finished, "made": made}
        if formerly and report in formerly:
            entries[report]["formerly"] = formerly[report]
    publish.write_json(folder / VERDICTS, [verdict(as_of=as_of)] if verdicts is None else verdicts)
    for file, text in known.get("more", {}).items():
        (folder / file).write_text(text)
    manifest = {
        "release": name,
        "as_of": as_of,
        "previous": "",
        "panel": "",
        "panel_is": "",
        "commit": "c" * 40,
    }
    manifest |= {"inputs": of, "files": release.file_hashes(folder), "reports": entries}
    publish.write_json(folder / MANIFEST, manifest)
    return release.read(folder)
