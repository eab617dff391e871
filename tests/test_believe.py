"""The page on which a reader chooses: what it computes is what Python computes, and nothing is
asked for elsewhere.
"""

import json
import random
import re
import shutil
import subprocess
from html import unescape
from itertools import combinations

import pytest
from pages import Page
from reading import read_json
from test_index import PUBLIC, publish_page, simulated, verdict

from analysis.evidence import totals, verdicts
from analysis.exhibits.payload import Part
from runner import site
from runner.publish import TEMPLATES

DAYS = ("2021-04-25", "2021-09-01")
FALLS = (1.0, 2.0, 5.0)
SHARE = 0.4
KNOWN = totals.Totals(
    295.0, share=(0.33, 0.46), closed=totals.closed_sales(6.49), common=(-3.0, 3.0)
)
AMOUNTS = (totals.top_suspended(), *KNOWN.closed)
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
CHOICES = totals.choices(
    KNOWN, SHARE, falls=FALLS, days=DAYS, marks=dict(zip(AMOUNTS, "abc", strict=True))
)
needs_browser = pytest.mark.skipif(
    not BROWSER, reason="Chromium must be installed: the page computes in a browser"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    publish_page(folder, [verdict()], parts=[Part("believe", "The claim.", CHOICES)])
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return Page((folder / site.BELIEVE).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A page whose marks have names as long as those of the report."""
    names = ("14 large\nsellers", "first accounts\nsuspended", "trade\ngroup")
    marks = dict(zip(AMOUNTS, names, strict=True))
    rows = totals.choices(KNOWN, SHARE, falls=FALLS, days=DAYS, marks=marks)
    folder = tmp_path_factory.mktemp("named")
    publish_page(folder, [verdict()], parts=[Part("believe", "The claim.", rows)])
    return folder


def answered(folder, script, address="", width=1280):
    """Run a script at the end of the page, and return what it leaves in `answer`, as JSON."""
    html = (folder / site.BELIEVE).read_text(encoding="utf-8")
    more = f"<script>{script}; document.title = 'answer ' + JSON.stringify(answer)</script></body>"
    (folder / "asked.html").write_text(html.replace("</body>", more), encoding="utf-8")
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command.append(f"--window-size={width},900")
    command.append((folder / "asked.html").as_uri() + address)
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(unescape(re.search(r"<title>answer (.+?)</title>", shown)[1]))


def points(count):
    """Values that a reader may choose, at random."""
    rng = random.Random(1)
    inputs = CHOICES[CHOICES["what"] == "input"].set_index("name")
    ranges = {
        name: inputs.loc[name, ["low", "high"]].astype(float)
        for name in ("closed", "share", "recapture", "common")
    }
    for _ in range(count):
        day = f"2021-{rng.randint(4, 9):02d}-{rng.randint(1, 28):02d}"
        yield {name: rng.uniform(*ends) for name, ends in ranges.items()} | {"day": day}


def world(choice):
    one = {
        name: (choice[name], choice[name]) for name in ("closed", "share", "recapture", "common")
    }
    return totals.Totals(KNOWN.base, left=totals.rest_of_year(choice["day"]), **one)


@needs_browser
def test_the_page_computes_what_python_computes_at_50_points(folder):
    asked = [*points(50)]
    script = (
        f"const answer = {json.dumps(asked)}.map(v => ({{...v, day: Date.parse(v.day)}}))"
        ".map(v => [effect(v), ...falls.map(fall => needed(v, fall))])"
    )
    for choice, (moved, *needs) in zip(asked, answered(folder, script), strict=True):
        low, high = world(choice).bounds()
        assert low == high == pytest.approx(moved, abs=1e-9)
        for fall, need in zip(FALLS, needs, strict=True):
            if need:
                reached = world(choice | {"closed": need}).bounds()[0]
            else:
                reached = choice["common"]
            assert reached == pytest.approx(-fall, abs=1e-9) if need else reached <= -fall


@needs_browser
def test_sliders_and_chips_move_what_is_said_and_the_address(folder):
    script = """
const read = () =>
  [find("effect").textContent, find("sums").textContent, find("said").textContent, location.hash];
const first = read();
document.querySelector("#closed ~ .chips button:last-child").click();
const second = read();
const slider = find("recapture");
slider.value = slider.max;
slider.dispatchEvent(new Event("input"));
const answer = [first, second, read(),
  slider.getAttribute("aria-valuetext"), find("frontier").textContent];
"""
    first, second, third, text, frontier = answered(
        folder, script, "#share=0.33&day=2021-07-01&closed=x"
    )
    assert (
        first[0]
        == f"−{-world({**START, 'share': 0.33, 'day': '2021-07-01'}).bounds()[0]:.1f} points"
    )
    for amount in AMOUNTS:
        moved = world({**START, "share": 0.33, "day": "2021-07-01", "closed": amount}).bounds()[0]
        assert f"−{-moved:.1f} points" in first[1]
    assert "33 per cent of sales on Amazon" in first[2]
    assert "1 July 2021" in first[2]
    assert second[1] == first[1]  # the sums do not depend on the chosen one
    assert "15.4 billion dollars" in second[2]
    assert "closed=15.4083&share=0.33" in second[3]
    assert third[0] == "0.0 points"
    assert third[1].count("0.0 points") == len(AMOUNTS)
    assert text == "100 per cent"
    assert frontier.count("no amount is enough") == len(FALLS)


@needs_browser
@pytest.mark.parametrize(
    "address", ["", "#closed=15.4&recapture=0", "#closed=15.4&recapture=0.8", "#recapture=1"]
)
def test_no_choice_is_given_a_verdict(folder, address):
    shown = answered(
        folder, 'const answer = document.querySelector("main").innerHTML.split("<h2>")[0]', address
    )
    assert not [word for word in verdicts.WORDS if word.lower() in shown.lower()]
    assert 'class="word' not in shown


MARKED = """
const answer = [...document.querySelectorAll("#line line[stroke-dasharray='2 3']")]
  .map(mark => +mark.getAttribute("x1"));
"""
LABELS = """
const answer = ["line", "chart"].map(id => [...find(id).querySelectorAll("text")].map(text => {
  const {x, y, width, height} = text.getBBox();
  return [x, y, x + width, y + height, find(id).clientWidth];
}));
"""


@needs_browser
def test_the_result_line_opens_with_both_published_sums_and_a_dot(folder):
    sums = 'const answer = [find("line").getAttribute("aria-label"), find("line").textContent]'
    spoken, shown = answered(folder, sums)
    for amount, label in zip(KNOWN.closed, "bc", strict=True):
        moved = f"{label}, {amount:.1f}: −{-world(START | {'closed': amount}).bounds()[0]:.1f}"
        assert moved in spoken
        assert moved in shown
    right, left = answered(folder, MARKED)
    assert left < right
    dot = 'const answer = +document.querySelector("#line circle").getAttribute("cx")'
    assert answered(folder, dot) == pytest.approx(right)


@needs_browser
@pytest.mark.parametrize("width", [390, 820, 1280])
@pytest.mark.parametrize("address", ["", "#closed=15.4&recapture=0.8", "#recapture=1", "#common=3"])
def test_no_label_of_a_drawing_overlaps_another_or_leaves_it(named, width, address):
    for boxes in answered(named, LABELS, address, width=width):
        assert len(boxes) > 2
        for one, other in combinations(boxes, 2):
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1]
            assert apart or other[3] <= one[1], (one, other)
        outside = [box for box in boxes if box[0] < -1 or box[2] > box[4] + 1]
        assert outside == []


START = {"closed": KNOWN.closed[0], "share": SHARE, "recapture": 0.0, "common": 0.0, "day": DAYS[0]}


def test_each_choice_is_a_slider_with_a_name_a_hint_and_its_published_values(page):
    sliders = page.all("input")
    assert [one["id"] for one in sliders] == ["closed", "share", "recapture", "day", "common"]
    assert {one["type"] for one in sliders} == {"range"}
    named = {label["for"] for label in page.all("label")}
    assert named == {one["id"] for one in sliders}
    hints = {element.get("id") for element in page.all("p")}
    assert {one["aria-describedby"] for one in sliders} <= hints
    links = [link["href"] for link in page.all("a") if "://" in link["href"]]
    assert links == CHOICES["source_url"].dropna().tolist()


def test_the_page_is_one_file_asks_for_nothing_elsewhere_and_its_script_is_short(page, folder):
    assert not {"link", "iframe", "img", "object", "base"} & {
        element["tag"] for element in page.elements
    }
    assert not [element for element in page.elements if "src" in element]
    script = page.one("script")["text"]
    assert not re.search(
        r"fetch|XMLHttp|import\b|https?://(?!www\.w3\.org)", script.partition("const of")[2]
    )
    source = (TEMPLATES / "believe.html.j2").read_text(encoding="utf-8")
    assert source[source.index("<script>") :].count("\n") <= 300
    for name in ("295", "15.4", "6.49", "23709"):
        assert name not in source


def test_the_page_of_the_release_leads_there_and_the_crate_lists_it(folder):
    index = Page((folder / site.PAGE).read_text(encoding="utf-8"))
    (link,) = [
        link
        for link in index.all("a")
        if link["href"] == site.BELIEVE and "header" in link["within"]
    ]
    assert link["text"] == "What would you have to believe?"
    crate = read_json(folder / "ro-crate-metadata.json")
    assert site.BELIEVE in {entity["@id"] for entity in crate["@graph"]}
    back = Page((folder / site.BELIEVE).read_text(encoding="utf-8"))
    assert {"index.html", f"{PUBLIC}.pdf"} <= {link["href"] for link in back.all("a")}


def test_without_a_report_that_offers_choices_there_is_no_such_page(tmp_path):
    page = publish_page(tmp_path, [verdict(), simulated()])
    assert not (tmp_path / site.BELIEVE).exists()
    assert site.BELIEVE not in page.html


def test_what_others_wrote_is_text_on_this_page_too(tmp_path):
    harm = "</script><script>alert(1)</script>"
    rows = CHOICES.assign(description=harm, label=harm, source_publisher=harm)
    rows.loc[rows["source_url"].notna(), "source_url"] = "javascript:alert(1)"
    publish_page(tmp_path, [verdict()], parts=[Part("believe", harm, rows)])
    page = Page((tmp_path / site.BELIEVE).read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert not [link for link in page.all("a") if link["href"].startswith("javascript")]
