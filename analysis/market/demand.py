"""Nested demand: a nest is a category on a platform, the outside good is spending elsewhere (equation 3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.estimate import Floats
from analysis.market.parameters import PLATFORMS, Ints, Parameters


def nesting(parameters: Parameters) -> Floats:
    """Return the nesting parameter of each platform, float64[platform, 1]."""
    below = parameters.sigma_spread * np.array([0.0, 1.0, 1.0, 0.0, 2.0])  # own sites resemble each other least
    return np.maximum(parameters.sigma - below, 0.0)[:, np.newaxis]


@dataclass(frozen=True, eq=False)
class Nests:
    """Firms sorted by category, so that the sum of a nest is a sum over neighbours.

    Attributes
    ----------
    category : int[firm]
        Sorted, each of ``0 .. n_categories - 1`` at least once.
    starts : int[category]
        First firm of each category.
    sigma : float64[platform, 1]
        Nesting parameters.
    """

    category: Ints
    starts: Ints
    sigma: Floats

    @classmethod
    def of(cls, category: Ints, parameters: Parameters) -> Nests:
        """Build the nests of sorted categories."""
        return cls(category, np.searchsorted(category, np.arange(parameters.n_categories)), nesting(parameters))

    def totals(self, values: Floats) -> Floats:
        """Sum ``[..., firm]`` within categories, to ``[..., category]``."""
        return np.add.reduceat(values, self.starts, axis=-1)

    def spread(self, values: Floats) -> Floats:
        """Give each firm the value of its category: ``[..., category]`` to ``[..., firm]``."""
        return np.take(values, self.category, axis=-1)

    def inclusive(self, totals: Floats) -> Floats:
        """Return (1 - sigma) log of the nest sums, float64[platform, category]; -inf for an empty nest."""
        with np.errstate(divide="ignore"):
            return (1 - self.sigma) * np.log(totals)

    def sales(self, weights: Floats, appeal: Floats, spending: Floats) -> tuple[Floats, Floats]:
        """Share spending among products.

        Parameters
        ----------
        weights : float64[platform, firm]
            ``exp(utility / (1 - sigma))`` of each product, 0 where it is not on sale.
        appeal : float64[platform, category]
            Utility that all products of a nest have in common.
        spending : float64[category]
            What is spent in all, sim-$.

        Returns
        -------
        sales : float64[platform, firm]
            sim-$.
        outside : float64[category]
            Spending elsewhere, sim-$; totals and outside add up to `spending`.
        """
        totals = self.totals(weights)
        pull = np.exp(self.inclusive(totals) + appeal)
        outside = spending / (1 + pull.sum(axis=0))
        with np.errstate(divide="ignore", invalid="ignore"):
            per_weight = np.where(totals > 0, pull * outside / totals, 0.0)
        return weights * self.spread(per_weight), outside


def platform_targets(parameters: Parameters) -> tuple[Floats, Floats]:
    """Return share of spending and Chinese share of sales by platform in month 0, float64[platform] each.

    Third-party Amazon has its yearly volume near 2019, 200 bn US$. The sizes of the others are assumptions, for the
    part of their volumes in which such firms sell is not published, and so are the shares there.
    """
    sizes = np.array([200.0, 60.0, 25.0, 8.0, 35.0])
    chinese = np.array([parameters.cn_share, 0.20, 0.90, 0.01, 0.10])
    assert len(sizes) == len(PLATFORMS)
    return parameters.inside * sizes / sizes.sum(), chinese
