"""What a reader sees: numbers, tables, figures and sentences. Nothing here computes an estimate."""

from analysis.exhibits.blocks import Block, answer, figure, finding, label, note, say, table, verdict_table
from analysis.exhibits.brief import brief, brief_provenance, brief_table
from analysis.exhibits.colophon import colophon
from analysis.exhibits.numbers import number, p_value, percent_change, quantity, span
from analysis.exhibits.style import use

__all__ = [
    "Block",
    "answer",
    "brief",
    "brief_provenance",
    "brief_table",
    "colophon",
    "figure",
    "finding",
    "label",
    "note",
    "number",
    "p_value",
    "percent_change",
    "quantity",
    "say",
    "span",
    "table",
    "use",
    "verdict_table",
]
