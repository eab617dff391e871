"""Execute notebooks, several at a time, each in its own kernel.

No kernel outlives the run.
"""

from __future__ import annotations

import logging
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Any

from fewtreated.errors import DataError, DesignError

from analysis import memory
from analysis.provenance import COMMIT
from runner import Exit, ReportError, disk_full, say
from runner.inputs import commit_of_inputs
from runner.schedule import Job
from runner.waiting import counted

TIMEOUT = 600.0  # seconds for one notebook


@contextmanager
def interruptible() -> Iterator[None]:
    """Make signals raise `SystemExit` with the code 128 plus the signal's number.

    Later signals are ignored, so that the clean-up can finish. A signal that was already ignored,
    as under ``nohup``, stays ignored.
    """
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU)

    def stop(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    before = {
        each: signal.signal(each, stop)
        for each in signals
        if signal.getsignal(each) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _environment(as_of: str, folder: Path) -> Iterator[None]:
    """Set the kernels' environment.

    There is one BLAS thread, a fixed clock and hash seed, and there are no personal settings.

    On two cores, two kernels with two BLAS threads each take longer than kernels run one at a time.
    """
    before = dict(os.environ)
    midnight = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    os.environ |= {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "SOURCE_DATE_EPOCH": f"{midnight.timestamp():.0f}",
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": f"{folder}/ipython",
        "JUPYTER_RUNTIME_DIR": f"{folder}/runtime",
        COMMIT: commit_of_inputs() or "",
    }
    os.environ.pop("PYTHONSTARTUP", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ |= before


class Kernels:
    """Kernels that execute a run's notebooks.

    Parameters
    ----------
    as_of : str
        As-of date, YYYY-MM-DD, to which their clocks are set.
    sockets : Path
        Folder of the run for the sockets of kernels and the files that they write themselves; not
        on the disk of the releases, because that may be full.
    timeout : float
        Time limit for one notebook, seconds.
    """

    def __init__(self, as_of: str, sockets: Path, timeout: float):
        self._as_of = as_of
        self._sockets = sockets
        self._timeout = timeout
        self._managers, self._stopping = list[Any](), Event()
        self._numbers = count()  # numbers the folders of sockets, one per kernel

    def each(self, makes: Iterable[Callable[[], None]], workers: int) -> None:
        """Call functions that execute notebooks, several at a time.

        Raise `DesignError` if the system allows too few open files, at whose end the library of
        sockets aborts.
        """
        if (files := resource.getrlimit(resource.RLIMIT_NOFILE)[0]) < 24 * (workers + 1):
            raise DesignError(
                f"Cannot run {workers} notebooks with {files} open files; raise `ulimit -n`."
            )
        with _environment(self._as_of, self._sockets), ThreadPoolExecutor(workers) as pool:
            futures = list[Future[None]]()
            try:
                for make in makes:
                    futures.append(pool.submit(make))
                for future in as_completed(futures):
                    future.result()
            except BaseException:  # a signal, or a bug in the runner: leave no kernel behind
                self._stopping.set()
                pool.shutdown(wait=False, cancel_futures=True)
                while running := [future for future in futures if not future.done()]:
                    for manager in [manager for manager in self._managers if manager.has_kernel]:
                        with suppress(ProcessLookupError):  # it ended by itself just now
                            os.killpg(
                                manager.provisioner.pid, signal.SIGKILL
                            )  # with its child processes
                    wait(running, timeout=0.1)
                raise

    def execute(self, job: Job, values: Mapping[str, Any], target: Path) -> None:
        """Execute a notebook in its own kernel, saving it to a file after each cell.

        If it fails, try as often again as its plan allows; a refusal, which would be the same
        again, is final. If the kernel dies, try once more at once.

        Raises
        ------
        ReportError
            As :meth:`_execute`, after the last attempt.
        """
        for left in reversed(range(job.plan.retries + 1)):
            try:
                return self._execute(job, values, target)
            except ReportError as error:
                if not left or error.code == Exit.REFUSED or self._stopping.is_set():
                    raise
                say(
                    f"{error.reason}\n{job.name}: again in {job.plan.pause:g} s, tries left:"
                    f" {left}",
                    sys.stderr,
                )
                self._stopping.wait(job.plan.pause)

    def _execute(self, job: Job, values: Mapping[str, Any], target: Path) -> None:
        """Execute a notebook in its own kernel, or in a second one if the first one dies.

        Raises
        ------
        ReportError
            If a cell fails, the kernel dies twice, or time runs out. A cell that raises
            `DesignError` or `DataError` is reported as a refusal, not as a failure.
        """
        import papermill
        from nbclient.exceptions import CellTimeoutError, DeadKernelError
        from papermill.exceptions import PapermillExecutionError

        from runner import engine

        # papermill warns about parameters that it cannot parse, and logs the exceptions that it
        # raises
        logging.getLogger("papermill").setLevel(logging.CRITICAL)
        say(f"{job.name}: running", sys.stderr)
        files = [
            str(path).replace("{", "{{").replace("}", "}}") for path in (job.notebook, target)
        ]  # keep braces
        timeout = job.plan.timeout or self._timeout
        options: dict[str, Any] = {
            "parameters": dict(values),
            "kernel_name": "python3",
            "engine_name": engine.NAME,
            "progress_bar": False,
            "start_timeout": math.ceil(timeout),  # nbclient takes whole seconds
            "shutdown_kernel": "immediate",
            # `cwd` would move all threads
            "resources": {"metadata": {"path": str(job.notebook.parent)}},
            "record_timing": False,
            "coalesce_streams": True,
            "kernel_manager_class": self._manager(job.plan.memory),
        }
        for last in (False, True):
            deadline = time.monotonic() + timeout

            def left(_: Any, deadline: float = deadline) -> float:
                return max(deadline - time.monotonic(), 0.001)

            try:
                with counted(job.name, 1) as cells:
                    papermill.execute_notebook(*files, **options, timeout_func=left, count=cells)
                return
            except CellTimeoutError:
                what = f"{job.name}: not finished after {timeout:g} s; raise the limit with"
                raise ReportError(
                    f"{what} {'timeout in the schedule' if job.plan.timeout else '--timeout'}."
                ) from None
            except PapermillExecutionError as error:
                raise _of_cell(job, error) from None
            except (
                RuntimeError
            ) as error:  # the kernel died at work or on starting, or never answered
                died = isinstance(error, DeadKernelError)
                if last or self._stopping.is_set() or not (died or "died" in str(error)):
                    why = f"the kernel did not start: {error}"
                    if died:
                        why = "the kernel died twice, perhaps for lack of memory"
                    raise ReportError(f"{job.name}: {why}") from None
                say(
                    f"{job.name}: the kernel died{'' if died else ' on starting'}; trying once"
                    " more",
                    sys.stderr,
                )

    def _manager(self, memory: int | None) -> type:
        """Return a manager class that starts kernels in this Python, ignoring installed kernels.

        Their address space is limited to so many megabytes, if any.
        It connects through files, since another process could take a TCP port before the kernel
        binds it. A kernel ends when its parent does.
        """
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import AsyncKernelManager

        managers = self._managers
        sockets = self._sockets
        numbers = self._numbers
        limited = []
        if memory:
            limited = ["/bin/sh", "-c", f'ulimit -v {1024 * memory}; exec "$0" "$@"']
        command = [*limited, sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        local = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}

        class Manager(AsyncKernelManager):
            kernel_spec = KernelSpec(
                argv=command, display_name="Python 3", language="python", metadata=local
            )

            def __init__(self, **options: Any) -> None:
                place = str(
                    sockets / f"{next(numbers)}"
                )  # also of the file that names them, or else it is in /tmp
                super().__init__(
                    **options, transport="ipc", ip=place, connection_file=f"{place}.json"
                )
                managers.append(self)

        return Manager


def _of_cell(job: Job, error: Any) -> ReportError:
    """Return the error for a failed cell.

    It has the message of a refusal or the end of the traceback.
    """
    from papermill.exceptions import strip_color

    if error.ename in ("MemoryError", "_ArrayMemoryError", "ArrowMemoryError"):
        why = memory.lacking()
        if job.plan.memory:
            why = f"Cannot go on with {job.plan.memory} MB; raise `memory` in the schedule."
        return ReportError(f"{job.name}: {why}", Exit.MEMORY)
    if error.ename in (DataError.__name__, DesignError.__name__):
        return ReportError(f"{job.name}: {error.evalue}", Exit.REFUSED)
    lines = strip_color("\n".join(error.traceback)).rstrip().splitlines()[-15:]
    said = ": ".join(filter(None, [error.ename, str(error.evalue).strip().partition("\n")[0]]))
    message = "\n    ".join([f"{job.name}: a cell failed with {said}", *lines])
    return ReportError(message, Exit.DISK_FULL if disk_full(error.evalue) else Exit.FAILED)
