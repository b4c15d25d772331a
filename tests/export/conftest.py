from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from glandseg.export.export_settings import ExportSettings
from glandseg.export.run_export import ExportResult, export_run
from glandseg.model.files import BUNDLED
from glandseg.model.parity import draw_golden_tiles
from glandseg.training.factory import build_segmenter, load_segmenter
from glandseg.training.loop.checkpoint import save_network
from glandseg.training.networks.exported_weights import load_exported
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import write_settings
from glandseg.training.torch_backend import to_images

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
    settings = TrainSettings(labels="outlines", segmenter=SegmenterSettings(skip=4))
    write_settings(path / "settings.yaml", settings)
    run = Run(path)
    run.write_record(data="glas", um_per_px=UM_PER_PX, scores={"val": {"miou": 50.0, "f1": 60.0}})
    torch.manual_seed(0)
    segmenter = build_segmenter(settings)
    # A finished network answers the same on every CPU up to a step or two, with a wide margin to the limits.
    # Random weights, or those after a few steps of training, do not: they amplify each CPU's rounding.
    load_exported(segmenter, BUNDLED, to_images(torch.from_numpy(draw_golden_tiles(UM_PER_PX))))
    save_network(run.segmenter_path, segmenter)
    return run


@pytest.fixture(scope="session")
def segmenter(run: Run) -> nn.Module:
    return load_segmenter(run)


@pytest.fixture(scope="session")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export_run(run, tmp_path_factory.mktemp("models") / "small", FP16)
