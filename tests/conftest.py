"""One thread a process: workers share the cores, and threads of a small matrix wait for each other
most of the time.
"""

import os
import sys

import pytest

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before numpy is imported; kernels and child processes inherit it
sys.modules["rfc3987_syntax"] = (
    None  # jsonschema does without; its grammars take each worker two seconds
)

LONGEST = (
    "notebooks",
    "own_panel_brief",
    "docs",
    "other_event",
    "runner",
    "golden",
    "night",
    "readme",
    "synthetic",
)


def pytest_collection_modifyitems(items):
    """Files that take longest go first, so that no core waits for the last one."""
    place = {f"test_{name}.py": number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


@pytest.fixture(scope="session")
def ceiling():
    """A simulated market with many closures, and its truth."""
    return simulated("ceiling_50k")


@pytest.fixture(scope="session")
def mid():
    """One with few."""
    return simulated("mid_3k")


def simulated(preset):
    from market import simulate

    return simulate(preset, seed=1)


@pytest.fixture
def desk(finished, tmp_path):
    """A copy, to be changed, of the project that a module has let run once."""
    return finished.copied(tmp_path)


@pytest.fixture
def simulated_look():
    """Exhibits look as those of a simulated market."""
    from matplotlib import pyplot as plt

    from analysis.exhibits import style

    style.use("simulated")
    yield
    style.use()
    plt.close("all")


@pytest.fixture
def no_kernels(monkeypatch):
    """Whatever would start a kernel fails."""
    monkeypatch.setitem(sys.modules, "papermill", None)
    monkeypatch.setitem(sys.modules, "jupyter_client.manager", None)


def pytest_terminal_summary(terminalreporter):
    """Say at the end what was skipped and why, by reason; `-rs` would give a line for each file and
    line.
    """
    reasons = {}
    for report in terminalreporter.stats.get("skipped", []):
        file, _, why = report.longrepr
        reasons.setdefault(why.removeprefix("Skipped: "), []).append(os.path.basename(file))
    if reasons:
        count = sum(map(len, reasons.values()))
        terminalreporter.section(f"NOT TESTED HERE: {count} skipped", yellow=True, bold=True)
        for why, files in sorted(reasons.items()):
            terminalreporter.write_line(f"{len(files)} in {', '.join(sorted(set(files)))}: {why}")
    if terminalreporter.config.option.markexpr == "not slow":
        terminalreporter.write_line(
            "Tests marked slow were left out; `make test-all` runs them too."
        )
