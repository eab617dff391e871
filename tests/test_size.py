"""Tokens are counted as stored; the limits of pyproject.toml hold, and each can be broken."""

import copy
import json
import shutil
import subprocess
import sys
import tomllib
from functools import reduce
from operator import getitem

import pytest
from ruamel.yaml import YAML

from analysis.provenance import ROOT
from benchmarks import size
from benchmarks.size import House
from benchmarks.tokens import Source, notebook_sources

CASES = YAML(typ="safe").load(ROOT / "tests" / "cases" / "tokens.yml")
ADD = '"""G."""\n\n\ndef add(a: int, b: int) -> int:\n    """Add."""\n    # c\n    return a + b\n'
USE = """from deep.core import ONE
from small.upper import TWO

FOUR, B = 2 * TWO, 1 if ONE else 0
"""
FILES = {
    "small/ground.py": ADD,
    "small/upper.py": "from small import ground\n\nTWO = ground.add(1, 1)\n",
    "large/use.py": USE,
    "deep/src/deep/core.py": "ONE = 1\n",
    "deep/tests/test_core.py": "import deep.core\n\n\ndef test_one():\n    assert deep.core.ONE\n",
    "tests/test_use.py": "from large.use import FOUR\n\n\ndef test_four():\n    assert FOUR == 4\n",
    "tests/cases/use.yml": "four: 4\n",
    "page.html.j2": "<p>\n",
}
LIMITS = {
    "tuple_assignments": 334,
    "conditional_expressions": 334,
    "nine_of_ten_functions": 2,
    "longest_function": 2,
    "most_parameters": 2,
    "longest_file": 25,
    "notebook": 5,
    "notebooks": 5,
    "notebook_strings": 5,
    "tests_over_code": 0.5,
    "tested": ["small", "large", "deep"],
    "upward_imports": 0,
    "circles": 0,
    "tokens": {"small": 32, "large": 25, "deep": 3},
    "characters": {"*.j2": 4, "*tests/*.yml": 8},
    "packages": {"deep": ["deep/src/deep"], "tests": ["tests", "deep/tests"]},
    "files": {"small": 2},
    "may_import": {"small": [], "large": ["deep", "small.upper"], "deep": []},
    "rooms": {"small": {"ground": 18, "upper": 14}, "deep": {"core": 3}},
}
EMPTY = "remove the budget from [tool.house] in pyproject.toml"
SHORTEN = "remove what repeats, or raise the budget and say what that bought"


def notebook(*cells):
    prose = {"cell_type": "markdown", "source": ["a\n", "b\n"]}
    code = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"cells": [prose, *code]})


@pytest.fixture
def house(tmp_path):
    def build(limits=LIMITS, **changed):
        files = FILES | {
            "notebooks/one.ipynb": notebook('print("three")', "%matplotlib inline", "x")
        }
        files |= {f"{name.replace('__', '/')}.py": text for name, text in changed.items()}
        for file, text in files.items():
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).write_text(text, encoding="utf-8")
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        return House(tmp_path, limits)

    return build


@pytest.mark.slow  # `make check` says so in a sentence, and is what a commit runs
def test_the_project_keeps_to_its_limits():
    limits = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["house"]
    assert House(ROOT, limits).breaches() == []


def test_no_benchmark_hides_a_package_from_the_others():
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert names & {path.parent.name for path in ROOT.glob("*/__init__.py")} == set()


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_tokens_lines_and_characters_inside_strings_are_counted_as_stored(case):
    if "cells" in case:
        sources = notebook_sources(notebook(*case["cells"]), "a.ipynb")
    else:
        sources = [Source(case["source"])]
    tokens = sum(source.tokens for source in sources)
    lines = sum(len(source.lines) for source in sources)
    characters = sum(source.string_characters for source in sources)
    assert [tokens, lines, characters] == case["counts"]


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_every_version_of_python_counts_the_same(version):
    python = shutil.which(f"python{version}")
    if not python or subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
        pytest.skip(f"Python {version} is not installed")
    program = """if True:
        import json, sys
        from benchmarks.tokens import Source
        found = [Source(text) for text in json.load(sys.stdin)]
        counts = [[each.tokens, len(each.lines), each.string_characters] for each in found]
        print(json.dumps(counts))
    """
    cases = [case for case in CASES.values() if "source" in case]
    texts = json.dumps([case["source"] for case in cases])
    command = [python, "-c", program]
    found = subprocess.run(
        command, cwd=ROOT, input=texts, capture_output=True, text=True, check=True
    )
    assert json.loads(found.stdout) == [case["counts"] for case in cases]


@pytest.mark.parametrize(
    ("statement", "tuples", "conditionals"),
    [
        ("a, b = 1, 2", 1, 0),
        ("x = a, b = 1, 2", 1, 0),
        ("(a, (b, c)) = (1, (2, 3))", 1, 0),
        ("a, b = f()", 0, 0),
        ("a = 1, 2", 0, 0),
        ("for a, b in c: pass", 0, 0),
        ("a = 1 if b else 2 if c else 3", 0, 2),
        ("print(f'{a if b else c}')", 0, 1),
        ("d = [a for a in b if c]", 0, 0),
    ],
)
def test_tuple_assignments_take_two_written_tuples_and_conditionals_an_else(
    statement, tuples, conditionals
):
    source = Source(statement)
    assert (source.tuples, source.conditionals) == (tuples, conditionals)


def test_a_project_within_its_limits_has_no_breach_and_comments_docstrings_and_prose_are_no_code(
    house,
):
    assert house().breaches() == []


@pytest.mark.parametrize(
    ("limit", "breach"),
    [
        (
            ["tuple_assignments"],
            "tuple assignments per 1,000 statements of large/: 333.333 of at most 333; "
            "write one assignment a line, first in large/use.py",
        ),
        (
            ["conditional_expressions"],
            "conditional expressions per 1,000 statements of large/: 333.333 of at most 333; "
            "write if statements, first in large/use.py",
        ),
        (
            ["nine_of_ten_functions"],
            "lines of code of nine of ten functions of small/: 2 of at most 1; "
            "split long functions, first small/ground.py:4 add",
        ),
        (
            ["longest_function"],
            "lines of code of the longest function: 2 of at most 1; split small/ground.py:4 add",
        ),
        (
            ["most_parameters"],
            "most parameters, small/ground.py:4 add: 2 of at most 1; combine related parameters",
        ),
        (
            ["longest_file"],
            "tokens of the longest file, large/use.py: 25 of at most 24; give each subject a file",
        ),
        (
            ["notebook"],
            "tokens of the longest notebook, notebooks/one.ipynb: 5 of at most 4; "
            "remove code that neither computes nor shows",
        ),
        (["notebooks"], f"tokens of notebooks: 5 of at most 4; {SHORTEN}"),
        (
            ["notebook_strings"],
            "characters inside strings of notebooks: 5 of at most 4; write sentences in text cells",
        ),
        (
            ["tests_over_code"],
            "tokens of tests/ over those of code: 0.5 of at most -0.5; "
            "turn similar tests into cases",
        ),
        (["tokens", "small"], f"tokens of small/: 32 of at most 31; {SHORTEN}"),
        (["tokens", "large"], f"tokens of large/: 25 of at most 24; {SHORTEN}"),
        (["tokens", "deep"], f"tokens of deep/: 3 of at most 2; {SHORTEN}"),
        (["characters", "*.j2"], f"characters of *.j2: 4 of at most 3; {SHORTEN}"),
        (["characters", "*tests/*.yml"], f"characters of *tests/*.yml: 8 of at most 7; {SHORTEN}"),
        (["files", "small"], "files of small/: 2 of at most 1; merge files"),
        (["rooms", "small", "ground"], f"tokens of small/: ground: 18 of at most 17; {SHORTEN}"),
        (["rooms", "small", "upper"], f"tokens of small/: upper: 14 of at most 13; {SHORTEN}"),
        (["rooms", "deep", "core"], f"tokens of deep/: core: 3 of at most 2; {SHORTEN}"),
    ],
)
def test_a_check_under_a_limit_one_lower_fails_with_what_its_size_the_limit_and_what_to_do(
    house, monkeypatch, limit, breach
):
    limits = copy.deepcopy(LIMITS)
    *tables, key = limit
    table = reduce(getitem, tables, limits)
    table[key] -= 1
    assert checked(monkeypatch, house(limits)) == breach


def test_a_check_passes_where_every_limit_is_kept(house, monkeypatch):
    assert checked(monkeypatch, house()) is None


def checked(monkeypatch, house):
    """What `make check` gives to sys.exit."""
    monkeypatch.setattr(size, "House", lambda *_: house)
    monkeypatch.setattr(sys, "argv", ["size.py", "--check"])
    with pytest.raises(SystemExit) as stopped:
        size.main()
    return stopped.value.code


def test_the_tokens_of_tests_in_every_folder_of_theirs_count(house):
    assert house().tests_over_code().size == (15 + 15) / 60
    fewer = LIMITS["packages"] | {"tests": ["tests"]}
    assert house(LIMITS | {"packages": fewer}).tests_over_code().size == 15 / 60


@pytest.mark.parametrize(
    "line",
    [
        "from small.upper import TWO",
        "import small.upper",
        "if TYPE_CHECKING:\n    from small import upper",
    ],
)
def test_an_import_that_runs_up_and_the_circle_that_it_closes_are_breaches_for_types_too(
    house, line
):
    breaches = house(**{"small__ground": f"{ADD}\n\n{line}\n"}).breaches()
    assert "imports that run up: 1 of at most 0; small/ground.py -> small/upper.py" in breaches
    assert "circles of imports: 1 of at most 0; small/ground.py <-> small/upper.py" in breaches


@pytest.mark.parametrize(
    ("file", "text", "arrow", "special"),
    [
        (
            "large__use",
            USE.replace("upper import TWO", "ground import add as TWO"),
            "large/use.py -> small/ground.py",
            {"large.use": ["deep", "small"]},
        ),
        (
            "deep__src__deep__core",
            "import large.use",
            "deep/src/deep/core.py -> large/use.py",
            {"deep.core": ["large"]},
        ),
    ],
)
def test_an_import_that_no_rule_allows_is_a_breach_and_the_longest_rule_holds(
    house, file, text, arrow, special
):
    roomy = {"small": 99, "large": 99, "deep": 99}
    limits = LIMITS | {"circles": 1, "tests_over_code": 1, "tokens": roomy, "rooms": {}}
    limits |= {"longest_file": 99}
    breach = f"{arrow}: not allowed; see [tool.house.may_import] in pyproject.toml"
    assert house(limits, **{file: text}).breaches() == [breach]
    limits |= {"may_import": LIMITS["may_import"] | special}
    assert house(limits, **{file: text}).breaches() == []


def test_a_file_that_the_tables_do_not_name_and_a_budget_of_nothing_are_breaches(house):
    limits = LIMITS | {
        "tokens": LIMITS["tokens"] | {"small": 99, "void": 9},
        "rooms": {"small": {"ground": 18, "upper": 14, "attic": 2}},
        "characters": {"*.lua": 9},
        "files": {},
    }
    told = house(limits, small__cellar="A = 1\n", deep__setup="B = 1\n").breaches()
    assert told == [
        "deep/setup.py: not in any package or room; add it to [tool.house] in pyproject.toml",
        "small/cellar.py: not in any package or room; add it to [tool.house] in pyproject.toml",
        f"tokens of void/: there are none; {EMPTY}",
        f"tokens of small/: attic: there are none; {EMPTY}",
        f"characters of *.lua: there are none; {EMPTY}",
    ]


def test_the_table_has_a_row_for_each_package_and_each_folder_without_its_tests(
    house, monkeypatch, capsys, tmp_path
):
    built = house(other__mine=ADD, other__tests__test_mine=ADD)
    monkeypatch.setattr(size, "House", lambda *_: built)
    monkeypatch.setattr(sys, "argv", ["size.py", "--anchors", str(tmp_path / "other")])
    size.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["small/", "32", "32", "8.0", "0.0", "0.0", "2", "2"] in rows
    assert ["large/", "25", "25", "8.3", "333.3", "333.3", "0", "0"] in rows
    assert ["tests/", "30", "5.0", "0.0", "0.0", "2", "2"] in rows
    assert [str(tmp_path / "other"), "18", "9.0", "0.0", "0.0", "2", "2"] in rows


def test_a_folder_without_python_is_no_anchor(tmp_path):
    with pytest.raises(SystemExit, match="holds no Python files; name another folder"):
        size.folder_counts(tmp_path)


def test_a_run_loads_neither_estimands_nor_evidence_nor_the_market_nor_exhibits():
    names = ("annex", "diff", "exports", "notices", "run", "scheduled", "site", "verify")
    code = f"import sys, {', '.join(f'runner.{name}' for name in names)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    economics = ("analysis.estimands", "analysis.evidence", "fewtreated.estimators", "market")
    assert [name for name in loaded.split() if name.startswith(economics)] == []
    exhibits = {name for name in loaded.split() if name.startswith("analysis.exhibits.")}
    assert exhibits == {"analysis.exhibits.fonts", "analysis.exhibits.payload"}
