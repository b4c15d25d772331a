"""A ceiling of memory, and what is told before a slide is run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.system import release_memory
from glandseg.core.units import GIB
from glandseg.runtime import memory
from glandseg.runtime.memory import Budget, measure_pace
from glandseg.runtime.preflight import Preflight, describe_seconds

Pixels = NDArray[np.uint8]


class Hungry:
    """A network that takes memory once, and more for each window of its largest call."""

    def __init__(self, once: int, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._once, self._each, self._held = once, each, GIB // 4
        monkeypatch.setattr(memory, "measure_memory", lambda: self._held)

    def infer(self, windows: Pixels) -> Pixels:
        self._held = max(self._held, GIB // 4 + self._once + self._each * len(windows))
        return windows


@pytest.mark.parametrize(("each", "batch"), [(1 << 20, 8), (GIB // 4, 4), (GIB // 2, 2)])
def test_the_batch_fits_the_ceiling(each: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pace = measure_pace(Hungry(0, each, monkeypatch).infer, 8, 2 * GIB, GIB // 2)
    assert pace.batch == batch
    assert pace.peak <= 2 * GIB


def test_a_network_that_cannot_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvironmentLacksError, match=r"--max-ram 1: this model needs 2\.5 GiB.*Give more"):
        measure_pace(Hungry(2 * GIB, 1, monkeypatch).infer, 8, GIB, GIB // 4)


def test_a_slide_of_large_tiles_is_foretold_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    bare, held = (measure_pace(Hungry(0, 1, monkeypatch).infer, 1, 2 * GIB, 0, held) for held in (0, GIB))
    assert held.peak == bare.peak + GIB
    with pytest.raises(EnvironmentLacksError, match=r"2 GiB of them for the slide's large tiles or strips"):
        measure_pace(Hungry(0, 1, monkeypatch).infer, 1, GIB, 0, 2 * GIB)


@pytest.mark.parametrize("planes", [1, 8, 20])
def test_caches_and_the_rest_leave_most_to_the_network(planes: int) -> None:
    assert Budget(ceiling=2 * GIB).reserve(planes) < GIB // 2


def test_the_line_before_the_run() -> None:
    preflight = Preflight.weigh(5600, 5000, 0.01, int(1.2 * GIB), 19_000 * 19_000)
    assert str(preflight) == (
        "5,600 windows, 600 of them kept from before; about 50 s of network, 1.2 GiB of memory, "
        "up to 2.8 GiB of disk"
    )


def test_a_disk_too_small_is_refused_before_the_network_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(GIB))
    preflight = Preflight.weigh(100_000, 100_000, 0.01, GIB, 10**9)
    with pytest.raises(EnvironmentLacksError, match=r"14 GiB are needed.*1 GiB are free. Free space"):
        preflight.check_disk(tmp_path / "work", 0)
    preflight.check_disk(tmp_path / "work", 14 * GIB)


def test_the_outputs_of_a_small_slide_are_counted() -> None:
    """Its overview is larger than all that lies in the work folder."""
    assert Preflight.weigh(61, 61, 0.01, GIB, 1576 * 1576).disk > 15_000_000


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations(seconds: float, said: str) -> None:
    assert describe_seconds(seconds) == said


def test_memory_is_released_on_any_system(monkeypatch: pytest.MonkeyPatch) -> None:
    release_memory()
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    release_memory()
