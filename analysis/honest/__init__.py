"""Honest bounds: an event study's interval when the parallel trends may be violated, and by how much.

`bounds` asks the question and finds the breakdown value, `magnitudes` holds the test for violations relative to the
pre-trend, `smoothness` the shortest fixed-length interval for trends that bend by a bounded amount. Nothing here
knows how the coefficients were estimated.
"""

from analysis.honest.bounds import Bounds, honest_bounds

__all__ = ["Bounds", "honest_bounds"]
