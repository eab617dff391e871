"""``python -m analysis.market``: how near the simulated market is to published moments."""

from analysis.market.calibrate import main

main()
