"""Every method of the table learns where gland is from patch labels, with an encoder that sees colors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.factory import load_method
from glandseg.training.loop.fit import fit
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.weak.activation_maps import ActivationMaps
from glandseg.training.weak.method_table import METHODS
from glandseg.training.weak.patch_stream import PatchStream
from tests.training.weak.color_encoder import ColorEncoder

SIDE, PATCH = 192, 64
SETTINGS = ClassifierSettings(
    input=PATCH,
    pooling="gap",
    climbs=3,
    fit=FitSettings(steps=100, batch=12, lr=0.01, warmup=5, precision="float32", validate_every=100),
    augment=AugmentSettings(scale_min=1.0, scale_max=1.0, mosaic=0.0, glass=0.0),
)
CHANCE = 1 / 3  # mIoU of a coin on equal halves


def draw_image(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw reddish stroma, and purple gland right of a random line."""
    edge = int(rng.integers(SIDE // 3, 2 * SIDE // 3))
    is_gland = np.zeros((SIDE, SIDE), bool)
    is_gland[:, edge:] = True
    image = np.where(is_gland[..., None], (110, 60, 150), (220, 150, 170)) + rng.normal(
        0, 12, (SIDE, SIDE, 3)
    )
    return image.clip(0, 255).astype(np.uint8), is_gland


def cut_patches(index: int, is_gland: NDArray[np.bool_]) -> list[Patch]:
    patches = []
    for y_px in range(0, SIDE, PATCH):
        for x_px in range(0, SIDE, PATCH // 2):
            part = is_gland[y_px : y_px + PATCH, x_px : x_px + PATCH]
            present = (bool((~part).mean() >= 0.05), bool(part.mean() >= 0.05))
            height, width = part.shape
            patches.append(
                Patch(sample=index, x_px=x_px, y_px=y_px, width_px=width, height_px=height, present=present)
            )
    return patches


def learn(name: str, folder: Path, patches: Sequence[Patch], images: Sequence[NDArray[np.uint8]]) -> float:
    """Fit a method to patch labels, and return the mIoU of its maps alone."""
    torch.manual_seed(0)
    method = load_method(name)(ColorEncoder(), SETTINGS)
    for number in range(1, method.rounds + 1):
        targets = method.begin_round(number, patches, images)
        fit(
            method,
            PatchStream(patches, images, SETTINGS, targets).draw,
            lambda _, batch: method.compute_loss(batch),
            lambda _: method.score(patches, images, SETTINGS),
            settings=SETTINGS.fit,
            folder=folder,
            name=f"classifier-{number}",
        )
    evidence, confusion = ActivationMaps(method, SETTINGS), Confusion.empty()
    for index, image in enumerate(images):
        own = [patch for patch in patches if patch.sample == index]
        maps = evidence.map_patches(Sample(name=str(index), group="", path=folder), image, own)
        for patch, found in zip(own, maps, strict=True):
            confusion += Confusion.of(found > 0, patch.cut(draw_image(np.random.default_rng(index))[1]))
    return confusion.miou


@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_where_gland_is(name: str, tmp_path: Path) -> None:
    drawn = [draw_image(np.random.default_rng(index)) for index in range(4)]
    patches = [patch for index, (_, is_gland) in enumerate(drawn) for patch in cut_patches(index, is_gland)]
    assert learn(name, tmp_path, patches, [image for image, _ in drawn]) > CHANCE + 0.2
