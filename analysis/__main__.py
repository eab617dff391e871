"""Exit with an error that names the new command.

It is for cron entries that still run ``python -m analysis``.
"""

import sys

print(
    "error: `python -m analysis` no longer exists; use `market-impact` or `python -m runner`.",
    file=sys.stderr,
)
sys.exit(2)
