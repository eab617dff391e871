"""Give every reader files that atheris makes from right ones, keeping those that reach code which none reached before.

As ``benchmarks/fuzz.py``, which says what is a fault; atheris has no wheel for every machine. Each reader has a process
of its own, since atheris ends with the one in which it ran.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["analysis"]):
    from benchmarks import fuzz


def guided(name: str, examples: int, start: int, end: Connection) -> None:
    """Give a reader some files, and send what came of them."""
    file, reader, right, _ = fuzz.cases()[name]
    tried = fuzz.Tried()
    with tempfile.TemporaryDirectory() as corpus:
        Path(corpus, "right").write_bytes(right)
        options = [
            f"-atheris_runs={examples}",
            f"-seed={start + 1}",
            "-verbosity=0",
            "-timeout=0",
            "-rss_limit_mb=0",
            f"-artifact_prefix={corpus}/",
            corpus,
        ]
        atheris.Setup([name, *options], lambda content: tried.give(file, reader, content))
        try:
            atheris.Fuzz()
        except SystemExit:
            end.send(tried)


def main() -> int:
    """Fuzz all readers, or those named, and print a line for each."""
    asked, bad = fuzz.asked_for(), 0
    context = multiprocessing.get_context("fork")
    for name in asked.readers:
        ours, theirs = context.Pipe()
        process = context.Process(target=guided, args=(name, asked.examples, asked.seed, theirs))
        process.start()
        theirs.close()
        try:
            bad += ours.recv().show(name)
        except EOFError:
            print(f"{name}: its process has ended before all files were read")
            bad += 1
        process.join()
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
