"""Runs in numbers: mean and standard deviation, and whether two groups of runs differ."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glandseg.core.errors import BadInputError

STARS = ((0.001, "***"), (0.005, "**"), (0.05, "*"))


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of one score over runs.

    Attributes:
        mean: of the runs.
        deviation: with N - 1 in the denominator; 0 for a single run.
        runs: how many.
    """

    mean: float
    deviation: float
    runs: int

    def __str__(self) -> str:
        """Write it as the papers do: 87.69±0.12; a single run has no deviation."""
        return f"{self.mean:.2f}±{self.deviation:.2f}" if self.runs > 1 else f"{self.mean:.2f}"


def summarise(values: Sequence[float]) -> Spread:
    """Give the spread of one score over runs, of which there is at least one."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Spread(float(np.mean(values)), deviation, len(values))


def compare_groups(first: Sequence[float], second: Sequence[float]) -> float:
    """Give the p-value of the independent samples t-test, two-sided, of equal variances.

    Groups without any spread differ for certain (0) or not at all (1).

    Raises:
        BadInputError: if a group has fewer than two runs, from which no variance follows.
    """
    if min(len(first), len(second)) < 2:
        raise BadInputError(
            f"--against: a t-test needs two runs or more a group. Received: {len(first)} and {len(second)}. "
            "Train more seeds, or leave --against out."
        )
    if np.ptp(first) == np.ptp(second) == 0:
        return float(first[0] == second[0])
    from scipy import stats  # of the extra `train`; scoring alone does without

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one group of equal values is no cause for worry
        return float(stats.ttest_ind(first, second).pvalue)


def mark_significance(p_value: float) -> str:
    """Give *** below 0.001, ** below 0.005, * below 0.05, else nothing."""
    return next((stars for bound, stars in STARS if p_value < bound), "")
