"""Who says what: published figures and records, and which of them a claim admits.

One rule holds for all claimants and all kinds of claims. What a claimant or its agents say is shown
and never counted, and so is a figure in whose making their word has a part. A figure counts only if
it is of the quantity that the claim is about, as a count counts only beside counts of the same, and
of a period that the claim can be about. Products of two sources are estimates: they may take a word
away, but never give one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd
from fewtreated.errors import DesignError

from analysis import data

# what a claim can be about, in readings.csv
PAST = "past"
FUTURE = "future"
# between the two sources of a product
TIMES = ", times "
GROWTH = "growth by "
CITING = " citing "
ENOUGH = 2  # publishers whose reports document an event that no filing states


@dataclass(frozen=True)
class Published:
    """A figure or record, with who says it.

    Attributes
    ----------
    by : str
        Publisher as named in the fact files; the two sources of a product are joined by `TIMES`.
    low, high : float
        The figure, in the unit of the reading that it bears on; they differ where it is a bound.
    first, last : str
        Period of the figure: years, months or days; empty if the claim's time does not matter.
    of : str
        Quantity that the figure measures, as in readings.csv; empty if nothing else could be meant.
    product : bool
        Whether the figure is a product of two sources.
    part : str
        For a record: the part of the claim that it is about.
    filing : bool
        For a record: whether a firm disclosed it, so that no second publisher is needed.
    """

    by: str
    low: float = 0.0
    high: float = 0.0
    first: str = ""
    last: str = ""
    of: str = ""
    product: bool = False
    part: str = ""
    filing: bool = False


@dataclass(frozen=True)
class Admitted:
    """What a claim admits of what is published.

    Attributes
    ----------
    figures, products : tuple of Published
        Figures or records by others than the claimant, and products of two sources.
    own : bool
        Whether the claimant or its agents give a figure or record, which is not counted.
    others : bool
        Whether others give figures of another quantity, which are not counted either.
    resting : bool
        Whether a range of our own is set aside, since an end of it is the claimant's figure.
    """

    figures: tuple[Published, ...] = ()
    products: tuple[Published, ...] = ()
    own: bool = False
    others: bool = False
    resting: bool = False

    @property
    def values(self) -> list[float]:
        """Both ends of each figure."""
        return _ends(self.figures)

    @property
    def all_values(self) -> list[float]:
        """Both ends of each figure and of each product."""
        return _ends([*self.figures, *self.products])

    def documented(self, parts: Iterable[str]) -> list[bool]:
        """Return whether each part of a claim is documented.

        A filing, or the reports of two publishers, must record it.
        """
        return [
            self._is_documented([record for record in self.figures if record.part == part])
            for part in parts
        ]

    @staticmethod
    def _is_documented(records: Sequence[Published]) -> bool:
        publishers = {party(record.by) for record in records if not record.filing}
        return any(record.filing for record in records) or len(publishers) >= ENOUGH


def _ends(published: Sequence[Published]) -> list[float]:
    return [end for one in published for end in (one.low, one.high)]


@lru_cache(maxsize=1)
def _names(*_: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the original of each copy, and the party of each speaker and owner.

    The result is cached by the files' content.
    """
    originals = data.load("publishers").set_index("source_publisher")["publisher"]
    parties = data.load("parties").set_index("name")["party"]
    return originals.to_dict(), parties.to_dict()


def party(name: str) -> str:
    """Return the party whose word a publisher's or claimant's name stands for.

    Copies are their original's word, a citation is the word of the source that is cited, and
    speakers and owners are those of ``data/parties.csv``.

    >>> party("South China Morning Post citing Amazon"), party("Amazon (vice-president Cindy Tai)")
    ('Amazon', 'Amazon')
    >>> party("Luzi-m (copy of Marketplace Pulse)"), party("Marketplace Pulse (via ChinaTalk.nl)")
    ('Marketplace Pulse', 'Marketplace Pulse')
    """
    originals, parties = _names(*map(data.verified, ("publishers", "parties")))
    cited = originals.get(name, name).rpartition(CITING)[2]
    bare = cited.partition(" (")[0]
    return parties.get(cited, parties.get(bare, bare))


def is_word_of(by: str, claimant: str) -> bool:
    """Return whether a publisher speaks for the claimant.

    For a product, it is enough that one of its two sources does.
    """
    sources = [source.removeprefix(GROWTH) for source in by.split(TIMES)]
    return party(claimant) in map(party, sources)


def admitted_figures(
    published: Sequence[Published], *, claimant: str, said: str, about: str, quantity: str = ""
) -> Admitted:
    """Return what a claim admits of what is published.

    Parameters
    ----------
    published : sequence of Published
    claimant : str
        As named in claims.csv.
    said : str
        Year, month or day of the claim; empty if it has no date.
    about : str
        `PAST`: the middle of a figure's period lies before the end of the day, month or year in
        which the claim was made. `FUTURE`, for a forecast: it lies after it. So a figure of the
        year may bear on a claim made in September of it, and one of December may not.
    quantity : str
        Quantity that the claim is about; figures of another one do not count.

    Raises
    ------
    DesignError
        If `about` is neither.
    """
    if about not in (PAST, FUTURE):
        raise DesignError(
            f"Cannot date a claim that is about {about!r}; set about to {PAST!r} or {FUTURE!r}"
        )
    dated = [one for one in published if _is_dated(one, said, about)]
    others = [one for one in dated if not is_word_of(one.by, claimant)]
    same = [one for one in others if not quantity or one.of in ("", quantity)]
    return Admitted(
        figures=tuple(one for one in same if not one.product),
        products=tuple(one for one in same if one.product),
        own=len(others) < len(dated),
        others=len(same) < len(others),
    )


def _is_dated(one: Published, said: str, about: str) -> bool:
    if not (one.first and said):
        return True
    start = pd.Period(one.first).start_time
    end = pd.Period(one.last or one.first).end_time
    is_past = bool(start + (end - start) / 2 < pd.Period(said).end_time)
    return is_past == (about == PAST)


def as_published(frame: pd.DataFrame, **columns: Any) -> list[Published]:
    """Return a record of who says what for each row of a frame.

    Parameters
    ----------
    frame : DataFrame
        Its columns have the names of the attributes of :class:`Published`; others are ignored.
    **columns
        Attributes that are the same in all rows.
    """
    known = [name for name in Published.__dataclass_fields__ if name in frame]
    rows: list[dict[Any, Any]] = frame[known].to_dict("records")
    return [Published(**row, **columns) for row in rows]
