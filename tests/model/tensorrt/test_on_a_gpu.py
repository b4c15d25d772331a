"""An engine's streams and thread over the real PyCUDA on a real GPU; PyTorch stands in for TensorRT."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError
from glandseg.model.tensorrt.driver import held_context, load_driver
from glandseg.model.tensorrt.runner import EngineRunner
from glandseg.model.tensorrt.stream import EngineStreams
from tests.model.tensorrt.fake_cuda import FakeTensorRt, make_engine

Pixels = NDArray[np.uint8]
SIDE = 320
DELAY = 2_000_000  # cycles of the GPU before each answer, longer than a copy of a batch


class DeviceArray:
    """Memory on the GPU, as other libraries take it over without a copy."""

    def __init__(self, address: int, shape: tuple[int, ...]) -> None:
        self.__cuda_array_interface__ = {
            "data": (address, False),
            "shape": shape,
            "typestr": "|u1",
            "version": 3,
        }


class TorchTensorRt:
    """TensorRT's runtime with one network, "red is gland", which PyTorch computes on the stream given."""

    ILogger, TensorIOMode, DataType = FakeTensorRt.ILogger, FakeTensorRt.TensorIOMode, FakeTensorRt.DataType

    def Runtime(self, logger: Any) -> Any:
        return SimpleNamespace(
            deserialize_cuda_engine=lambda plan: make_engine(FakeTensorRt.DataType.UINT8, TorchContext)
        )


class TorchContext:
    def __init__(self) -> None:
        self.addresses: dict[str, int] = {}
        self.batch = 0

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.batch = shape[0]
        return True

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def execute_async_v3(self, handle: int) -> bool:
        import torch

        def view(name: str, *shape: int) -> Any:
            return torch.as_tensor(DeviceArray(self.addresses[name], (self.batch, *shape)), device="cuda")

        with torch.cuda.stream(torch.cuda.ExternalStream(handle)):  # type: ignore[no-untyped-call]
            torch.cuda._sleep(DELAY)  # type: ignore[no-untyped-call]
            red = view("windows", SIDE, SIDE, 3)[..., 0]
            view("probabilities", 2, SIDE, SIDE).copy_(torch.stack([255 - red, red], dim=1))
        return True


def start_runner(plan: Path, batch: int, slots: int) -> EngineRunner:
    driver = load_driver()
    return EngineRunner(
        "PyCUDA",
        held_context(driver, 0),
        lambda: EngineStreams(driver, TorchTensorRt(), plan, batch=batch, slots=slots),
        batch=batch,
    )


def infer_batches(plan: Path, slots: int) -> None:
    """Run batches of several sizes from six threads, and compare every answer."""
    runner = start_runner(plan, 4, slots)
    random = np.random.default_rng(slots)
    batches = [random.integers(0, 256, (1 + k % 6, SIDE, SIDE, 3), np.uint8) for k in range(48)]
    with ThreadPoolExecutor(6) as pool:
        for answers, windows in zip(pool.map(runner.infer, batches), batches, strict=True):
            expected = np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)
            assert np.array_equal(answers, expected)
    runner.close()


@pytest.fixture(autouse=True)
def needs_a_gpu() -> None:
    try:
        load_driver()
    except EnvironmentLacksError as error:
        pytest.skip(str(error))
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch has no CUDA")


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_threads_get_their_own_answers(plan: Path, slots: int) -> None:
    infer_batches(plan, slots)


def test_the_process_ends_well_after_several_engines(plan: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from tests.model.tensorrt.test_on_a_gpu import infer_batches\n"
        f"for slots in (3, 2): infer_batches(Path({str(plan)!r}), slots)\n"
        "print('done')\n"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_too_much_memory_is_told(plan: Path) -> None:
    with pytest.raises(MemoryError):
        start_runner(plan, 1 << 20, 1)  # 307 GB of windows
