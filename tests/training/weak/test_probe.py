"""A probe learns from label-pure pixels what glands look like, and equals a linear map of whole features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.networks.encoder import Encoder
from glandseg.training.weak.probe import Probe, compute_stages, fit_probe

SAMPLE = Sample(name="a", path=Path("a"), group="a")
BOTH, GLAND, STROMA = (True, True), (False, True), (True, False)


class Averages(Encoder):
    """Average colors at strides 1, 2, 4 and 8."""

    channels, strides = (3, 3, 3, 3), (1, 2, 4, 8)

    def __init__(self) -> None:
        super().__init__()
        self.place = torch.nn.Parameter(torch.zeros(()))  # a network has a device

    def forward(self, images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(images, stride) for stride in self.strides]


def draw(seed: int) -> NDArray[np.uint8]:
    """Draw noise, redder in the right half."""
    image = np.random.default_rng(seed).integers(0, 120, (32, 64, 3)).astype(np.uint8)
    image[:, 32:, 0] += 100
    return image


def label_outer(sample: int) -> list[Patch]:
    """Label the outer quarters purely, and the middle as both."""
    places = ((0, 16, STROMA), (16, 32, BOTH), (48, 16, GLAND))
    return [
        Patch(sample=sample, x_px=x, y_px=0, width_px=width, height_px=32, present=present)
        for x, width, present in places
    ]


def test_open_pixels_are_told_by_what_pure_ones_taught() -> None:
    images = [draw(0), draw(1)]
    probe = fit_probe(Averages(), images, label_outer(0) + label_outer(1), seed=0)
    whole = Patch(sample=0, x_px=0, y_px=0, width_px=64, height_px=32, present=BOTH)
    (log_odds,) = probe.map_patches(SAMPLE, draw(2), [whole])
    assert log_odds.shape == (32, 64) and log_odds.dtype == np.float32
    assert (log_odds[:, 36:] > 0).mean() > 0.95 and (log_odds[:, :28] < 0).mean() > 0.95


def test_the_same_seed_gives_the_same_probe() -> None:
    images, patches = [draw(0)], label_outer(0)
    one, same, other = (fit_probe(Averages(), images, patches, seed) for seed in (0, 0, 1))
    assert torch.equal(one.weight, same.weight)
    assert one.weight.shape == other.weight.shape == (9,)


def test_many_of_one_class_do_not_outweigh_the_other() -> None:
    image = np.full((32, 64, 3), 90, np.uint8)  # tells nothing
    narrow = Patch(sample=0, x_px=60, y_px=0, width_px=4, height_px=32, present=GLAND)
    wide = Patch(sample=0, x_px=0, y_px=0, width_px=60, height_px=32, present=STROMA)
    probe = fit_probe(Averages(), [image], [wide, narrow], seed=0)
    (log_odds,) = probe.map_patches(SAMPLE, image, [wide])
    assert np.abs(log_odds).max() < 0.1  # unbalanced, it would be log(4 / 60) = -2.7


def test_it_equals_a_linear_map_of_enlarged_features() -> None:
    image, weight = draw(3), torch.arange(9.0) - 4
    probe = Probe(encoder=Averages(), weight=weight, bias=torch.tensor(0.5))
    stages = compute_stages(probe.encoder, image)
    assert [tuple(stage.shape) for stage in stages] == [(1, 3, 16, 32), (1, 3, 8, 16), (1, 3, 4, 8)]
    whole = [F.interpolate(stage, (32, 64), mode="bilinear", align_corners=False)[0] for stage in stages]
    expected = torch.einsum("c,cyx->yx", weight, torch.cat(whole)) + 0.5
    patch = Patch(sample=0, x_px=8, y_px=4, width_px=20, height_px=10, present=BOTH)
    (log_odds,) = probe.map_patches(SAMPLE, image, [patch])
    np.testing.assert_allclose(log_odds, expected[4:14, 8:28], atol=1e-4)


@pytest.mark.parametrize("present", [BOTH, GLAND, STROMA])
def test_labels_without_both_kinds_of_pure_pixels_are_refused(present: tuple[bool, bool]) -> None:
    patch = Patch(sample=0, x_px=0, y_px=0, width_px=64, height_px=32, present=present)
    with pytest.raises(ValueError, match="some without gland and some without non-gland"):
        fit_probe(Averages(), [draw(0)], [patch], seed=0)
