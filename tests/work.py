"""What workers do in the tests of the executor: a module of its own, which a new process imports at
once.
"""

import os
import signal
import time
from pathlib import Path

import numpy as np
import threadpoolctl


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
