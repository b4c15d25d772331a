"""The patches of a batch carry their labels, and depend on the step alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.data.patches import Patch
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.weak.patch_stream import PatchStream, enlarge

SETTINGS = ClassifierSettings(
    input=32,
    fit=FitSettings(batch=4, precision="float32"),
    augment=AugmentSettings(
        scale_min=1.0, scale_max=1.0, rotation=0.0, stain=0.0, mixing=0.0, color=0.0, blur=0.0
    ),
)


def make_patch(sample: int, present: tuple[bool, bool], x_px: int = 0) -> Patch:
    return Patch(sample=sample, x_px=x_px, y_px=0, width_px=20, height_px=20, present=present)


def test_drawn_patches_carry_their_own_labels() -> None:
    images = [np.full((20, 40, 3), 60, np.uint8), np.full((20, 40, 3), 200, np.uint8)]
    images[0][:, 20:] = 120
    patches = [
        make_patch(0, (True, False)),
        make_patch(0, (True, True), x_px=20),
        make_patch(1, (False, True)),
    ]
    stream = PatchStream(patches, images, SETTINGS)
    seen = set()
    for step in range(3):
        batch = stream.draw(step)
        assert batch.images.shape == (4, 3, 32, 32) and batch.labels.shape == (4, 2)
        assert batch.images.min() >= 0 and batch.images.max() <= 1
        for image, label in zip(batch.images, batch.labels, strict=True):
            seen.add((round(float(image.mean()) * 255 / 20), tuple(label.tolist())))
    assert seen == {(3, (1.0, 0.0)), (6, (1.0, 1.0)), (10, (0.0, 1.0))}


def test_a_batch_depends_on_the_step_alone() -> None:
    images = [np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)]
    settings = ClassifierSettings(input=32, fit=FitSettings(batch=3))
    patches = [make_patch(0, (True, False))]
    first, again = (PatchStream(patches, images, settings).draw(5) for _ in range(2))
    other = PatchStream(patches, images, settings).draw(6)
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)


def test_places_are_a_part_of_the_batch() -> None:
    images = [np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)]
    stream = PatchStream([make_patch(0, (True, False)), make_patch(0, (False, True))], images, SETTINGS)
    whole, part = stream.draw(2), stream.draw(2, slice(0, None, 2))
    assert torch.equal(part.images, whole.images[::2]) and torch.equal(part.labels, whole.labels[::2])
    assert len(part.images) == 2 and part.step == 2


@pytest.mark.parametrize(("balance", "share"), [(True, 0.5), (False, 0.1)])
def test_rare_presence_is_drawn_as_often(balance: bool, share: float) -> None:
    images = [np.full((20, 20, 3), 100, np.uint8)]
    patches = [make_patch(0, (True, True))] * 90 + [make_patch(0, (True, False))] * 10
    settings = ClassifierSettings(
        input=8, balance=balance, fit=FitSettings(batch=20), augment=SETTINGS.augment
    )
    stream = PatchStream(patches, images, settings)
    steps = 9 if balance else 5  # an epoch
    lacking = torch.cat([stream.draw(step).labels[:, 1] == 0 for step in range(steps)]).float().mean()
    assert lacking.item() == pytest.approx(share, abs=0.01)


def test_enlarging() -> None:
    image = np.full((50, 70, 3), 9, np.uint8)
    assert enlarge(image, 128).shape == (128, 128, 3) and (enlarge(image, 128) == 9).all()
