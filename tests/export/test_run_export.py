from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.export import run_export
from glandseg.export.export_settings import ExportSettings
from glandseg.export.float_edges import find_edges
from glandseg.export.run_export import ExportResult, export_run
from glandseg.model.files import check_model, find_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import ParityError
from glandseg.synthetic import draw_tile, write_slide
from glandseg.training.run import Run

FP16 = ExportSettings(fp16=True, engine=False)
Trace = Callable[[nn.Module], onnx.ModelProto]


def load_traced(exported: ExportResult) -> onnx.ModelProto:
    """The traced model, without paying for another trace."""
    return onnx.load(exported.artifacts[0].path)


def perturb(model: onnx.ModelProto, factor: float = 1.1) -> onnx.ModelProto:
    """Change the last convolution's weights."""
    name = find_edges(model.graph).last[-1].input[1]
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(weight)
    weight.CopyFrom(numpy_helper.from_array(values * values.dtype.type(factor), weight.name))
    return model


def list_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def quick(exported: ExportResult, monkeypatch: pytest.MonkeyPatch) -> None:
    """No trace and no quantiser: the INT8 files compute in float32."""
    monkeypatch.setattr(run_export, "trace_segmenter", lambda segmenter: load_traced(exported))
    monkeypatch.setattr(run_export, "to_int8", lambda model, tiles, layout: copy.deepcopy(model))


def test_writes_models_and_record(exported: ExportResult, run: Run) -> None:
    assert list_names(exported.record.parent) == {"small.onnx", "small.fp16.onnx", "small.json"}
    assert [artifact.precision for artifact in exported.artifacts] == ["float32", "float16"]
    assert exported.card.weights_sha256 == hashlib.sha256(run.segmenter_path.read_bytes()).hexdigest()


def test_record_tells_hash_and_parity_of_each_file(exported: ExportResult) -> None:
    record = json.loads(exported.record.read_text(encoding="utf-8"))
    assert set(record["files"]) == {"small.onnx", "small.fp16.onnx"}
    for artifact in exported.artifacts:
        told = record["files"][artifact.path.name]
        assert told["sha256"] == hashlib.sha256(artifact.path.read_bytes()).hexdigest()
        assert told["bytes"] == artifact.path.stat().st_size
        assert told["parity"]["max_dp"] == artifact.parity.max_dp
    assert "emulated" in record["files"]["small.fp16.onnx"]
    assert record["card"]["um_per_px"] == 0.62


def test_one_record_vouches_for_both_files(exported: ExportResult, tmp_path: Path) -> None:
    for artifact in exported.artifacts:
        assert check_model(artifact.path, "--model").sha256 == artifact.sha256
        for path in (artifact.path, exported.record):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / artifact.path.name).write_bytes(b"other")
        with pytest.raises(BadInputError, match=r"small\.json says"):
            check_model(tmp_path / artifact.path.name, "--model")


def test_newest_export_is_the_float32_file(exported: ExportResult) -> None:
    found = find_model(None, exports=exported.record.parents[1])
    assert (found.path.name, found.origin) == ("small.onnx", "newest export")


@pytest.mark.usefixtures("quick")
def test_says_a_line_a_file_and_removes_what_an_older_export_wrote(
    run: Run,
    tmp_path: Path,
    tiles: NDArray[np.uint8],
) -> None:
    for name in ("colon.fp16.onnx", "colon.int8.onnx", "colon.int8.trt.onnx", "colon.fp16.engine"):
        (tmp_path / name).write_bytes(b"older")
    (tmp_path / "colon.fp16.engine.json").write_bytes(b"older")
    (tmp_path / "other.onnx").write_bytes(b"another model")
    said: list[str] = []
    result = export_run(
        run, tmp_path, name="colon", facts={"tissue": "colon"}, say=said.append, golden=tiles[:1]
    )
    assert list_names(tmp_path) == {"colon.onnx", "colon.json", "other.onnx"}
    assert len(said) == 1 and "colon.onnx: float32" in said[0] and ".part" not in said[0]
    assert (result.card.name, result.card.tissue) == ("colon", "colon")


@pytest.mark.usefixtures("quick")
def test_default_folder_is_models_and_the_run_s_name(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export_run(run)
    assert list_names(tmp_path / "models" / "small") == {"small.onnx", "small.json"}


@pytest.mark.parametrize("fp16", [False, True])
def test_sabotaged_artifact_is_refused_and_nothing_remains(
    run: Run,
    exported: ExportResult,
    tmp_path: Path,
    tiles: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
    fp16: bool,
) -> None:
    monkeypatch.setattr(run_export, "trace_segmenter", lambda segmenter: perturb(load_traced(exported)))
    said: list[str] = []
    settings = ExportSettings(fp16=fp16, engine=False)
    with pytest.raises(ParityError, match=r"small\.onnx: .*max_dp .* outside its limit"):
        export_run(run, tmp_path / "new", settings, say=said.append, golden=tiles[:1])
    assert list_names(tmp_path) == set() and not said


@pytest.mark.usefixtures("quick")
def test_failed_float16_leaves_what_was_there(
    run: Run,
    exported: ExportResult,
    tmp_path: Path,
    tiles: NDArray[np.uint8],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    converted = perturb(onnx.load(exported.artifacts[1].path), 2)
    monkeypatch.setattr(run_export, "to_fp16", lambda model: converted)
    (tmp_path / "small.onnx").write_bytes(b"older")
    with pytest.raises(ParityError, match=r"small\.fp16\.onnx"):
        export_run(run, tmp_path, FP16, golden=tiles[:1])
    assert list_names(tmp_path) == {"small.onnx"}
    assert (tmp_path / "small.onnx").read_bytes() == b"older"


@pytest.mark.usefixtures("quick")
def test_int8_files_say_what_they_were_calibrated_on(
    run: Run, tmp_path: Path, tiles: NDArray[np.uint8]
) -> None:
    result = export_run(run, tmp_path, ExportSettings(int8=True), golden=tiles[:1])
    assert list_names(tmp_path) == {"small.onnx", "small.int8.onnx", "small.int8.trt.onnx", "small.json"}
    assert [artifact.precision for artifact in result.artifacts] == ["float32", "int8", "int8"]
    files = json.loads(result.record.read_text(encoding="utf-8"))["files"]
    for name in ("small.int8.onnx", "small.int8.trt.onnx"):
        with CpuSession(tmp_path / name) as session:
            assert (session.card.precision, session.card.calibration) == ("int8", "32 tiles of drawn tissue")
        assert files[name]["calibration"] == "32 tiles of drawn tissue"
    assert "calibration" not in files["small.onnx"] and result.card.calibration is None
    assert "calibrated on 32 tiles of drawn tissue" in str(result.artifacts[1])


@pytest.mark.usefixtures("quick")
def test_int8_that_computes_something_else_is_refused(
    run: Run, tmp_path: Path, tiles: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_export, "to_int8", lambda model, tiles, layout: perturb(copy.deepcopy(model), -1))
    with pytest.raises(ParityError, match=r"small\.int8\.onnx: in int8 .* max_dp"):
        export_run(run, tmp_path / "new", ExportSettings(int8=True), golden=tiles[:1])
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("quick")
def test_user_s_tiles_are_compared_on_too(run: Run, tmp_path: Path, tiles: NDArray[np.uint8]) -> None:
    write_slide(tmp_path / "slide.tif", draw_tile(600, 0.5, 0, "glands")[0], 0.5)
    settings = ExportSettings(tiles=tmp_path / "slide.tif")
    result = export_run(run, tmp_path / "out", settings, golden=tiles[:1])
    assert json.loads(result.record.read_text(encoding="utf-8"))["tiles"] > 1


@pytest.mark.usefixtures("quick")
def test_engine_is_built_of_a_float16_export(
    run: Run, tmp_path: Path, tiles: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Path, tuple[str, ...]]] = []
    monkeypatch.setattr(
        run_export, "build_engine", lambda model, targets, *rest: asked.append((model, targets))
    )
    settings = ExportSettings(fp16=True, targets=("sm86",))
    export_run(run, tmp_path, settings, golden=tiles[:1])
    export_run(run, tmp_path, FP16, golden=tiles[:1])
    export_run(run, tmp_path, golden=tiles[:1])
    assert asked == [(tmp_path / "small.onnx", ("sm86",))]


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "small.fp16", "small.int8", "small.int8.trt"])
def test_name_that_is_no_file_name_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError, match="--name"):
        export_run(run, tmp_path, name=name)


def test_damaged_weights_are_refused(run: Run, tmp_path: Path) -> None:
    damaged = Run(tmp_path)
    for path in run.path.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes()[:4000])
    with pytest.raises(BadInputError, match=r"segmenter\.safetensors: not the weights"):
        export_run(damaged, tmp_path / "out")


def test_folder_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(EnvironmentLacksError, match="taken: cannot be written"):
        export_run(run, tmp_path / "taken")


@pytest.mark.usefixtures("quick")
def test_other_tiles_can_be_given(
    run: Run,
    tmp_path: Path,
    tiles: NDArray[np.uint8],
) -> None:
    result = export_run(run, tmp_path / "out", golden=tiles[:1])
    assert result.artifacts[0].parity.max_dp <= 1 / 255
