"""A fake GPU that is looked over when the test ends."""

from __future__ import annotations

import gc
import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.cuda.driver import held_context
from glandseg.runtime.cuda.lane import Lane
from glandseg.runtime.cuda.runner import EngineRunner

_FAKE = "tests.runtime.fake_cuda"
if _FAKE not in sys.modules:  # beside the tests, so not on the path of imports
    _spec = importlib.util.spec_from_file_location(_FAKE, Path(__file__).parents[1] / "fake_cuda.py")
    assert _spec is not None and _spec.loader is not None
    sys.modules[_FAKE] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_FAKE])

if TYPE_CHECKING:
    from tests.runtime.fake_cuda import FakeCuda, FakeTensorRt

Run = Callable[..., EngineRunner]


@pytest.fixture
def cuda() -> Iterator[FakeCuda]:
    """Give a GPU on which every rule must have been kept, and nothing be left, when the test ends."""
    from tests.runtime.fake_cuda import FakeCuda

    machine = FakeCuda()
    yield machine
    gc.collect()
    machine.check_over()


@pytest.fixture
def careless_cuda() -> FakeCuda:
    """Give a GPU that a test may misuse."""
    from tests.runtime.fake_cuda import FakeCuda

    return FakeCuda()


@pytest.fixture
def trt(cuda: FakeCuda) -> FakeTensorRt:
    """Give TensorRT on the GPU."""
    from tests.runtime.fake_cuda import FakeTensorRt

    return FakeTensorRt(cuda)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Give an engine file whose network says "red is gland"."""
    path = tmp_path / "red.engine"
    path.write_bytes(b"plan")
    return path


@pytest.fixture
def windows() -> NDArray[np.uint8]:
    """Give seven windows of noise."""
    return np.random.default_rng(0).integers(0, 256, (7, 320, 320, 3), np.uint8)


@pytest.fixture
def run_engine(cuda: FakeCuda, trt: FakeTensorRt, plan: Path) -> Run:
    """Give a function that starts a runner on the fake GPU."""

    def start(*, batch: int = 2, slots: int = 3, stall_s: float = 30.0, lane: Any = Lane) -> EngineRunner:
        driver = cuda.module()
        return EngineRunner(
            "fake",
            held_context(driver, 0),
            lambda: lane(driver, trt, plan, batch=batch, slots=slots),
            batch=batch,
            stall_s=stall_s,
        )

    return start
