"""A model file on the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import count_cpus
from glandseg.model.card import CLASSES_WITH_CORE, ModelCard
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.onnx.open_session import import_onnxruntime, open_on_cpu
from glandseg.synthetic import draw_tile

Pixels = NDArray[np.uint8]
SHRINK = "memory.enable_memory_arena_shrinkage"


@pytest.fixture
def windows() -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (5, 320, 320, 3), np.uint8)


@pytest.fixture
def convolving_model(tmp_path: Path) -> Path:
    """A model whose answer rests on sums of floats."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    draw = np.random.default_rng(1).standard_normal
    kernels = {"first": draw((24, 3, 5, 5)) / 300, "second": draw((2, 24, 5, 5)) / 6}
    kernels = {name: kernel - kernel.mean((1, 2, 3), keepdims=True) for name, kernel in kernels.items()}
    nodes = [
        helper.make_node("Cast", ["windows"], ["floats"], to=kinds.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "first"], ["features"], pads=[2] * 4),
        helper.make_node("Relu", ["features"], ["active"]),
        helper.make_node("Conv", ["active", "second"], ["scores"], pads=[2] * 4),
        helper.make_node("Softmax", ["scores"], ["shares"], axis=1),
        helper.make_node("Mul", ["shares", "white"], ["levels"]),
        helper.make_node("Round", ["levels"], ["whole"]),
        helper.make_node("Cast", ["whole"], ["probabilities"], to=kinds.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        "convolving",
        [helper.make_tensor_value_info("windows", kinds.UINT8, ["N", 320, 320, 3])],
        [helper.make_tensor_value_info("probabilities", kinds.UINT8, ["N", 2, 320, 320])],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in kernels.items()]
        + [onnx.numpy_helper.from_array(np.float32(255), "white")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    card = ModelCard(name="c", network="", tissue="", um_per_px=1.0, weights_sha256="")
    helper.set_model_props(model, card.to_metadata())
    path = tmp_path / "convolving.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def test_a_model_is_run(red_model: Path, windows: Pixels) -> None:
    with CpuSession(red_model, threads=1) as session:
        probabilities = session.infer(windows)
        assert session.card.name == "red is gland"
        assert session.classes == 2
        assert session.name.startswith("ONNX Runtime ")
        assert session.name.endswith(", CPU")
        assert session.identity == f"onnxruntime {onnxruntime.__version__} cpu float32"
        assert session.slots == 1
    assert probabilities.shape == (5, 2, 320, 320)
    assert probabilities.dtype == np.uint8
    assert np.array_equal(probabilities[:, 1], windows[..., 0])
    assert np.array_equal(probabilities[:, 0], 255 - windows[..., 0])


def test_windows_need_not_lie_in_one_piece(red_model: Path, windows: Pixels) -> None:
    with CpuSession(red_model) as session:
        assert np.array_equal(session.infer(windows[:, :, ::-1])[:, 1], windows[:, :, ::-1, 0])


def test_batch_and_threads_change_no_answer(convolving_model: Path, windows: Pixels) -> None:
    with CpuSession(convolving_model, threads=1) as session:
        whole = session.infer(windows)
        single = np.concatenate([session.infer(window[None]) for window in windows])
    with CpuSession(convolving_model, threads=2) as session:
        threaded = session.infer(windows)
    assert whole[:, 1].std() > 40
    assert np.array_equal(single, whole)
    assert np.array_equal(threaded, whole)


def test_batch_and_threads_change_no_answer_of_the_bundled_model() -> None:
    tiles = np.stack([draw_tile(320, 1.3, seed, "mixed")[0] for seed in range(4)])
    answers = []
    for threads in (1, 2, 8):
        with CpuSession(BUNDLED, threads=threads) as session:
            answers += [
                np.concatenate([session.infer(part) for part in np.split(tiles, range(batch, 4, batch))])
                for batch in (1, 3, 4)
            ]
    assert answers[0].std() > 40
    assert all(np.array_equal(answer, answers[0]) for answer in answers)


def test_a_closed_session_says_so(red_model: Path, windows: Pixels) -> None:
    session = CpuSession(red_model)
    with session:
        pass
    with pytest.raises(ValueError, match="closed"):
        session.infer(windows)


def test_what_cannot_be_asked(red_model: Path, tmp_path: Path, write_model: Callable[..., Path]) -> None:
    for threads in (-1, 1_000_000):
        with pytest.raises(BadInputError, match=rf"--threads: 0 to 1024, .*\. Received: {threads}\."):
            CpuSession(red_model, threads=threads)
    with pytest.raises(BadInputError, match=r"none\.onnx: no such model file"):
        CpuSession(tmp_path / "none.onnx")
    with pytest.raises(BadInputError, match=r"bare\.onnx: not a model of glandseg, its metadata lack"):
        CpuSession(write_model(tmp_path / "bare.onnx", {}))


@pytest.mark.parametrize("data", [b"", b"text", b"\x08\x09" * 50])
def test_what_is_no_model(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(data)
    with pytest.raises(BadInputError, match=r"bad\.onnx: ") as caught:
        CpuSession(tmp_path / "bad.onnx")
    assert "\n" not in str(caught.value)


def test_both_wheels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.22.0")
    with pytest.raises(EnvironmentLacksError, match="pip uninstall -y onnxruntime onnxruntime-gpu"):
        import_onnxruntime()


@pytest.mark.parametrize("wheel", ["onnxruntime", "onnxruntime-gpu"])
def test_either_wheel_will_do(wheel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> str:
        if name != wheel:
            raise metadata.PackageNotFoundError(name)
        return "1.22.0"

    monkeypatch.setattr(metadata, "version", find)
    runtime: Any = import_onnxruntime()
    assert runtime.__name__ == "onnxruntime"


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        ("BFCArena: Failed to allocate memory for requested buffer of size 99", EnvironmentLacksError),
        ("CUDA failure 2: out of memory", EnvironmentLacksError),
        ("shapes differ", BadInputError),
    ],
)
def test_too_large_a_batch_is_reported(
    says: str, kind: type[Exception], red_model: Path, windows: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full:
        def run(self, *arguments: object) -> None:
            raise RuntimeError(says)

    with CpuSession(red_model) as session:
        monkeypatch.setattr(session, "_session", Full())
        with pytest.raises(kind, match=says if kind is BadInputError else "5 windows in one batch.*--batch"):
            session.infer(windows)


def test_at_least_one_cpu_is_counted() -> None:
    assert count_cpus() >= 1


def test_the_trial_at_opening_keeps_no_memory() -> None:
    trial: list[tuple[int, Any]] = []
    real = onnxruntime.InferenceSession.run

    def run(self: Any, names: Any, feed: Any, options: Any = None) -> Any:
        trial.append((len(feed["windows"]), options.get_run_config_entry(SHRINK) if options else None))
        return real(self, names, feed, options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime.InferenceSession, "run", run)
        session = CpuSession(BUNDLED, batch=1)
        session.infer(np.zeros((1, 320, 320, 3), np.uint8))
    assert trial == [(1, "cpu:0"), (1, None)]


@pytest.mark.parametrize(
    ("name", "exact"), [("m.int8.trt.onnx", True), ("m.int8.onnx", False), ("m.onnx", False)]
)
def test_int8_for_tensorrt_is_computed_without_the_cpu_s_8_bit_kernels(
    name: str, exact: bool, convolving_model: Path, tmp_path: Path
) -> None:
    path = convolving_model.rename(tmp_path / name)
    options = open_on_cpu(onnxruntime, path, 1).get_session_options()
    with contextlib.nullcontext() if exact else pytest.raises(RuntimeError, match="does not have"):
        assert options.get_session_config_entry("session.disable_quant_qdq") == "1"


def test_a_model_with_core_answers_with_three_channels(
    tmp_path: Path, write_model: Callable[..., Path], windows: Pixels
) -> None:
    card = ModelCard(
        name="green is core",
        network="slices",
        tissue="drawings",
        um_per_px=1.4,
        weights_sha256="",
        classes=CLASSES_WITH_CORE,
    )
    with CpuSession(write_model(tmp_path / "m.onnx", card.to_metadata(), core=True), threads=1) as session:
        assert session.classes == 3
        answers = session.infer(windows)
    red, green = windows[..., 0], windows[..., 1]
    assert np.array_equal(answers, np.stack([255 - red, red, green], axis=1))


def test_a_model_without_the_core_that_its_card_names_is_refused(
    tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    card = ModelCard(
        name="no core", network="", tissue="", um_per_px=1.4, weights_sha256="", classes=CLASSES_WITH_CORE
    )
    path = write_model(tmp_path / "m.onnx", card.to_metadata())
    with pytest.raises(
        BadInputError, match=r"\(N, 2, 320, 320\) tensor\(uint8\), not \(batch, 3, 320, 320\)"
    ):
        CpuSession(path, threads=1)
