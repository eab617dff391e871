"""Execution of one notebook in a kernel of its own, through papermill."""

import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from analysis.errors import DataError, DesignError
from analysis.report.outcomes import Exit, ReportError
from analysis.report.schedule import Job

_TRACEBACK_LINES = 15


class Kernels:
    """The kernels of a run: started by papermill, and all of them stopped in an emergency."""

    def __init__(self) -> None:
        from jupyter_client.manager import AsyncKernelManager

        started: list[Any] = []

        class Manager(AsyncKernelManager):
            def __init__(self, **options: Any) -> None:
                super().__init__(**options)
                started.append(self)

        self.manager_class = Manager
        self.stopping = False
        self._started = started

    def kill(self) -> None:
        """Kill every kernel that runs, with whatever it has started."""
        self.stopping = True
        for manager in list(self._started):
            if manager.has_kernel:
                with suppress(ProcessLookupError):  # it ended by itself in this moment
                    os.killpg(manager.provisioner.pid, signal.SIGKILL)


@contextmanager
def environment(as_of: str, scratch: Path) -> Iterator[None]:
    """Set what kernels inherit: one BLAS thread, a fixed clock and hash seed, nobody's own settings.

    Two kernels with two BLAS threads each on two cores are slower than one after the other.
    """
    midnight = datetime.fromisoformat(as_of).replace(tzinfo=UTC)
    ours = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "SOURCE_DATE_EPOCH": str(int(midnight.timestamp())),
        "PYTHONHASHSEED": "0",
        "IPYTHONDIR": str(scratch / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(scratch / "runtime"),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def execute(
    job: Job,
    values: Mapping[str, Any],
    target: Path,
    *,
    timeout: float,
    kernels: Kernels,
    progress: dict[str, Any] | bool,
) -> None:
    """Execute a notebook and write it, with its outputs, to a file.

    Parameters
    ----------
    job : Job
    values : mapping
        The parameters to inject.
    target : Path
        Written after each cell; after a failure it shows how far the notebook came.
    timeout : float
        Seconds for the whole notebook, the start of its kernel included.
    kernels : Kernels
    progress : dict or bool
        Options of the progress bar, or False.

    Raises
    ------
    ReportError
        If a cell failed, the kernel died (twice: a dead kernel is tried once more) or the
        time was over. A `DesignError` or `DataError` of a cell is a refusal: what was asked for
        cannot be done with these data.
    """
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    for last in (False, True):
        try:
            return _papermill(job, values, target, timeout=timeout, kernels=kernels, progress=progress)
        except DeadKernelError:
            if last or kernels.stopping:
                raise ReportError(f"{job.name}: the kernel died, twice; was the memory short?") from None
            say(f"{job.name}: the kernel died; trying once more")
        except CellTimeoutError:
            raise ReportError(f"{job.name}: not done after {timeout:g} s; give it longer with --timeout.") from None
        except PapermillExecutionError as error:
            raise _cell_failed(job, error.ename, error.evalue, error.traceback) from None
        except RuntimeError as error:  # nbclient, of a kernel that never answered
            raise ReportError(f"{job.name}: the kernel did not start: {error}") from None


def say(line: str) -> None:
    """Print a line about the run, past any progress bars."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)


def _papermill(
    job: Job,
    values: Mapping[str, Any],
    target: Path,
    *,
    timeout: float,
    kernels: Kernels,
    progress: dict[str, Any] | bool,
) -> None:
    import papermill
    from traitlets.config import Config

    # papermill warns of parameters that its own inference cannot read, and logs what it raises
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    deadline = time.monotonic() + timeout
    papermill.execute_notebook(
        _verbatim(job.notebook),
        _verbatim(target),
        parameters=dict(values),
        kernel_name="python3",
        progress_bar=progress,
        start_timeout=timeout,
        timeout_func=lambda _: max(deadline - time.monotonic(), 0.001),
        resources={"metadata": {"path": str(job.notebook.parent)}},  # `cwd` would move all threads
        kernel_manager_class=kernels.manager_class,
        shutdown_kernel="immediate",
        record_timing=False,
        coalesce_streams=True,
        config=Config({"KernelManager": {"transport_encryption": "auto"}}),  # quiet about plain TCP
    )


def _verbatim(path: Path) -> str:
    """Papermill formats paths with the parameters; braces are to be taken as they are."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _cell_failed(job: Job, name: str, value: str, traceback: list[str]) -> ReportError:
    from papermill.exceptions import strip_color

    lines = strip_color("\n".join(traceback)).rstrip().splitlines()[-_TRACEBACK_LINES:]
    if name in (DataError.__name__, DesignError.__name__):
        return ReportError(f"{job.name}: {value}", Exit.REFUSED)
    full = name == "OSError" and "[Errno 28]" in value
    return ReportError(
        f"{job.name}: a cell failed with {name}:\n" + "\n".join(f"    {line}" for line in lines),
        Exit.DISK_FULL if full else Exit.FAILED,
    )
