"""A model behind TensorRT and PyCUDA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError, GlandsegError
from glandseg.model.card import ModelCard
from glandseg.model.tensorrt.backend import EngineBackend
from glandseg.model.tensorrt.engine_file import EngineFile
from glandseg.model.tensorrt.package import TensorRtPackage
from tests.model.tensorrt.fake_cuda import FakeCuda, FakeTensorRt
from tests.model.tensorrt.fingerprints import FINGERPRINT

CARD = ModelCard(name="red", network="", tissue="", um_per_px=1.4, weights_sha256="", precision="float16")
SLOT_BYTES = 320 * 320 * 5  # of a window and its two probabilities
Open = Callable[..., EngineBackend]


@pytest.fixture
def asked() -> list[int | None]:
    """Batches for which engines were requested."""
    return []


@pytest.fixture
def open_backend(cuda: FakeCuda, trt: FakeTensorRt, plan: Path, asked: list[int | None]) -> Open:
    def find(batch: int | None) -> EngineFile:
        asked.append(batch)
        return EngineFile(
            path=plan,
            facts=replace(FINGERPRINT, plan_sha256="1234567890abcdef99", profile=(batch or 4, 320, 320, 3)),
            card=CARD,
            trt_package=TensorRtPackage(module=trt, package="tensorrt", version="11.4.0"),
        )

    def start(batch: int | None = None, say: Callable[[str], None] = lambda text: None) -> EngineBackend:
        return EngineBackend(cuda.module(), find, batch=batch, say=say)

    return start


def test_a_backend_says_what_it_is(open_backend: Open, windows: NDArray[np.uint8]) -> None:
    with open_backend() as backend:
        assert np.array_equal(backend.infer(windows)[:, 1], windows[..., 0])
        assert backend.name == "TensorRT 11.4.0 through PyCUDA, Fake GPU, float16, batches of 4"
        assert (backend.classes, backend.slots, backend.card) == (2, 3, CARD)
        assert backend.identity == "tensorrt 11.4.0.106 Fake GPU plan 1234567890abcdef float16"
        assert backend.precision == "float16"


def test_batches_are_halved_until_they_fit(
    open_backend: Open,
    cuda: FakeCuda,
    trt: FakeTensorRt,
    asked: list[int | None],
    windows: NDArray[np.uint8],
) -> None:
    cuda.free_bytes = 3 * 2 * SLOT_BYTES
    said: list[str] = []
    with open_backend(8, said.append) as backend:
        assert np.array_equal(backend.infer(windows)[:, 1], windows[..., 0])
        assert backend.name.endswith("batches of 2")
    assert said == [
        f"Fake GPU: not enough GPU memory for {batch} windows in one batch; halved" for batch in (8, 4)
    ]
    assert set(trt.batches) == {2}
    assert asked == [8, 4, 2]


def test_a_gpu_too_small_for_one_window(open_backend: Open, cuda: FakeCuda) -> None:
    cuda.free_bytes = 2 * SLOT_BYTES
    with pytest.raises(EnvironmentLacksError, match="Fake GPU: not enough GPU memory for one window"):
        open_backend(3)


def test_an_engine_that_does_not_start_is_not_called_lack_of_memory(
    open_backend: Open, trt: FakeTensorRt, asked: list[int | None]
) -> None:
    trt.contexts, trt.complaint = False, "the driver is older than this library needs"
    with pytest.raises(GlandsegError, match="red.engine: .*the driver is older than this library needs"):
        open_backend(8)
    assert asked == [8]  # no engines of smaller batches are built


@pytest.mark.parametrize(
    "says", ["CUDA error 2: out of memory", "OutOfMemory: requested 99", "[resizingAllocator] OUT_OF_MEMORY"]
)
def test_a_context_for_which_memory_lacks_is_tried_smaller(
    says: str, open_backend: Open, trt: FakeTensorRt, asked: list[int | None]
) -> None:
    trt.contexts, trt.complaint = False, says
    with pytest.raises(EnvironmentLacksError, match="memory"):
        open_backend(4)
    assert asked == [4, 2, 1]
