"""Means, deviations and the t-test, against their textbook formulas."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from glandseg.core.errors import BadInputError
from glandseg.training.evaluation.significance import compare_groups, mark_significance, summarise


def test_spread_as_the_papers_write_it() -> None:
    spread = summarise([87.6, 87.7, 87.8])
    assert (spread.mean, spread.deviation) == pytest.approx((87.7, 0.1)) and spread.runs == 3
    assert str(spread) == "87.70±0.10" and str(summarise([80.0])) == "80.00"


def test_t_test_against_its_formula() -> None:
    first, second = [87.6, 87.7, 87.9], [84.5, 85.5, 86.0, 84.0]
    one, two = summarise(first), summarise(second)
    pooled = (2 * one.deviation**2 + 3 * two.deviation**2) / 5
    t = (one.mean - two.mean) / math.sqrt(pooled * (1 / 3 + 1 / 4))
    assert compare_groups(first, second) == pytest.approx(2 * stats.t.sf(t, 5))
    assert compare_groups(first, second) == pytest.approx(compare_groups(second, first))


def test_groups_without_spread() -> None:
    assert compare_groups([80.0, 80.0], [81.0, 82.0]) == pytest.approx(0.0955, abs=1e-4)
    assert compare_groups([80.0, 80.0], [80.0, 80.0]) == 1 and compare_groups([80.0, 80.0], [81.0, 81.0]) == 0


@pytest.mark.parametrize(
    ("p", "stars"), [(0.0, "***"), (0.001, "**"), (0.0049, "**"), (0.005, "*"), (0.049, "*"), (0.05, "")]
)
def test_stars(p: float, stars: str) -> None:
    assert mark_significance(p) == stars


def test_a_single_run_cannot_be_compared() -> None:
    with pytest.raises(BadInputError, match=r"at least two runs per group\. Received: 1 and 2"):
        compare_groups([80.0], [80.0, 81.0])
