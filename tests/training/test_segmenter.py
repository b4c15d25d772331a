"""Examples become batches, ignored pixels count for nothing, and scores are those of the metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glandseg.training.data.augment import AugmentSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import weighted_cross_entropy
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.networks.pspnet import PSPNet
from glandseg.training.segmenter import Example, ExampleStream, score_segmenter, segmentation_loss
from glandseg.training.settings import FitSettings, SegmenterSettings

SETTINGS = SegmenterSettings(crop=64, width=8, fit=FitSettings(batch=4, precision="float32"))
MAIN = replace(SETTINGS, auxiliary=0.0)
PLAIN = AugmentSettings(stain=0.0, mixing=0.0, color=0.0, blur=0.0, mosaic=1.0, glass=0.0)


class RedIsGland(nn.Module):
    """Segments red."""

    def forward(self, images: Tensor) -> Tensor:
        red = 20 * (images[:, :1] - 0.5)
        return torch.cat([-red, red], 1)


def make_example(seed: int = 0, height: int = 100, width: int = 130) -> Example:
    """Make an example whose gland is red."""
    rng = np.random.default_rng(seed)
    mask = np.repeat(np.repeat(rng.integers(0, 2, (height // 10, width // 10), np.uint8), 10, 0), 10, 1)
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = 255 * mask
    return Example(image=image, mask=mask)


def build_network() -> PSPNet:
    torch.manual_seed(0)
    return PSPNet(MobileNetV2(output_stride=16), width=8)


def test_a_batch_holds_images_and_labels_that_belong_together() -> None:
    stream = ExampleStream([make_example(seed) for seed in range(3)], replace(SETTINGS, augment=PLAIN))
    batch = stream.draw(0)
    assert batch.images.shape == (4, 3, 64, 64) and batch.images.dtype == torch.float32
    assert batch.labels.shape == (4, 64, 64) and batch.labels.dtype == torch.int64
    assert batch.images.min() >= 0 and batch.images.max() <= 1
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    sure = (batch.images[:, 0] - 0.5).abs() > 0.4
    assert ((batch.images[:, 0] > 0.5) == (batch.labels == 1))[sure].all() and sure.float().mean() > 0.7


def test_a_batch_depends_on_the_step_alone() -> None:
    first, again = (ExampleStream([make_example()], SETTINGS).draw(5) for _ in range(2))
    other = ExampleStream([make_example()], SETTINGS).draw(6)
    assert torch.equal(first.images, again.images) and torch.equal(first.labels, again.labels)
    assert not torch.equal(first.images, other.images)


def test_loss_is_the_weighted_sum_of_both_heads() -> None:
    network, batch = build_network().eval(), ExampleStream([make_example()], SETTINGS).draw(0)
    with torch.no_grad():
        both = [
            nn.functional.cross_entropy(logits, batch.labels) for logits in network.forward_both(batch.images)
        ]
        loss = segmentation_loss(network, batch, SETTINGS)
    torch.testing.assert_close(loss, both[0] + 0.4 * both[1])


@pytest.mark.parametrize("scheme", ["plf", "l_norm", "c_diff"])
def test_a_scheme_weighs_both_heads_after_the_warm_up(scheme: str) -> None:
    network, batch = build_network().eval(), ExampleStream([make_example()], SETTINGS).draw(5)
    with torch.no_grad():
        main, other = (
            weighted_cross_entropy(logits, batch.labels, scheme)
            for logits in network.forward_both(batch.images)
        )
        plain, warm, weighed = (
            segmentation_loss(network, batch, replace(SETTINGS, loss=loss, warmup_plain=steps))
            for loss, steps in (("plain", 0), (scheme, 6), (scheme, 5))
        )
    torch.testing.assert_close(weighed, main + 0.4 * other)
    assert warm == plain != weighed


def test_places_are_a_part_of_the_batch() -> None:
    stream = ExampleStream([make_example(seed) for seed in range(3)], SETTINGS)
    whole, part = stream.draw(3), stream.draw(3, slice(1, None, 2))
    assert torch.equal(part.images, whole.images[1::2]) and torch.equal(part.labels, whole.labels[1::2])
    assert part.step == 3 and len(stream) == 3


def test_ignored_pixels_teach_nothing() -> None:
    network, batch = build_network().eval(), ExampleStream([make_example()], SETTINGS).draw(0)
    labels = batch.labels.clone()
    labels[:, :32] = 255
    with torch.no_grad():
        half = segmentation_loss(network, Batch(images=batch.images, labels=labels), MAIN)
        logits = network(batch.images)[:, :, 32:]
    torch.testing.assert_close(half, nn.functional.cross_entropy(logits, labels[:, 32:]))


def test_a_batch_of_ignored_pixels_is_no_number_to_fear() -> None:
    network, batch = build_network(), ExampleStream([make_example()], SETTINGS).draw(0)
    ignored = Batch(images=batch.images, labels=torch.full_like(batch.labels, 255))
    loss = segmentation_loss(network, ignored, SETTINGS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in network.parameters())


def test_only_a_segmenter_has_both_heads() -> None:
    batch = ExampleStream([make_example()], SETTINGS).draw(0)
    with pytest.raises(TypeError, match=r"a Segmenter expected. Received: RedIsGland"):
        segmentation_loss(RedIsGland(), batch, SETTINGS)


def test_scores() -> None:
    example = make_example()
    assert score_segmenter(RedIsGland(), [example], "float32") == {"miou": 100.0, "f1": 100.0}
    inverted = Example(image=example.image, mask=1 - example.mask)
    assert score_segmenter(RedIsGland(), [inverted], "float32") == {"miou": 0.0, "f1": 0.0}
    half = example.mask.copy()
    half[:, :65] = 1 - half[:, :65]
    ignored = np.where(np.arange(130) < 65, 255, half).astype(np.uint8)
    assert score_segmenter(RedIsGland(), [Example(image=example.image, mask=half)], "float32")["miou"] < 50
    assert (
        score_segmenter(RedIsGland(), [Example(image=example.image, mask=ignored)], "float32")["miou"] == 100
    )


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.3])
def test_image_and_mask_are_enlarged_together(factor: float) -> None:
    example = make_example().enlarge(factor)
    assert example.mask.shape == example.image.shape[:2] == (round(100 * factor), round(130 * factor))
    assert set(np.unique(example.mask)) == {0, 1}
    assert ((example.image[..., 0] > 127) == (example.mask == 1)).mean() > 0.95
