"""The parameters of a notebook, read from its own cell and checked against it.

A notebook has one code cell tagged ``parameters``. Each of its lines is an annotated
literal with its unit, and where it matters its allowed values, in the comment::

    delta_pp: float = 2.0  # percentage points; allowed 0 to 20
    data_tier: str = "facts"  # tier of the data; allowed facts | listed
    seed: int = 1  # tier sim: seed of the market
    as_of: str = "2026-11-01"  # date of knowledge, YYYY-MM-DD; allowed date
    long_after: int = 2023  # last year; allowed after to 2023

What stands after ``allowed`` is ``LOW to HIGH`` (both ends included; either may be the
name of another parameter), ``a | b | c`` (one of these) or ``date`` (an ISO date), see
`analysis.allowed`. The cell is read as Python, by `ast`: names and types are never guessed.
"""

import ast
import datetime
import difflib
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from analysis.allowed import TYPES, Parameter, Value, admit, from_text, refuse_no_rule
from analysis.errors import DesignError

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

_RULE = re.compile(r"(?P<help>.*[\s;,])?allowed\s+(?P<allowed>.+)")
_EXAMPLE = "write one a line, such as `delta_pp: float = 2.0  # percentage points; allowed 0 to 20`"


def read(notebook: Path) -> list[Parameter]:
    """Read the parameters of a notebook.

    Parameters
    ----------
    notebook : Path
        An ``.ipynb`` file.

    Returns
    -------
    list of Parameter
        In the order of the cell.

    Raises
    ------
    DesignError
        If there is no such notebook or not exactly one parameters cell, if the cell holds
        anything but annotated literals, a name twice, or a default outside its own rule.
    """
    source = _cell(notebook)
    asked = f"Parameters of {notebook.name}"
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise DesignError(f"{asked}: line {error.lineno} is not Python ({error.msg}); {_EXAMPLE}.") from None
    comments = _comments(source)
    lines = source.splitlines()
    parameters = [_parameter(asked, node, lines, comments.get(node.lineno, "")) for node in statements]
    _refuse_twice(asked, [parameter.name for parameter in parameters], [node.lineno for node in statements])
    known = {parameter.name: parameter for parameter in parameters}
    for parameter in parameters:
        refuse_no_rule(parameter, known)
    defaults = admit(known, {name: parameter.default for name, parameter in known.items()})
    return [replace(parameter, default=defaults[parameter.name]) for parameter in parameters]


def override(parameters: Iterable[Parameter], given: Mapping[str, object]) -> dict[str, Value]:
    """Put given values in the place of defaults.

    Parameters
    ----------
    parameters : iterable of Parameter
    given : mapping
        Values by name: text from a command line (``"2.5"``, ``"true"``), or typed values
        from YAML.

    Returns
    -------
    dict
        A typed value for every parameter.

    Raises
    ------
    DesignError
        For an unknown name, a wrong type, or a value that is not allowed beside the others.
    """
    known = {parameter.name: parameter for parameter in parameters}
    refuse_unknown(given, known)
    values = {
        name: _converted(parameter, given[name]) if name in given else parameter.default
        for name, parameter in known.items()
    }
    return admit(known, values)


def check(notebook_name: str, namespace: Mapping[str, object]) -> dict[str, Value]:
    """Check the parameters in force in a running notebook; for its setup cell.

    Parameters
    ----------
    notebook_name : str
        Its file name in the notebooks folder, or a whole path.
    namespace : mapping
        The ``globals()`` of the notebook.

    Returns
    -------
    dict
        The values in force, by name, of those that belong to the notebook's ``data_tier``.

    Raises
    ------
    DesignError
        If a parameter is missing, of another type than its annotation, or not allowed.
    """
    known = {parameter.name: parameter for parameter in read(NOTEBOOKS / notebook_name)}
    for name in known:
        if name not in namespace:
            raise DesignError(
                f"Parameter {name} of {notebook_name}: it is not defined; "
                "run the parameters cell before the setup cell."
            )
    values = admit(known, {name: namespace[name] for name in known})
    tier = values.get("data_tier")
    return {name: value for name, value in values.items() if not known[name].tiers or tier in known[name].tiers}


def refuse_unknown(given: Iterable[str], known: Iterable[str]) -> None:
    """Raise `DesignError` for the first given name that is not a known one."""
    names = list(known)
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {near[0]}?" if near else "use one of these."
            raise DesignError(
                f"Parameter {name}: there is no such parameter; known are {', '.join(sorted(names))}; {hint}"
            )


def _cell(notebook: Path) -> str:
    asked = f"Parameters of {notebook.name}"
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
        tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    except FileNotFoundError:
        raise DesignError(f"{asked}: {notebook} does not exist; give the name of a file in notebooks/.") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DesignError(f"{asked}: {notebook} is not a notebook ({error}); save it again from JupyterLab.") from None
    if len(tagged) != 1 or tagged[0]["cell_type"] != "code":
        raise DesignError(f"{asked}: {len(tagged)} cells are tagged `parameters`; tag exactly one code cell with it.")
    source = tagged[0]["source"]
    return source if isinstance(source, str) else "".join(source)


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("#").strip() for token in tokens if token.type == tokenize.COMMENT}


def _parameter(asked: str, node: ast.stmt, lines: list[str], comment: str) -> Parameter:
    match node:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id=kind), value=ast.expr() as value) if (
            kind in TYPES and node.lineno == node.end_lineno
        ):
            pass
        case _:
            raise DesignError(
                f"{asked}: line {node.lineno}, `{lines[node.lineno - 1].strip()}`, is not a literal "
                f"annotated with int, float, str or bool; {_EXAMPLE}."
            )
    try:
        default = ast.literal_eval(value)
    except ValueError:
        raise DesignError(
            f"{asked}: {name} has the value `{ast.unparse(value)}`, which is not a literal; {_EXAMPLE}."
        ) from None
    ruled = _RULE.fullmatch(comment)
    help_, allowed = ruled.group("help", "allowed") if ruled else (comment, "")
    return Parameter(name, kind, default, (help_ or "").rstrip(" ;,"), allowed)


def _refuse_twice(asked: str, names: list[str], lines: list[int]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise DesignError(f"{asked}: {name} is defined {count} times; keep one.")
    for line, count in Counter(lines).items():
        if count > 1:
            raise DesignError(f"{asked}: line {line} holds {count} parameters; {_EXAMPLE}.")


def _converted(parameter: Parameter, given: object) -> object:
    """Text becomes a value of the type where it can; whether it did is seen by `admit`."""
    if isinstance(given, str):
        return from_text(parameter.type, given)
    if type(given) is datetime.date and parameter.kind == "date":
        return given.isoformat()  # YAML reads an unquoted date as one
    return given
