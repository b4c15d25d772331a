"""A model file's weights back in a network: the same answers, and norms that training can go on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glandseg.core.errors import BadInputError
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import draw_golden_tiles
from glandseg.training.factory import build_segmenter
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.exported_weights import load_exported, read_convolutions
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.start import find_start, load_start
from glandseg.training.torch_backend import TorchBackend, to_images

TILES = draw_golden_tiles(1.3, ("glands", "mixed"))
IMAGES = to_images(torch.from_numpy(TILES))
STAGE = SegmenterSettings()


def build(stage: SegmenterSettings = STAGE, encoder: str = "mobilenetv2") -> Segmenter:
    torch.manual_seed(0)
    return build_segmenter(TrainSettings(encoder=encoder, segmenter=stage))


@pytest.fixture(scope="module")
def bundled_stage() -> SegmenterSettings:
    """Return the settings whose network is the bundled model's."""
    layers = read_convolutions(BUNDLED)
    channels = len(layers["head.2"][0])
    skip = 4 if "skip.depthwise" in layers else None
    return replace(STAGE, core_um=5.0 if channels == 3 else None, skip=skip)


def test_the_network_answers_as_its_file(bundled_stage: SegmenterSettings) -> None:
    network = build(bundled_stage)
    assert "new" not in load_exported(network, BUNDLED, IMAGES)
    with CpuSession(BUNDLED, threads=1) as session:
        expected = session.infer(TILES).astype(int)
    assert np.abs(TorchBackend(network).infer(TILES).astype(int) - expected).max() <= 1


def test_norms_hold_the_statistics_of_the_images(bundled_stage: SegmenterSettings) -> None:
    network = build(bundled_stage)
    load_exported(network, BUNDLED, IMAGES)
    seen: list[tuple[nn.BatchNorm2d, Tensor]] = []
    norm = dict(network.named_modules())["encoder.stem.bn"]
    assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None
    norm.register_forward_pre_hook(lambda layer, inputs: seen.append((norm, inputs[0])))
    with torch.no_grad():
        network.eval()(IMAGES)
    [(_, features)] = seen
    torch.testing.assert_close(norm.running_mean, features.mean((0, 2, 3)), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(norm.running_var, features.var((0, 2, 3), correction=0), atol=1e-4, rtol=1e-3)


def test_another_head_keeps_what_both_have(bundled_stage: SegmenterSettings) -> None:
    stored = read_convolutions(BUNDLED)["head.2"]
    stage = replace(bundled_stage, core_um=None if bundled_stage.core_um else 5.0)
    network = build(stage)
    load_exported(network, BUNDLED, IMAGES)
    weights = dict(network.named_parameters())["head.2.weight"]
    assert len(weights) != len(stored[0])
    torch.testing.assert_close(weights[:2], stored[0][:2])


def test_layers_that_the_file_lacks_are_named(bundled_stage: SegmenterSettings) -> None:
    line = load_exported(build(replace(bundled_stage, skip=8, width=64)), BUNDLED, IMAGES)
    assert "new: head.0.0" in line and "skip.depthwise" in line


def test_other_networks_and_precisions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="has another encoder than this run. Give --set encoder=NAME"):
        load_exported(build(encoder="resnet50v2"), BUNDLED, IMAGES)
    with pytest.raises(BadInputError, match="not in float32. Start from the file without .fp16 or .int8"):
        load_exported(build(), BUNDLED.with_name("glandseg-colon.fp16.onnx"), IMAGES)
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(BadInputError, match=r"no\.onnx"):
        load_start(build(), str(tmp_path / "no.onnx"), IMAGES)


def test_where_a_training_may_start(tmp_path: Path) -> None:
    assert find_start("bundled") == find_start(str(BUNDLED)) == BUNDLED
    with pytest.raises(BadInputError, match=r"lost\.onnx: no such model file"):
        find_start(str(tmp_path / "lost.onnx"))
    with pytest.raises(BadInputError, match="not a run folder"):
        find_start(str(tmp_path / "lost"))
