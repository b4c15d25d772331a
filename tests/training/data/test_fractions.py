"""A fraction takes patients whole, one after the other, and leaves the test alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.training.data.fractions import take_fraction, thin_split
from glandseg.training.data.sample import Sample
from glandseg.training.data.splits import Split


def make_samples(patients: int, each: int, first: int = 0) -> tuple[Sample, ...]:
    return tuple(
        Sample(name=f"{patient}-{index}", path=Path("x.png"), group=f"patient {patient}")
        for patient in range(first, first + patients)
        for index in range(each)
    )


@pytest.mark.parametrize(
    ("fraction", "count"), [(1.0, 40), (0.2, 8), (0.1, 4), (0.05, 2), (0.01, 1), (1e-9, 1)]
)
def test_so_many_of_as_few_patients_as_can_be(fraction: float, count: int) -> None:
    taken = take_fraction(make_samples(10, 4), fraction, seed=0)
    assert len(taken) == count and len({sample.group for sample in taken}) == -(-count // 4)


def test_seeds_choose_and_smaller_fractions_nest() -> None:
    samples = make_samples(10, 4)
    large, small = (set(take_fraction(samples, fraction, seed=3)) for fraction in (0.2, 0.05))
    assert small < large
    assert len({take_fraction(samples, 0.1, seed) for seed in range(8)}) > 3
    assert take_fraction((), 0.5, seed=0) == ()


def test_the_test_part_stays_whole() -> None:
    split = Split(train=make_samples(10, 4), val=make_samples(2, 4, 10), test=make_samples(3, 4, 12))
    thin = thin_split(split, 0.1, seed=0)
    assert (len(thin.train), len(thin.val), thin.test) == (4, 1, split.test)
    assert thin_split(split, 1.0, seed=5) is split
