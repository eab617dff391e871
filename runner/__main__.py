"""Entry point for ``python -m runner``, equivalent to the command ``market-impact``."""

import sys

from runner.cli import main

sys.exit(main())
