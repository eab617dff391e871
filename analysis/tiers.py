"""Cells that belong to some tiers of data: ``%load_ext analysis.tiers``, then ``%%tier panel sim`` above a cell.

One notebook runs on all tiers: what they share stands in plain cells, what only one can carry in a cell that says so.
In a text cell the first line ``*Tier: panel, sim*`` tells it to readers too; the runner leaves out what did not run.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any

from analysis.errors import DesignError
from analysis.verdicts import TIERS

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_FIRST_LINE = re.compile(r"\A(?:%%tier((?: \w+)+)|\*Tier: (\w+(?:, \w+)*)\*)\s*(?:\n|\Z)")


def of(source: str) -> tuple[str, ...]:
    """Return the tiers that a cell names in its first line; none means that it belongs to all."""
    found = _FIRST_LINE.match(source)
    return tuple((found[1] or found[2]).replace(",", "").split()) if found else ()


def body(source: str) -> str:
    """Return a cell without the line that names its tiers."""
    return _FIRST_LINE.sub("", source)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Make ``%%tier`` known to a notebook; IPython calls this."""

    def tier(line: str, cell: str) -> Any:
        asked = line.split()
        if unknown := sorted(set(asked) - set(TIERS)) or not asked:
            raise DesignError(f"a cell of tiers {line!r} was asked for; found {unknown}; use {', '.join(TIERS)}")
        return _run(shell, cell) if shell.user_ns["data_tier"] in asked else None

    shell.magics_manager.register_function(tier, magic_kind="cell")


def _run(shell: InteractiveShell, cell: str) -> Any:
    """Run a cell in the notebook's own names; its last expression, unless a semicolon ends it, is what it shows."""
    name = shell.compile.cache(cell)
    statements = ast.parse(cell, name).body
    shown = statements and isinstance(statements[-1], ast.Expr) and not cell.rstrip().endswith(";")
    last = statements.pop() if shown else None
    exec(compile(ast.Module(statements, []), name, "exec"), shell.user_ns)
    if last is None:
        return None
    assert isinstance(last, ast.Expr)
    return eval(compile(ast.Expression(last.value), name, "eval"), shell.user_ns)
