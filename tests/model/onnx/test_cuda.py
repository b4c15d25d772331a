"""ONNX Runtime with CUDA, with a fake that computes and records its calls."""

from __future__ import annotations

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.card import ModelCard
from glandseg.model.gpu import Machine
from glandseg.model.onnx import cuda as cuda_batches
from glandseg.model.onnx import cuda_binding
from glandseg.model.onnx.cuda import CudaSession

Pixels = NDArray[np.uint8]
CARD = ModelCard(name="red", network="", tissue="", um_per_px=1.4, weights_sha256="", precision="float16")
OUT_OF_MEMORY = "CUDA failure 2: out of memory ; GPU=0"


class Options:
    def __init__(self) -> None:
        self.entries: dict[str, str] = {}
        self.batch = 0

    def add_session_config_entry(self, key: str, value: str) -> None:
        self.entries[key] = value

    def add_free_dimension_override_by_name(self, name: str, size: int) -> None:
        self.batch = size


class Value:
    """A buffer on the GPU."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.ready = False
        self.pixels = np.full(shape, 0xCD, np.uint8)

    def update_inplace(self, pixels: Pixels) -> None:
        assert pixels.shape == self.pixels.shape
        self.pixels[:] = pixels

    def numpy(self) -> Pixels:
        assert self.ready
        pixels: Pixels = self.pixels.copy()
        return pixels


def make_ports(batch: Any, classes: int) -> dict[str, Any]:
    def describe(name: str, *shape: Any) -> Any:
        return lambda: [SimpleNamespace(name=name, shape=[batch, *shape], type="tensor(uint8)")]

    return {
        "get_inputs": describe("windows", 320, 320, 3),
        "get_outputs": describe("probabilities", classes, 320, 320),
    }


class FakeRuntime:
    """ONNX Runtime with a GPU whose memory holds a limited number of windows.

    Attributes:
        most: Maximum number of windows when a session opens; more fail.
        most_running: Maximum number of windows of a run.
        cpu_nodes: some nodes cannot run on the GPU.
        works: CUDA starts; else the CPU is taken in its place, silently.
        classes: that the model answers with.
        fails: raised when a session opens on the GPU; on the CPU too where the file is `damaged`.
    """

    __version__ = "1.31.1"
    SessionOptions = Options

    def __init__(self) -> None:
        self.most = self.most_running = 64
        self.cpu_nodes, self.works = False, True
        self.classes = 2
        self.fails: Exception | None = None
        self.damaged = False
        self.cuda_version = "13.0"
        self.opened: list[tuple[Options, list[Any]]] = []
        self.batches: list[int] = []
        self.loaded = 0
        self.says = OUT_OF_MEMORY
        self.values = 0
        self.OrtValue = SimpleNamespace(
            ortvalue_from_shape_and_type=lambda shape, kind, device, ordinal: self.allocate(shape)
        )

    def allocate(self, shape: tuple[int, ...]) -> Value:
        self.values += shape[0]
        return Value(shape)

    def set_default_logger_severity(self, level: int) -> None:
        assert level == 4  # cuDNN's search prints an error for each plan that it refuses

    def preload_dlls(self) -> None:
        sys.stdout.write("Failed to load libcudnn.so.9")
        self.loaded += 1

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(
        self, path: str, options: Options, *, providers: list[Any], enable_fallback: int
    ) -> Any:
        assert enable_fallback == 0
        self.opened.append((options, providers))
        if self.damaged and self.fails:
            raise self.fails
        if providers == ["CPUExecutionProvider"]:
            return SimpleNamespace()
        if self.fails is not None:
            raise self.fails
        strict = options.entries.get("session.disable_cpu_ep_fallback") == "1"
        if strict and (self.cpu_nodes or not self.works):
            raise RuntimeError("This session contains graph nodes that are assigned to the default CPU EP")
        if options.batch > self.most:
            raise RuntimeError(OUT_OF_MEMORY)
        return SimpleNamespace(
            get_providers=lambda: self.get_available_providers()[not self.works :],
            **make_ports(options.batch, self.classes),
            io_binding=lambda: Binding(),
            run=self.run,
            run_with_iobinding=self.run_bound,
        )

    def run(self, outputs: list[str], inputs: dict[str, Pixels]) -> None:
        assert outputs == ["probabilities"]
        self.check_memory(inputs["windows"])

    def check_memory(self, windows: Pixels) -> None:
        if len(windows) > self.most_running:
            raise RuntimeError(self.says)

    def run_bound(self, binding: Binding) -> None:
        windows, answers = binding.values["windows"].pixels, binding.values["probabilities"].pixels
        binding.values["probabilities"].ready = False
        self.check_memory(windows)
        self.batches.append(len(windows))
        answers[:] = np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)


class Binding:
    def __init__(self) -> None:
        self.values: dict[str, Value] = {}

    def bind_ortvalue_input(self, name: str, value: Value) -> None:
        self.values[name] = value

    bind_ortvalue_output = bind_ortvalue_input

    def synchronize_inputs(self) -> None:
        pass

    def synchronize_outputs(self) -> None:
        self.values["probabilities"].ready = True


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> FakeRuntime:
    fake = FakeRuntime()
    monkeypatch.setattr(cuda_binding, "import_onnxruntime", lambda: fake)
    monkeypatch.setattr(
        cuda_batches,
        "read_machine",
        lambda ordinal: Machine(system="", gpu=f"Fake {ordinal}", driver="580.1"),
    )
    monkeypatch.setattr(cuda_batches, "read_cudnn_version", lambda: "9.10.2")
    return fake


def encode(field: int, content: bytes) -> bytes:
    """Write a field of a protobuf message, of fewer than 16,384 bytes."""
    return bytes([field << 3 | 2, len(content) & 0x7F | 0x80, len(content) >> 7]) + content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An ONNX file that holds a card, and nothing else that the fake reads."""
    entries = (encode(1, key.encode()) + encode(2, text.encode()) for key, text in CARD.to_metadata().items())
    (tmp_path / "red.onnx").write_bytes(b"".join(encode(14, entry) for entry in entries))
    return tmp_path / "red.onnx"


@pytest.fixture
def windows() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (7, 320, 320, 3), np.uint8)


def test_batches_are_whole_and_options_as_wanted(
    runtime: FakeRuntime, path: Path, windows: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    with CudaSession(path, ordinal=1, batch=4) as session:
        answers = session.infer(windows)
        assert np.array_equal(answers[:, 1], windows[..., 0])
        assert session.infer(windows[:0]).shape == (0, 2, 320, 320)
        assert (session.name, session.slots) == ("ONNX Runtime 1.31.1, CUDA, GPU 1", 2)
        assert (
            session.identity == "onnxruntime 1.31.1 cuda:1 Fake 1 driver 580.1 cuDNN 9.10.2 batch 4 float16"
        )
    ((options, providers),) = runtime.opened
    ((name, asked),) = providers
    assert (name, asked["device_id"], asked["cudnn_conv_algo_search"]) == (
        "CUDAExecutionProvider",
        1,
        "HEURISTIC",
    )
    assert options.batch == 4
    assert options.entries["session.disable_cpu_ep_fallback"] == "1"
    assert set(runtime.batches) == {4}
    assert runtime.loaded == 1
    assert capsys.readouterr() == ("", "")


def test_threads_get_their_own_answers(runtime: FakeRuntime, path: Path, windows: Pixels) -> None:
    with CudaSession(path, batch=2) as session, ThreadPoolExecutor(4) as pool:
        parts = [windows[k % 7 :] for k in range(16)]
        for answers, part in zip(pool.map(session.infer, parts), parts, strict=True):
            assert np.array_equal(answers[:, 1], part[..., 0])


def test_nodes_that_only_the_cpu_has_are_let_be(runtime: FakeRuntime, path: Path, windows: Pixels) -> None:
    runtime.cpu_nodes = True
    with CudaSession(path) as session:
        assert np.array_equal(session.infer(windows)[:, 1], windows[..., 0])
    assert len(runtime.opened) == 2


def test_a_silent_fallback_is_found(runtime: FakeRuntime, path: Path) -> None:
    runtime.works = False
    with pytest.raises(
        EnvironmentLacksError, match=r"cuda: .*\(ONNX Runtime fell back to CPU\)\. Check the NVIDIA"
    ):
        CudaSession(path)


@pytest.mark.parametrize("while_running", [False, True])
def test_batches_are_halved_until_they_fit(
    runtime: FakeRuntime, path: Path, windows: Pixels, while_running: bool
) -> None:
    said: list[str] = []
    setattr(runtime, "most_running" if while_running else "most", 2)
    with CudaSession(path, batch=8, say=said.append) as session:
        assert np.array_equal(session.infer(windows)[:, 1], windows[..., 0])
        assert session.identity.endswith(" batch 2 float16")
    assert said == [
        f"cuda:0: not enough GPU memory for {batch} windows in one batch; halved" for batch in (8, 4)
    ]
    assert set(runtime.batches) == {2}


def test_memory_that_goes_later_halves_once_for_all_threads(
    runtime: FakeRuntime, path: Path, windows: Pixels
) -> None:
    said: list[str] = []
    with CudaSession(path, batch=4, say=said.append) as session, ThreadPoolExecutor(6) as pool:
        runtime.most_running = 2
        for answers in pool.map(session.infer, [windows] * 12):
            assert np.array_equal(answers[:, 1], windows[..., 0])
    assert len(said) == 1


@pytest.mark.parametrize("says", [OUT_OF_MEMORY, "CUBLAS failure 3: the resource allocation failed ; GPU=0"])
def test_a_batch_that_does_not_fit_leaves_no_buffers(
    runtime: FakeRuntime, path: Path, windows: Pixels, says: str
) -> None:
    runtime.most_running, runtime.says = 2, says
    said: list[str] = []
    with CudaSession(path, batch=16, say=said.append) as session:
        assert np.array_equal(session.infer(windows)[:, 1], windows[..., 0])
    assert len(said) == 3
    assert runtime.values == session.slots * 2 * 2  # windows and answers of the batch that fits


def test_no_room_for_one_window(runtime: FakeRuntime, path: Path, windows: Pixels) -> None:
    with CudaSession(path, batch=2) as session, ThreadPoolExecutor(6) as pool:
        runtime.most = runtime.most_running = 0
        for call in [pool.submit(session.infer, windows) for _ in range(6)]:
            with pytest.raises(EnvironmentLacksError, match="not enough GPU memory for one window"):
                call.result(60)
    with pytest.raises(EnvironmentLacksError, match="not enough GPU memory for one window"):
        CudaSession(path)


def test_other_errors_are_not_taken_for_lack_of_memory(
    runtime: FakeRuntime, path: Path, windows: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def run_bound(binding: Binding) -> None:
        if next(calls) >= 2:  # after the first run of both buffers
            raise RuntimeError(
                f"{700 * 'x'} CUDNN failure 4: internal error ; GPU=0 ; hostname=lab-7 ; file=f"
            )

    monkeypatch.setattr(runtime, "run_bound", run_bound)
    session = CudaSession(path, batch=2)
    for _ in range(4):
        with pytest.raises(EnvironmentLacksError, match=r"model \(CUDNN failure 4: internal error\)"):
            session.infer(windows)


def test_without_cuda_compiled_in(runtime: FakeRuntime, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EnvironmentLacksError, match="cuda: this ONNX Runtime has no CUDA"):
        CudaSession(path, ordinal=1)
    assert not runtime.opened


class CudaLoadError(Exception):
    """As ONNX Runtime's own classes, which share no base but Exception."""


NO_KERNEL = (
    "CUDA failure 209: no kernel image is available for execution on the device ; GPU=0 ; "
    "hostname=ward7-pc ; file=/onnxruntime_src/cuda_call.cc"
)


def test_a_gpu_that_cuda_does_not_serve_is_the_environments_fault(runtime: FakeRuntime, path: Path) -> None:
    runtime.fails = CudaLoadError(NO_KERNEL)
    runtime.cuda_version = "12.8"
    with pytest.raises(EnvironmentLacksError, match=r"no kernel image .* CUDA 12 and cuDNN 9") as raised:
        CudaSession(path)
    assert "ward7" not in str(raised.value)


def test_libraries_that_do_not_load_are_the_environments_fault(runtime: FakeRuntime, path: Path) -> None:
    def fail() -> None:
        raise OSError("libcudnn.so.9: cannot open shared object file")

    runtime.preload_dlls = fail  # type: ignore[method-assign]
    with pytest.raises(EnvironmentLacksError, match=r"libcudnn\.so\.9"):
        CudaSession(path)


def test_a_graph_with_other_answers_is_the_files_fault(runtime: FakeRuntime, path: Path) -> None:
    runtime.classes = 3
    with pytest.raises(BadInputError, match=r"red\.onnx: .* it answers with 'probabilities' as \(8, 3, 320"):
        CudaSession(path)


def test_the_identity_follows_a_batch_that_is_halved_later(
    runtime: FakeRuntime, path: Path, windows: Pixels
) -> None:
    with CudaSession(path, batch=4) as session:
        assert session.identity.endswith(" batch 4 float16")
        runtime.most_running = 2
        session.infer(windows)
    assert session.identity.endswith(" batch 2 float16")
    with pytest.raises(ValueError, match="closed"):
        session.infer(windows)


def test_onnxruntimes_own_fallback_is_off(
    red_model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Below ONNX Runtime's Python class: a session of its library that does not start.
    from onnxruntime.capi import onnxruntime_inference_collection as collection

    tried: list[Any] = []

    class Library(collection.C.InferenceSession):  # type: ignore[misc]
        def initialize_session(self, providers: list[str], *more: Any) -> None:
            tried.append(providers)
            if "CUDAExecutionProvider" in providers:
                raise RuntimeError(NO_KERNEL)
            super().initialize_session(providers, *more)

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(collection.C, "InferenceSession", Library)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(collection.C, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.raises(EnvironmentLacksError, match="no kernel image"):
        CudaSession(red_model)
    assert tried == [["CUDAExecutionProvider"], ["CPUExecutionProvider"]]  # the second is glandseg's own
    printed = capfd.readouterr()
    assert "Falling back" not in printed.out and "ward7" not in printed.out + printed.err


def test_a_damaged_file_is_not_called_a_fault_of_the_gpu(runtime: FakeRuntime, path: Path) -> None:
    runtime.fails = CudaLoadError("Load model from red.onnx failed: unsupported IR version 99")
    runtime.damaged = True
    with pytest.raises(BadInputError, match=r"red\.onnx: ONNX Runtime cannot load it .*IR version 99"):
        CudaSession(path)
