"""A page of HTML without anything that is asked for elsewhere, in the look of all our pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from runner.pdf import SOURCES

FOOT = (
    "<p>Words are given by rules that were fixed in advance: supported, contradicted, not shown, not testable with "
    "this data. <em>Not shown</em> never means that there was no effect.</p>"
)


def page(title: str, lead: str, parts: Mapping[str, str], known: object = None) -> str:
    """Return a page: what it opens with, each part under its heading, and what machines are told."""
    script = f'<script type="application/ld+json">{_safe(known)}</script>\n' if known else ""
    nav, body = "", ""
    for place, (heading, content) in enumerate(parts.items(), start=1):
        nav += f'<li><a href="#part-{place}">{heading}</a></li>'
        body += f'<section aria-labelledby="part-{place}"><h2 id="part-{place}">{heading}</h2>{content}</section>'
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{escape(title)}</title>\n'
        f"<style>\n{(SOURCES / 'index.css').read_text(encoding='utf-8')}</style>\n"
        f"{script}</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the reports</a>\n'
        f'<header>{lead}<nav aria-label="On this page"><ul>{nav}</ul></nav></header>\n'
        f'<main id="main" tabindex="-1">\n{body}\n</main>\n<footer>{FOOT}</footer>\n</body>\n</html>\n'
    )


def _safe(content: object) -> str:
    """Return JSON that no text in it can end, whatever a browser takes for the end of a script."""
    text = json.dumps(content, ensure_ascii=False, indent=1)
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})
