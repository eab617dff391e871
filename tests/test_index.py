"""The page of a release: whoever opens it finds the answer and every file, and no text of others
does harm.
"""

import base64
import json
import re
import shutil
import subprocess
from itertools import pairwise, product
from urllib.parse import unquote

import jsonschema
import nbformat
import pytest
from desk import cell
from pages import Page
from reading import project_text, read_json
from rocrate.rocrate import ROCrate
from ruamel.yaml import YAML
from test_colours import READABLE, contrast

from analysis.event import read_event
from analysis.evidence.verdicts import (
    CONTRADICTED,
    NOT_SHOWN,
    NOT_TESTABLE,
    SUPPORTED,
    WORDS,
    Verdict,
)
from analysis.exhibits import brief
from analysis.exhibits.payload import MIME, of_facts
from analysis.numbers import day
from analysis.provenance import ROOT
from runner import exports, publish, site
from runner.diff import Changes

AS_OF = "2026-11-25"
HARM = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp; </p>\u2028'
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 1"/>'
PUBLIC = "02_growth"
PANEL = "panel_03_growth"
SIMULATED = "simulated/panel_03_growth"
BRIEF = "00_brief"
KINDS = ("estimates.csv", "estimates.parquet", "tables.docx", "tables.tex")
KINDS += ("figures/figure-1.csv", "figures/figure-1.svg")
READ = {"reading": "V2", "word": NOT_SHOWN, "confidence": ""}


def verdict(word=SUPPORTED, **known):
    given = {
        "claim": "C01",
        "reading": "V1",
        "statement": "Growth stayed positive.",
        "confidence": "moderate",
        "claimant": "Amazon (vice-president Cindy Tai)",
        "tier": "facts",
        "provenance": "real",
        "as_of": AS_OF,
        "why": "Every reading is.",
        "change": "Another reading.",
        "notebook": PUBLIC,
        "report": PUBLIC,
    }
    return Verdict(word=word, **given | known).model_dump(mode="json")


def simulated(word=SUPPORTED, **known):
    of = {"tier": "sim", "provenance": "simulated", "market": "mid_3k, seed 1", "report": SIMULATED}
    return verdict(word, **of, **known)


def displayed(data):
    return {"output_type": "display_data", "data": data, "metadata": {}}


def briefed(title, alt, found, event):
    """The notebook of a brief, which holds what it says as data too."""
    content = notebook(title, alt)
    judged = [Verdict(**row) for row in found if "word" in row]
    about = read_event(event)
    for shown in (brief.head(judged, about), brief.answers(judged, about, *about.answers)):
        data = shown._repr_mimebundle_()
        content["cells"][-1]["outputs"].append(displayed({MIME: data.get(MIME, [])}))
    return content


def notebook(title, alt=None):
    picture = base64.b64encode(SVG).decode()
    image = f'<img src="data:image/svg+xml;base64,{picture}" alt="{alt}" style="width:100%">'
    figure = [{"kind": "figure", "caption": "Growth.", "csv": ""}]
    cells = [cell("markdown", 0, f"# 05 – {title}\n\nFor whom."), cell("code", 1, "1")]
    if alt:
        cells.append(cell("code", 2, "2", "answer"))
        cells[2]["outputs"] = [displayed({"text/html": image, MIME: figure})]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def publish_page(
    folder,
    found,
    *,
    titles=(),
    alt="Growth rises.",
    event="amazon_2021",
    changes=None,
    parts=(),
    market="mid_3k, seed 1",
    **known,
):
    """Write a release of a brief, a report on public figures, with `parts`, and a simulated one;
    return the page.
    """
    folder.mkdir(exist_ok=True)
    entries = {}
    for name in (PUBLIC, SIMULATED, BRIEF):
        files = [f"{name}.{kind}" for kind in KINDS]
        (folder / f"{name}.figures").mkdir(parents=True, exist_ok=True)
        for file in (f"{name}.pdf", *files):
            (folder / file).write_bytes(SVG)
        title = dict(titles).get(name, f"Title of {name}?")
        if name == BRIEF:
            content = briefed(title, alt, found, event)
        else:
            content = notebook(title, alt)
        if parts and name == PUBLIC:
            shown = displayed({MIME: [part.as_json() for part in parts]})
            content["cells"][-1]["outputs"].append(shown)
        (folder / f"{name}.ipynb").write_text(json.dumps(content), encoding="utf-8")
        entries[name] = {
            "market": "",
            "made": sorted([f"{name}.ipynb", f"{name}.pdf", *files]),
            "parameters": {"as_of": AS_OF, "event": event},
            "notebook": f"{name}.ipynb",
        }
    entries[SIMULATED]["market"] = market
    manifest = {
        "release": AS_OF,
        "as_of": AS_OF,
        "commit": "0" * 40,
        "panel_is": "",
        "reports": entries,
        "made": [*entries],
        "failed": [],
        "uncommitted": [],
        "corrected": [],
        "inputs": {"versions": {"python": "3.11"}},
        **known,
    }
    publish.write_json(folder / "manifest.json", manifest)
    publish.write_json(folder / "verdicts.json", found)
    by_report = {name: [one for one in found if one["report"] == name] for name in entries}
    site.write_page(folder, manifest, by_report, event=event, changes=changes)
    return Index((folder / "index.html").read_text(encoding="utf-8"))


class Index(Page):
    """The page of a release."""

    def cards(self):
        return [
            element for element in self.all("li") if element.get("class", "").startswith("card")
        ]

    def reviews(self):
        return json.loads(self.one("script")["text"])["@graph"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("release")


@pytest.fixture(scope="module")
def page(folder):
    found = [
        verdict(),
        verdict(NOT_SHOWN, reading="V2"),
        verdict(NOT_TESTABLE, claim="C02", reading=""),
    ]
    return publish_page(folder, [*found, simulated(NOT_SHOWN)])


# What a reader finds


def test_the_page_opens_with_what_happened_the_answer_and_the_brief(page, folder):
    said = site.says(folder, [BRIEF])
    assert page.one("h1")["text"] == said.headline.replace("'", "’")
    texts = [element["text"] for element in page.all("li") if "header" in element["within"]]
    answers = [f"Title of {PUBLIC}? {row['sentence']}".replace("'", "’") for row in said.answers]
    assert answers == [text for text in texts if text.startswith("Title of")]
    assert len(answers) == 1
    brief = next(link for link in page.all("a") if link.get("href") == f"{BRIEF}.pdf")
    assert "header" in brief["within"]
    told = page.one("header")["text"]
    assert read_event("amazon_2021").title in told
    assert read_event("amazon_2021").background in told
    assert f"As of {day(AS_OF)}." in told


def test_each_report_has_a_card_with_its_question_its_words_its_figure_and_its_files(page):
    real, made_up = page.cards()
    assert real["text"].startswith(f"Title of {PUBLIC}?")
    for said in (
        "Supported (moderate confidence)",
        "Not shown",
        "Not testable 1",
        "Amazon (vice-president Cindy Tai)",
    ):
        assert said in real["text"]
    assert made_up["text"].startswith("Simulated")
    links = {link["href"] for link in page.all("a")}
    for name in (PUBLIC, SIMULATED):
        assert {f"{name}.{kind}" for kind in ("pdf", "ipynb", *KINDS)} <= links
    assert f"{PUBLIC}.figures/figure-1.svg" in {image["src"] for image in page.all("img")}


@pytest.mark.parametrize(
    ("known", "found"),
    [
        (
            {"detail": "It takes more.", "claim": "C99"},
            "It takes more.",
        ),  # a topic of the answer has no C99
        (
            {"detail": "It takes more.", "low": -3.0, "high": 2.7, **READ},
            "Between −3.0 and +2.7 per cent.",
        ),
        (
            {"low": -3.0, "high": 2.7, "estimate": 1.8, "word": NOT_SHOWN},
            "Between −3.0 and +2.7 per cent.",
        ),
        (
            {"low": -24.4, "high": -11.4, "estimate": -17.9},
            "−17.9, between −24.4 and −11.4 per cent.",
        ),
        ({"low": -8.5, "high": "inf", "word": NOT_SHOWN}, "At least −8.5 per cent."),
        ({"estimate": 3.0, "word": NOT_SHOWN}, ""),
    ],
)
def test_a_card_says_what_was_found_in_a_sentence_or_a_number(tmp_path, known, found):
    page = publish_page(tmp_path, [verdict() | {"unit": "per cent", **known}])
    assert [element["text"] for element in page.all("p") if element.get("class") == "found"] == [
        found
    ] * bool(found)


def test_words_differ_in_look_are_explained_and_have_a_confidence_only_as_findings(page):
    words = [element for element in page.all("span") if element.get("class", "").startswith("word")]
    style = page.one("style")["text"]
    kinds = {element["class"].split()[1] for element in words if "dl" in element["within"]}
    assert len(kinds) == len(WORDS)
    assert all(f".{kind}" in style for kind in kinds)
    items = [item["text"] for item in page.all("li") if "card" not in str(item.get("class"))]
    sure = [text for text in items if "confidence" in text]
    assert all("Supported" in text or "probably" in text for text in sure)
    assert sure


def test_sources_lead_out_of_the_release(tmp_path):
    facts = of_facts([("source", "A, B", "https://example.org/a"), ("source", "C", "data/c.csv")])
    page = publish_page(tmp_path, [verdict()], parts=[facts])
    out = [link for link in page.all("a") if "://" in link["href"]]
    assert [(link["href"], link["text"].partition(", read")[0]) for link in out] == [
        ("https://example.org/a", "A, B")
    ]


def test_every_link_of_the_page_leads_to_a_file_of_the_release_or_a_place_on_the_page(page, folder):
    places = [element["id"] for element in page.elements if "id" in element]
    assert len(places) == len({*places})
    links = [element.get("href") or element.get("src") for element in page.all("a", "img")]
    assert len(links) > 20
    for link in links:
        assert link[1:] in places if link.startswith("#") else (folder / unquote(link)).is_file()


def test_the_page_asks_for_nothing_elsewhere(page):
    tags = {element["tag"] for element in page.elements}
    assert not {"link", "iframe", "object", "base", "form", "video"} & tags
    (script,) = page.all("script")
    assert script["type"] == "application/ld+json"
    assert not re.search(r"url\(|@import|://", page.one("style")["text"])
    assert not any("://" in (element.get("src") or "") for element in page.elements)


def test_nothing_simulated_stands_among_the_reports_or_beside_a_claim(page):
    real, made_up = page.cards()
    assert "simulated" not in real["class"] + real["text"].lower()
    assert "In the simulated market (mid_3k, seed 1): 1 would be not shown" in made_up["text"]
    assert "Amazon" not in made_up["text"]
    assert "Growth stayed" not in made_up["text"]


def test_verdicts_that_the_page_cannot_read_are_counted(tmp_path):
    page = publish_page(tmp_path, [verdict(), {"claim": "c1", "report": PUBLIC}])
    assert "Verdicts that only verdicts.json can show: 1." in page.cards()[0]["text"]


def test_the_same_release_has_the_same_bytes(tmp_path):
    names = [PUBLIC, SIMULATED, BRIEF]
    one = publish_page(tmp_path, [verdict()], made=names)
    files = {
        name: (tmp_path / name).read_bytes()
        for name in (site.PAGE, exports.METADATA, exports.CITATION)
    }
    assert publish_page(tmp_path, [verdict()], made=names[::-1]).html == one.html
    assert files == {name: (tmp_path / name).read_bytes() for name in files}


# Who reads it with other means


def test_the_page_has_landmarks_a_heading_for_each_part_and_words_for_each_picture(page):
    assert page.one("html")["lang"] == "en"
    assert all(page.one(tag) for tag in ("header", "main", "footer", "title"))
    assert page.one("nav")["aria-label"]
    levels = [int(element["tag"][1]) for element in page.all("h1", "h2", "h3", "h4", "h5", "h6")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = {element.get("id") for element in page.all("h2")}
    assert {section["aria-labelledby"] for section in page.all("section")} == ids
    assert page.all("img")
    assert {image["alt"] for image in page.all("img")} == {"Growth rises."}


def test_the_first_link_skips_to_the_reports_and_links_of_one_name_are_told_apart(page):
    skip, *others = page.all("a")
    assert skip["href"] == f"#{page.one('main')['id']}"
    names = {}
    for link in others:
        names.setdefault(link["text"], set()).add(link["href"])
    assert {name for name, targets in names.items() if len(targets) > 1} == set()
    assert all(names)


def test_text_has_contrast_in_light_dark_and_print():
    looks = re.findall(r":root \{(.+?)\}", project_text("reports/index.css"), re.DOTALL)
    assert len(looks) == 3
    texts = ("ink", "quiet", "link", "simulated", "warning", "supported", "contradicted")
    for look in looks:
        colours = dict(re.findall(r"--(\w+): (#\w+)", look))
        for ground, text in product(("paper", "card"), texts):
            assert contrast(colours[text], colours[ground]) >= READABLE, (text, ground, look)


def test_axe_finds_nothing(page, folder):
    axe = ROOT / "tests" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not (axe.exists() and browser):
        pytest.skip("needs axe (npm ci --prefix tests/axe) and Chromium")
    run = (
        "axe.run().then(found => document.title = 'axe ' + JSON.stringify(found.violations.map(one"
        " => one.id)))"
    )
    scripts = (
        f"<script>{axe.read_text(encoding='utf-8')}</script>"
        f"<script>addEventListener('load', () => {run})</script>"
    )
    (folder / "axe.html").write_text(
        page.html.replace("</body>", f"{scripts}</body>"), encoding="utf-8"
    )
    command = [browser, "--headless", "--no-sandbox", "--virtual-time-budget=60000", "--dump-dom"]
    command.append((folder / "axe.html").as_uri())
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "<title>axe []</title>" in shown


# What others wrote does no harm


def changes(text):
    return Changes(AS_OF, AS_OF, [text], [], [], [], 0, 0, [], {text: [text]}, {text: [text]})


def test_titles_claims_and_markets_are_text_whatever_they_hold(tmp_path):
    found = [
        verdict(statement=HARM, claimant=HARM, why=HARM, claim="C99"),
        simulated() | {"market": HARM},
    ]
    titles = {PUBLIC: HARM.replace("\u2028", ""), SIMULATED: HARM.replace("\u2028", "")}
    alt = "&quot;&gt;&lt;script&gt;x&lt;/script&gt;"
    more = {"panel_is": HARM, "changes": changes(HARM)}
    page = publish_page(tmp_path, found, titles=titles, market=HARM, alt=alt, **more)
    more = {"panel_is": "A sample.", "changes": changes("x")}
    harmless = publish_page(tmp_path / "other", [verdict(claim="C99"), simulated()], **more)
    tags = [[element["tag"] for element in each.elements] for each in (page, harmless)]
    assert tags[0] == tags[1]
    assert not [name for element in page.elements for name in element if name.startswith("on")]
    assert HARM.partition("\u2028")[0] in page.cards()[0]["text"]
    assert {image["alt"] for image in page.all("img")} == {'"><script>x</script>'}
    assert page.reviews()[-1]["claimReviewed"] == HARM


def test_a_claim_cannot_end_the_script_that_holds_it(tmp_path):
    page = publish_page(tmp_path, [verdict(statement="</script><b>", why="<!--<script>")])
    (block,) = re.findall(
        r'<script type="application/ld\+json">(.*?)</script>', page.html, re.DOTALL
    )
    assert not set("<>&\u2028\u2029") & set(block)
    assert json.loads(block)["@graph"][0]["claimReviewed"] == "</script><b>"


# What machines read


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_a_claim_review_with_a_number_only_where_it_says_true_or_false(tmp_path, word):
    asked = verdict(word, claim="C08", reading="market", claimant="Our question (after a report)")
    (review,) = publish_page(tmp_path, [verdict(word), simulated(CONTRADICTED), asked]).reviews()
    rating = review["reviewRating"]
    assert rating["alternateName"] == word
    assert rating.get("ratingValue") == {SUPPORTED: 5, CONTRADICTED: 1}.get(word)
    assert (
        ("bestRating" in rating) == ("worstRating" in rating) == (word in (SUPPORTED, CONTRADICTED))
    )
    assert ("moderate" in rating["ratingExplanation"]) == (word in (SUPPORTED, CONTRADICTED))
    claim = review["itemReviewed"]
    assert claim["author"]["name"] == "Amazon"
    assert claim["datePublished"] == "2021-09-17"
    assert claim["appearance"]["url"].startswith("https://")
    assert review["author"]["name"] == "market-impact-notebooks"
    assert (review["@type"], claim["@type"], review["datePublished"]) == (
        "ClaimReview",
        "Claim",
        AS_OF,
    )


def test_each_review_is_at_its_place_on_the_page(page):
    places = {element["id"]: element["text"] for element in page.all("li") if "id" in element}
    reviews = page.reviews()
    assert len(reviews) == len(places) == 3
    for review in reviews:
        assert review["claimReviewed"] in places[unquote(review["url"].removeprefix("index.html#"))]


def test_the_best_data_give_a_reading_its_one_review(tmp_path):
    panel = {"tier": "panel", "panel": "digest", "provenance": "estimate"}
    reviews = publish_page(tmp_path, [verdict(NOT_SHOWN), verdict(CONTRADICTED, **panel)]).reviews()
    assert [review["reviewRating"]["alternateName"] for review in reviews] == [CONTRADICTED]


def test_what_a_panel_says_of_its_own_firms_alone_is_no_review(tmp_path):
    page = publish_page(tmp_path, [verdict(NOT_SHOWN, aside="Of these firms alone:")])
    assert page.reviews() == []
    assert "Of these firms alone:" in page.cards()[0]["text"]
    assert "confidence" not in page.cards()[0]["text"]


def test_a_release_is_a_research_object_crate_that_lists_every_file(page, folder):
    read = ROCrate(folder)
    listed = {unquote(entity.id) for entity in read.data_entities}
    there = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    assert listed == there - {exports.METADATA, "axe.html"}
    assert read.root_dataset["datePublished"] == AS_OF
    assert read.root_dataset["license"].id.endswith("/BSD-3-Clause")
    assert read.metadata["conformsTo"] == exports.SPECIFICATION
    runs = {
        run["instrument"].id: [one.id for one in run["result"]]
        for run in read.get_by_type("CreateAction")
    }
    assert runs.keys() == {f"{name}.ipynb" for name in (PUBLIC, SIMULATED, BRIEF)}
    assert read.get(exports.PYTHON)["version"] == "3.11"
    assert f"{PUBLIC}.pdf" in runs[f"{PUBLIC}.ipynb"]
    for entity in read.data_entities:
        assert ("no finding about a real market" in entity["description"]) == entity.id.startswith(
            SIMULATED
        )


def test_every_reference_in_the_crate_leads_to_an_entity(page, folder):
    graph = read_json(folder / exports.METADATA)["@graph"]
    ids = [entity["@id"] for entity in graph]
    assert len(ids) == len({*ids})
    values = [value for entity in graph for value in entity.values()]
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    referred = {one["@id"] for one in flat if isinstance(one, dict)} - {exports.SPECIFICATION}
    assert referred
    assert referred <= {*ids}


@pytest.mark.parametrize("commit", [None, "0" * 40, f"{'0' * 40} + local changes"])
def test_the_citation_of_the_project_and_of_a_release_are_valid(tmp_path, commit):
    schema = read_json(ROOT / "tests" / "data" / "cff_1.2.0.schema.json")
    exports.cite(tmp_path, {"as_of": AS_OF, "commit": commit})
    release = tmp_path / exports.CITATION
    both = [YAML(typ="safe").load(file) for file in (ROOT / exports.CITATION, release)]
    for content in both:
        jsonschema.Draft7Validator(schema).validate(json.loads(json.dumps(content, default=str)))
    theirs, ours = both
    assert str(ours["date-released"]) == AS_OF
    assert ours.get("commit") == commit
    assert theirs == {key: ours[key] for key in theirs}


# Executed notebooks on screen


def test_an_executed_notebook_opens_with_the_answer_its_code_folded(tmp_path):
    file = tmp_path / "a.ipynb"
    file.write_text(json.dumps(notebook("Title?", "What is seen, in sim-$.")), encoding="utf-8")
    publish.open_with_answer(file)
    cells = read_json(file)["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "markdown", "code", "code"]
    assert "What is seen, in sim-<span>&#36;</span>." in cells[1]["source"]
    assert [cell["metadata"].get("jupyter") for cell in cells[2:]] == [{"source_hidden": True}] * 2
    assert cells[3]["metadata"]["tags"] == ["answer"]
    nbformat.validate(nbformat.read(file, as_version=4))


@pytest.mark.parametrize("old", [True, False])
def test_a_notebook_without_an_answer_or_without_ids_is_folded_and_stays_valid(tmp_path, old):
    content = notebook("Title?", "What is seen." if old else None)
    if old:
        content["nbformat_minor"] = 4
        for cell in content["cells"]:
            del cell["id"]
    file = tmp_path / "a.ipynb"
    file.write_text(json.dumps(content), encoding="utf-8")
    publish.open_with_answer(file)
    opened = read_json(file)
    assert len(opened["cells"]) == (4 if old else 2)
    nbformat.validate(opened)
