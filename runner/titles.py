"""Write the title of a figure into its picture."""

import base64
import re
from html import escape
from textwrap import wrap

LINE = 11.5  # points from line to line
LETTERS = 16 / 72  # letters to a point of width
SIZE = re.compile(r'height="[\d.]+pt" viewBox="0 0 ([\d.]+) ([\d.]+)"')
LOOK = "font-weight:700;font-size:8.5px;font-family:'Noto Sans CJK SC',sans-serif"
INK = "#222222"
SIMULATED_INK = "#6a3d9a"


def titled(picture: str, title: str, simulated: bool = False) -> str:
    """Return an SVG in base64 with a title above it, in as many lines as it needs."""
    svg = base64.b64decode(picture).decode()
    size = SIZE.search(svg)
    if size is None:
        raise ValueError("the picture of a figure states no size in points")
    width = float(size[1])
    lines = wrap(title, int(LETTERS * width))
    room = LINE * len(lines) + 2
    height = float(size[2]) + room
    ink = SIMULATED_INK if simulated else INK
    look = f'x="2.3" style="{LOOK};fill:{ink}"'
    rows = [
        f'<text y="{LINE * number + 8.5 - room:g}" {look}>{escape(line)}</text>'
        for number, line in enumerate(lines)
    ]
    if simulated:  # as a stamp that no one overlooks who reads the picture alone
        rows = ['<g id="simulated">', *rows, "</g>"]
    larger = f'height="{height:g}pt" viewBox="0 {-room:g} {width:g} {height:g}"'
    svg = svg[: size.start()] + larger + svg[size.end() :]
    head, end, tail = svg.rpartition("</svg>")
    return base64.b64encode("".join([head, *rows, end, tail]).encode()).decode("ascii")
