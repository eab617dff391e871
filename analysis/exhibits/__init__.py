"""What a reader sees: numbers, tables, figures and sentences. Nothing here computes an estimate."""

from analysis.exhibits.blocks import Block, figure, note, say, table
from analysis.exhibits.brief import brief, brief_provenance, brief_table
from analysis.exhibits.colophon import colophon
from analysis.exhibits.estimated import breakdown, estimates, in_words, placebos, reasons
from analysis.exhibits.judged import answer, finding, finding_box, label, verdict_table
from analysis.exhibits.register import threats
from analysis.exhibits.style import look, use
from analysis.numbers import number, p_value, percent_change, points, quantity, span

__all__ = [
    "Block",
    "answer",
    "breakdown",
    "brief",
    "brief_provenance",
    "brief_table",
    "colophon",
    "estimates",
    "figure",
    "finding",
    "finding_box",
    "in_words",
    "label",
    "look",
    "note",
    "number",
    "p_value",
    "percent_change",
    "placebos",
    "points",
    "quantity",
    "reasons",
    "say",
    "span",
    "table",
    "threats",
    "use",
    "verdict_table",
]
