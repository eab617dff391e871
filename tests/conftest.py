"""One thread a process: workers share the cores, and threads of a small matrix wait for each other most of the time."""

import os
import sys

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported; kernels and child processes inherit it


@pytest.fixture
def no_kernels(monkeypatch):
    """Whatever would start a kernel fails."""
    monkeypatch.setitem(sys.modules, "papermill", None)
    monkeypatch.setitem(sys.modules, "jupyter_client.manager", None)
