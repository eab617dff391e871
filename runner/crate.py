"""What a release says of itself to catalogues: how it is cited (CITATION.cff), and what its files are (RO-Crate)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ruamel.yaml import YAML

from analysis.provenance import ROOT
from runner.publish import write_json

CITATION, METADATA = "CITATION.cff", "ro-crate-metadata.json"
SPECIFICATION = "https://w3id.org/ro/crate/1.2"
PYTHON = "https://www.python.org/"
FORMATS = {
    ".cff": "application/yaml",
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".zip": "application/zip",
}


def cite(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write how a release is cited: as the project, with its date and the commit that made it."""
    file, text = folder / CITATION, (ROOT / CITATION).read_text(encoding="utf-8")
    commit = f'commit: "{manifest["commit"]}"\n' if manifest["commit"] else ""
    file.write_text(f"{text}date-released: {manifest['as_of']}\n{commit}", encoding="utf-8")


def describe(folder: Path, manifest: Mapping[str, Any], others: Mapping[str, str]) -> None:
    """Write what the files of a release are; `others` belong to no report, by name what they are.

    It is an RO-Crate: the release, its files, and that each report was made by running its notebook.
    """
    write_json(folder / METADATA, _described(YAML(typ="safe").load(ROOT / CITATION), manifest, others))


def _described(cited: Mapping[str, Any], manifest: Mapping[str, Any], others: Mapping[str, str]) -> dict[str, Any]:
    license_, maker = f"https://spdx.org/licenses/{cited['license']}", "#authors"
    parts = [_file(name, what) for name, what in others.items()]
    runs = []
    for name, entry in manifest["reports"].items():
        of = f"Simulated ({entry['market']}), no finding about a real market: " if entry["market"] else ""
        results = [_file(path, f"{of}report {name}") for path in entry["made"] if path != f"{name}.ipynb"]
        notebook = _file(f"{name}.ipynb", f"{of}executed notebook of report {name}")
        notebook |= {"@type": ["File", "SoftwareSourceCode"], "programmingLanguage": {"@id": PYTHON}}
        parts += [notebook, *results]
        made = {"instrument": _at(notebook), "result": [_at(one) for one in results]}
        runs.append({"@id": f"#{quote(name)}", "@type": "CreateAction", "name": f"Run of {name}", **made})
    root = {
        **{"@id": "./", "@type": "Dataset", "name": f"{cited['title']}: reports as of {manifest['as_of']}"},
        **{"description": cited["abstract"].strip(), "datePublished": manifest["as_of"], "keywords": cited["keywords"]},
        **{"license": {"@id": license_}, "author": {"@id": maker}, "publisher": {"@id": maker}},
        **{"hasPart": [_at(one) for one in parts], "mentions": [_at(one) for one in runs]},
    }
    about = {"@id": METADATA, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": {"@id": SPECIFICATION}}
    terms = {
        "@id": license_,
        "@type": "CreativeWork",
        "name": cited["license"],
        "description": "Licence of the release",
    }
    who = {"@id": maker, "@type": "Organization", "name": cited["authors"][0]["name"]}
    python = {"@id": PYTHON, "@type": "ComputerLanguage", "name": "Python", "url": PYTHON}
    python["version"] = manifest["inputs"]["versions"]["python"]
    return {"@context": f"{SPECIFICATION}/context", "@graph": [about, root, who, terms, python, *parts, *runs]}


def _file(path: str, what: str) -> dict[str, Any]:
    name, form = Path(path).name, FORMATS[Path(path).suffix]
    return {"@id": quote(path), "@type": "File", "name": name, "description": what, "encodingFormat": form}


def _at(entity: Mapping[str, Any]) -> dict[str, str]:
    return {"@id": entity["@id"]}
