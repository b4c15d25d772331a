"""Each item comes once an epoch, and a step's batch depends on nothing but the step."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from glandseg.training.loop.sampling import WHOLE, Batch, draw_ahead, repeat_rare, shuffled_indices


@pytest.mark.parametrize(("count", "batch"), [(10, 3), (7, 7), (5, 12), (1, 4), (64, 8)])
def test_each_item_comes_once_an_epoch(count: int, batch: int) -> None:
    steps = 4 * count  # 4 x batch epochs
    drawn = [index for step in range(steps) for index in shuffled_indices(count, batch, step, seed=0)]
    assert len(drawn) == steps * batch
    for first in range(0, len(drawn), count):
        assert sorted(drawn[first : first + count]) == list(range(count))


def test_a_step_needs_no_history() -> None:
    forwards = [shuffled_indices(50, 8, step, seed=1) for step in range(30)]
    backwards = [shuffled_indices(50, 8, step, seed=1) for step in reversed(range(30))]
    assert forwards == backwards[::-1]


def test_epochs_and_seeds_differ() -> None:
    first, second = shuffled_indices(50, 50, 0, seed=0), shuffled_indices(50, 50, 1, seed=0)
    assert first != second and first != shuffled_indices(50, 50, 0, seed=1) != second


def test_rare_kinds_are_repeated() -> None:
    kinds = ["both"] * 73 + ["gland"] * 12 + ["stroma"] * 15
    indices = repeat_rare(kinds)
    counts = Counter(kinds[index] for index in indices)
    assert set(indices) == set(range(100))
    assert counts == {"both": 73, "gland": 72, "stroma": 75}


@pytest.mark.parametrize("rare", range(1, 41))
def test_repeated_kinds_come_within_a_third(rare: int) -> None:
    counts = Counter(index < rare for index in repeat_rare([True] * rare + [False] * 40))
    assert 2 / 3 <= counts[True] / counts[False] <= 4 / 3


def test_nothing_to_repeat() -> None:
    assert repeat_rare([]) == []
    assert repeat_rare(["a", "a"]) == [0, 1]


@pytest.mark.parametrize("ahead", [1, 2, 5])
def test_batches_are_drawn_ahead_and_come_in_order(ahead: int) -> None:
    drawn: list[tuple[int, slice]] = []

    def draw(step: int, places: slice) -> Batch:
        drawn.append((step, places))
        return Batch(images=torch.full((1,), step), labels=torch.zeros(1), step=step)

    wanted = [(step, slice(part, None, 2)) for step in (3, 4) for part in (0, 1)]
    batches = draw_ahead(draw, wanted, ahead)
    assert next(batches).step == 3
    assert len(drawn) <= 1 + ahead
    assert [batch.step for batch in batches] == [3, 4, 4]
    assert sorted(drawn, key=str) == sorted(wanted, key=str)


def test_what_fails_to_be_drawn_fails_where_it_is_learned_from() -> None:
    def draw(step: int, places: slice) -> Batch:
        if step:
            raise OSError("gone")
        return Batch(images=torch.zeros(1), labels=torch.zeros(1))

    batches = draw_ahead(draw, [(0, WHOLE), (1, WHOLE), (2, WHOLE)])
    assert next(batches).step == 0
    with pytest.raises(OSError, match="gone"):
        next(batches)
