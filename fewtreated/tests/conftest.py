"""One thread a process: threads of a small matrix wait for each other most of the time."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy is imported
