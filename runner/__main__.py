"""``python -m runner``: the same as the command ``market-impact``."""

import sys

from runner.cli import main

sys.exit(main())
