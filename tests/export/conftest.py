from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import nn

from glandseg.export.export_settings import ExportSettings
from glandseg.export.run_export import ExportResult, export_run
from glandseg.model.files import BUNDLED
from glandseg.model.parity import draw_golden_tiles
from glandseg.training.factory import build_segmenter, load_segmenter
from glandseg.training.loop.checkpoint import save_network
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import write_settings

UM_PER_PX = 0.62
FP16 = ExportSettings(fp16=True, engine=False)


@pytest.fixture(scope="session")
def tiles() -> NDArray[np.uint8]:
    return draw_golden_tiles(UM_PER_PX)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that looks finished."""
    path = tmp_path_factory.mktemp("runs") / "small"
    path.mkdir()
    settings = TrainSettings(labels="outlines", segmenter=SegmenterSettings(width=128, output_stride=16))
    write_settings(path / "settings.yaml", settings)
    run = Run(path)
    run.write_record(data="glas", um_per_px=UM_PER_PX, scores={"val": {"miou": 50.0, "f1": 60.0}})
    torch.manual_seed(0)
    segmenter = build_segmenter(settings)
    load_bundled(segmenter)
    save_network(run.segmenter_path, segmenter)
    return run


@pytest.fixture(scope="session")
def segmenter(run: Run) -> nn.Module:
    return load_segmenter(run)


@pytest.fixture(scope="session")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export_run(run, tmp_path_factory.mktemp("models") / "small", FP16)


def load_bundled(segmenter: nn.Module) -> None:
    """Copy the bundled model's weights, whose batch norms are folded, into a segmenter of its shape.

    A finished network answers the same on every CPU up to a step or two, with a wide margin to the limits.
    Random weights, or those after a few steps of training, do not: they amplify each CPU's rounding.
    """
    graph = onnx.load(BUNDLED).graph
    values = {tensor.name: torch.tensor(numpy_helper.to_array(tensor)) for tensor in graph.initializer}
    folded = [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    layers = [module for module in segmenter.modules() if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))]
    with torch.no_grad():
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            if isinstance(layer, nn.Conv2d) and folded:  # the auxiliary head, which no file has, comes last
                weight, bias = folded.pop(0)
                layer.weight.copy_(weight)
                biased = layer if layer.bias is not None else following
                assert biased is not None and biased.bias is not None
                biased.bias.copy_(bias)
