"""Group-time effects of an absorbing treatment, on the level and ratio scales.

Every effect is a function of two totals, which are functions of sums by group (cohort and stratum)
and period. So the effect without a cluster follows from the rows of the cluster, and the jackknife
needs no new estimation. If each unit is its own cluster, errors of effects by cohort and period
follow from moments of groups. There is no design matrix and no demeaning in a loop, and no array of
size units x effects unless errors are clustered.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from fewtreated import jackknife
from fewtreated.display import Shown
from fewtreated.errors import DesignError, check_choice, whole_number
from fewtreated.estimate import Bools, Estimate, Floats, Ints, Labels
from fewtreated.estimators.base import Base, BaseWeight, base_weight
from fewtreated.estimators.groups import Group, Moments, Pair, groups_of
from fewtreated.estimators.rows import rows_by
from fewtreated.estimators.units import UNITS, Comparison, Scale, Units, usable_units
from fewtreated.jackknife import FEWEST_DF, NOTHING_LEFT, effective, left_out, without

__dir__ = ["GroupTime", "att_gt"].copy  # for tab completion

Kind = Literal["simple", "dynamic", "group", "calendar"]
BLOCK = 2**15  # outcomes at a time
# With a weighted base, .94 to .97 of intervals hold the effect on 5, 9 and 19 closed clusters of
# the panels on which this was chosen; with the lower limit of other estimates .95 to .97, with
# lengths that cost more than they save.
FEWEST_DF_WEIGHTED = 8.0
# distance of means from zero, in standard deviations, that would lose digits of fourth powers
FAR = 10


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class GroupTime(Shown):
    """Group-time effects, with methods that average them.

    Attributes
    ----------
    y : float64[unit, time]
        Without missing values in the periods of a group, unless it has a base.
    groups : sequence of Group
        Several groups may contain the same unit, with different starts.
    width : int
        Number of periods of each group, from its start.
    scale : {"level", "ratio"}
        Level: difference of mean changes, in units of `y`. Ratio: log of observed over
        counterfactual total, in log points, the Poisson coefficient.
    anticipation : int
        Number of periods before treatment in which there may be an effect.
    base : {"last", "weighted"}
        What changes are taken from: the last untreated period, or a weighted mean of it and of the
        mean of all untreated periods.
    weight : float64[unit] or None
        Sampling weights.
    cluster, labels : int64[unit] or None, array[cluster]
        Code of each unit's cluster, None if each unit is its own cluster, and the labels of the
        codes.
    counts : dict of str to int
        Units used, treated, dropped for missing periods, treated before the first base period,
        clusters, and missing outcomes of the units used.
    """

    y: Floats
    groups: Sequence[Group]
    width: int
    scale: Scale
    anticipation: int
    base: Base = "last"
    weight: Floats | None = None
    cluster: Ints | None
    labels: npt.NDArray[Any]
    counts: dict[str, int]

    _method: ClassVar[str] = ""  # added to the name of an estimand

    @classmethod
    def of(cls, units: Units, comparison: Comparison, **fields: Any) -> Self:
        """Group units by cohort; `fields` are further attributes."""
        return cls(
            y=units.y,
            groups=groups_of(units, comparison),
            width=units.y.shape[1],
            scale=units.scale,
            anticipation=units.anticipation,
            weight=None if (units.weight == 1).all() else units.weight,  # avoids reading ones
            cluster=units.cluster,
            labels=units.labels,
            counts=units.counts,
            **fields,
        )

    def __post_init__(self) -> None:
        """Raise DesignError if the base is unknown, or no treated group has a comparison."""
        check_choice("base", self.base, get_args(Base))
        if not (self.cells[1] >= 0).any():
            raise DesignError(
                f"Cannot compare with untreated units: {self.counts['units']} units form"
                f" {len(self.groups)} groups, but no treated group has a comparison; add untreated"
                " units"
            )

    @cached_property
    def cells(self) -> Ints:
        """One column per treated group and period, int64[5, cell].

        The rows are the number of the treated group, that of its comparison group (-1 for none),
        and the columns of first treatment, of the outcome, and of the base. Of several groups to
        compare with, the largest is used whose units are not affected in both periods, nor treated
        with the cohort.
        """
        known: dict[Any, list[tuple[float, int]]] = {}
        for number, group in enumerate(self.groups):
            if np.isinf(group.first):
                known.setdefault((group.stratum, group.base), []).append((group.until, number))
        time = np.arange(self.width)
        found = [np.empty((5, 0), dtype=np.int64)]
        for number, group in enumerate(self.groups):
            if group.first < self.width:
                cohort = int(group.first)
                until, comparison = np.array(
                    [*sorted(known.get((group.stratum, group.base), [])), (np.inf, -1)]
                ).T
                needed = np.maximum(time + self.anticipation, cohort)
                chosen = comparison[np.searchsorted(until, needed)].astype(np.int64)
                base = cohort - 1 - self.anticipation
                columns = np.broadcast_arrays(number, chosen, cohort, time, base)
                # a weighted base holds periods before treatment, so that these show no effect of it
                shown = time != base if self.base == "last" else time > base
                found.append(np.array(columns)[:, shown])
        return np.concatenate(found, axis=1)

    @cached_property
    def paired(self) -> bool:
        """Whether some outcomes are missing, so that each pair of periods has units of its own."""
        return any(group.base is not None for group in self.groups)

    @cached_property
    def base_weight(self) -> BaseWeight:
        """Weight of the last untreated period in the base."""
        if self.base == "last":
            return BaseWeight(1.0, np.ones(len(self.labels)))
        return base_weight(
            self.y,
            self.groups,
            scale=self.scale,
            anticipation=self.anticipation,
            weight=self.weight,
            cluster=self.cluster,
            clusters=len(self.labels),
        )

    @cached_property
    def codes(self) -> list[Ints]:
        """Codes of the clusters of each group's units: their rows if each is its own."""
        return [
            group.rows if self.cluster is None else self.cluster[group.rows]
            for group in self.groups
        ]

    @cached_property
    def order(self) -> Ints:
        """Cluster codes, ordered by the first group in which they occur.

        Each block thus spans few groups.
        """
        first = np.full(len(self.labels), len(self.groups))
        for number, code in reversed([*enumerate(self.codes)]):
            first[code] = number
        return np.argsort(first, kind="stable")

    @cached_property
    def members(self) -> list[tuple[Ints, Ints]]:
        """Rows of each group and positions of their clusters in `order`, sorted by position."""
        position = np.argsort(self.order)
        orders = [np.argsort(position[code], kind="stable") for code in self.codes]
        parts = zip(self.groups, self.codes, orders, strict=True)
        return [(group.rows[rising], position[code][rising]) for group, code, rising in parts]

    @property
    def size(self) -> int:
        """Number of units or clusters to process at a time."""
        return max(BLOCK // self.width, 1)

    @cached_property
    def sums(self) -> Floats:
        """Sums of the :meth:`_features` of the units of each group, float64[group, column]."""
        sums: list[Floats] = []
        for number, group in enumerate(self.groups):
            parts = [sums[part] for part in group.parts]
            if group.parts:
                rest = 0
            else:
                rest = len(group.rows)
            if self._plain and self._has_moments and not parts:
                moments = self._moments[number]
                parts = [np.append(moments.first + rest * moments.centre, rest)]
                rest = 0
            for start in range(0, rest, self.size):
                rows = group.rows[start : start + self.size]
                parts.append(
                    np.concatenate([part.sum(axis=0) for part in self._features(group, rows)])
                )
            sums.append(np.sum(parts, axis=0))
        return np.array(sums)

    @cached_property
    def observed(self) -> Ints:
        """Number of units of each group observed both in a period and in the base.

        The array is int64[group + 1, time], with 0 in the last row.
        """
        observed = np.zeros((len(self.groups) + 1, self.width), dtype=np.int64)
        for number, group in enumerate(self.groups):
            observed[number] = len(group.rows)
            if group.base is not None:
                seen = np.isfinite(self.y[group.rows])
                observed[number] = (seen & seen[:, [group.base]]).sum(axis=0)
        return observed

    @cached_property
    def totals(self) -> Floats:
        """Both totals of each cell: observed and expected, or effects and units.

        The array is float64[2, cell], NaN if undefined.

        Cells without sales, observed or expected, are kept on the ratio scale, since leaving them
        out of a total would select on the outcome.
        """
        totals = np.full((2, self.cells.shape[1]), np.nan)
        for pair in self._pairs(np.arange(self.cells.shape[1])):
            for terms, of_pair in self._compared(pair):
                totals[:, terms] = of_pair
        defined = np.isfinite(totals).all(axis=0)
        if self.scale == "level":
            defined &= totals[1] > 0
        totals[:, ~defined] = np.nan
        return totals

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The counts, with that of treated units that no treated cell compares with others."""
        treated, _, cohort, time, _ = self.cells
        compared = np.isfinite(self.totals[1]) & (time >= cohort)
        alone = np.setdiff1d(treated, treated[compared])
        units = sum(len(self.groups[number].rows) for number in alone)
        return {**self.counts, "treated_without_comparison": units}

    @cached_property
    def effects(self) -> Estimate:
        """Effects by cohort and period, averaged over strata.

        A term is, for example, ``"g=5 t=7"``. An effect is NaN if there is no comparison.
        """
        treated, comparison, cohort, time, _ = self.cells
        term, key = pd.factorize(cohort * self.width + time)
        cohort = key // self.width
        time = key % self.width
        sides = (treated, comparison)
        when = self.cells[3]
        n_treated, n_comparison = (
            np.bincount(term, self.observed[side, when]).astype(np.int64) for side in sides
        )
        columns = {"group": cohort, "time": time, "event_time": time - cohort}
        columns |= {"n_treated": n_treated, "n_comparison": n_comparison}
        names = [f"g={g} t={t}" for g, t in zip(cohort, time, strict=True)]
        what = "by cohort and period"
        return self._estimate(
            f"effect on the treated {what}", names, term, "group_time", columns=columns
        )

    def _shown(self) -> tuple[str, pd.DataFrame, list[str]]:
        return self.effects._shown()

    def aggregate(
        self,
        kind: Kind = "simple",
        *,
        balance_e: int | None = None,
        min_e: int | None = None,
        max_e: int | None = None,
    ) -> Estimate:
        """Average the effects over treated units; standard errors reflect the estimated weights.

        Parameters
        ----------
        kind : {"simple", "dynamic", "group", "calendar"}
            All treated cells, periods since treatment, cohorts, or periods. All but the first end
            with their ``"average"``: over the periods from treatment on, with equal weights, over
            cohorts by their number of units, or over periods.
        balance_e : int, optional
            Of dynamic effects, only cohorts observed for this many periods after treatment, and
            periods up to it, so that the same cohorts are behind all periods from treatment on.
        min_e, max_e : int, optional
            Of dynamic effects, the first and last period since treatment.

        Raises
        ------
        DesignError
            If `kind` is unknown, or another than dynamic is limited, no cell has a comparison, or
            on the ratio scale no treated cell sold anything.
        """
        shown = self._cells_of(kind, {"balance_e": balance_e, "min_e": min_e, "max_e": max_e})
        terms, term = self._terms(kind, shown)
        return self._estimate(f"{kind} effect on the treated", terms, term, kind)

    def _cells_of(self, kind: Kind, limits: Mapping[str, int | None]) -> Bools:
        """Return which cells an average may have, bool[cell]; `limits` are those of dynamic ones.

        Raise DesignError if there are none.
        """
        check_choice("kind", kind, get_args(Kind))
        given = {
            name: whole_number(name, limit) for name, limit in limits.items() if limit is not None
        }
        _, _, cohort, time, _ = self.cells
        event = time - cohort
        if kind != "dynamic":
            if given:
                raise DesignError(
                    f"Cannot use {', '.join(given)} with kind = {kind!r}: only dynamic effects have"
                    ' terms by period since treatment; leave it out, or pass kind = "dynamic"'
                )
            return np.asarray(event >= 0)
        shown = (event >= given.get("min_e", event.min())) & (
            event <= given.get("max_e", event.max())
        )
        if "balance_e" in given:
            followed = self.width - 1 - cohort
            shown &= (followed >= given["balance_e"]) & (event <= given["balance_e"])
        if not shown.any():
            raise DesignError(
                "Cannot estimate the dynamic effect: no cohort has a period within"
                f" {', '.join(f'{name} = {limit}' for name, limit in given.items())}; the periods"
                f" since treatment are {event.min()} to {event.max()}"
            )
        return np.asarray(shown)

    def _terms(self, kind: Kind, shown: Bools) -> tuple[list[str], Ints]:
        """Return the terms of an average but for the last, and each cell's term.

        The latter is int64[cell], -1 for none. `shown` is bool[cell].
        """
        observed, expected = self.totals
        compared = np.isfinite(observed)
        estimable = compared
        if self.scale == "ratio":
            estimable = (observed > 0) & (expected > 0)  # log 0 is not an effect
        _, _, cohort, time, _ = self.cells
        by = {
            "simple": np.zeros_like(time),
            "dynamic": time - cohort,
            "group": cohort,
            "calendar": time,
        }[kind]
        keys = np.unique(by[estimable & shown])
        if not len(keys):
            why = f"none of {len(time)} cells has a comparison; widen the window"
            if (compared & shown).any():
                why = (
                    f"outcomes are zero in all {np.sum(compared & shown)} cells, observed or"
                    ' expected, and a ratio needs both; use scale="level"'
                )
            raise DesignError(f"Cannot estimate the {kind} effect: {why}")
        terms = [str(key) for key in keys]
        if kind == "simple":
            terms = [kind]
        return terms, np.where(shown & np.isfinite(observed), pd.Index(keys).get_indexer(by), -1)

    def _ratio(self, first: Any, second: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "ratio":
                return np.log(first / second)
            return first / second

    def _pairs(self, term: Ints) -> list[Pair]:
        """Return the pairs of groups behind the given terms.

        `term` is int64[cell]. Cells that have no comparison are left out.
        """
        pairs = []
        known = np.flatnonzero((self.cells[1] >= 0) & (term >= 0))
        treated, comparison, _, time, base = self.cells
        for of_pair in rows_by(treated[known] * len(self.groups) + comparison[known]):
            cells = known[of_pair]
            terms, row = np.unique(term[cells], return_inverse=True)
            alone = len(terms) == len(cells)
            adds = None if alone else (row == np.arange(len(terms))[:, np.newaxis]).astype(float)
            one = cells[0]
            if alone:
                shown = term[cells]
            else:
                shown = terms
            pairs.append(Pair(treated[one], comparison[one], base[one], time[cells], shown, adds))
        return pairs

    def _parts(
        self, sums: Floats, base: int, times: Ints, last: Any
    ) -> tuple[Floats, Floats, Floats]:
        """Split a group's sums into outcomes by period, those of the base, and weights.

        Each part is float64[time or 1, ...]. `last` is the weight of the last untreated period.
        """
        if self.paired:
            now, before, weight, *mean = np.split(sums, 3 + (self.base == "weighted"))
            now, before, weight, *mean = (part[times] for part in (now, before, weight, *mean))
        else:
            now, before, weight = sums[times], sums[base : base + 1], sums[-1:]
            mean = []
        if self.base == "last":
            return now, before, weight
        of_all = mean[0] if mean else sums[: base + 1].mean(axis=0, keepdims=True)
        return now, last * before + (1 - last) * of_all, weight

    def _compared(self, pair: Pair) -> Iterator[tuple[Ints, Floats]]:
        """Yield terms of a pair and both their totals, float64[2, term]."""
        treated, comparison = self.sums[pair.treated], self.sums[pair.comparison]
        yield pair.terms, self._compare(treated, comparison, pair, self.base_weight.value)

    def _compare(self, treated: Floats, comparison: Floats, pair: Pair, last: Any) -> Floats:
        """Compute a pair's totals by term from sums of two groups.

        Totals are float64[2, term, ...]. Sums are float64[column, ...]. `last`, float or
        float64[...], is the weight of the last untreated period in the base.
        """
        now, before, size = self._parts(treated, pair.base, pair.times, last)
        others, others_before, others_size = self._parts(comparison, pair.base, pair.times, last)
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "ratio":
                totals = np.array(np.broadcast_arrays(now, others * (before / others_before)))
            else:
                change = (now - before) - (others - others_before) * (size / others_size)
                totals = np.array(np.broadcast_arrays(change, size))
        if pair.adds is None:
            return totals
        totals[:, ~np.isfinite(totals).all(axis=0)] = (
            0.0  # cells without comparison units are dropped
        )
        return np.array([pair.adds @ total for total in totals])

    def _estimate(
        self, estimand: str, terms: list[str], term: Ints, kind: str, **fields: Any
    ) -> Estimate:
        """Average the cells of each term; `term` is int64[cell], -1 for none."""
        term = np.where(np.isfinite(self.totals[1]), term, -1)
        cells = _sums(term, np.ones(len(term)), len(terms))
        totals = np.concatenate([_sums(term, total, len(terms)) for total in self.totals])
        averaged = np.full(len(terms), kind in ("group", "calendar"))
        if kind == "dynamic":
            averaged = np.array([int(name) >= 0 for name in terms])
        average = partial(self._average, kind=kind, averaged=averaged, by_period=1 / cells.clip(1))
        value = average(totals)
        value[~np.isfinite(value)] = np.nan
        treated, comparison, *_ = self.cells
        units = self._units(treated, term, averaged)[: len(value)]
        others = self._units(comparison, term, averaged)[: len(value)]
        fewest = np.minimum(self._clusters_of(units), self._clusters_of(others, nested=True))
        most_df = jackknife.most_df(fewest)
        errors = self._jackknife(average, totals, term, value, most_df)
        return Estimate(
            estimand=estimand + self._method,
            unit=UNITS[self.scale],
            terms=(*terms, "average")[: len(value)],
            value=value,
            n=units.sum(axis=1),
            counts=self.sizes,
            details={"base_weight": self.base_weight.value} if self.base == "weighted" else {},
            clusters=self.labels,
            reason=_reason(value[: len(terms)], np.diag(errors["covariance"])[: len(terms)]),
            **errors,
            **fields,
        )

    def _average(self, totals: Any, *, kind: str, averaged: Bools, by_period: Floats) -> Any:
        """Return the terms of both totals side by side, [2 terms, ...], and their average.

        `averaged` is bool[term].
        """
        first, second = np.split(totals, 2)
        value = self._ratio(first, second)
        if kind == "group":  # cohorts by their units, not by their treated periods
            return np.append(value, [self._ratio(by_period @ first, by_period @ second)], axis=0)
        if averaged.any():
            return np.append(value, [value[averaged].mean(axis=0)], axis=0)
        return value

    def _units(self, side: Ints, term: Ints, averaged: Bools) -> Ints:
        """Count the units behind each term by group, each once, int64[term + 1, group].

        The `side`, int64[cell], is that of the treated or of the comparison. The last row is that
        of the terms that are `averaged`, bool[term].
        """
        units = np.zeros((len(averaged) + 1, len(self.groups)), dtype=np.int64)
        kept = np.flatnonzero(term >= 0)
        time = self.cells[3, kept]
        np.maximum.at(units, (term[kept], side[kept]), self.observed[side[kept], time])
        units[-1] = units[:-1][averaged].max(axis=0, initial=0)
        return units

    def _clusters_of(self, units: Ints, *, nested: bool = False) -> Ints:
        """Count the clusters behind each term; `units` is int64[term, group].

        Groups to compare with are `nested` within a stratum: the largest holds the others.
        """
        if self.cluster is None and nested:
            strata, stratum = np.unique(
                [group.stratum for group in self.groups], return_inverse=True
            )
            largest = np.zeros((len(strata), len(units)), dtype=np.int64)
            np.maximum.at(largest, stratum, units.T)
            return np.asarray(largest.sum(axis=0))
        if self.cluster is None:
            return np.asarray(units.sum(axis=1))
        held = np.zeros((len(self.groups), len(self.labels)), dtype=bool)
        for number, code in enumerate(self.codes):
            held[number, code] = True
        return np.array([held[groups].any(axis=0).sum() for groups in units > 0])

    def _jackknife(
        self,
        average: Callable[[Any], Any],
        totals: Floats,
        term: Ints,
        value: Floats,
        most_df: Ints,
    ) -> dict[str, Any]:
        """Return jackknife scores, their covariance, and the most degrees of freedom.

        They are fields of an Estimate.

        Both totals of a term are left out exactly, whatever the clusters. If each unit is its own
        cluster, scores are not stored, and terms of one cell each, which are many, take a shorter
        way to the same numbers; otherwise degrees of freedom follow from the scores.
        """
        pairs = self._pairs(term)
        blocks = self._left_out(average, totals, pairs)
        if self.cluster is not None:
            changes = np.empty((len(self.labels), len(value)))
            for clusters, change in blocks:
                changes[clusters] = change.T
            scores = jackknife.scores(changes, self._clusters(pairs))
            covariance = scores.T @ scores
            limits = {"max_df": most_df, "min_df": self._fewest_df}
            return {"scores": scores, "covariance": covariance, **limits}
        most = np.bincount(term[term >= 0], minlength=1).max()
        if self._has_moments and most == 1 and len(totals) == 2 * len(value):
            products, fourth = self._by_moments(term, len(value))
        else:
            products, fourth = _products(blocks, len(value))
        df = np.fmin(effective(np.diag(products), fourth, self._fewest_df), most_df)
        lost = 0.0 * (value + np.diag(products))  # NaN without a value or an error
        factor = jackknife.factor(len(self.labels))
        return {"covariance": factor * (products + np.add.outer(lost, lost)), "max_df": df}

    def _left_out(
        self, average: Callable[[Any], Any], totals: Floats, pairs: list[Pair]
    ) -> Iterator[tuple[Ints, Floats]]:
        """Yield clusters and the changes of terms without each, float64[term, cluster]."""
        for start in range(0, len(self.labels), self.size):
            clusters = self.order[start : start + self.size]
            stop = start + len(clusters)
            changes = self._changes(pairs, len(totals) // 2, start, stop)
            yield clusters, left_out(average, totals, changes)

    def _clusters(self, pairs: list[Pair]) -> int:
        """Count the clusters of compared groups.

        On the ratio scale, count only those that sold anything.
        """
        counted = np.zeros(len(self.labels), dtype=bool)
        for number in {number for pair in pairs for number in (pair.treated, pair.comparison)}:
            code = self.codes[number]
            rows = self.groups[number].rows
            first = self.groups[number].start
            if self.scale == "ratio":
                code = code[
                    np.nan_to_num(self.y[rows, first : first + self.width]) @ np.ones(self.width)
                    > 0
                ]
            counted[code] = True
        return int(counted.sum())

    def _changes(self, pairs: list[Pair], size: int, start: int, stop: int) -> Floats:
        """Return the decrease in the terms' totals when each cluster is left out in turn.

        The result is float64[2 terms, cluster].
        """
        change = np.zeros((2, size, stop - start))
        sums = self._without(start, stop)
        last = self.base_weight.value
        last_without = self.base_weight.without[self.order[start:stop]]
        for pair in pairs:
            treated = sums[pair.treated]
            comparison = sums[pair.comparison]
            if treated.shape[1] == comparison.shape[1] == 1 and (last_without == last).all():
                continue
            whole = self._compare(self.sums[pair.treated], self.sums[pair.comparison], pair, last)
            left = self._compare(treated, comparison, pair, last_without)
            left[:, ~np.isfinite(left).all(axis=0)] = (
                0.0  # without comparison units the cells are dropped too
            )
            change[:, pair.terms] += whole[..., np.newaxis] - left
        return change.reshape(2 * size, -1)

    def _without(self, start: int, stop: int) -> list[Floats]:
        """Return each group's sums when each cluster of a block is left out in turn.

        Each group's are float64[column, cluster].

        A group with no clusters in the block has a single column, its sums.
        """
        taken: list[Floats] = []
        for number, group in enumerate(self.groups):
            parts = [taken[part] for part in group.parts]
            taken.append(
                np.sum(np.broadcast_arrays(*parts), axis=0)
                if parts
                else self._sums_of(number, start, stop)
            )
        return [without(sums, part) for sums, part in zip(self.sums, taken, strict=True)]

    def _sums_of(self, group: int, start: int, stop: int) -> Floats:
        """Return the sums of a group's units by cluster of a block.

        They are float64[column, cluster or 1], and 0 if the group has none.
        """
        rows, at = self.members[group]
        some = slice(*np.searchsorted(at, [start, stop]))
        if some.start == some.stop:
            return np.zeros((self.sums.shape[1], 1))
        clusters, first = np.unique(at[some], return_index=True)
        sums = np.zeros((self.sums.shape[1], stop - start))
        column = 0
        for part in self._features(self.groups[group], rows[some]):
            sums[column : column + part.shape[1], clusters - start] = np.add.reduceat(part, first).T
            column += part.shape[1]
        return sums

    @property
    def _fewest_df(self) -> float:
        """Lower limit on estimated degrees of freedom.

        A weighted base leaves less of what lasts, and clusters' scores that are more alike.
        """
        return FEWEST_DF if self.base == "last" else FEWEST_DF_WEIGHTED

    @property
    def _plain(self) -> bool:
        """Whether effects are differences between means of units without weights."""
        return self.scale == "level" and self.weight is None

    @property
    def _has_moments(self) -> bool:
        """Whether errors of single cells follow from moments of groups that share no unit."""
        pooled = any(group.parts for group in self.groups)
        simple = self.base == "last" and not self.paired
        return self.cluster is None and simple and (self._plain or not pooled)

    def _by_moments(self, term: Ints, count: int) -> tuple[Floats, Floats]:
        """Return what :func:`_products` returns, for terms of one cell each.

        It holds if each unit is its own cluster.

        An effect is the difference between two groups' changes from base to outcome, of means or of
        log totals, so without a unit it moves by ``f d + k``, with ``d = u_t - u_b`` of
        :meth:`_moved`. Sums of products and of fourth powers follow from moments of u: there is no
        array of units by cells. For means, f is one over the number of units but one, and k is due
        to the distance of the mean from the centre of u; for log totals f is 1 and k is 0.
        """
        products = np.zeros((count, count))
        fourth = np.zeros(count)
        for group in self._moments:
            terms, of_group, powers = self._products_of(group, term)
            products[np.ix_(terms, terms)] += of_group
            fourth[terms] += powers
        return products, fourth

    def _products_of(self, group: int, term: Ints) -> tuple[Ints, Floats, Floats]:
        """Return the terms that hold a group, and what its units add to :meth:`_by_moments`."""
        moments = self._moments[group]
        inside = self._holding(group)[self.cells[:2]] & (term >= 0)
        held = np.flatnonzero(inside.any(axis=0))
        terms, time, base = term[held], *self.cells[3:, held]
        factor = np.where(inside[0, held], 1.0, -1.0)
        shift = np.zeros(len(held))
        if self._plain:
            side = self.cells[1 - inside[0, held], held]
            size = self.sums[side, -1]
            factor /= np.where(size > 1, size - 1, np.nan)
            apart = moments.centre - self.sums[side, :-1] / size[:, np.newaxis]
            shift = factor * (apart[range(len(held)), time] - apart[range(len(held)), base])
        change = np.zeros((len(held),) * 2)
        for one, two in itertools.product((time, base), repeat=2):
            change += (1 if one is two else -1) * moments.second[np.ix_(one, two)]
        n = len(self.groups[group].rows)
        first = factor * (moments.first[time] - moments.first[base])
        mixed = np.outer(first, shift)
        products = np.outer(factor, factor) * change + mixed + mixed.T + n * np.outer(shift, shift)
        row = np.searchsorted(moments.bases, base)
        third, power = (factor**order * moments.powers[order - 3, time, row] for order in (3, 4))
        square = factor**2 * np.diag(change)
        of_shift = 4 * third + shift * (6 * square + shift * (4 * first + n * shift))
        return terms, products, power + shift * of_shift

    def _holding(self, group: int) -> Bools:
        """Return which groups contain a group, bool[group + 1]; False in the last, for no group."""
        return np.array(
            [number == group or group in other.parts for number, other in enumerate(self.groups)]
            + [False]
        )

    @cached_property
    def _moments(self) -> dict[int, Moments]:
        """Moments of u by group, without those that are made of others."""
        alone = [number for number, group in enumerate(self.groups) if not group.parts]
        held = {number: self._holding(number)[self.cells[:2]].any(axis=0) for number in alone}
        return {
            number: self._moments_of(number, np.unique(self.cells[4, held[number]]))
            for number in alone
        }

    def _centre(self, number: int) -> Floats:
        """Return the mean by period of a group's first block, or zero if that is as good."""
        group = self.groups[number]
        block = self._features(group, group.rows[: self.size])[0]
        centre = block.mean(axis=0)
        return np.asarray(centre * (np.abs(centre).max() > FAR * block.std()))

    def _moments_of(self, number: int, bases: Ints) -> Moments:
        """Add up products of powers of u over a group's units.

        Powers of differences are multiplied out, so that sums of products of powers are left, which
        are products of matrices. In units without weights, moments are of outcomes around their
        mean in the first block.
        """
        rows = self.groups[number].rows
        centre = self._centre(number)
        second = np.zeros((self.width, self.width))
        fourth = np.zeros(self.width)
        ones, squares, cubes = (
            np.zeros((1 + order * len(bases), self.width)) for order in (3, 2, 1)
        )
        for start in range(0, len(rows), self.size):
            u = self._moved(number, rows[start : start + self.size], centre)
            square = np.multiply(u, u, out=self._space[1, : len(u)])
            cube = np.multiply(square, u, out=self._space[2, : len(u)])
            at = u[:, bases].T
            powers = np.concatenate([np.ones((1, len(u))), at, at * at, at * at * at])
            second += u.T @ u
            fourth += np.einsum("ij,ij->j", square, square)
            ones += powers @ u
            squares += powers[: len(squares)] @ square
            cubes += powers[: len(cubes)] @ cube
        _, square_of_base, cube_of_base = np.split(ones[1:], 3)
        by_base, by_square = np.split(squares[1:], 2)
        third = np.subtract.outer(cubes[0], cubes[0, bases]) + 3 * (square_of_base - by_base).T
        mixed = 6 * by_square - 4 * (cubes[1:] + cube_of_base)
        power = np.add.outer(fourth, fourth[bases]) + mixed.T
        return Moments(bases, centre, ones[0], second, np.array([third, power]))

    def _moved(self, group: int, rows: Ints, centre: Floats) -> Floats:
        """Return u, which tells by how much a group moves if each unit is left out in turn.

        The array u is float64[unit, time].

        For sums S and W of a group, and s and w of a unit, its mean decreases by
        ``S/W - (S - s)/(W - w) = (s - w S/W) / (W - w)``, and its log total by
        ``log S - log(S - s) = -log(1 - s/S)``, NaN if nothing is left. The mean over periods, which
        cancels in differences between them, is zero or taken off to reduce rounding. In units
        without weights, u is the distance of the outcome from a centre.
        """
        moved, weight = self._features(self.groups[group], rows)
        if self._plain:
            if centre.any():
                moved -= centre
            return moved
        total = self.sums[group, :-1]
        size = self.sums[group, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.scale == "ratio":
                moved /= -np.where(total > 0, total, 1.0)
                moved[moved <= NOTHING_LEFT - 1] = np.nan
                np.log1p(moved, out=moved)
                return np.asarray(np.nan_to_num(moved.mean(axis=1, keepdims=True)) - moved)
            moved -= total / size * weight
            moved /= np.where(weight < (1 - NOTHING_LEFT) * size, size - weight, np.nan)
        return moved

    @cached_property
    def _space(self) -> Floats:
        """Space for three blocks of outcomes.

        Using it again is faster than allocating space for each block.
        """
        return np.empty((3, self.size, self.width))

    def _outcomes(self, group: Group, rows: Ints) -> Floats:
        """Return a copy of the outcomes of some units of a group, float64[unit, time]."""
        whole = self.y.shape[1] == self.width and self.y.flags.c_contiguous  # or take copies y
        if whole and len(rows) <= self.size:
            space = self._space[0, : len(rows)]
            return np.take(self.y, rows, axis=0, out=space, mode="clip")  # clipping allows for out
        return self.y[rows, group.start : group.start + self.width]

    def _features(self, group: Group, rows: Ints) -> tuple[Floats, Floats]:
        """Return what is summed over a group's units, side by side.

        The two arrays are float64[unit, time] and float64[unit, column].

        These are weighted outcomes and weights. If outcomes are missing, they are weighted
        outcomes, those of the last untreated period, and weights, each by period, and for a
        weighted base the means of untreated periods; on the level scale, all outcomes less those
        of the last untreated period. All are zero where a unit is not observed in the period and
        in the last untreated one.
        """
        y = self._outcomes(group, rows)
        if self.weight is None:
            weight = np.ones((len(rows), 1))
        else:
            weight = self.weight[rows, np.newaxis]
        if group.base is not None:
            before = y[:, [group.base]]
            seen = np.isfinite(y) & np.isfinite(before)
            if self.base == "weighted":
                mean = np.nanmean(y[:, : group.base + 1], axis=1, keepdims=True)
            else:
                mean = np.empty((len(y), 0))
            if self.scale == "level":
                y, before, mean = y - before, 0.0 * before, mean - before
            now, before = (np.where(seen, part, 0.0) for part in (y, before))
            means = [np.where(seen, column[:, np.newaxis], 0.0) for column in mean.T]
            return weight * now, np.hstack([weight * part for part in (before, seen, *means)])
        if self.scale == "level":
            y -= y @ np.full(
                (self.width, 1), 1 / self.width
            )  # the mean; cancels in the effects, and reduces rounding
        return y if self.weight is None else weight * y, weight


def _sums(term: Ints, values: Floats, count: int) -> Floats:
    """Sum the values of each term's cells, float64[term]; `term` is int64[cell], -1 for none."""
    kept = term >= 0
    return np.asarray(np.bincount(term[kept], values[kept], count), dtype=float)


def _products(blocks: Iterable[tuple[Ints, Floats]], count: int) -> tuple[Floats, Floats]:
    """Add up products of changes, float64[term, term], and their fourth powers, float64[term]."""
    products = np.zeros((count, count))
    fourth = np.zeros(count)
    for _, change in blocks:
        moved = change.any(axis=1)  # few, if the block is of one cohort
        rows = change[moved]
        products[np.ix_(moved, moved)] += rows @ rows.T
        square = np.multiply(rows, rows, out=rows)
        fourth[moved] += np.einsum("ij,ij->i", square, square)
    return products, fourth


def _reason(value: Floats, variance: Floats) -> str:
    """Return why terms have no value or no standard error."""
    missing = np.isnan(value)
    reasons = [
        (missing, "have no comparison, or no positive mean"),
        (np.isnan(variance) & ~missing, "rest on a single cluster and have no standard error"),
    ]
    lost = [(cells.sum(), why) for cells, why in reasons if cells.any()]
    return "; ".join(f"{count} of {len(value)} cells {why}" for count, why in lost)


def att_gt(
    y: Floats,
    first_treated: Floats,
    *,
    comparison: Comparison = "never",
    scale: Scale = "level",
    anticipation: int = 0,
    base: Base = "last",
    weights: Floats | None = None,
    cluster: Labels | None = None,
    strata: Labels | None = None,
) -> GroupTime:
    """Estimate group-time effects by comparing changes with those of untreated units.

    Changes are taken since the last untreated period, or since a weighted base.

    ``ATT(g, t) = E[Y_t - Y_b | g] - E[Y_t - Y_b | untreated]`` with ``b = g - 1 - anticipation``,
    for all ``t != b`` (a universal base), or on the ratio scale
    ``log(E[Y_t|g] / E[Y_b|g]) - log(E[Y_t|untreated] / E[Y_b|untreated])``, for which zeros are
    ordinary values. If outcomes are missing, each effect is of the units observed in both periods.

    Parameters
    ----------
    y : float64[unit, time]
        Outcomes; NaN is missing. A unit observed in fewer than two periods is dropped and counted.
    first_treated : float64[unit]
        Column index of the first treated period; inf, or anything after the last column, means
        never.
    comparison : {"never", "not_yet"}
        Units that are never treated, or that are not treated until the later of both periods, nor
        with the cohort.
    scale : {"level", "ratio"}
    anticipation : int
        Number of periods before treatment in which there may be an effect.
    base : {"last", "weighted"}
        Weighted: ``w y_b`` and ``1 - w`` times the mean outcome of all periods up to b, with the w
        of :func:`fewtreated.estimators.base.base_weight`. Intervals are shorter where shocks do
        not last; there are no effects before treatment, so no test of them.
    weights : float64[unit], optional
        Sampling weights: the number of units that each represents, up to a factor; 1 by default.
    cluster : sequence, optional
        Cluster of each unit, such as the brand group; each unit its own by default.
    strata : sequence, optional
        Groups within which units are compared, instead of covariates; effects are averaged over the
        treated.

    Returns
    -------
    GroupTime
        With `effects`, an Estimate, and ``.aggregate()``; `n` is the number of treated units behind
        each term. Standard errors are from the cluster jackknife (CV3), with degrees of freedom
        from :func:`fewtreated.jackknife.effective`. A cell without comparison units is NaN, never
        zero; one that rests on a single cluster has no standard error. Without `cluster`, the
        scores of effects are None. For other intervals than of 95 per cent, an Estimate has
        ``.at(0.9)``.

    Raises
    ------
    DesignError
        If shapes disagree, an option is unknown, a weight is not positive, an outcome on the ratio
        scale is negative, no unit is observed twice, or there are no treated or no comparison
        units.

    References
    ----------
    Callaway, B. and Sant'Anna, P. H. C. (2021), Difference-in-differences with multiple time
    periods, Journal of Econometrics 225, 200-230. Santos Silva, J. M. C. and Tenreyro, S. (2006),
    The log of gravity, Review of Economics and Statistics 88, 641-658, for the ratio scale.
    MacKinnon, J. G., Nielsen, M. O. and Webb, M. D. (2023), Fast and reliable jackknife and
    bootstrap methods for cluster-robust inference, Journal of Applied Econometrics 38, 671-694.
    """
    units = usable_units(
        y,
        first_treated,
        None,
        weights,
        cluster,
        strata,
        scale,
        anticipation,
        comparison,
        complete=False,
    )
    return GroupTime.of(units, comparison, base=base)
