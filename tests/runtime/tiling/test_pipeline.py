"""Stages that run at the same time, in order, with bounded queues."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.trace import Trace
from glandseg.core.workers import StalledError
from glandseg.runtime.tiling.order import Step
from glandseg.runtime.tiling.pipeline import Pipeline
from glandseg.runtime.tiling.window_store import Key, WindowStore

Pixels = NDArray[np.uint8]
SIDE = 4  # of the windows; the pipeline does not care


class Plant:
    """A pipeline over numbered windows, and what was seen of it."""

    def __init__(self, store: WindowStore) -> None:
        self.store = store
        self.reads: list[int] = []
        self.batches: list[list[int]] = []
        self.finished: list[int] = []
        self.followed: list[list[int]] = [[], []]
        self.counted = 0

    def read(self, key: Key) -> Pixels | None:
        self.reads.append(key.column)
        return np.full((SIDE, SIDE, 3), key.column, np.uint8)

    def infer(self, windows: Pixels) -> Pixels:
        self.batches.append(windows[:, 0, 0, 0].tolist())
        return np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)

    def finish(self, rows: int) -> None:
        self.finished.append(rows)

    def follow(self, index: int, rows: int) -> None:
        assert rows in self.finished
        self.followed[index].append(rows)

    def count(self, windows: int) -> None:
        self.counted += windows

    def run(
        self,
        steps: Iterator[Step] | list[Step],
        stall_s: float = 20.0,
        slots: int = 1,
        keeps_core: bool = False,
    ) -> None:
        Pipeline(
            read=lambda key: self.read(key),
            infer=lambda windows: self.infer(windows),
            finish=lambda rows: self.finish(rows),
            follow=[lambda rows: self.follow(0, rows), lambda rows: self.follow(1, rows)],
            store=self.store,
            keeps_core=keeps_core,
            batch=4,
            slots=slots,
            readers=3,
            trace=Trace(),
            stall_s=stall_s,
        ).run(steps, self.count)


def make_steps(*counts: int) -> list[Step]:
    steps, first = [], 0
    for index, count in enumerate(counts):
        keys = [Key(0, 0, column) for column in range(first, first + count)]
        steps.append(Step(windows=keys, final_px=256 * (index + 1)))
        first += count
    return steps


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with WindowStore(tmp_path / "some.windows") as store:
        yield Plant(store)


@pytest.mark.parametrize("slots", [1, 3])
def test_every_window_is_run_and_stored_and_rows_finish_in_order(plant: Plant, slots: int) -> None:
    plant.run(make_steps(5, 0, 13, 2), slots=slots)
    assert sorted(plant.reads) == list(range(20))
    assert sorted(map(len, plant.batches)) == [4] * 5
    assert plant.finished == [256, 512, 768, 1024]
    assert plant.followed == [plant.finished] * 2
    assert plant.counted == 20
    for column in range(20):
        assert (plant.store.get(Key(0, 0, column)) == column).all()  # type: ignore[union-attr]


def test_rows_are_finished_only_once_their_windows_are_stored(plant: Plant) -> None:
    steps = make_steps(5, 9, 3)
    stored: list[int] = []
    plant.follow = lambda index, rows: None  # type: ignore[method-assign]
    plant.finish = lambda rows: stored.append(len(plant.store))  # type: ignore[method-assign]
    plant.run(steps)
    assert all(count >= least for count, least in zip(stored, (5, 14, 17), strict=True))


def test_what_is_stored_is_neither_read_nor_run_again(plant: Plant) -> None:
    for column in range(7):
        plant.store.append(Key(0, 0, column), np.zeros((SIDE, SIDE), np.uint8))
    plant.run(make_steps(5, 5))
    assert sorted(plant.reads) == [7, 8, 9]
    assert plant.counted == 10
    assert plant.finished == [256, 512]


def say_core(windows: Pixels) -> Pixels:
    return np.stack([255 - windows[..., 0], windows[..., 0], windows[..., 0] // 2], axis=1)


@pytest.mark.parametrize("keeps_core", [False, True])
def test_core_is_stored_where_it_is_needed(keeps_core: bool, plant: Plant) -> None:
    plant.infer = say_core  # type: ignore[method-assign]
    plant.run(make_steps(10), keeps_core=keeps_core)
    for column in range(10):
        key = Key(0, 0, column)
        assert (plant.store.get(key) == column).all()  # type: ignore[union-attr]
        core = plant.store.get(key.core)
        assert (core is not None and (core == column // 2).all()) if keeps_core else core is None


def test_a_window_of_which_only_core_is_stored_is_run_again(plant: Plant) -> None:
    plant.infer = say_core  # type: ignore[method-assign]
    plant.store.append(Key(0, 0, 2).core, np.full((SIDE, SIDE), 77, np.uint8))
    plant.run(make_steps(4), keeps_core=True)
    assert sorted(plant.reads) == [0, 1, 2, 3]
    assert (plant.store.get(Key(0, 0, 2).core) == 1).all()  # type: ignore[union-attr]


def test_gland_is_stored_after_core(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[Key] = []
    monkeypatch.setattr(WindowStore, "append", lambda store, key, values: order.append(key))
    plant.infer = say_core  # type: ignore[method-assign]
    plant.run(make_steps(2), keeps_core=True)
    assert order == [key for column in range(2) for key in (Key(0, 0, column).core, Key(0, 0, column))]


def test_a_step_that_settles_is_stored_before_the_next_is_asked_for(plant: Plant) -> None:
    seen: list[int] = []

    def steps() -> Iterator[Step]:
        for step in make_steps(5, 6, 3):
            yield Step(windows=step.windows, final_px=step.final_px, is_barrier=True)
            seen.append(len(plant.store))

    plant.run(steps())
    assert seen == [5, 11, 14]


def test_reading_goes_on_while_the_network_runs_but_not_without_end(plant: Plant) -> None:
    read_ahead = threading.Event()
    plain, reads = plant.infer, plant.reads

    def infer(windows: Pixels) -> Pixels:
        read_ahead.wait(10)
        return plain(windows)

    def read(key: Key) -> Pixels | None:
        window = Plant.read(plant, key)
        if len(reads) >= 12:
            read_ahead.set()
        return window

    plant.infer, plant.read = infer, read  # type: ignore[method-assign]
    plant.run(make_steps(100))
    assert read_ahead.is_set()
    assert plant.counted == 100


def test_queues_are_bounded(plant: Plant) -> None:
    most, plain = 0, plant.infer

    def infer(windows: Pixels) -> Pixels:
        nonlocal most
        threading.Event().wait(0.01)
        most = max(most, len(plant.reads) - len(plant.store))
        return plain(windows)

    plant.infer = infer  # type: ignore[method-assign]
    plant.run(make_steps(200))
    assert most <= 4 * (3 + 3)


def test_where_there_is_nothing_to_run_nothing_is(plant: Plant) -> None:
    plant.read = lambda key: None  # type: ignore[method-assign]
    plant.run(make_steps(5))
    assert plant.batches == []
    assert plant.finished == [256]


@pytest.mark.parametrize("stage", ["read", "infer", "finish"])
def test_an_error_in_any_stage_ends_the_run(plant: Plant, stage: str) -> None:
    def fail(item: object) -> None:
        raise OSError(28, "No space left on device")

    setattr(plant, stage, fail)
    with pytest.raises(OSError, match="No space"):
        plant.run(make_steps(50, 50))


def test_an_error_of_a_follower_ends_the_run(plant: Plant) -> None:
    def fail(index: int, rows: int) -> None:
        if index and rows == 512:
            raise OSError(28, "No space left on device")

    plant.follow = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="No space"):
        plant.run(make_steps(50, 50, 50))


def test_slow_followers_hold_back_the_rows(plant: Plant) -> None:
    waiting: list[int] = []

    def follow(index: int, rows: int) -> None:
        time.sleep(0.01)
        waiting.append(len(plant.finished) - rows // 256)

    plant.follow = follow  # type: ignore[method-assign]
    plant.run(make_steps(*[4] * 30))
    assert max(waiting) <= 2 * (2 + 1) + 1


def test_an_error_loses_no_window_that_was_stored(plant: Plant) -> None:
    plain: Callable[[Pixels], Pixels] = plant.infer

    def infer(windows: Pixels) -> Pixels:
        if 20 in windows:
            raise RuntimeError("broken")
        return plain(windows)

    plant.infer = infer  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="broken"):
        plant.run(make_steps(40))
    plant.infer = plain  # type: ignore[assignment,method-assign]
    plant.reads = []
    kept = len(plant.store)
    assert kept == 20
    plant.run(make_steps(40))
    assert sorted(plant.reads) == list(range(20, 40))


@pytest.mark.parametrize(("stage", "what"), [("read", "reading the slide"), ("infer", "the network")])
def test_a_stage_that_stalls_is_told(plant: Plant, stage: str, what: str) -> None:
    forever = threading.Event()
    setattr(plant, stage, lambda item: forever.wait(30))
    try:
        with pytest.raises(StalledError, match=f"{what} has not answered"):
            plant.run(make_steps(20), stall_s=0.3)
    finally:
        forever.set()
