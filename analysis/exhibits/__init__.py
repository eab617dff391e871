"""What a reader sees: numbers, tables, figures and sentences. Nothing here computes an estimate."""

from analysis.exhibits.blocks import Block, figure, note, say, table
from analysis.exhibits.brief import brief, brief_provenance, brief_table
from analysis.exhibits.colophon import colophon
from analysis.exhibits.estimated import estimates, reasons
from analysis.exhibits.judged import answer, finding, finding_box, label, verdict_table
from analysis.exhibits.numbers import number, p_value, percent_change, quantity, span
from analysis.exhibits.style import look, use

__all__ = [
    "Block",
    "answer",
    "brief",
    "brief_provenance",
    "brief_table",
    "colophon",
    "estimates",
    "figure",
    "finding",
    "finding_box",
    "label",
    "look",
    "note",
    "number",
    "p_value",
    "percent_change",
    "quantity",
    "reasons",
    "say",
    "span",
    "table",
    "use",
    "verdict_table",
]
