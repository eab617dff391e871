"""The pages build without a warning, run what they show, and leave out nothing that they promise to
hold.
"""

import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from pages import Page
from ruamel.yaml import YAML

import analysis
import fewtreated
from analysis import data
from analysis.provenance import ROOT

DOCS = ROOT / "docs"
CITED = YAML(typ="safe").load(ROOT / "CITATION.cff")
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[Path, Page]:
    """Build all pages, which runs their cells."""
    out = tmp_path_factory.mktemp("docs")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-d",
        str(out / "trees"),
        str(DOCS),
    ]
    done = subprocess.run(
        [*command, str(out / "html")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return {path: Page(path.read_text(encoding="utf-8")) for path in (out / "html").glob("*.html")}


def page(pages: dict[Path, Page], name: str) -> Page:
    return next(page for path, page in pages.items() if path.name == f"{name}.html")


@pytest.mark.slow
def test_every_page_of_the_folder_is_built(pages):
    assert {path.stem for path in DOCS.glob("*.md")} <= {path.stem for path in pages}


@pytest.mark.slow
def test_every_link_within_the_pages_leads_somewhere(pages):
    lost = []
    for path, page in pages.items():
        for link in (element["href"] for element in page.all("a") if "href" in element):
            target = urlsplit(link)
            if target.scheme or target.path.startswith("_sources"):
                continue
            if target.path:
                there = path.parent / unquote(target.path)
            else:
                there = path
            if there in pages:
                known = [element.get("id") for element in pages[there].elements]
            else:
                known = [""]
            if not there.exists() or (target.fragment and unquote(target.fragment) not in known):
                lost.append(f"{path.name}: {link}")
    assert lost == []


@pytest.mark.slow
def test_pages_load_nothing_from_elsewhere(pages):
    loading = [
        element for page in pages.values() for element in page.elements if element["tag"] != "a"
    ]
    links = [element[name] for element in loading for name in ("src", "href") if name in element]
    assert [link for link in links if urlsplit(link).netloc] == []


@pytest.mark.slow
def test_every_estimand_has_a_formula_of_its_own_and_is_in_the_glossary(pages):
    sections = YAML(typ="safe").load(DOCS / "formulas.yml").values()
    told = [name for section in sections for name in section]
    known = list(data.load("estimands")["id"])
    assert sorted(told) == sorted(known)
    glossary = page(pages, "glossary").html
    assert [name for name in known if f"<h3>{name}<" not in glossary] == []
    assert glossary.count('display="block"') == len(known)
    assert "$" not in re.sub(r"<script.*?</script>", "", glossary, flags=re.DOTALL)


@pytest.mark.slow
def test_every_data_file_and_each_of_its_columns_is_in_the_dictionary(pages):
    dictionary, replication = (page(pages, name).html for name in ("data", "replication"))
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "data").rglob("*.csv")}
    shipped = {path for path in files if not path.startswith("data/examples/")}
    assert shipped
    for text in (dictionary, replication):
        assert [path for path in sorted(shipped) if f">{path}<" not in text] == []
    for resource in json.loads((ROOT / "data" / "datapackage.json").read_bytes())["resources"]:
        for field in resource.get("schema", {"fields": []})["fields"]:
            assert f">{field['name']}<" in dictionary


@pytest.mark.slow
def test_every_name_that_users_call_is_in_the_reference(pages):
    called = [f"analysis.{name}" for name in analysis.__all__]
    called += [
        f"fewtreated.{name}"
        for name in fewtreated.__all__
        if inspect.isfunction(getattr(fewtreated, name))
    ]
    assert called
    assert [name for name in called if f'id="{name}"' not in page(pages, "reference").html] == []


@pytest.mark.slow
def test_every_report_is_in_the_list_of_programs(pages):
    reports = YAML(typ="safe").load(ROOT / "reports" / "schedule.yml")["reports"]
    listed = page(pages, "replication").html
    assert [row["name"] for row in reports if f">{row['name']}.pdf<" not in listed] == []


def test_commands_typed_in_the_project_s_folder_leave_nothing_that_git_sees():
    pages = [
        ROOT / "README.md",
        *(path for path in DOCS.glob("*.md") if path.stem != "tutorial-event"),
    ]  # elsewhere
    typed = "".join(path.read_text(encoding="utf-8") for path in pages)
    written = {*re.findall(r"(?:--out|messy\.py) ([a-z][\w./-]*[\w/])", typed)}
    assert {"build/messy", "build/messy-reports", "my-market"} < written
    ignored = ["git", "-C", str(ROOT), "check-ignore", *(f"{name}/x" for name in sorted(written))]
    assert len(
        subprocess.run(ignored, capture_output=True, check=False).stdout.splitlines()
    ) == len(written)


def test_methods_have_every_work_that_the_code_cites():
    told = (DOCS / "methods.md").read_text(encoding="utf-8")
    works = set()
    for path in [*(ROOT / "analysis").rglob("*.py"), *(ROOT / "fewtreated" / "src").rglob("*.py")]:
        for cited in re.findall(
            r"References\n +-+\n(.*?)\"\"\"", path.read_text(encoding="utf-8"), re.DOTALL
        ):
            text = " ".join(cited.split())
            works |= set(
                re.findall(r"([A-Z][\w'-]+),(?: [A-Z]\.)+(?:[^()]{0,120}?)\((\d{4})\)", text)
            )
    assert len(works) > 15
    assert [
        work
        for work in sorted(works)
        if not re.search(rf"- (?:Santos )?{work[0]}, .*\n?.*\({work[1]}\)", told)
    ] == []


def test_the_citation_is_of_this_project_and_says_the_same_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert CITED["cff-version"] == "1.2.0"
    assert (str(CITED["version"]), CITED["license"]) == (project["version"], project["license"])
    entry = dict(
        re.findall(
            r"^ +(\w+) = \{(.*)\},$", README.split("```bibtex")[1].split("```")[0], re.MULTILINE
        )
    )
    assert entry["title"].replace("{", "").replace("}", "") == CITED["title"]
    assert entry["version"] == CITED["version"]
    authors = [author["name"] for author in CITED["authors"]]
    assert entry["author"] == " and ".join(f"{{{name}}}" for name in authors)
    assert all(name in (ROOT / "LICENSE").read_text(encoding="utf-8") for name in authors)


def test_the_container_copies_what_is_there_and_calls_what_exists():
    text = re.sub(
        r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    steps = [line.split(maxsplit=1) for line in text.splitlines()]
    assert {word for word, _ in steps} <= {"FROM", "RUN", "WORKDIR", "COPY", "ENTRYPOINT", "CMD"}
    assert steps[0] == ["FROM", "python:3.11-slim"]
    sources = [source for word, rest in steps if word == "COPY" for source in rest.split()[:-1]]
    assert sources
    assert all((ROOT / source).exists() for source in sources)
    made = [
        rest.removeprefix("make ")
        for word, rest in steps
        if word == "RUN" and rest.startswith("make ")
    ]
    assert made == [".venv/.ready"]
    command = json.loads(next(rest for word, rest in steps if word == "ENTRYPOINT"))
    assert command == [".venv/bin/market-impact", "run"]


def test_binder_makes_the_locked_environment():
    folder = ROOT / ".binder"
    assert (folder / "runtime.txt").read_text(encoding="utf-8").strip() == "python-3.11"
    script = folder / "postBuild"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", str(script)], check=True)
    named = re.findall(r"-r (\S+)", script.read_text(encoding="utf-8"))
    assert named
    assert all((ROOT / name).exists() for name in named)
