"""All that is done side by side, in the shape of :mod:`concurrent.futures`: in processes here, or by dask on a cluster.

`each` gives every item to a worker and returns what came of them in the order of the items, so that the bytes depend
neither on how many workers there are nor on which is the quickest: an item brings its own seed, and nothing is added up
on the way. What is not `each` needs no more than :class:`concurrent.futures.ThreadPoolExecutor`.
"""

from __future__ import annotations

import multiprocessing
import os
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from hashlib import sha256
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits
from tqdm import tqdm

from analysis import provenance
from analysis.errors import DesignError, whole_number

TRIES = 4  # of an item whose worker ends; dask's scheduler allows as many
PATIENCE = 300  # seconds for a first worker of a cluster, which may have to wait for a machine
Made = TypeVar("Made")


def each(
    make: Callable[..., Made], items: Iterable[tuple[Any, ...]], workers: int | Executor = 1, what: str = "items"
) -> list[Made]:
    """Return what a function makes of every item, in their order.

    Parameters
    ----------
    make : callable
        Of a module, or a `functools.partial` of such a one. It must not change its arguments.
    items : iterable of tuple
        The positional arguments of each call.
    workers : int or Executor
        One: this process; more: so many others. Or an executor, which stays open: see :func:`opened`. Each worker has
        one thread for linear algebra, since sums over several threads have other last digits.
    what : str
        The items in one word, beside the bar of progress.

    Raises
    ------
    DesignError
        If there is less than one worker.
    BrokenProcessPool
        If the worker of one item ended `TRIES` times.
    """
    items, made = list(items), list[Made]()
    single = partial(_single, make, _origin())
    with ExitStack() as stack:
        if not isinstance(workers, Executor) and whole_number("workers", workers) != 1:
            workers = stack.enter_context(Processes(workers))
        found = workers.map(single, items) if isinstance(workers, Executor) else map(single, items)
        try:
            for one in tqdm(found, total=len(items), desc=what, disable=None):
                made.append(one)
        except Exception as error:
            error.add_note(f"at {len(made) + 1} of {len(items)} {what}: {', '.join(map(str, items[len(made)]))}")
            raise
    return made


class Processes(Executor):
    """Processes of this machine; when one is killed, what it did is given to a new one.

    Each is a pool of its own: a pool of several breaks as a whole, and nobody knows which item it was.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        if whole_number("workers", workers) < 1:
            raise DesignError(f"{workers} workers were asked for; at least one is needed; give one or more")
        self._threads = ThreadPoolExecutor(workers)
        self._idle: SimpleQueue[ProcessPoolExecutor] = SimpleQueue()
        for _ in range(workers):
            self._idle.put(_process())

    def submit(self, fn: Callable[..., Made], /, *args: Any, **kwargs: Any) -> Future[Made]:
        """Give a call to the next process that is free."""
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
            f"the result for {', '.join(map(str, args))} was asked for; each of {TRIES} processes was killed while it "
            "computed it, as happens where memory is short; give fewer workers, or more memory"
        )

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes; those at work first end what they do."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
        while not self._idle.empty():
            self._idle.get().shutdown(wait)


def add_options(parser: ArgumentParser) -> None:
    """Let a command line say who does the work."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes here (default: cores)")
    one.add_argument("--local-cluster", type=int, metavar="N", help="a dask cluster of N processes here")
    one.add_argument("--scheduler", metavar="ADDRESS", help="a dask cluster, such as tcp://scheduler:8786")


@contextmanager
def opened(asked: Namespace) -> Iterator[Executor]:
    """Open the executor that the options of :func:`add_options` ask for; it is closed behind the block."""
    if asked.local_cluster is None and asked.scheduler is None:
        with Processes(asked.workers) as here:
            yield here
        return
    try:
        import distributed
    except ImportError as missing:
        raise DesignError(
            "a dask cluster was asked for; the package distributed is not installed; run pip install -e '.[cluster]'"
        ) from missing
    connect: Any = distributed.Client  # has no types
    with ExitStack() as stack:
        where = asked.scheduler or stack.enter_context(_local_cluster(asked.local_cluster))
        client = stack.enter_context(connect(where))
        client.wait_for_workers(1, timeout=PATIENCE)
        yield client.get_executor(pure=False)


def _local_cluster(workers: int) -> Any:
    """Return so many workers that stay so many."""
    from dask import config
    from distributed import LocalCluster
    from tornado.ioloop import PeriodicCallback

    one_item = {"distributed.scheduler.worker-saturation": 1.0}  # or one that waits is blamed too for a death
    local: Any = LocalCluster  # has no types
    with config.set(one_item):
        cluster = local(n_workers=workers, threads_per_worker=1, dashboard_address=":0")
    # one that is killed while it starts is not started again by its nanny, so that all could be gone for ever
    cluster.loop.add_callback(PeriodicCallback(lambda: cluster.scale(workers), 1000).start)
    return cluster


def _process() -> ProcessPoolExecutor:
    """Return one process, which starts when it is needed."""
    fresh = multiprocessing.get_context("spawn")  # kernels have threads, which a fork would inherit half-way
    return ProcessPoolExecutor(1, mp_context=fresh, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Watch the parent in a thread, and end with it even where it was killed and could not say so."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()


def _single(make: Callable[..., Made], origin: dict[str, str], item: tuple[Any, ...]) -> Made:
    """Call a function with one thread for linear algebra, if this process has the code of the one that asks."""
    other = {name: found for name, found in _origin().items() if found != origin.get(name)}
    if other:
        name, found = next(iter(other.items()))
        raise DesignError(
            f"a result of {name} {origin.get(name)} was asked for; a worker has {found}; give all workers the same "
            "environment and commit, such as one image"
        )
    with threadpool_limits(1):
        return make(*item)


@cache
def _origin() -> dict[str, str]:
    """Return what must be the same in all workers: versions, and a digest of this package's code."""
    files = sorted(file for package in ("analysis", "market") for file in (provenance.ROOT / package).rglob("*.py"))
    return provenance.versions() | {"code": sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()}
