"""The loss towards a teacher against its formula; a student comes near its teacher."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glandseg.synthetic import draw_tile
from glandseg.training.data.augment import AugmentSettings
from glandseg.training.distill.distillation import (
    compute_soft_loss,
    distillation_loss,
)
from glandseg.training.distill.settings import DistillationSettings
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import weighted_cross_entropy
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.networks.pspnet import PSPNet
from glandseg.training.segmenter import Example, ExampleStream
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.torch_backend import to_images

SETTINGS = TrainSettings(
    labels="none",
    teacher="big",
    segmenter=SegmenterSettings(
        crop=64, width=8, output_stride=16, fit=FitSettings(batch=4, precision="float32")
    ),
)
STILL = AugmentSettings(
    scale_min=1.0,
    scale_max=1.0,
    rotation=0.0,
    stain=0.0,
    mixing=0.0,
    color=0.0,
    blur=0.0,
    mosaic=0.0,
    glass=0.0,
)


def build_network() -> PSPNet:
    torch.manual_seed(0)
    return PSPNet(MobileNetV2(output_stride=16), width=8)


def compute_slowly(
    logits: NDArray[np.float64], probability: NDArray[np.float64], temperature: float
) -> tuple[float, NDArray[np.float64]]:
    """Loss and gradient from Hinton et al., Eq. 1 and 2, pixel by pixel in float64."""
    clamped = np.clip(probability / 255, 1 / 510, 1 - 1 / 510)
    total, gradient = 0.0, np.zeros_like(logits)
    for n, y, x in np.ndindex(clamped.shape):
        odds = np.array([0.0, np.log(clamped[n, y, x] / (1 - clamped[n, y, x]))])
        teacher = np.exp(odds / temperature) / np.exp(odds / temperature).sum()
        scores = np.exp(logits[n, :, y, x] / temperature)
        student = scores / scores.sum()
        total += temperature**2 * float((teacher * np.log(teacher / student)).sum())
        gradient[n, :, y, x] = temperature * (student - teacher) / clamped.size
    return total / clamped.size, gradient


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 7.0])
def test_loss_and_gradient_are_hintons(temperature: float) -> None:
    rng = np.random.default_rng(0)
    scores, bytes_ = rng.normal(0, 3, (2, 2, 5, 7)), rng.integers(0, 256, (2, 5, 7))
    bytes_[0, 0, :2] = 0, 255
    logits = torch.from_numpy(scores).requires_grad_()
    loss = compute_soft_loss(logits, torch.from_numpy(bytes_), temperature)
    loss.backward()  # type: ignore[no-untyped-call]
    expected, gradient = compute_slowly(scores, bytes_.astype(np.float64), temperature)
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert logits.grad is not None
    np.testing.assert_allclose(logits.grad.numpy(), gradient, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_who_agrees_with_the_teacher_learns_nothing(temperature: float) -> None:
    probability = torch.arange(256).reshape(1, 16, 16)
    odds = torch.logit(probability.double() / 255, eps=1 / 510)
    logits = torch.stack([odds * 0 + 3, odds + 3], dim=1).requires_grad_()
    loss = compute_soft_loss(logits, probability, temperature)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert logits.grad is not None and logits.grad.abs().max() < 1e-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_overflows_nowhere(dtype: torch.dtype) -> None:
    logits = torch.tensor([[-30000.0], [30000.0]], dtype=dtype).reshape(1, 2, 1, 1)
    loss = compute_soft_loss(logits, torch.zeros(1, 1, 1, dtype=torch.int64), 1.0)
    assert loss.dtype == torch.float32 and loss.isfinite() and loss > 10000


def draw_example(seed: int) -> Example:
    """Draw tissue of which a teacher is all but certain where glands are, and unsure along their edges."""
    image, glands = draw_tile(96, 1.24, seed, "glands")
    blurred = np.asarray(torch.nn.functional.avg_pool2d(torch.from_numpy(glands[None] * 1.0), 7, 1, 3)[0])
    return Example(
        image=image, mask=glands.astype(np.uint8), soft=np.rint(12 + 230 * blurred).astype(np.uint8)
    )


def share_with_outlines(weight: float) -> TrainSettings:
    return replace(SETTINGS, labels="outlines", distillation=DistillationSettings(weight=weight))


def test_outlines_have_the_rest_of_the_loss() -> None:
    network = build_network().eval()
    batch = ExampleStream([draw_example(0)], SETTINGS.segmenter).draw(0)
    assert batch.labels.shape == (4, 64, 64, 2)
    labels, probability = batch.labels[..., 0], batch.labels[..., 1]
    with torch.no_grad():
        main, other = network.forward_both(batch.images)
        soft = [compute_soft_loss(logits, probability, 1.0) for logits in (main, other)]
        hard = [weighted_cross_entropy(logits, labels, "plain") for logits in (main, other)]
        alone = distillation_loss(network, batch, SETTINGS)
        mixed = distillation_loss(network, batch, share_with_outlines(0.7))
    torch.testing.assert_close(alone, soft[0] + 0.4 * soft[1])
    torch.testing.assert_close(mixed, 0.7 * alone + 0.3 * (hard[0] + 0.4 * hard[1]))


def test_what_has_no_outlines_is_learned_from_the_teacher() -> None:
    network = build_network().eval()
    batch = ExampleStream([draw_example(0)], SETTINGS.segmenter).draw(0)
    unlabelled = batch.labels.clone()
    unlabelled[..., 0] = 255
    with torch.no_grad():
        alone = distillation_loss(network, batch, SETTINGS)
        mixed = distillation_loss(network, replace(batch, labels=unlabelled), share_with_outlines(0.7))
    torch.testing.assert_close(mixed, 0.7 * alone)


def test_schemes_weigh_outlines_after_the_warm_up() -> None:
    network = build_network().eval()
    stage = replace(SETTINGS.segmenter, loss="c_max", warmup_plain=3)
    settings = replace(share_with_outlines(0.5), segmenter=stage)
    drawn = ExampleStream([draw_example(0)], SETTINGS.segmenter).draw(2)
    with torch.no_grad():
        warm, weighed, plain = (
            distillation_loss(network, batch, how)
            for batch, how in (
                (drawn, settings),
                (replace(drawn, step=3), settings),
                (drawn, share_with_outlines(0.5)),
            )
        )
    assert warm == plain != weighed


def test_only_a_segmenter_can_be_taught() -> None:
    batch = Batch(images=torch.zeros(1, 3, 8, 8), labels=torch.zeros(1, 8, 8, 2, dtype=torch.int64))
    with pytest.raises(TypeError, match="a Segmenter expected"):
        distillation_loss(nn.Identity(), batch, SETTINGS)


def measure_distance(network: nn.Module, examples: list[Example]) -> tuple[float, float]:
    """Return the mean |dp| of a network from the teacher, and that of the best constant."""
    network.eval()
    images = to_images(torch.from_numpy(np.stack([each.image for each in examples])))
    teacher = torch.from_numpy(np.stack([each.soft for each in examples if each.soft is not None])) / 255
    with torch.no_grad():
        student = network(images).softmax(1)[:, 1]
    return float((student - teacher).abs().mean()), float((teacher - teacher.median()).abs().mean())


def test_a_student_comes_near_its_teacher() -> None:
    examples, unseen = [[draw_example(seed) for seed in range(*r)] for r in ((0, 8), (8, 12))]
    network = build_network()
    before, constant = measure_distance(network, unseen)
    stage = replace(SETTINGS.segmenter, augment=STILL, crop=96)
    stream = ExampleStream(examples, stage)
    optimizer = torch.optim.AdamW(network.parameters(), 5e-3)
    network.train()
    for step in range(60):
        optimizer.zero_grad()
        loss: Tensor = distillation_loss(network, stream.draw(step), SETTINGS)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after, _ = measure_distance(network, unseen)
    assert after < 0.6 * min(before, constant), (before, constant, after)


@pytest.mark.parametrize("labels", ["none", "outlines"])
def test_cores_are_learned_beside_the_teacher(labels: str) -> None:
    stage = replace(SETTINGS.segmenter, core_um=5.0, core_weight=2.0)
    settings = replace(SETTINGS, labels=labels, segmenter=stage)
    example = draw_example(0)
    core = np.where(example.mask == 1, 200, 0).astype(np.uint8)
    batch = ExampleStream([replace(example, core=core)], stage).draw(0)
    torch.manual_seed(0)
    network = PSPNet(MobileNetV2(output_stride=16), outputs=3, width=8).eval()
    plain = replace(batch, labels=batch.labels[..., :2])
    with torch.no_grad():
        loss = distillation_loss(network, batch, settings)
        without = distillation_loss(network, plain, replace(settings, segmenter=replace(stage, core_um=None)))
        main, other = (
            nn.functional.binary_cross_entropy_with_logits(logits[:, 2], batch.labels[..., 2] / 255)
            for logits in network.forward_both(batch.images)
        )
    torch.testing.assert_close(loss, without + 2 * (main + 0.4 * other))
