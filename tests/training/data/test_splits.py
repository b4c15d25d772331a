"""No patient is torn, every part gets about its share, and even tiny sets can be learned from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.sample import Sample
from glandseg.training.data.splits import Split, split_samples


def make_samples(groups: Sequence[str]) -> list[Sample]:
    return [
        Sample(name=f"{index:04d}", path=Path(f"{index}.png"), group=group)
        for index, group in enumerate(groups)
    ]


def test_shares_are_met_and_groups_stay_whole() -> None:
    sizes = np.random.default_rng(0).integers(1, 9, 200)
    samples = make_samples([f"patient {k}" for k, size in enumerate(sizes) for _ in range(size)])
    split = split_samples(samples)
    parts = [split.train, split.val, split.test]
    for part, share in zip(parts, (0.7, 0.1, 0.2), strict=True):
        assert len(part) / len(samples) == pytest.approx(share, abs=0.01)
    groups = [{sample.group for sample in part} for part in parts]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 200
    assert sorted(sample.name for sample in split.part("all")) == [sample.name for sample in samples]


def test_a_split_depends_on_images_and_seed_alone() -> None:
    samples = make_samples([str(k) for k in range(50)])
    assert split_samples(samples, seed=3) == split_samples(list(reversed(samples)), seed=3)
    assert split_samples(samples, seed=3) != split_samples(samples, seed=4)


def test_a_part_without_share_stays_empty() -> None:
    split = split_samples(make_samples([str(k) for k in range(10)]), (0.8, 0.2, 0.0))
    assert (len(split.train), len(split.val), len(split.test)) == (8, 2, 0)


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (4, (2, 1, 1)), (5, (3, 1, 1))]
)
def test_tiny_sets_still_have_something_to_choose_on(count: int, sizes: tuple[int, int, int]) -> None:
    split = split_samples(make_samples([str(k) for k in range(count)]))
    assert (len(split.train), len(split.val), len(split.test)) == sizes
    assert split.count_groups() == count


def test_three_patients_of_many_images_give_each_part_one() -> None:
    split = split_samples(make_samples(["a", "b", "c"] * 40))
    assert [len(part) for part in (split.train, split.val, split.test)] == [40, 40, 40]


def test_parts_by_name() -> None:
    split = split_samples(make_samples([str(k) for k in range(10)]))
    assert split.part("val") == split.val
    with pytest.raises(ValueError, match=r"one of train, val, test, all. Received: tset"):
        split.part("tset")


def test_a_leak_is_refused() -> None:
    one, other = make_samples(["patient 7", "patient 7"])
    with pytest.raises(BadInputError, match="patient 7 is in two parts"):
        Split(train=(one,), val=(), test=(other,))
