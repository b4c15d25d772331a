from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from glandseg.export.export_settings import ExportSettings
from glandseg.export.run_export import ExportResult, export_run
from glandseg.runtime.network.parity import draw_golden_tiles
from glandseg.runtime.synthetic import draw_tile
from glandseg.training.checkpoint import save_network
from glandseg.training.run import Run, build_segmenter, load_segmenter
from glandseg.training.settings import SegmenterSettings, TrainSettings
from glandseg.training.settings_file import write_settings
from glandseg.training.torch_backend import to_pictures

UM_PER_PX = 0.62
HALF = ExportSettings(half=True, engine=False)
STEPS, CROP = 35, 96


@pytest.fixture(scope="session")
def tiles() -> NDArray[np.uint8]:
    return draw_golden_tiles(UM_PER_PX)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that looks finished."""
    path = tmp_path_factory.mktemp("runs") / "small"
    path.mkdir()
    settings = TrainSettings(labels="outlines", segmenter=SegmenterSettings(width=16))
    write_settings(path / "settings.yaml", settings)
    run = Run(path)
    run.write_record(data="glas", um_per_px=UM_PER_PX, scores={"val": {"miou": 50.0, "f1": 60.0}})
    torch.manual_seed(0)
    segmenter = build_segmenter(settings)
    teach(segmenter)
    save_network(run.segmenter_path, segmenter)
    return run


@pytest.fixture(scope="session")
def segmenter(run: Run) -> nn.Module:
    return load_segmenter(run)


@pytest.fixture(scope="session")
def exported(run: Run, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export_run(run, tmp_path_factory.mktemp("models") / "small", HALF)


def teach(segmenter: nn.Module) -> None:
    """Train for a few seconds: a network by chance is chaotic, rounding anywhere changes its answer."""
    drawn = [draw_tile(320, UM_PER_PX, seed, "glands" if seed < 5 else "mixed") for seed in range(8)]
    pictures = to_pictures(torch.from_numpy(np.stack([tile for tile, _ in drawn])))
    truth = torch.from_numpy(np.stack([mask for _, mask in drawn]).astype(np.int64))
    optimizer = torch.optim.AdamW(segmenter.parameters(), 5e-3)
    for y, x in np.random.default_rng(0).integers(0, 320 - CROP, (STEPS, 2)):
        rows, columns = slice(y, y + CROP), slice(x, x + CROP)
        loss = F.cross_entropy(segmenter(pictures[:, :, rows, columns]), truth[:, rows, columns])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
