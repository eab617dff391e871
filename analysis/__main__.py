"""``python -m analysis`` used to be the command line: an old cron entry fails and names the new command."""

import sys

print(
    "error: `python -m analysis` is now the command `market-impact` (or `python -m runner`); use that.", file=sys.stderr
)
sys.exit(2)
