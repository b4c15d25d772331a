"""Small networks to build engines of, and a fake GPU that is checked when the test ends."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.card import ModelCard
from glandseg.model.tensorrt.driver import held_context
from glandseg.model.tensorrt.package import RTX, TensorRtPackage, find_package
from glandseg.model.tensorrt.runner import EngineRunner
from glandseg.model.tensorrt.stream import EngineStreams
from tests.model.tensorrt.fake_cuda import FakeCuda, FakeTensorRt

CARD = ModelCard(name="small", network="two convolutions", tissue="", um_per_px=1.0, weights_sha256="w" * 64)
Install = Callable[..., Any]
WriteNetwork = Callable[..., Path]


@pytest.fixture(scope="session")
def rtx() -> TensorRtPackage:
    """The real TensorRT for RTX, which builds without a GPU."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed: pip install tensorrt-rtx")
    return find_package(RTX)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that puts a stand-in for a TensorRT of some version in place of the installed one."""

    def put(package: str, version: str, *, typed: bool = True) -> Any:
        module = SimpleNamespace(__version__=version)
        module.NetworkDefinitionCreationFlag = SimpleNamespace(**({"STRONGLY_TYPED": 1} if typed else {}))
        monkeypatch.setitem(sys.modules, package, module)
        return module

    for package in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    return put


@pytest.fixture(scope="session")
def write_network() -> WriteNetwork:
    """Return a function that writes a network of two convolutions, in float32, float16 or quantised."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto

    def write(path: Path, precision: str = "float32", card: ModelCard | None = CARD) -> Path:
        dtype = np.float16 if precision == "float16" else np.float32
        draw = np.random.default_rng(1).standard_normal
        kernels = {"first": draw((24, 3, 3, 3)) / 30, "second": draw((2, 24, 3, 3)) / 30}
        weights = [onnx.numpy_helper.from_array(value.astype(dtype), name) for name, value in kernels.items()]
        weights.append(onnx.numpy_helper.from_array(np.float32(255), "white"))
        floats = kinds.FLOAT16 if precision == "float16" else kinds.FLOAT
        nodes = [
            helper.make_node("Cast", ["windows"], ["floats"], to=floats),
            helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["planes", "first"], ["features"], "first", pads=[1] * 4),
            helper.make_node("Relu", ["features"], ["active"]),
            helper.make_node("Conv", ["active", "second"], ["scores"], "second", pads=[1] * 4),
            helper.make_node("Cast", ["scores"], ["exact"], to=kinds.FLOAT),
            helper.make_node("Softmax", ["exact"], ["shares"], axis=1),
            helper.make_node("Mul", ["shares", "white"], ["levels"]),
            helper.make_node("Round", ["levels"], ["whole"]),
            helper.make_node("Cast", ["whole"], ["probabilities"], to=kinds.UINT8),
        ]
        if precision == "int8":
            quantise(nodes, weights)
        graph = helper.make_graph(
            nodes,
            "small",
            [helper.make_tensor_value_info("windows", kinds.UINT8, ["batch", 320, 320, 3])],
            [helper.make_tensor_value_info("probabilities", kinds.UINT8, ["batch", 2, 320, 320])],
            weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        if card:
            helper.set_model_props(model, replace(card, precision=precision).to_metadata())
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString())
        return path

    def quantise(nodes: list[Any], weights: list[Any]) -> None:
        """Put QuantizeLinear and DequantizeLinear before each convolution, its weights dequantised."""
        constants = {"step_in": np.float32(2), "step": np.float32(0.01), "zero": np.int8(0)}
        weights += [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
        for i, node in reversed(list(enumerate(nodes))):
            if node.op_type == "Conv":
                source, kernel = node.input
                stored = next(weight for weight in weights if weight.name == kernel)
                levels = np.clip(onnx.numpy_helper.to_array(stored) / 0.01, -127, 127).astype(np.int8)
                stored.CopyFrom(onnx.numpy_helper.from_array(levels, kernel))
                node.input[:] = [f"{source}_back", f"{kernel}_back"]
                steps = [f"{source}_q", "step_in", "zero"]
                nodes[i:i] = [
                    helper.make_node("QuantizeLinear", [source, *steps[1:]], steps[:1]),
                    helper.make_node("DequantizeLinear", steps, [f"{source}_back"]),
                    helper.make_node("DequantizeLinear", [kernel, "step", "zero"], [f"{kernel}_back"]),
                ]

    return write


Run = Callable[..., EngineRunner]


@pytest.fixture
def cuda() -> Iterator[FakeCuda]:
    """Return a GPU; when the test ends, every rule must have been kept and nothing be left on it."""
    machine = FakeCuda()
    yield machine
    gc.collect()
    machine.check_over()


@pytest.fixture
def careless_cuda() -> FakeCuda:
    """Return a GPU that a test may misuse."""
    return FakeCuda()


@pytest.fixture
def trt(cuda: FakeCuda) -> FakeTensorRt:
    """Return TensorRT on the GPU."""
    return FakeTensorRt(cuda)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Return an engine file whose network says "red is gland"."""
    path = tmp_path / "red.engine"
    path.write_bytes(b"plan")
    return path


@pytest.fixture
def windows() -> NDArray[np.uint8]:
    """Return seven windows of noise."""
    return np.random.default_rng(0).integers(0, 256, (7, 320, 320, 3), np.uint8)


@pytest.fixture
def run_engine(cuda: FakeCuda, trt: FakeTensorRt, plan: Path) -> Run:
    """Return a function that starts a runner on the fake GPU."""

    def start(
        *, batch: int = 2, slots: int = 3, stall_s: float = 30.0, close_s: float = 10.0
    ) -> EngineRunner:
        driver = cuda.module()
        return EngineRunner(
            "fake",
            held_context(driver, 0),
            lambda: EngineStreams(driver, trt, plan, batch=batch, slots=slots),
            batch=batch,
            stall_s=stall_s,
            close_s=close_s,
        )

    return start
