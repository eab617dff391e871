"""Colours of figures: read by everyone, in grey, by the colour-blind, and as text; and text that
stays text.
"""

import base64
import io
import re
from itertools import combinations

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.text import Text
from reading import project_text
from test_exhibits_simulated import DRAWINGS, FRAME
from test_pdf import ANSWER, code, made, words

from analysis.evidence.verdicts import WORDS
from analysis.exhibits import blocks, charts, style
from analysis.exhibits.answers import label

WHITE = "#ffffff"
READABLE = 4.5  # of text against what it stands on: WCAG 2.2, success criterion 1.4.3
APART = 8.0  # CIE L* in grey, and CIE 1976 distance to the colour-blind
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# linear RGB, severity 1.0: Machado, Oliveira and Fernandes (2009), IEEE TVCG 15(6), 1291-1298,
# table 1
SEEN = {
    "all colours": np.eye(3),
    "no red cones": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no green cones": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.01182, 0.04294, 0.968881],
    ],
    "no blue cones": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.3039],
    ],
}


def linear(colour):
    """sRGB to linear RGB, IEC 61966-2-1."""
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """Return CIE L*a*b* of linear RGB at D65."""
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(text, ground):
    dark, light = sorted(float(TO_XYZ[1] @ linear(one)) for one in (text, ground))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=["real", "simulated"])
def look(request):
    style.use(request.param)
    yield request.param
    style.use()


def test_contrast_and_lightness_are_those_of_the_standards():
    assert contrast("black", WHITE) == pytest.approx(21)
    assert contrast("#767676", WHITE) == pytest.approx(4.54, abs=0.01)
    assert lab(linear(WHITE)) == pytest.approx([100, 0, 0], abs=0.02)
    assert lab(linear("#ff0000")) == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    for matrix in SEEN.values():  # who lacks a kind of cone sees grey as grey
        np.testing.assert_allclose(np.array(matrix) @ np.ones(3), 1, atol=1e-5)


@pytest.mark.parametrize("kind", ["real", "simulated"])
def test_any_two_colours_of_a_look_are_told_apart_in_grey_and_by_the_colour_blind(kind):
    for one, other in combinations([*style.PALETTE[kind], WHITE], 2):
        assert abs(lab(linear(one))[0] - lab(linear(other))[0]) >= APART, (one, other)
        for seen, matrix in SEEN.items():
            far = np.linalg.norm(lab(matrix @ linear(one)) - lab(matrix @ linear(other)))
            assert far >= APART, (one, other, seen)


@pytest.mark.parametrize("name", DRAWINGS)
def test_charts_take_their_colours_from_the_palette_and_their_text_can_be_read(look, name):
    drawing = DRAWINGS[name]()
    style.framed(drawing, "T")
    drawing.canvas.draw()
    known = {to_rgba(one)[:3] for one in (*style.PALETTE[look], style.INK, WHITE)}
    drawn = [one for one in drawing.findobj() if one.get_visible()]  # the grid is not
    shapes = [one for one in drawn if hasattr(one, "get_facecolor")]
    used = {
        tuple(rgb[:3])
        for one in shapes
        for rgb in np.atleast_2d(one.get_facecolor())
        if len(rgb) and rgb[3] == 1
    }
    used |= {to_rgba(one.get_color())[:3] for one in drawn if hasattr(one, "get_xydata")}
    assert used <= known
    texts = [one for one in drawing.findobj(Text) if one.get_text()]
    assert texts
    said = " ".join(text.get_text() for text in texts)
    assert not re.search(r"\b(E\d[a-z]?|[dTCV]\d+|\w+_\d+k)\b", said)  # no codes of our own
    for text in texts:
        inside = any(
            axes.get_window_extent().contains(*text.get_window_extent().get_points().mean(0))
            for axes in drawing.axes
        )
        if inside and text.get_color() == style.INK:
            darkest = style.PALETTE[look][3]
        else:
            darkest = WHITE
        assert contrast(text.get_color(), darkest) >= READABLE, text.get_text()


def test_text_of_a_figure_is_text_in_its_picture_and_is_found_in_the_pdf(tmp_path):
    style.use("real")
    drawing = charts.forest(FRAME, xlabel="points of growth")
    block = blocks.figure(
        drawing, "How to read it.", alt="Two rows.", title="Nothing moved", source="A Publisher"
    )
    style.use()
    picture = base64.b64decode(re.search(r"base64,([^\"]+)", block.html)[1]).decode()
    said = ("points of growth", "Nothing moved", "Source: A Publisher")
    assert all(f">{one}</text>" in picture for one in said[:2])
    assert "Source: A Publisher.</dc:source>" in picture
    assert 'alt="Nothing moved. Two rows."' in block.html
    found = words(made(tmp_path, code(ANSWER, tags=("answer",)), code(block.html)))
    assert all(one in found for one in said)


def test_a_figure_holds_the_font_of_its_own_letters_so_that_text_is_as_wide_in_any_browser():
    style.use("real")
    drawing, axes = plt.subplots()
    axes.set_title("Fell by −3 ●", weight="bold")
    svg = base64.b64decode(style.to_svg(drawing).partition(",")[2]).decode()
    faces = dict(re.findall(r"font-weight:(\d+);src:url\(data:font/otf;base64,([^)]+)\)", svg))
    assert [*faces] == ["400", "700"]
    for face in faces.values():
        assert set(map(ord, "Fell by −3 ●")) <= set(
            TTFont(io.BytesIO(base64.b64decode(face))).getBestCmap()
        )


WORD_LOOKS = ("supported", "contradicted", "not-shown", "not-testable")


def in_print(kind):
    """Return text and ground of a word in the PDF."""
    look = re.search(
        rf"\b{kind}: \((.*?)\),?\n    [\w)]", project_text("reports/template.typ"), re.S
    )
    colours = dict(re.findall(r"(fill|text): ([\w#()\"]+)", look[1]))
    return tuple(re.sub(r'rgb\("(.*)"\)', r"\1", colours[name]) for name in ("text", "fill"))


def on_screen(kind):
    """Return text and ground of a word on the page of a release, in light."""
    css = project_text("reports/index.css")
    named = dict(re.findall(r"--(\w+): (#\w+)", re.search(r":root \{(.+?)\}", css, re.S)[1]))
    rule = re.search(rf"\n\.{kind} \{{(.*?)\}}", css)[1]
    return tuple(
        named[re.search(rf"(?<![\w-]){name}: var\(--(\w+)\)", rule)[1]]
        for name in ("color", "background")
    )


def in_notebook(kind):
    """Return text and ground of a word in an executed notebook."""
    (word,) = (word for word in WORDS if word.lower().replace(" ", "-") == kind)
    style_of = re.search(r'style="(.*?)"', label(word))[1]
    found = dict(re.findall(r"(?:^|;)(color|background):([^;]+)", style_of))
    return found["color"], found["background"]


@pytest.mark.parametrize("kind", WORD_LOOKS)
def test_a_word_has_the_same_colours_in_print_on_screen_and_in_a_notebook(kind):
    looks = {
        tuple(to_rgb(one) for one in read(kind)) for read in (in_print, on_screen, in_notebook)
    }
    assert len(looks) == 1
    ((text, ground),) = looks
    assert contrast(text, ground) >= READABLE
