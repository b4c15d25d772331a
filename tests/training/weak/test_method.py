"""A method is scored by balanced accuracy by default, and a new one needs a line in the table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.image_file import encode_png
from glandseg.training.data.patches import Patch
from glandseg.training.factory import load_method
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings, read_settings, write_settings
from glandseg.training.train import train
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.method_table import METHODS
from glandseg.training.weak.patch_stream import PatchStream

SETTINGS = ClassifierSettings(input=32, fit=FitSettings(batch=4, precision="float32"))


class MeanRedness(WeakMethod):
    """Gland where red exceeds a threshold that is learned; has a loss and a score of its own."""

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, settings)
        self.threshold = nn.Parameter(torch.tensor(0.5))

    def map_classes(self, images: Tensor) -> Tensor:
        redness = avg_pool2d(images[:, :1], 8) - self.threshold
        return torch.cat([-redness, redness], 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.map_classes(images).mean((2, 3))

    def compute_loss(self, batch: Batch) -> Tensor:
        return super().compute_loss(batch) + self.threshold**2

    def score(
        self, patches: Sequence[Patch], images: Sequence[NDArray[np.uint8]], settings: ClassifierSettings
    ) -> dict[str, float]:
        return {"low_threshold": -self.threshold.item()}


class RedIsGland(WeakMethod):
    """Predicts gland where an image's mean red is above a half, and non-gland always."""

    def map_classes(self, images: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(images[:, 0]), images[:, 0] - 0.5], 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.map_classes(images).mean((2, 3))


def make_patch(sample: int, present: tuple[bool, bool], x_px: int = 0) -> Patch:
    return Patch(sample=sample, x_px=x_px, y_px=0, width_px=20, height_px=20, present=present)


def test_scores_are_balanced() -> None:
    images = [np.full((20, 20, 3), value, np.uint8) for value in (10, 250)]
    patches = (
        [make_patch(0, (True, False))] + [make_patch(1, (True, True))] * 6 + [make_patch(1, (True, False))]
    )
    scores = RedIsGland(MobileNetV2(), SETTINGS).score(patches, images, SETTINGS)
    # Gland: 6 of 6 found, 1 of 2 absences seen. Non-gland is present everywhere, and said so.
    assert scores == {"balanced": 87.5, "non_gland": 100.0, "gland": 75.0}
    assert next(iter(scores)) == "balanced"  # what fitting chooses by


def test_loss_is_least_for_the_right_answer() -> None:
    images = [np.full((20, 20, 3), value, np.uint8) for value in (10, 250)]
    right = [make_patch(0, (True, False)), make_patch(1, (True, True))]
    wrong = [make_patch(0, (True, True)), make_patch(1, (True, False))]
    losses = [
        RedIsGland(MobileNetV2(), SETTINGS)
        .compute_loss(PatchStream(patches, images, SETTINGS).draw(0))
        .item()
        for patches in (right, wrong)
    ]
    assert losses[0] < losses[1] - 0.1


def write_tiles(folder: Path) -> Path:
    """Write eight GlaS-like tiles whose right half is red and gland."""
    folder.mkdir()
    for index in range(8):
        image, mask = np.full((64, 64, 3), 40 + index, np.uint8), np.zeros((64, 64), np.uint8)
        image[:, 32:, 0], mask[:, 32:] = 200, 1
        for suffix, pixels in (("", image), ("_anno", mask)):
            encode_png(folder / f"train_{index}{suffix}.png", pixels)
    return folder


def train_on_tiles(folder: Path, settings: TrainSettings) -> Run:
    return train(
        write_tiles(folder / "tiles"),
        folder / "run",
        settings,
        report=lambda stage, progress: None,
        say=lambda line: None,
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_table_maps_both_classes(name: str) -> None:
    method = load_method(name)(MobileNetV2(output_stride=16), SETTINGS).eval()
    with torch.inference_mode():
        maps = method.map_classes(torch.rand(2, 3, 64, 96))
        assert maps.shape[:2] == (2, 2) and maps.shape[3] * 2 == maps.shape[2] * 3 >= 12
        assert method(torch.rand(2, 3, 64, 96)).shape == (2, 2)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(BadInputError, match=r"classifier.method: one of feng, cam, .*. Received: mine"):
        override_settings(TrainSettings(), ["classifier.method=mine"])


def test_settings_files_without_a_method_keep_their_meaning(tmp_path: Path) -> None:
    path, settings = tmp_path / "settings.yaml", TrainSettings(classifier=ClassifierSettings(pooling="gap"))
    write_settings(path, settings)
    path.write_text(path.read_text("utf-8").replace("  method: feng\n", ""), encoding="utf-8")
    assert "method" not in path.read_text("utf-8") and read_settings(path) == settings


class TwoLayers(MeanRedness):
    """Votes of redness and of its opposite."""

    layer_weights = (0.75, 0.25)

    def map_layers(self, images: Tensor) -> list[Tensor]:
        return [self.map_classes(images), -self.map_classes(images)]


def test_stage_2_learns_the_votes_of_layers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "layers", f"{__name__}:TwoLayers")
    fit = FitSettings(steps=1, batch=3, warmup=1, precision="float32", validate_every=1)
    settings = TrainSettings(
        curves=False,
        classifier=ClassifierSettings(
            evidence=("classifier",), method="layers", ignore=0, input=32, combine="raw", fit=fit
        ),
        segmenter=SegmenterSettings(crop=32, width=8, fit=fit),
    )
    run = train_on_tiles(tmp_path, settings)
    name = next(name for name, part in run.read_parts().items() if part == "train")
    soft, mask = run.read_soft_mask(name), run.read_pseudo_mask(name)
    assert soft is not None
    assert (soft[:, :28] == 64).all() and (soft[:, 36:] == 191).all()  # 255 times the weight that votes gland
    assert (mask[:, :28] == 0).all() and (mask[:, 36:] == 1).all()
    assert "miou" in run.record["scores"]["val"]


def test_a_new_method_trains_both_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "redness", f"{__name__}:MeanRedness")
    fit = FitSettings(steps=2, batch=3, warmup=1, precision="float32", validate_every=1)
    settings = TrainSettings(
        curves=False,
        classifier=ClassifierSettings(
            evidence=("classifier",), method="redness", ignore=0, input=32, fit=fit
        ),
        segmenter=SegmenterSettings(crop=32, width=8, fit=fit),
    )
    run = train_on_tiles(tmp_path, settings)
    assert run.settings.classifier.method == "redness"
    header, first, *_ = (run.path / "classifier.csv").read_text("utf-8").splitlines()
    assert header == "step,loss,lr,low_threshold" and float(first.split(",")[3]) > -0.5
    mask = run.read_pseudo_mask(next(name for name, part in run.read_parts().items() if part == "train"))
    assert (mask[:, :28] == 0).all() and (mask[:, 36:] == 1).all()
    assert "miou" in run.record["scores"]["val"]
