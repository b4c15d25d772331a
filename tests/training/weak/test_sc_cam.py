"""SC-CAM's clusters, its targets by round, and its loss."""

from __future__ import annotations

import numpy as np
import torch

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_presence_loss
from glandseg.training.weak.sc_cam import CLUSTERS, SCCAM, WEIGHT, cluster
from tests.training.weak.color_encoder import ColorEncoder

SETTINGS = ClassifierSettings(input=16, fit=FitSettings(batch=8, precision="float32"))


def build() -> SCCAM:
    torch.manual_seed(0)
    return SCCAM(ColorEncoder(), SETTINGS).eval()


def test_groups_that_lie_apart_become_clusters() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(CLUSTERS, size=200)
    features = (20 * np.eye(CLUSTERS)[groups] + rng.normal(0, 0.1, (200, CLUSTERS))).astype(np.float32)
    found = cluster(features, np.ones(200, bool), seed=0)
    assert (found.sum(1) == 1).all()
    for group in range(CLUSTERS):
        assert len(set(found[groups == group].argmax(1))) == 1
    assert np.array_equal(found, cluster(features, np.ones(200, bool), seed=0))  # a resumed run repeats it


def test_only_chosen_patches_are_clustered() -> None:
    features, chosen = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2 > 0
    found = cluster(features, chosen, seed=1)
    assert (found[chosen].sum(1) == 1).all() and not found[~chosen].any()
    assert not cluster(features, np.arange(40) < CLUSTERS - 1, seed=1).any()  # too few to divide


def test_targets_grow_with_the_second_round() -> None:
    images = [np.random.default_rng(index).integers(0, 255, (16, 16, 3), np.uint8) for index in range(30)]
    patches = [
        Patch(sample=index, x_px=0, y_px=0, width_px=16, height_px=16, present=(True, index % 2 == 0))
        for index in range(30)
    ]
    method = build()
    first, second = (method.begin_round(number, patches, images) for number in (1, 2))
    assert first.shape == (30, 2) and second.shape == (30, 2 + 2 * CLUSTERS)
    assert np.array_equal(first, second[:, :2])
    assert np.array_equal(second[:, 2 : 2 + CLUSTERS].sum(1), first[:, 0])
    assert np.array_equal(second[:, 2 + CLUSTERS :].sum(1), first[:, 1])


def test_sub_categories_weigh_five_times_their_classes() -> None:
    method, images = build(), torch.rand(4, 3, 16, 16)
    pooled = method.extract(images).mean((2, 3))
    present, categories = torch.eye(2).repeat(2, 1), (torch.rand(4, 2 * CLUSTERS) > 0.5).float()
    logits = pooled @ method.class_map.weight[:, :, 0, 0].T
    expected = compute_presence_loss(logits, present)
    torch.testing.assert_close(method.compute_loss(Batch(images=images, labels=present)), expected)
    sub_logits = pooled @ method.categories.weight[:, :, 0, 0].T
    expected = expected + WEIGHT * compute_presence_loss(sub_logits, categories)
    labels = torch.cat([present, categories], 1)
    torch.testing.assert_close(method.compute_loss(Batch(images=images, labels=labels)), expected)
