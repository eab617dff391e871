"""The budgets of pyproject.toml hold, and each can be broken."""

import copy
import json
import subprocess
import sys
import tomllib

import pytest

from analysis.provenance import ROOT
from benchmarks.size import House

FILES = {
    "small/ground.py": (
        '"""G."""\n\n\ndef add(a: int, b: int) -> int:\n    """Add."""\n    # c\n    return a + b\n'
    ),
    "small/upper.py": "from small import ground\n\nTWO = ground.add(1, 1)\n",
    "large/use.py": "from small.upper import TWO\n\nFOUR = 2 * TWO\n",
    "tests/test_use.py": "from large.use import FOUR\n\n\ndef test_four():\n    assert FOUR == 4\n",
}
LIMITS = {
    "longest_function": 2,
    "most_parameters": 2,
    "notebook": 1,
    "notebook_average": 1,
    "tests_over_code": 0.5,
    "upward_imports": 0,
    "circles": 0,
    "code": {"small": 4, "large": 2},
    "files": {"small": 2},
    "may_import": {"small": [], "large": ["small.upper"]},
    "rooms": {"small": {"ground": 2, "upper": 2}},
}


@pytest.fixture
def house(tmp_path):
    def build(limits=LIMITS, notebook="1\n", **changed):
        cells = [
            {"cell_type": "code", "source": [notebook]},
            {"cell_type": "markdown", "source": ["a\n", "b\n"]},
        ]
        files = FILES | {"notebooks/one.ipynb": json.dumps({"cells": cells})}
        for file, text in (
            files | {name.replace("__", "/") + ".py": text for name, text in changed.items()}
        ).items():
            (tmp_path / file).parent.mkdir(exist_ok=True)
            (tmp_path / file).write_text(text, encoding="utf-8")
        subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
        return House(tmp_path, limits)

    return build


def test_the_project_keeps_to_its_budgets():
    limits = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["house"]
    assert House(ROOT, limits).breaches() == []


def test_no_benchmark_hides_a_package_from_the_others():
    names = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert names & {path.parent.name for path in ROOT.glob("*/__init__.py")} == set()


def test_a_project_within_its_limits_has_no_breach_and_comments_docstrings_and_prose_are_no_code(
    house,
):
    assert house().breaches() == []


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        (None, "longest_function", "longest function: small/ground.py:4 add: 2 of at most 1; "),
        (None, "most_parameters", "most parameters: small/ground.py:4 add: 2 of at most 1; "),
        (None, "notebook", "notebooks/one.ipynb: 1 of at most 0; "),
        (None, "notebook_average", "notebooks on average: 1 of at most 0; "),
        (None, "tests_over_code", "tests over code: 0.5 of at most -0.5; "),
        ("code", "small", "small/: 4 of at most 3; "),
        ("code", "large", "large/: 2 of at most 1; "),
        ("files", "small", "small/, files: 2 of at most 1; "),
        ("rooms", "ground", "small/ ground: 2 of at most 1; "),
        ("rooms", "upper", "small/ upper: 2 of at most 1; "),
    ],
)
def test_a_limit_that_is_one_lower_is_a_breach_with_what_it_is_its_size_the_limit_and_what_to_do(
    house, table, key, said
):
    limits = copy.deepcopy(LIMITS)
    if table is None:
        entries = limits
    elif table == "rooms":
        entries = limits[table]["small"]
    else:
        entries = limits[table]
    entries[key] -= 1
    (breach,) = house(limits).breaches()
    assert breach.startswith(said)
    assert breach.removeprefix(said)


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
    limits = LIMITS | {
        "code": {"small": 9, "large": 2},
        "rooms": {"small": {"ground": 9, "upper": 2}},
    }
    up, circle = house(limits, small__ground=FILES["small/ground.py"] + f"\n\n{line}\n").breaches()
    assert up == "imports that run up: 1 of at most 0; small/ground.py -> small/upper.py"
    assert circle == "circles of imports: 1 of at most 0; small/ground.py <-> small/upper.py"


def test_an_import_that_no_rule_of_another_package_allows_is_a_breach_and_the_longest_rule_holds(
    house,
):
    changed = {"large__use": "from small.ground import add\n\nFOUR = add(2, 2)\n"}
    breach = (
        "large/use.py -> small/ground.py: not allowed; see [tool.house.may_import] in"
        " pyproject.toml"
    )
    assert house(**changed).breaches() == [breach]
    special = LIMITS["may_import"] | {"large.use": ["small"]}
    assert house(LIMITS | {"may_import": special}, **changed).breaches() == []


def test_a_file_or_package_that_the_table_does_not_name_and_a_room_without_code_are_breaches(house):
    limits = LIMITS | {
        "code": {"small": 9, "large": 9},
        "files": {},
        "rooms": {"small": {"ground": 2, "upper": 2, "attic": 2}},
    }
    told = house(limits, small__cellar="A = 1\n", other__file="B = 1\n").breaches()
    assert told == [
        "other/file.py: not in any package or room; add it to [tool.house] in pyproject.toml",
        "small/cellar.py: not in any package or room; add it to [tool.house] in pyproject.toml",
        "small/ attic: contains no code; remove it from [tool.house] in pyproject.toml",
    ]


def test_a_run_loads_neither_estimands_nor_evidence_nor_the_market_nor_exhibits():
    names = ("annex", "diff", "exports", "notices", "run", "scheduled", "site", "verify")
    code = f"import sys, {', '.join(f'runner.{name}' for name in names)}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    economics = ("analysis.estimands", "analysis.evidence", "fewtreated.estimators", "market")
    assert [name for name in loaded.split() if name.startswith(economics)] == []
    assert [name for name in loaded.split() if name.startswith("analysis.exhibits.")] == [
        "analysis.exhibits.payload"
    ]
