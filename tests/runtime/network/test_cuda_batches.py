"""ONNX Runtime with CUDA, by a fake that computes and keeps account of what it was asked."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.card import ModelCard
from glandseg.runtime.errors import EnvironmentLacksError
from glandseg.runtime.network import session as session_module
from glandseg.runtime.network.session import Session

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


class FakeRuntime:
    """ONNX Runtime with a GPU that holds so many windows at once.

    Attributes:
        most: windows for which the memory suffices when a session opens; more fail.
        most_running: the same for a run.
        cpu_nodes: some nodes cannot run on the GPU.
        works: CUDA starts; else the CPU is taken in its place, silently.
    """

    __version__ = "1.31.1"
    SessionOptions = Options

    def __init__(self) -> None:
        self.most = self.most_running = 64
        self.cpu_nodes, self.works = False, True
        self.opened: list[tuple[Options, list[Any]]] = []
        self.batches: list[int] = []
        self.loaded = 0
        self.OrtValue = SimpleNamespace(
            ortvalue_from_shape_and_type=lambda shape, kind, device, ordinal: Value(shape)
        )

    def set_default_logger_severity(self, level: int) -> None:
        assert level == 3

    def preload_dlls(self) -> None:
        self.loaded += 1

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, path: str, options: Options, providers: list[Any]) -> Any:
        self.opened.append((options, providers))
        if providers == ["CPUExecutionProvider"]:
            return SimpleNamespace(get_modelmeta=self._tell, run=lambda *asked: [None])
        strict = options.entries.get("session.disable_cpu_ep_fallback") == "1"
        if strict and (self.cpu_nodes or not self.works):
            raise RuntimeError("This session contains graph nodes that are assigned to the default CPU EP")
        if options.batch > self.most:
            raise RuntimeError(OUT_OF_MEMORY)
        return SimpleNamespace(
            get_modelmeta=self._tell,
            get_providers=lambda: self.get_available_providers()[not self.works :],
            get_inputs=lambda: [SimpleNamespace(name="windows")],
            get_outputs=lambda: [SimpleNamespace(name="probabilities")],
            io_binding=lambda: Binding(),
            run_with_iobinding=self.run,
        )

    def run(self, binding: Binding) -> None:
        windows, answers = binding.values["windows"].pixels, binding.values["probabilities"].pixels
        binding.values["probabilities"].ready = False
        if len(windows) > self.most_running:
            raise RuntimeError(OUT_OF_MEMORY)
        self.batches.append(len(windows))
        answers[:] = np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)

    def _tell(self) -> Any:
        return SimpleNamespace(custom_metadata_map=CARD.to_metadata())


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
    monkeypatch.setattr(session_module, "import_onnxruntime", lambda: fake)
    return fake


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "red.onnx").write_bytes(b"")
    return tmp_path / "red.onnx"


@pytest.fixture
def windows() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (7, 320, 320, 3), np.uint8)


def test_batches_are_whole_and_options_as_wanted(runtime: FakeRuntime, path: Path, windows: Pixels) -> None:
    with Session(path, device="cuda:1", batch=4) as session:
        answers = session.infer(windows)
        assert np.array_equal(answers[:, 1], windows[..., 0])
        assert session.infer(windows[:0]).shape == (0, 2, 320, 320)
        assert (session.name, session.slots) == ("ONNX Runtime 1.31.1, CUDA, GPU 1", 2)
        assert session.identity == "onnxruntime 1.31.1 cuda:1 batch 4 float16"
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


def test_threads_get_their_own_answers(runtime: FakeRuntime, path: Path, windows: Pixels) -> None:
    with Session(path, device="cuda", batch=2) as session, ThreadPoolExecutor(4) as pool:
        parts = [windows[k % 7 :] for k in range(16)]
        for answers, part in zip(pool.map(session.infer, parts), parts, strict=True):
            assert np.array_equal(answers[:, 1], part[..., 0])


def test_nodes_that_only_the_cpu_has_are_let_be(runtime: FakeRuntime, path: Path, windows: Pixels) -> None:
    runtime.cpu_nodes = True
    with Session(path, device="cuda") as session:
        assert np.array_equal(session.infer(windows)[:, 1], windows[..., 0])
    assert len(runtime.opened) == 2


def test_a_silent_fallback_is_found(runtime: FakeRuntime, path: Path) -> None:
    runtime.works = False
    with pytest.raises(EnvironmentLacksError, match="cuda: ONNX Runtime fell back to CPU. Check the NVIDIA"):
        Session(path, device="cuda")
    said: list[str] = []
    assert Session(path, device="auto", say=said.append).name == "ONNX Runtime 1.31.1, CPU"
    assert said[0].startswith("cuda: ONNX Runtime fell back to CPU")


@pytest.mark.parametrize("while_running", [False, True])
def test_batches_are_halved_until_they_fit(
    runtime: FakeRuntime, path: Path, windows: Pixels, while_running: bool
) -> None:
    said: list[str] = []
    setattr(runtime, "most_running" if while_running else "most", 2)
    with Session(path, device="cuda", batch=8, say=said.append) as session:
        assert np.array_equal(session.infer(windows)[:, 1], windows[..., 0])
        assert session.identity == "onnxruntime 1.31.1 cuda:0 batch 2 float16"
    assert said == [f"cuda:0: too little GPU memory for {batch} windows at once; halved" for batch in (8, 4)]
    assert set(runtime.batches) == {2}


def test_memory_that_goes_later_halves_once_for_all_threads(
    runtime: FakeRuntime, path: Path, windows: Pixels
) -> None:
    said: list[str] = []
    with Session(path, device="cuda", batch=4, say=said.append) as session, ThreadPoolExecutor(6) as pool:
        runtime.most_running = 2
        for answers in pool.map(session.infer, [windows] * 12):
            assert np.array_equal(answers[:, 1], windows[..., 0])
    assert len(said) == 1


def test_no_room_for_one_window(runtime: FakeRuntime, path: Path, windows: Pixels) -> None:
    with Session(path, device="cuda", batch=2) as session, ThreadPoolExecutor(6) as pool:
        runtime.most = runtime.most_running = 0
        for call in [pool.submit(session.infer, windows) for _ in range(6)]:
            with pytest.raises(EnvironmentLacksError, match="does not suffice for one window"):
                call.result(60)
    with pytest.raises(EnvironmentLacksError, match="does not suffice for one window"):
        Session(path, device="cuda")


def test_other_errors_are_not_taken_for_lack_of_memory(
    runtime: FakeRuntime, path: Path, windows: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def run(binding: Binding) -> None:
        if next(calls) >= 2:  # after the first run of both lanes
            raise RuntimeError("CUDNN failure 4: internal error")

    monkeypatch.setattr(runtime, "run", run)
    session = Session(path, device="cuda", batch=2)
    for _ in range(4):
        with pytest.raises(RuntimeError, match="CUDNN failure 4"):
            session.infer(windows)


def test_without_cuda_compiled_in(runtime: FakeRuntime, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(EnvironmentLacksError, match="cuda: this ONNX Runtime has no CUDA"):
        Session(path, device="cuda:1")
    assert Session(path, device="auto").name == "ONNX Runtime 1.31.1, CPU"
    assert runtime.opened[-1][0].entries == {"session.intra_op.allow_spinning": "0"}
