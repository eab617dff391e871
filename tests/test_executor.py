"""One executor: the same bytes whoever works, a killed worker is a retry, and no worker outlives
its parent.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import psutil
import pytest
import work
from fewtreated.errors import DesignError

from analysis.estimands.design import Design
from analysis.provenance import ROOT
from market import audit, executor

SIX = [(number,) for number in range(6)]
CLUSTER = pytest.param("--local-cluster=2", marks=pytest.mark.slow)
PARENT = """
import sys
from argparse import ArgumentParser
from market import executor
sys.path.insert(0, sys.argv[2])
import work
if __name__ == "__main__":
    parser = ArgumentParser()
    executor.add_options(parser)
    with executor.opened(parser.parse_args([sys.argv[1]])) as workers:
        executor.each(work.for_ever, [(sys.argv[3], place) for place in range(2)], workers)
"""


def options(*arguments: str):
    parser = ArgumentParser()
    executor.add_options(parser)
    return parser.parse_args(arguments)


@pytest.fixture(scope="module", params=["--workers=1", "--workers=2", CLUSTER])
def workers(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")  # which a worker overrules
        with executor.opened(options(request.param)) as opened:
            yield opened


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
def here() -> str:
    return audit.replicate(["plain_sd1_9"], [1, 2], design=Design(), workers=1).to_csv()


def test_an_audit_has_the_same_bytes_whoever_simulates(workers, here):
    assert (
        audit.replicate(["plain_sd1_9"], [1, 2], design=Design(), workers=workers).to_csv() == here
    )


def test_results_come_in_the_order_of_the_items(workers):
    with ThreadPoolExecutor(2) as threads:
        for each in (workers, threads):
            assert executor.each(work.slow_first, SIX, each) == list(range(6))


def test_workers_killed_in_the_middle_cost_a_retry_and_change_nothing(workers, tmp_path):
    results = executor.each(partial(work.killed_once, tmp_path), SIX, workers)
    assert {path.name for path in tmp_path.iterdir()} == {"1", "4"}
    assert results == [(number, work.product(50, number)) for number in range(6)]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (work.killed, "was killed in the attempt|workers died while"),
        (work.broken, "division by zero"),
    ],
)
def test_an_error_and_an_item_that_kills_every_worker_are_named(workers, make, message):
    with pytest.raises(Exception, match=message) as error:
        executor.each(make, SIX, workers, "markets")
    assert error.value.__notes__ == ["at 3 of 6 markets: 2"]


def test_a_worker_has_one_thread_for_linear_algebra(workers):
    assert executor.each(work.threads_of, SIX, workers) == [{1}] * 6
    assert executor.each(work.threads_of, SIX) == [{1}] * 6


@pytest.mark.parametrize("workers_option", ["--workers=2", CLUSTER])
def test_no_worker_outlives_a_parent_that_is_killed(workers_option, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    arguments = [script, workers_option, Path(__file__).parent, tmp_path]
    parent = psutil.Popen([sys.executable, *arguments], stderr=subprocess.DEVNULL)
    try:
        assert until(lambda: len(list(tmp_path.glob("*.pid"))) == 2), "workers do not start"
        started = parent.children(recursive=True)
        assert {int(path.read_text()) for path in tmp_path.glob("*.pid")} <= {
            process.pid for process in started
        }
    finally:
        parent.kill()
        parent.wait()
    assert until(lambda: not any(map(alive, started))), [
        process for process in started if alive(process)
    ]


@pytest.mark.parametrize("given", ["--workers=0", "--local-cluster=0"])
def test_workers_that_cannot_be_had_end_in_a_sentence(given, capsys):
    with pytest.raises(SystemExit), executor.opened(options(given)):
        pass
    assert "expected a whole number from 1, found '0'" in capsys.readouterr().err


def test_a_local_cluster_whose_workers_were_all_killed_at_their_start_starts_others():
    dask = pytest.importorskip("dask", reason="a local cluster needs the package distributed")
    quick = dask.config.set({"distributed.deploy.lost-worker-timeout": "100ms"})
    with quick, executor.opened(options("--local-cluster=1")) as workers:
        (nanny,) = workers._client.cluster.workers.values()
        nanny.status = type(
            nanny.status
        ).starting  # in which a nanny does not start a killed worker again
        os.kill(nanny.pid, signal.SIGKILL)
        assert executor.each(work.slow_first, [(1,)], workers) == [1]


@pytest.mark.parametrize("workers", [0, -1])
def test_less_than_one_worker_is_refused(workers):
    with pytest.raises(DesignError, match=f"Cannot run on {workers} workers"):
        executor.each(work.broken, SIX, workers)


def test_a_worker_of_another_commit_or_environment_is_refused(monkeypatch):
    with executor.Processes(1) as workers:
        here = executor._origin()
        monkeypatch.setattr(executor, "_origin", lambda: here | {"numpy": "1.0"})
        with pytest.raises(DesignError, match=r"Cannot mix results from numpy 1.0 and 2"):
            executor.each(work.slow_first, SIX, workers)


def test_a_cluster_without_its_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    scheduler = executor.opened(options("--scheduler=tcp://nowhere:8786"))
    with pytest.raises(SystemExit, match=r"^error: .* pip install -e '.\[cluster\]'$"), scheduler:
        pass


def test_every_way_of_working_that_the_page_on_clusters_names_is_an_option():
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    named = [options(*shlex.split(arguments)) for arguments in re.findall(r'ARGS="([^"$]*)"', page)]
    ways = {(None, None), (2, None), (None, "tcp://scheduler:8786")}
    assert {(way.local_cluster, way.scheduler) for way in named} == ways
