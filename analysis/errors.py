"""The two ways in which a request can be refused.

Every message has three clauses: what was asked, what was found (with counts and
the offending key), and what to do about it.
"""


class DataError(ValueError):
    """The input is not what it says it is."""


class DesignError(ValueError):
    """What is asked for is not identified by this design or these data."""
