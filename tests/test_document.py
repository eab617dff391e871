"""Text of a notebook takes its values and captions, and says nothing that its numbers refuse."""

import base64
import re

import pandas as pd
import pytest
from desk import Desk, document_text
from matplotlib import pyplot as plt
from nbformat.v4 import new_output

from analysis.estimate import refusal
from analysis.exhibits import blocks, style
from analysis.exhibits.payload import OPEN, of_verdicts
from analysis.prose import NOT_SAID, UntrueError
from runner import Exit, SentenceError
from runner.cells import COUNTS
from runner.document import assembled, printed, verdicts
from runner.exports import SVG

NO_FALL = UntrueError("+2.0 is no fall")
ROWS = pd.DataFrame({"year": [2020, 2021], "sales": [1.0, 2.0]})


@pytest.fixture(autouse=True)
def _real():
    """Exhibits look as those of real figures."""
    style.use("real")
    yield
    style.use()


def said(value):
    """What a kernel answers for an expression."""
    if isinstance(value, Exception):
        return {"status": "error", "ename": type(value).__name__, "evalue": str(value)}
    shown = {"text/plain": value} | ({"text/html": value} if value.startswith("<") else {})
    return {"status": "ok", "data": shown}


def text(source, *values, tags=()):
    """Return a cell of text, with an answer for each expression."""
    cell = document_text(source, *tags)
    asked = re.findall("<<(.+?)>>", source)
    cell["metadata"]["user_expressions"] = [
        {"expression": each, "result": said(value)}
        for each, value in zip(asked, values, strict=True)
    ]
    return cell


def shows(*exhibits):
    outputs = [new_output("display_data", data=each._repr_mimebundle_()) for each in exhibits]
    return {"cell_type": "code", "id": "c", "metadata": {}, "source": "1", "outputs": outputs}


def pages(*cells, strict=True):
    return assembled({"cells": [*cells], "metadata": {}}, strict=strict)


def texts(*cells, **known):
    return [cell["source"] for cell in pages(*cells, **known)[0]["cells"]]


@pytest.mark.parametrize(
    ("source", "values", "page"),
    [
        ("Fell <<a>> to <<b>> of 3.", ["7.5", "'40'"], "Fell 7.5 to 40 of 3."),
        ("Of <<a>> it is.", ["2 * $3 [x]_y #"], r"Of 2 \* \$3 \[x\]\_y \# it is."),
        ("<<a>>, *so*", ["<b>Not</b> <em>shown</em>"], "<b>Not</b> *shown*, *so*"),
        ("Says <<a>>.", ["'a' or 'b'"], "Says 'a' or 'b'."),
        ("<<a>>It rose.\n<<b>>It fell.\n\n\nEnd.", [NOT_SAID, ""], "It fell.\n\nEnd."),
        ("A.\n<<a>>It fell <<b>>.", [NOT_SAID, NO_FALL], "A."),
        ("It is <<a>>, [<<b>>].", ["3.0 ◐", "1.0 ○"], "It is 3.0, [1.0]."),
    ],
)
def test_values_stand_where_they_are_asked_for(source, values, page):
    assert texts(text(source, *values)) == [page]


def test_a_box_is_marked_and_a_text_of_which_nothing_is_said_is_no_cell():
    assert texts(text("<<a>>One.", NOT_SAID), text("Two.", tags=["box"])) == [
        '<div class="answer">\n\nTwo.\n\n</div>'
    ]


REFUSED = (
    text("<<holds(a)>>Only “one” is <<b>>.\nIt stays.", UntrueError("no"), "1"),
    text("It fell <<fall(x)>>.", NO_FALL),
)


def test_all_sentences_that_their_numbers_refuse_stop_a_run_as_scheduled():
    with pytest.raises(SentenceError) as error:
        texts(*REFUSED)
    assert str(error.value).splitlines()[1:] == [
        "    cell c: “Only “one” is ….” cannot be said (holds(a): no)",
        "    cell c: “It fell ….” cannot be said (fall(x): +2.0 is no fall)",
    ]


def test_with_other_parameters_they_are_left_out_and_listed():
    told = (
        "Left out, since they do not hold with these parameters: “Only “one” is ….”; “It fell ….”."
    )
    note = f'<div class="note">\n\n{told}\n\n</div>'
    assert texts(*REFUSED, strict=False) == ["It stays.", note]


@pytest.mark.parametrize("strict", [True, False])
def test_an_expression_that_fails_otherwise_is_an_error(strict):
    with pytest.raises(SentenceError, match=r"“It fell ….” cannot be said \(fall\(y\): y.*; corr"):
        texts(text("It fell <<fall(y)>>.", NameError("y is not defined")), strict=strict)


# Exhibits


def figure(**known):
    drawing, axes = plt.subplots()
    axes.plot([1, 2], color=style.MAIN)
    return blocks.figure(drawing, data=ROWS, **known)


def page_of(exhibit, caption):
    (cell,) = pages(shows(exhibit), caption)[0]["cells"]
    return cell["outputs"][0]["data"]


@pytest.mark.parametrize(
    ("look", "mark", "lead", "ink"),
    [("real", "●", "", "222222"), ("simulated", "○", "Simulated – ", "6a3d9a")],
)
def test_the_first_words_of_a_caption_in_bold_are_the_title_of_the_figure(look, mark, lead, ink):
    style.use(look)
    shown = page_of(figure(), text("Figure: **Sales\nrose <<a>> & more.** One & two.", "5.0"))
    ((svg, alt),) = SVG.findall(shown["text/html"])
    drawn = base64.b64decode(svg).decode()
    assert re.search(f'fill:#{ink}">{lead}Sales rose 5.0 &amp; more.</text>', drawn)
    assert alt.startswith(f"{lead}Sales rose 5.0 &amp; more. ")
    assert f"<figcaption>{mark} {lead}One &amp; two." in shown["text/html"]
    assert shown["text/plain"] == f"Figure: {lead}One & two."


def test_a_table_has_its_title_in_its_caption():
    shown = page_of(blocks.table(ROWS), text("Table: **Sales.** By year, <<a>>.", "*x*"))
    assert "<caption>● Sales. By year, *x*." in shown["text/html"]
    assert shown["text/plain"] == "Table: Sales. By year, *x*."


def test_a_caption_goes_with_its_refused_exhibit_and_is_not_evaluated():
    refused = shows(blocks.figure(refusal("nobody was closed")))
    cells = pages(refused, text("Figure: It fell <<fall(x)>>.", NO_FALL))[0]["cells"]
    (shown,) = (cell["outputs"][0]["data"]["text/plain"] for cell in cells)
    assert shown == "Not estimable with this data. Nobody was closed."


TABLE = text("Table: Rows.")
HELD = blocks.Block(f"<table>{OPEN}</table>", "", ())


@pytest.mark.parametrize(
    "cells",
    [
        [TABLE],
        [shows(), TABLE],
        [shows(blocks.say("A sentence.")), TABLE],
        [shows(HELD), TABLE, TABLE],
        [shows(HELD), text("Rows.")],
    ],
)
def test_each_caption_has_its_exhibit_and_each_exhibit_its_caption(cells):
    with pytest.raises(SentenceError, match=r"no exhibit awaits|its exhibit has no caption"):
        pages(*cells)


def test_only_exhibits_reach_the_pdf():
    frame = new_output("execute_result", data={"text/plain": "a frame"})
    cell = shows(blocks.say("A sentence."))
    wrong = new_output("error", ename="E", evalue="", traceback=[])
    cell["outputs"] = [frame, *cell["outputs"], new_output("stream", text="said"), wrong]
    (page,) = printed({"cells": [cell]})["cells"]
    assert page["outputs"] == [cell["outputs"][1], wrong]


# Verdicts and marks

HIT = {"statement": "Shares fell.", "found": "old", "detail": "old"}


def test_paragraphs_about_a_verdict_go_with_it_and_leave_the_report():
    closing = shows(blocks.Block("<p>As of.</p>", "", (of_verdicts([HIT, {"statement": "B."}]),)))
    told = "<<found(hit)>> Tiza lost <<a>>.\n<<b>>It *was* 2021.\n\n<<in_brief(hit)>> Less.\n\nEnd."
    brief = text(told, "Shares fell.", "9 ◐", "", "Shares fell.", tags=["brief"])
    done, found = pages(closing, brief)
    assert len(done["cells"]) == 1
    assert verdicts(done, found) == [
        {**HIT, "found": "Tiza lost 9. It *was* 2021", "detail": "Less."},
        {"statement": "B."},
    ]
    assert done["metadata"][COUNTS] == {"◐": 1}


def test_a_notebook_that_hands_on_nothing_is_told_from_one_without_verdicts():
    assert verdicts(*pages(text("A."))) is None
    assert verdicts(*pages(shows(blocks.Block("", "", (of_verdicts([]),))))) == []


# In a kernel


def test_expressions_are_evaluated_in_their_turn_and_old_results_go(tmp_path):
    desk = Desk(tmp_path / "project")
    desk.furnish()
    first, second = (document_text("It is <<x>> of <<'a_b'>>.") for _ in range(2))
    stale = text("It was <<x>>.", "7")
    stale["source"] = "No number."
    desk.write("00_brief", "x = 1", first, "x = 2", second, stale)
    assert desk.run("00") == Exit.OK
    shown = (desk.draft / "00_brief.ipynb").read_text()
    assert "It is 1 of a\\\\_b." in shown
    assert "It is 2 of a\\\\_b." in shown
    assert "user_expressions" not in shown
