"""ReCAM's softmax loss against a loop over images and classes, its rounds, and its maps."""

from __future__ import annotations

import numpy as np
import torch

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.weak.cam import rectify
from glandseg.training.weak.recam import ReCAM
from tests.training.weak.color_encoder import ColorEncoder

LABELS = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])


def build() -> ReCAM:
    torch.manual_seed(0)
    return ReCAM(ColorEncoder(), ClassifierSettings()).eval()


def test_softmax_loss_is_the_mean_over_images_of_that_over_their_classes() -> None:
    method = build()
    features = torch.rand(3, method.class_map.in_channels, 4, 5)
    class_map = torch.randn(3, 2, 4, 5)
    weight = method.reactivated.weight[:, :, 0, 0]
    expected = 0.0
    for image in range(3):
        losses = []
        for label in range(2):
            if LABELS[image, label]:
                seen = rectify(class_map[image : image + 1])[0, label] * features[image]
                logits = weight @ seen.mean((1, 2))
                losses.append((torch.logsumexp(logits, 0) - logits[label]).item())
        expected += float(np.mean(losses)) / 3 if losses else 0.0
    found = method.compute_softmax_loss(features, class_map, LABELS)
    assert abs(found.item() - expected) < 1e-5


def test_the_first_round_knows_binary_cross_entropy_alone() -> None:
    method, batch = build(), Batch(images=torch.rand(3, 3, 16, 16), labels=LABELS)
    plain = compute_presence_loss(method(batch.images), LABELS)
    patch = Patch(sample=0, x_px=0, y_px=0, width_px=8, height_px=8, present=(True, False))
    torch.testing.assert_close(method.compute_loss(batch), plain)
    assert method.begin_round(2, [patch], []).tolist() == [[1.0, 0.0]]
    assert method.compute_loss(batch) > plain


def test_maps_do_not_see_what_both_classes_share() -> None:
    method, images = build(), torch.rand(1, 3, 16, 16)
    before = method.map_classes(images)
    with torch.no_grad():
        method.reactivated.weight += 1.0
    torch.testing.assert_close(method.map_classes(images), before, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(before[:, 0], -before[:, 1])
