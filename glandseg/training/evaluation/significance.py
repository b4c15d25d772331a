"""Mean and standard deviation of runs, and a t-test between two groups of runs."""

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
        mean: Mean.
        deviation: Standard deviation, with N - 1 in the denominator; 0 for a single run.
        runs: Number of runs.
    """

    mean: float
    deviation: float
    runs: int

    def __str__(self) -> str:
        """Format as in the papers: 87.69±0.12; a single run has no deviation."""
        return f"{self.mean:.2f}±{self.deviation:.2f}" if self.runs > 1 else f"{self.mean:.2f}"


def summarise(values: Sequence[float]) -> Spread:
    """Compute the spread of one score over at least one run."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return Spread(float(np.mean(values)), deviation, len(values))


def compare_groups(first: Sequence[float], second: Sequence[float]) -> float:
    """Compute the p-value of the two-sided independent samples t-test with equal variances.

    Groups without any spread have the p-value 0, or 1 if they are equal.

    Raises:
        BadInputError: If a group has fewer than two runs, and so no variance.
    """
    if min(len(first), len(second)) < 2:
        raise BadInputError(
            f"--against: at least two runs per group. Received: {len(first)} and {len(second)}. "
            "Train more seeds, or leave --against out."
        )
    if np.ptp(first) == np.ptp(second) == 0:
        return float(first[0] == second[0])
    from scipy import stats  # of the extra `train`; scoring alone runs without it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a group of equal values is fine
        return float(stats.ttest_ind(first, second).pvalue)


def mark_significance(p_value: float) -> str:
    """Return *** below 0.001, ** below 0.005, * below 0.05, else an empty string."""
    return next((stars for bound, stars in STARS if p_value < bound), "")
