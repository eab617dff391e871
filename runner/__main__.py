"""Entry point for ``python -m runner``, which does the same as the command ``market-impact``."""

import sys

from runner.cli import main

sys.exit(main())
