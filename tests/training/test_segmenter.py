"""Examples become batches, ignored pixels count for nothing, and scores are those of the metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glandseg.training.data.augment import AugmentSettings
from glandseg.training.data.examples import fit_example
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import weighted_cross_entropy
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.networks.pspnet import PSPNet
from glandseg.training.segmenter import Example, ExampleStream, score_segmenter
from glandseg.training.segmenter_loss import segmentation_loss, split_target
from glandseg.training.segmenter_settings import SegmenterSettings

SETTINGS = SegmenterSettings(crop=64, width=8, fit=FitSettings(batch=4, precision="float32"))
AT_1_24 = replace(SETTINGS, core_um=5.0, um_per_px=1.24)
TOUCHING = np.zeros((100, 130), np.int32)  # two glands side by side
TOUCHING[20:80, 20:65], TOUCHING[20:80, 65:110] = 1, 2
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


def draw_pair() -> tuple[Example, SegmenterSettings]:
    """Draw two red glands that touch, as an example of 0.62 um/px with the maps that tell them apart."""
    settings = replace(SETTINGS, core_um=5.0, border_weight=4.0)
    mask = (TOUCHING > 0).astype(np.uint8)
    image = np.zeros((100, 130, 3), np.uint8)
    image[..., 0] = 255 * mask
    return fit_example(Example(image=image, mask=mask), TOUCHING, 0.62, settings), settings


def build_core_network(skip: int | None = None) -> PSPNet:
    torch.manual_seed(0)
    return PSPNet(MobileNetV2(output_stride=16), outputs=3, width=8, skip=skip)


def test_touching_glands_have_cores_apart_at_every_enlargement() -> None:
    example, _ = draw_pair()
    assert example.core is not None and not example.core[50, 57:73].any() and example.core[50, 40] == 255
    coarse = fit_example(replace(example, core=None, border=None), TOUCHING, 0.62, AT_1_24)
    assert coarse.core is not None and coarse.core.shape == coarse.mask.shape == (50, 65)
    # 5 um are 8 px at 0.62 um/px: cores of px 28 to 56 and 73 to 101, which become half as many.
    np.testing.assert_array_equal(np.flatnonzero(np.diff(coarse.core[25] > 127)), [13, 28, 35, 50])


def test_a_batch_holds_the_maps_that_the_settings_want() -> None:
    example, settings = draw_pair()
    drawn = ExampleStream([example], replace(settings, augment=replace(PLAIN, mosaic=0.0))).draw(0)
    assert drawn.labels.shape == (4, 64, 64, 3)
    target = split_target(drawn.labels, settings)
    assert list(target) == ["mask", "core", "border"]
    inside = target["core"] > 127
    assert inside.any() and (target["mask"][inside] == 1).all() and (target["border"][inside] == 0).all()
    with pytest.raises(ValueError, match="zip"):
        split_target(drawn.labels, SETTINGS.__class__(core_um=5.0))


def test_the_core_has_a_loss_of_its_own_beside_the_classes() -> None:
    example, settings = draw_pair()
    settings = replace(settings, core_weight=0.5)
    network, batch = build_core_network().eval(), ExampleStream([example], settings).draw(0)
    ignored = batch.labels.clone()
    ignored[:, :20, :, 0] = 255
    target = split_target(ignored, settings)
    valid = target["mask"] != 255
    with torch.no_grad():
        loss = segmentation_loss(network, replace(batch, labels=ignored), settings)
        expected = torch.zeros(())
        for weight, logits in zip((1.0, 0.4), network.forward_both(batch.images), strict=True):
            classes = nn.functional.cross_entropy(
                logits[:, :2], target["mask"], ignore_index=255, reduction="none"
            )
            factor = 1 + 4 * target["border"] / 255
            core = nn.functional.binary_cross_entropy_with_logits(
                logits[:, 2], target["core"] / 255, reduction="none"
            )
            expected += weight * ((factor * classes)[valid].mean() + 0.5 * core[valid].mean())
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("skip", [None, 4])
def test_a_network_learns_where_cores_are(skip: int | None) -> None:
    example, settings = draw_pair()
    still = replace(PLAIN, scale_min=1.0, scale_max=1.0, rotation=0.0, mosaic=0.0)
    stream = ExampleStream([example], replace(settings, augment=still, crop=96))
    network = build_core_network(skip).train()
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    first = last = 0.0
    for step in range(12):
        optimizer.zero_grad()
        loss = segmentation_loss(network, stream.draw(step), settings)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        first, last = first or loss.item(), loss.item()
    assert last < 0.7 * first
    assert all(weight.grad is not None for weight in network.parameters())


def test_scores_of_a_network_with_a_core_are_those_of_its_gland() -> None:
    example = make_example()
    assert score_segmenter(RedWithCore(), [example], "float32") == {"miou": 100.0, "f1": 100.0}


class RedWithCore(RedIsGland):
    """Segments red, all of it outside cores."""

    outputs = 3

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([super().forward(images), torch.full_like(images[:, :1], -20)], 1)
