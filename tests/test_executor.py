"""One executor: the same bytes whoever works, a killed worker is a retry, and no worker outlives its parent."""

import os
import pickle
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import threadpoolctl

from analysis import audit, executor, scenarios
from analysis.errors import DesignError
from analysis.estimands.design import Design

NAMES, SEEDS = ["plain_sd1_9", "plain_null_sd1_9"], [1, 2]
CASES = ["--workers=1", "--workers=2", "--local-cluster=2"]
PARENT = """
import sys, time
from argparse import ArgumentParser
from analysis import executor
sys.path.insert(0, sys.argv[2])
import test_executor
if __name__ == "__main__":
    parser = ArgumentParser()
    executor.add_options(parser)
    with executor.opened(parser.parse_args([sys.argv[1]])) as workers:
        executor.each(test_executor.for_ever, [(sys.argv[3], place) for place in range(2)], workers)
"""


def opened(asked: str):
    if asked.startswith("--local"):
        pytest.importorskip("distributed", reason="a local cluster needs the package distributed")
    parser = ArgumentParser()
    executor.add_options(parser)
    return executor.opened(parser.parse_args([asked]))


def product(size: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    return float((rng.normal(size=(size, size)) @ rng.normal(size=(size, size))).sum())


def slow_first(place: int) -> int:
    time.sleep(0.5 if place == 0 else 0)
    return place


def killed_once(folder: Path, place: int) -> tuple[int, float]:
    mark = folder / str(place)
    if place in (1, 4) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return place, product(50, place)


def killed(place: int) -> int:
    if place == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return place


def broken(place: int) -> float:
    return 1 / (place - 2)


def threads_of(_: int) -> set[int]:
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info()}


def for_ever(folder: str, place: int) -> None:
    (Path(folder) / f"{place}.made").write_text(str(os.getpid()))
    (Path(folder) / f"{place}.made").rename(Path(folder) / f"{place}.pid")
    while True:
        product(200, place)


def until(true, seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def here() -> bytes:
    return pickle.dumps(audit.replicate(NAMES, SEEDS, design=Design(), workers=1).to_csv())


@pytest.mark.parametrize("asked", CASES)
def test_an_audit_has_the_same_bytes_whoever_simulates(asked, here):
    with opened(asked) as workers:
        found = audit.replicate(NAMES, SEEDS, design=Design(), workers=workers)
    assert pickle.dumps(found.to_csv()) == here


def test_scenarios_have_the_same_bytes_whoever_simulates(monkeypatch):
    monkeypatch.setattr(scenarios, "SHARES", (0.01, 0.1))
    alone, two = (scenarios.grid("mid_3k", [1, 2], workers=workers) for workers in (1, 2))
    assert alone.to_csv() == two.to_csv()


@pytest.mark.parametrize("asked", CASES)
def test_results_come_in_the_order_of_the_items(asked):
    with opened(asked) as workers:
        assert executor.each(slow_first, [(place,) for place in range(5)], workers) == list(range(5))


def test_an_executor_of_threads_works_too():
    with ThreadPoolExecutor(2) as threads:
        assert executor.each(slow_first, [(0,), (1,)], threads) == [0, 1]


@pytest.mark.parametrize("asked", CASES)
def test_workers_killed_in_the_middle_cost_a_retry_and_change_nothing(asked, tmp_path):
    with opened(asked) as workers:
        found = executor.each(partial(killed_once, tmp_path), [(place,) for place in range(6)], workers)
    assert {path.name for path in tmp_path.iterdir()} == {"1", "4"}
    assert found == [(place, product(50, place)) for place in range(6)]


@pytest.mark.parametrize("asked", CASES)
def test_an_item_that_kills_every_worker_is_named(asked):
    with opened(asked) as workers, pytest.raises(Exception, match=r"was killed while|workers died while") as error:
        executor.each(killed, [(place,) for place in range(6)], workers, "markets")
    assert error.value.__notes__ == ["at 3 of 6 markets: 2"]


@pytest.mark.parametrize("asked", CASES)
def test_an_error_names_its_item(asked):
    with opened(asked) as workers, pytest.raises(ZeroDivisionError) as error:
        executor.each(broken, [(place,) for place in range(6)], workers)
    assert error.value.__notes__ == ["at 3 of 6 items: 2"]


@pytest.mark.parametrize("asked", CASES)
def test_a_worker_has_one_thread_for_linear_algebra(asked, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    with opened(asked) as workers:
        assert executor.each(threads_of, [(1,)], workers) == [{1}]
    assert executor.each(threads_of, [(1,)]) == [{1}]


@pytest.mark.parametrize("asked", CASES[1:])
def test_no_worker_outlives_a_parent_that_is_killed(asked, tmp_path):
    if asked.startswith("--local"):
        pytest.importorskip("distributed", reason="a local cluster needs the package distributed")
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    parent = psutil.Popen([sys.executable, script, asked, Path(__file__).parent, tmp_path], stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: len(list(tmp_path.glob("*.pid"))) == 2), "workers do not start"
        started = parent.children(recursive=True)
        assert {int(path.read_text()) for path in tmp_path.glob("*.pid")} <= {process.pid for process in started}
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not any(map(alive, started))), [process for process in started if alive(process)]


@pytest.mark.parametrize("workers", [0, -1])
def test_less_than_one_worker_is_refused(workers):
    with pytest.raises(DesignError, match=f"{workers} workers were asked for"):
        executor.each(broken, [(1,)], workers)


def test_a_worker_of_another_commit_or_environment_is_refused(monkeypatch):
    with executor.Processes(1) as workers:
        here = executor._origin()
        monkeypatch.setattr(executor, "_origin", lambda: here | {"numpy": "1.0"})
        with pytest.raises(DesignError, match=r"numpy 1.0 was asked for; a worker has 2"):
            executor.each(slow_first, [(0,)], workers)


def test_a_cluster_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(DesignError, match=r"pip install -e '.\[cluster\]'"), opened("--scheduler=tcp://nowhere:8786"):
        pass
