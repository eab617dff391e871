"""Run work in parallel, in processes on this machine or with dask on a cluster.

`each` passes every item to a worker and returns the results in the order of the items. They depend
neither on the number of workers nor on their speed, since each item has its own seed and nothing is
summed on the way. All other parallel work needs no more than
:class:`concurrent.futures.ThreadPoolExecutor`.
"""

from __future__ import annotations

import multiprocessing
import os
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from hashlib import sha256
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from fewtreated.errors import DesignError, whole_number
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from analysis import provenance

TRIES = 4  # attempts at an item whose worker dies; dask's scheduler allows as many
PATIENCE = 300  # seconds to wait for a cluster's first worker, which may need a machine to start
Workers = int | Executor  # 1 uses this process, more start that many others; an executor stays open
Made = TypeVar("Made")


def each(
    make: Callable[..., Made],
    items: Iterable[tuple[Any, ...]],
    workers: Workers = 1,
    what: str = "items",
) -> list[Made]:
    """Call a function for every item, and return the results in the same order.

    Parameters
    ----------
    make : callable
        A function at module level, or a `functools.partial` of one. It must not modify its
        arguments.
    items : iterable of tuple
        The positional arguments of each call.
    workers : int or Executor
        With 1, this process does the work; with more, that many others do. An executor stays open:
        see :func:`opened`. Each worker uses one thread for linear algebra, since sums over several
        threads differ in their last digits.
    what : str
        Noun for the items, for the progress bar.

    Raises
    ------
    DesignError
        If `workers` is less than 1.
    BrokenProcessPool
        If the worker of the same item died `TRIES` times.
    """
    items = list(items)
    made = list[Made]()
    single = partial(_single, make, _origin())
    with ExitStack() as stack:
        if not isinstance(workers, Executor) and workers != 1:
            workers = stack.enter_context(Processes(workers))
        if isinstance(workers, Executor):
            results = workers.map(single, items)
        else:
            results = map(single, items)
        try:
            for result in tqdm(results, total=len(items), desc=what, disable=None):
                made.append(result)
        except Exception as error:
            error.add_note(
                f"at {len(made) + 1} of {len(items)} {what}:"
                f" {', '.join(map(str, items[len(made)]))}"
            )
            raise
    return made


class Processes(Executor):
    """Executor that runs work in processes on this machine.

    If a process is killed, a new one takes over its item. Each process is a pool of its own. A pool
    of several breaks as a whole: all work in progress is lost, and the item at fault is unknown.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        if whole_number("workers", workers) < 1:
            raise DesignError(f"Cannot run on {workers} workers; choose at least one")
        self._threads = ThreadPoolExecutor(workers)
        self._idle: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
        for _ in range(workers):
            self._idle.put(_process())

    def submit(self, fn: Callable[..., Made], /, *args: Any, **kwargs: Any) -> Future[Made]:
        """Submit a call to the next free process."""
        return self._threads.submit(self._insist, fn, *args, **kwargs)

    def _insist(self, fn: Callable[..., Made], *args: Any, **kwargs: Any) -> Made:
        process = self._idle.get()
        try:
            for _ in range(TRIES):
                try:
                    return process.submit(fn, *args, **kwargs).result()
                except BrokenProcessPool:
                    process = _process()
        finally:
            self._idle.put(process)
        raise BrokenProcessPool(
            f"Cannot compute {', '.join(map(str, args))}: each of {TRIES} processes was killed in"
            " the attempt, perhaps for lack of memory; use fewer workers or more memory"
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut down the processes, letting busy ones finish their items."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        while not self._idle.empty():
            self._idle.get().shutdown(wait)


def add_options(parser: ArgumentParser) -> None:
    """Add options for choosing workers to a command-line parser."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--workers",
        type=_count,
        default=os.cpu_count() or 1,
        help="local processes (default: cores)",
    )
    group.add_argument(
        "--local-cluster", type=_count, metavar="N", help="a dask cluster of N local processes"
    )
    group.add_argument(
        "--scheduler", metavar="ADDRESS", help="a dask cluster, such as tcp://scheduler:8786"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"expected a whole number from 1, found {text!r}")
    return int(text)


@contextmanager
def opened(options: Namespace) -> Iterator[Executor]:
    """Open the executor chosen on the command line, and close it after the block."""
    with ExitStack() as stack:
        if options.local_cluster is None and options.scheduler is None:
            yield stack.enter_context(Processes(options.workers))
            return
        local = None
        try:
            import distributed

            local = options.local_cluster and _local_cluster(options.local_cluster, stack)
            client = stack.enter_context(
                _answer(distributed.Client, local or options.scheduler or "(empty)")
            )
            client.wait_for_workers(1, timeout=PATIENCE)
        except ImportError:
            raise SystemExit(
                "error: a cluster needs the package distributed: pip install -e '.[cluster]'"
            ) from None
        except (
            OSError,
            ValueError,
            MemoryError,
        ) as error:  # no address, no answer, another kind of server, no worker
            if local:
                where = ""
            else:
                where = f" {options.scheduler!r}"
            why = f"{error}" or "it does not answer"
            raise SystemExit(
                f"error: cannot use the cluster{where}: {why}; correct the address, or start it"
            ) from None
        yield client.get_executor(pure=False)


def _answer(connect: Any, address: Any) -> Any:
    """Connect to a cluster.

    Raise TimeoutError after a minute, since dask waits without end for a silent server.
    """
    answer = Future[Any]()

    def ask() -> None:
        try:
            answer.set_result(connect(address))
        except BaseException as error:
            answer.set_exception(error)

    Thread(target=ask, daemon=True).start()
    return answer.result(60)


def _local_cluster(workers: int, stack: ExitStack) -> Any:
    """Start a local cluster, and keep it at the given number of workers."""
    from dask import config
    from distributed import LocalCluster
    from tornado.ioloop import PeriodicCallback

    local: Any = LocalCluster  # has no types
    # or an item queued at a worker is blamed for its death, too
    with config.set({"distributed.scheduler.worker-saturation": 1.0}):
        cluster = stack.enter_context(
            local(n_workers=workers, threads_per_worker=1, dashboard_address=":0")
        )
    # the nanny does not restart a worker that is killed while it starts, so all could be gone for
    # good
    cluster.loop.add_callback(PeriodicCallback(lambda: cluster.scale(workers), 1000).start)
    return cluster


def _end_with_parent() -> None:
    """Exit when the parent process ends, watching it from a thread.

    This also works if the parent is killed.
    """

    def watch(parent: Any) -> None:
        parent.join()
        os._exit(1)

    Thread(target=watch, args=(multiprocessing.parent_process(),), daemon=True).start()


_FRESH = multiprocessing.get_context(
    "spawn"
)  # kernels have threads, and a fork would copy their locks but not them
_process = partial(ProcessPoolExecutor, 1, mp_context=_FRESH, initializer=_end_with_parent)
"""Return a pool with a single process that starts on first use."""


def _single(make: Callable[..., Made], origin: dict[str, str], item: tuple[Any, ...]) -> Made:
    """Call a function with one thread for linear algebra.

    Raise DesignError if this process does not have the same code as the caller.
    """
    for name, version in _origin().items():
        if version != origin.get(name):
            raise DesignError(
                f"Cannot mix results from {name} {origin.get(name)} and {version}: a worker has the"
                " latter; use the same environment and commit for all workers, for example one"
                " image"
            )
    with threadpool_limits(1):
        return make(*item)


@cache
def _origin() -> dict[str, str]:
    """Return the software versions and the code digest that all workers must share."""
    packages = ("analysis", "fewtreated/src", "market")
    files = sorted(
        file for package in packages for file in (provenance.ROOT / package).rglob("*.py")
    )
    return provenance.versions() | {
        "code": sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
    }
