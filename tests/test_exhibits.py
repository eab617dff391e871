"""What a reader sees: numbers, tables, figures, the answer panel and the colophon."""

import base64
import datetime
import re
import xml.etree.ElementTree as ET
from html import unescape

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from fewtreated.errors import DesignError
from matplotlib import pyplot as plt
from pages import Page
from reading import project_text

from analysis import data, provenance
from analysis.event import read_event
from analysis.evidence import claims
from analysis.evidence.verdicts import NOT_SHOWN, Verdict
from analysis.exhibits import answers, blocks, brief, charts, curves, style
from analysis.exhibits.report import colophon as make_colophon

HOSTILE = """<script>alert("1")</script> & 'quotes'"""
EVENT = read_event("amazon_2021")
V2 = Verdict(
    claim="C01",
    reading="V2",
    statement="Growth was not lower than it would have been.",
    claimant="Amazon (vice-president Cindy Tai)",
    word=NOT_SHOWN,
    confidence="moderate",
    tier="facts",
    provenance="estimate",
    why="The set holds both.",
    change="A panel.",
    low=-16.058,
    high=2.83,
    margin=2.0,
    interval="bounds",
    unit="percentage points",
    window="2021 on 2020",
    as_of="2026-11-01",
    notebook="05_growth",
)


@pytest.fixture(autouse=True)
def look():
    """Set the look of real numbers for one test."""
    with mpl.rc_context():
        style.use()
        yield
        style.use()  # of a test that chose another
    plt.close("all")


def bare(block_or_html):
    """Return the HTML without inline styles, which are looks and no meaning."""
    return re.sub(r' style="[^"]*"', "", getattr(block_or_html, "html", block_or_html))


def verdict(**changes):
    return Verdict(**{**vars(V2), **changes})


def test_hostile_text_is_text_in_cells_headers_panels_and_alternative_text():
    table = blocks.table(pd.DataFrame({HOSTILE: [HOSTILE]}), "T.")
    assert Page(table.html).rows() == [[["left", HOSTILE]], [["left", HOSTILE]]]
    harm = dict.fromkeys(
        ("statement", "claimant", "why", "change", "window", "interval", "detail"), HOSTILE
    )
    evil = verdict(**harm)
    drawing, _ = plt.subplots()
    pieces = [
        table,
        blocks.table(answers.scorecard(claims.scored([evil])), "T."),
        brief.answers([evil], EVENT, "growth_not_lower"),
        brief.below([verdict(tier="panel", **harm)], EVENT),
        brief.head([evil], EVENT, failed=HOSTILE, panel=HOSTILE),
        blocks.say(HOSTILE, lead=HOSTILE),
        blocks.note(HOSTILE),
        blocks.table(pd.DataFrame({"a": [1.0]}), HOSTILE),
        blocks.figure(drawing, HOSTILE, alt=HOSTILE),
    ]
    for piece in pieces:
        assert "script" not in {element["tag"] for element in Page(piece.html).elements}
        assert 'alert("1")' in unescape(piece.html)
    assert Page(pieces[-1].html).one("img")["alt"] == HOSTILE


def test_what_nobody_claimed_is_a_question_of_ours():
    asked = verdict(claim="C08", reading="market", claimant="Our question (after a report)")
    assert answers.by_whom(asked) == " (Our question)"


def test_the_brief_says_what_a_panel_is_said_to_be():
    said = "Panel mine.csv: 9 firms, said to be a census. Doubtful: One is large."
    assert said in brief.head([verdict()], EVENT, panel=said).html


def drawn(caption="Caption.", **options):
    drawing, axes = plt.subplots()
    axes.plot([0, 1, 2], [1.0, 3.0, 2.0])
    axes.set_title("Change, %")
    return blocks.figure(drawing, caption, alt="A line.", **options)


def test_a_figure_embeds_an_svg_with_caption_and_mark_and_closes_the_drawing():
    block = drawn("With <em>.", provenance="estimate")
    image = Page(block.html).one("img")
    kind, _, content = image["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert ET.fromstring(base64.b64decode(content)).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<figcaption>◐ With &lt;em&gt;.</figcaption>" in block.html
    assert block.html.startswith('<figure class="exhibit">')
    assert plt.get_fignums() == []


def test_rows_with_intervals_are_marked_as_estimates_unless_named_otherwise():
    style.use("real")
    rows = pd.DataFrame(
        {"term": ["sales"], "estimate": [2.0], "conf_low": [1.0], "conf_high": [3.0]}
    )
    bare_rows = rows[["term", "estimate"]].assign(year=2021)
    shown = [(charts.forest(rows, xlabel="US"), ""), (charts.forest(rows, xlabel="US"), "real")]
    shown += [(curves.paths(bare_rows, x="year", ylabel="US", ticks={}, size=(6, 3)), "")]
    figures = [blocks.figure(drawing, "C.", provenance=named).html for drawing, named in shown]
    assert [figure[figure.index("<figcaption>") + len("<figcaption>")] for figure in figures] == [
        "◐",
        "●",
        "●",
    ]


def test_a_figure_has_a_glyph_for_every_name_sign_and_mark(recwarn):
    drawing, axes = plt.subplots()
    axes.set_xlabel("有棵树 −17.4 % ● ◐ ○ ± ≤ “x” €")
    axes.set_title("Bold −17.4 % ●")
    assert blocks.figure(drawing, "C.").html
    assert [
        str(one.message)
        for one in recwarn
        if "lyph" in str(one.message) or "font" in str(one.message)
    ] == []


def test_the_same_figure_has_the_same_bytes():
    assert drawn().html == drawn().html


READ = ["claims", "events"]


SETTINGS = {
    "share": 0.4,
    "as_of": "2026-11-01",
    "stale_after_days": 20_000,
    "verdict_folder": "../away",
}


def colophon(settings=SETTINGS, **changes):
    read = {"resources": READ, "sources": (), "panel": None} | changes
    return make_colophon({"verdict_folder": "../away", **settings}, **read)


def recorded(*asked, **options):
    """Return what a report records for the annex, by what it is and its name."""
    facts = colophon(*asked, **options).parts[0].data
    return {
        what: dict(zip(rows["name"], rows["value"], strict=True))
        for what, rows in facts.groupby("what")
    }


def test_a_report_ends_with_its_commit_and_a_link_to_the_annex():
    html = colophon().html
    assert html.startswith("<p>Commit ")
    assert provenance.commit()[:12] in html
    assert 'Parameters, files and versions: <a href="annex.pdf">annex</a>.' in html
    assert html.count("<p>") == 1


def test_a_report_records_files_hashes_parameters_code_and_versions():
    found = recorded()
    assert found["file"] == {card["path"]: card["hash"] for card in map(data.card, READ)}
    assert found["parameter"]["share"] == "0.4"
    assert found["version"]["commit"] == provenance.commit()
    assert found["version"]["numpy"] == np.__version__
    assert not {"pytest", "ruff"} & found["version"].keys()
    files = colophon().parts[0].data.query("what == 'file'")
    for name, (_, row) in zip(READ, files.iterrows(), strict=True):
        assert row["vintage"] == data.card(name)["vintage"]
        assert data.card(name)["notThis"] in row["about"]


def test_a_report_records_nothing_of_where_a_run_keeps_its_papers():
    own = {"as_of": "2026-11-01", "seed": 1, "panel_path": "/home/away/own.csv", "panel_map": ""}
    assert recorded(own, resources=[])["parameter"] == {
        "as_of": "2026-11-01",
        "seed": "1",
        "panel_path": "own.csv",
    }
    told = colophon().html + colophon().parts[0].data.to_csv()
    assert "away" not in told
    assert "verdict_" not in told


@pytest.mark.parametrize(
    ("path", "said"), [("", {"sim_preset": "null"}), ("own.csv", {"panel_path": "own.csv"})]
)
def test_a_market_is_named_only_where_one_was_simulated(path, said):
    asked = {"as_of": "2026-11-01", "panel_path": path, "sim_preset": "null", "seed": 3}
    assert recorded(asked, resources=[])["parameter"] == {
        "as_of": "2026-11-01",
        **said,
        "seed": "3",
    }


def test_a_publisher_is_named_once_with_a_link_and_its_documents_stand_in_the_annex():
    urls = ["https://b.org/1", "https://a.org/?x=1&y=2", "https://b.org/2", "https://b.org/1"]
    rows = pd.DataFrame(
        {"source_publisher": ["B", "A", "B", "B"], "source_url": urls, "value": 1.0}
    )
    end = colophon(sources=[rows, rows.head(1)])
    assert end.html.endswith(
        ' <a href="https://a.org/?x=1&amp;y=2">A</a>; <a href="https://b.org/1">B</a>.</p>'
    )
    facts = end.parts[0].data.query("what == 'source'")
    assert facts[["name", "value"]].to_numpy().tolist() == [
        ["A", urls[1]],
        ["B", urls[0]],
        ["B", urls[2]],
    ]
    path = data.card("market_car_ranks")["sources"][0]["path"]
    link = f'<a href="{path}">Chinese stock exchanges</a>'
    assert link in colophon(resources=["market_car_ranks"]).html
    ours = pd.DataFrame(
        {"source_publisher": ["Census & co"], "source_url": ["platform_quarterly.csv (US Census)"]}
    )
    assert colophon(sources=[ours]).html.endswith("</a>). Census &amp; co.</p>")


def test_a_source_line_names_a_filing_the_copy_that_was_read_and_at_most_three_documents():
    known = data.load("documents").set_index("document")["source_url"]
    filing = known["annual report for 2020 (Shenzhen Stock Exchange)"]
    press = known["“Primed Suspicions”"]
    rows = pd.DataFrame(
        {"source_url": [press, filing, filing, "https://a.org/1", "https://b.org/1"]}
    )
    rows["source_publisher"] = ["", "", "", "A", "B"]
    line = (
        bare(blocks.table(pd.DataFrame({"a": [1.0]}), "T.", source=rows))
        .partition("Source: ")[2]
        .partition("</span>")[0]
    )
    assert line == (
        "Tiza Information, annual report for 2020 (Shenzhen Stock Exchange), read in the copy at "
        f'<a href="{filing.replace("&", "&amp;")}">vip.stock.finance.sina.com.cn</a>; '
        f'<a href="{press.replace("&", "&amp;")}">NewsChina, “Primed Suspicions”, 1 October'
        " 2021</a>; "
        '<a href="https://a.org/1">A</a>; one more, listed in the <a href="annex.pdf">annex</a>.'
    )
    assert (
        "Source: our calculation from Tiza"
        in blocks.table(pd.DataFrame({"a": [1.0]}), "T.", source=rows, provenance="estimate").html
    )


@pytest.mark.parametrize(("days_later", "warned"), [(30, False), (31, True)])
def test_a_warning_stands_above_all_when_the_newest_file_is_stale(days_later, warned):
    newest = max(datetime.date.fromisoformat(data.card(name)["vintage"]) for name in READ)
    as_of = (newest + datetime.timedelta(days=days_later)).isoformat()
    html = bare(colophon({"as_of": as_of, "stale_after_days": 30}))
    assert html.startswith('<div class="warning">') == warned
    assert (
        f"The newest file is of {newest}, {days_later} days before this report" in html
    ) == warned


# The glossary


def test_a_report_prints_the_entries_of_the_glossary_that_it_names_in_its_order():
    shown = blocks.glossary("not closed, exposed")
    assert bare(shown).count("<p>") == 2
    assert bare(shown).startswith("<p><strong>Not closed:</strong> Of a firm: none of its accounts")
    page = " ".join(project_text("docs/glossary.md").split())
    for name, line in zip(("not closed", "exposed"), shown.text.splitlines(), strict=True):
        assert f"- **{name}**: {line.partition(': ')[2]} - **" in page


def test_a_word_without_an_entry_is_refused_with_those_that_there_are():
    with pytest.raises(
        DesignError, match=r"no entry for spared; add one, or choose from .*not closed"
    ):
        blocks.glossary("closed, spared")


def test_every_word_of_the_glossary_can_be_printed_and_they_stand_in_order():
    page = blocks.GLOSSARY.read_text(encoding="utf-8").split("## Words")[1].split("## Letters")[0]
    names = re.findall(r"^- \*\*(.+?)\*\*", page, re.MULTILINE)
    assert len(blocks.glossary(", ".join(names)).text.splitlines()) == len(names) == len(set(names))
    assert names == sorted(names, key=str.lower)
