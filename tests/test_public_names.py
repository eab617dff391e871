"""A public name of analysis stands for one thing."""

import ast
from collections import Counter

from analysis.provenance import ROOT

SAME = {
    "judge": "judge a claim, by a rule or about the event of the notebook",
    "as_rows": "return as rows, of verdicts or of a panel",
    "load": "read a file that was checked, a table or a text in YAML",
}


def test_no_two_modules_have_a_public_function_or_class_of_one_name():
    names = Counter(
        node.name
        for path in (ROOT / "analysis").rglob("*.py")
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if path.name != "prose.py"  # the words of notebooks, which call others of the same name
        and isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    )
    assert len(names) > 400
    twice = {name for name, modules in names.items() if modules > 1}
    assert twice == set(SAME)
