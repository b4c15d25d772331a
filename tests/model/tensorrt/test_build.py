"""Real engines, built by TensorRT for RTX without a GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.core.errors import BadInputError, GlandsegError
from glandseg.model.files import BUNDLED
from glandseg.model.tensorrt import build
from glandseg.model.tensorrt.build import BuildSettings, build_engine
from glandseg.model.tensorrt.layer_types import LayerCount
from glandseg.model.tensorrt.package import FULL, TensorRtPackage

WriteNetwork = Callable[..., Path]


def ignore(done: int, total: int, note: str) -> None:
    pass


def test_the_bundled_model_in_float16(rtx: TensorRtPackage, capfd: pytest.CaptureFixture[str]) -> None:
    half = BUNDLED.with_name("glandseg-colon.fp16.onnx")
    built = build_engine(half, BuildSettings(batch=4, precision="float16"), rtx, ignore)
    assert set(built.count.layers["CONVOLUTION"]) == {"float16"}
    assert sum(built.count.layers["CONVOLUTION"].values()) > 50
    assert built.count.share("float16") > 0.8
    assert half.stat().st_size < len(built.plan) < BUNDLED.stat().st_size
    assert capfd.readouterr() == ("", "")  # libraries' own prints count too


def test_float32_stays_float32(rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path) -> None:
    path = write_network(tmp_path / "small.onnx")
    built = build_engine(path, BuildSettings(batch=1), rtx, ignore)
    assert built.count.share("float32") == 1


def test_float16_from_a_float32_file_is_refused(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path
) -> None:
    path = write_network(tmp_path / "small.onnx")
    with pytest.raises(GlandsegError, match="float16 was requested, but 0% of the layers"):
        build_engine(path, BuildSettings(batch=1, precision="float16"), rtx, ignore)


def test_quantised_layers_are_counted(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path
) -> None:
    path = write_network(tmp_path / "small.onnx", "int8")
    built = build_engine(path, BuildSettings(batch=1, precision="int8"), rtx, ignore)
    assert built.count.layers["CONVOLUTION"] == {"int8": 2}


def test_an_engine_for_two_gpus(rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path) -> None:
    path = write_network(tmp_path / "small.onnx", "float16")
    settings = BuildSettings(batch=1, precision="float16", targets=("sm86", "sm89"))
    one = dataclasses.replace(settings, targets=("sm86",))
    assert build_engine(path, settings, rtx, ignore).plan != build_engine(path, one, rtx, ignore).plan


def test_what_cannot_be_read_is_one_line(rtx: TensorRtPackage, red_model: Path) -> None:
    with pytest.raises(BadInputError, match=r"red\.onnx: TensorRT for RTX .* cannot read it: ") as raised:
        build_engine(red_model, BuildSettings(batch=1), rtx, ignore)
    assert "\n" not in str(raised.value)


def test_what_cannot_be_built_is_one_line(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path
) -> None:
    path = write_network(tmp_path / "small.onnx")
    with pytest.raises(GlandsegError, match=r"small\.onnx: .* cannot build an engine of it: ") as raised:
        build_engine(path, BuildSettings(batch=10**7), rtx, ignore)  # more numbers than can be counted
    assert "\n" not in str(raised.value)


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(BadInputError, match="--batch: at least 1. Received: 0"):
        BuildSettings(batch=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kept", [None, b"damaged"])
def test_timings_are_kept(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path, kept: bytes | None
) -> None:
    timed = TensorRtPackage(module=rtx.module, package=FULL, version=rtx.version)
    timings = tmp_path / "cache" / "timings"
    if kept is not None:
        timings.parent.mkdir()
        timings.write_bytes(kept)
    path = write_network(tmp_path / "small.onnx")
    build_engine(path, BuildSettings(batch=1, timings=timings), timed, ignore)
    assert timings.stat().st_size > len(b"damaged")


def test_rtx_times_nothing(rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path) -> None:
    path, timings = write_network(tmp_path / "small.onnx"), tmp_path / "timings"
    build_engine(path, BuildSettings(batch=1, timings=timings), rtx, ignore)
    assert not timings.exists()


def test_rtx_takes_one_shape_that_is_fixed_in_the_network(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    run = build._run_builder

    def look(parsed: Any, *arguments: Any) -> bytes:
        shapes.append(tuple(parsed.network.get_input(0).shape))
        return run(parsed, *arguments)

    monkeypatch.setattr(build, "_run_builder", look)
    build_engine(write_network(tmp_path / "small.onnx"), BuildSettings(batch=3), rtx, ignore)
    assert shapes == [(3, 320, 320, 3)]


def test_the_full_tensorrt_takes_one_shape_by_its_profile() -> None:
    calls: list[Any] = []
    profile = SimpleNamespace(set_shape=lambda *asked: calls.append(asked))
    parsed: Any = SimpleNamespace(
        trt_package=TensorRtPackage(module=None, package=FULL, version="11.4"),
        network=SimpleNamespace(get_input=lambda i: SimpleNamespace(name="windows")),
        builder=SimpleNamespace(create_optimization_profile=lambda: profile),
    )
    build._fix_shape(parsed, SimpleNamespace(add_optimization_profile=calls.append), (3, 320, 320, 3))
    assert calls == [("windows", *[(3, 320, 320, 3)] * 3), profile]


def test_what_the_inspector_counts_warns_and_refuses_nothing(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = LayerCount(layers={"CONVOLUTION": {"float32": 9}}, measured_on="engine")
    monkeypatch.setattr(build, "count_engine", lambda plan, trt_package, log: counted)
    path = write_network(tmp_path / "small.onnx", "float16")
    built = build_engine(path, BuildSettings(batch=1, precision="float16"), rtx, ignore)
    assert built.count is counted
    assert built.doubt.startswith("warning: 0% of the layers of its engine are counted in float16, below 25%")
