"""Reports on real figures are written as a newspaper would print them."""

import ast
import re

import nbformat
import pytest
from ruamel.yaml import YAML

from analysis.provenance import ROOT

TICS = YAML(typ="safe").load(ROOT / "tests" / "cases" / "tics.yml")
REAL = ("00_executive_brief", "01_claims_and_context", "02_market_reaction", "03_listed_sellers")
REAL += ("05_growth_public", "06_shift_public", "09_households")
PRINTED = ("readings.csv", "verdict_rules.csv", "out_of_reach.csv", "words.yml")


def prose(notebook: str) -> str:
    """Return the text cells of a notebook and the strings of its code, but those of its parameters."""
    texts = []
    for cell in nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", 4).cells:
        if cell.cell_type == "markdown":
            texts.append(cell.source)
        elif "parameters" not in cell.metadata.get("tags", []):
            nodes = ast.walk(ast.parse(cell.source))
            strings = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
            texts += [text for text in strings if " " in text]  # others are names of columns and terms
    return "\n".join(texts)


@pytest.mark.parametrize("tic", TICS)
@pytest.mark.parametrize("where", [*REAL, *PRINTED])
def test_no_report_on_real_figures_has_a_turn_of_phrase_that_no_newspaper_would_print(where, tic):
    text = prose(where) if where in REAL else (ROOT / "data" / where).read_text(encoding="utf-8")
    text = re.sub(r"(?m)^\s*#.*$|https?://\S+", "", text) if where in PRINTED else text
    found = [text[max(match.start() - 40, 0) : match.end() + 40] for match in re.finditer(tic, text, re.IGNORECASE)]
    assert not found
