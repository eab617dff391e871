"""``python -m analysis`` was the command line: an old line of cron fails, and says which command is meant."""

import sys

print(
    "error: `python -m analysis` is now the command `market-impact` (or `python -m runner`); use that.", file=sys.stderr
)
sys.exit(2)
