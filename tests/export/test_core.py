"""A network with a core channel: its files compute it in every precision, and the gate judges it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from glandseg.doctor.inspect_model import inspect_model
from glandseg.doctor.verify import FINE, verify_files
from glandseg.export import run_export
from glandseg.export.artifact import make_artifact
from glandseg.export.export_settings import ExportSettings
from glandseg.export.float_edges import find_edges
from glandseg.export.graph_stats import count_graph
from glandseg.export.int8_calibration import Calibration
from glandseg.export.onnx_file import trace_segmenter, write_model
from glandseg.export.run_export import ExportResult, export_run
from glandseg.model.card import CLASSES_WITH_CORE, CORE, GLAND
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import ParityError
from glandseg.model.separation import Separation
from glandseg.training.factory import build_segmenter, load_segmenter
from glandseg.training.loop.checkpoint import save_network
from glandseg.training.networks.weights import load_weights
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import write_settings
from glandseg.training.torch_backend import TorchBackend

FILES = ("core.onnx", "core.fp16.onnx", "core.int8.onnx", "core.int8.trt.onnx")


@pytest.fixture(scope="module")
def core_run(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run whose core is what the bundled network is surest of: the log odds of gland, less 2."""
    path = tmp_path_factory.mktemp("runs") / "core"
    path.mkdir()
    settings = TrainSettings(labels="outlines", segmenter=SegmenterSettings(core_um=5.0, skip=4))
    write_settings(path / "settings.yaml", settings)
    found = Run(path)
    found.write_record(data="glas", um_per_px=0.62)
    segmenter = build_segmenter(settings)
    load_weights(segmenter, run.segmenter_path, segmenter.scores)
    last = segmenter.get_submodule("head.2")
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    with torch.no_grad():
        last.weight[CORE] = last.weight[GLAND] - last.weight[0]
        last.bias[CORE] = last.bias[GLAND] - last.bias[0] - 2
    save_network(found.segmenter_path, segmenter)
    return found


@pytest.fixture(scope="module")
def core_exported(
    core_run: Run, tiles: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> ExportResult:
    """Return the run's files in every precision, the INT8 ones calibrated on three tiles."""
    few = Calibration(tiles=tiles[[0, 4, 6]], source="3 tiles of drawn tissue")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_export, "draw_calibration", lambda um_per_px: few)
        settings = ExportSettings(fp16=True, int8=True, engine=False)
        return export_run(core_run, tmp_path_factory.mktemp("models") / "core", settings, golden=tiles)


def test_every_file_computes_the_core(
    core_exported: ExportResult, core_run: Run, tiles: NDArray[np.uint8]
) -> None:
    assert tuple(each.path.name for each in core_exported.artifacts) == FILES
    expected = TorchBackend(load_segmenter(core_run)).infer(tiles[:2])
    assert expected.shape == (2, 3, 320, 320) and 0.05 < (expected[:, CORE] >= 128).mean() < 0.95
    for artifact in core_exported.artifacts:
        with CpuSession(artifact.path) as session:
            assert session.card.classes == CLASSES_WITH_CORE and session.classes == 3
            found = session.infer(tiles[:2])
        assert (found[:, 0].astype(int) + found[:, GLAND] == 255).all()
        assert ((found[:, CORE] >= 128) == (expected[:, CORE] >= 128)).mean() > 0.99


def test_card_and_record_name_core_and_rule(core_exported: ExportResult) -> None:
    rule = Separation(channel="core", threshold=0.5, reach_um=10.0)
    assert core_exported.card.separation == rule
    card = json.loads(core_exported.record.read_text(encoding="utf-8"))["card"]
    assert card["classes"] == ["non-gland", "gland", "core"]
    assert card["separation"] == {"channel": "core", "threshold": 0.5, "reach_um": 10.0}
    report = inspect_model(core_exported.artifacts[0].path)
    assert report.card is not None and report.card.separation == rule
    assert [port.shape for port in report.outputs] == [("batch", 3, 320, 320)]


def test_files_are_verified_with_their_core(core_exported: ExportResult, tiles: NDArray[np.uint8]) -> None:
    verdicts = list(verify_files(core_exported.artifacts[0].path, lambda um_per_px: tiles))
    assert [(each.file, each.state) for each in verdicts] == [(name, FINE) for name in FILES]


def test_a_file_that_lost_its_core_alone_is_refused(
    core_exported: ExportResult, core_run: Run, tiles: NDArray[np.uint8], tmp_path: Path
) -> None:
    model = onnx.load(core_exported.artifacts[0].path)
    name = find_edges(model.graph).last[-1].input[1]
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    values = numpy_helper.to_array(weight).copy()
    values[CORE] *= 0.9
    weight.CopyFrom(numpy_helper.from_array(values, name))
    with pytest.raises(ParityError, match=r"core\.onnx: in float32 it computes something else than PyTorch"):
        make_artifact(tmp_path / "core.onnx", model, core_exported.card, load_segmenter(core_run), tiles)


def test_a_skip_keeps_the_network_small(tmp_path: Path) -> None:
    stage = SegmenterSettings(core_um=5.0, skip=4)
    write_model(tmp_path / "m.onnx", trace_segmenter(build_segmenter(TrainSettings(segmenter=stage))))
    assert 2.5 < count_graph(tmp_path / "m.onnx").gflop < 2.65
