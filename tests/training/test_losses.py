"""The weighing schemes against the papers' formulas; ignored pixels; one-class images; safety."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glandseg.training.losses import SCHEMES, compute_presence_loss, pixel_weights, weighted_cross_entropy

IGNORED = 255


def take_softmax(scores: list[float]) -> list[float]:
    exponentials = [math.exp(score - max(scores)) for score in scores]
    return [e / sum(exponentials) for e in exponentials]


def weigh_image_slowly(logits: Tensor, labels: Tensor, scheme: str) -> tuple[Tensor, Tensor]:
    """Weights and losses of one (c, H, W) image by loops over its valid pixels, from the papers."""
    height, width = labels.shape
    pixels = [(y, x) for y in range(height) for x in range(width) if labels[y, x] != IGNORED]
    scores = {(y, x): take_softmax([float(s) for s in logits[:, y, x]]) for y, x in pixels}
    losses = {p: -math.log(scores[p][int(labels[p])]) for p in pixels}
    weights, loss_map = torch.zeros_like(logits[0]), torch.zeros_like(logits[0])
    shares = dict(zip(pixels, take_softmax([-losses[p] for p in pixels]), strict=True)) if pixels else {}
    mean = sum(shares.values()) / max(len(shares), 1)
    several = len({int(labels[p]) for p in pixels}) > 1
    for p in pixels:
        formulas = {
            "plain": 1.0,
            "c_max": max(scores[p]),  # Li, Eq. 4
            "c_diff": max(scores[p]) - min(scores[p]),  # Eq. 5
            "l_norm": shares[p] / mean,  # Eq. 6
            "lc_mix": shares[p] / mean * max(scores[p]),  # Eq. 7
            "plf": shares[p] * (max(scores[p]) - min(scores[p])) / mean,  # Feng, Eq. 11
        }
        weights[p] = formulas[scheme] if several else 1.0
        loss_map[p] = losses[p]
    return weights, loss_map


def draw_batch(dtype: torch.dtype = torch.float64, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Four images of 5 x 7: mixed, mixed with ignored pixels, one class beside ignored ones, all ignored."""
    torch.manual_seed(0)
    logits = 4 * torch.randn(4, classes, 5, 7, dtype=dtype)
    labels = torch.randint(0, classes, (4, 5, 7))
    labels[1:3][torch.rand(2, 5, 7) < 0.4] = IGNORED
    labels[2][labels[2] != IGNORED] = 1
    labels[3] = IGNORED
    return logits, labels


PAPER_SCHEMES = [scheme for scheme in SCHEMES if scheme != "ohem"]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("scheme", PAPER_SCHEMES)
def test_weights_and_loss_equal_the_papers_formulas(scheme: str, classes: int) -> None:
    logits, labels = draw_batch(classes=classes)
    expected = [weigh_image_slowly(*image, scheme) for image in zip(logits, labels, strict=True)]
    weights = torch.stack([weight for weight, _ in expected])
    losses = torch.stack([loss for _, loss in expected])
    torch.testing.assert_close(pixel_weights(logits, labels, scheme), weights, rtol=0, atol=1e-6)
    mean = (weights * losses).sum() / (labels != IGNORED).sum()
    torch.testing.assert_close(weighted_cross_entropy(logits, labels, scheme), mean, rtol=0, atol=1e-6)


def test_ohem_keeps_pixels_below_seven_tenths() -> None:
    logits, labels = draw_batch()
    weights = pixel_weights(logits, labels, "ohem")
    valid = labels != IGNORED
    truth = logits.softmax(dim=1).gather(1, labels.masked_fill(~valid, 0)[:, None])[:, 0]
    hard = valid & (truth < 0.7)
    assert hard.sum() > valid.sum() / 16
    assert torch.equal(weights, hard.double())


def test_ohem_keeps_the_hardest_sixteenth_of_an_easy_batch() -> None:
    labels = torch.zeros(2, 4, 10, dtype=torch.int64)
    labels[1, :, 5:] = IGNORED  # 60 valid pixels: ceil(60 / 16) = 4
    logits = torch.zeros(2, 2, 4, 10)
    logits[:, 0] = 10.0 - torch.arange(80.0).view(2, 4, 10) / 20
    weights = pixel_weights(logits, labels, "ohem")
    kept = logits[:, 0].masked_fill(labels == IGNORED, torch.inf).flatten().argsort()[:4]
    assert weights.sum() == 4
    assert (weights.flatten()[kept] == 1).all()


def test_ohem_mines_one_class_images_too() -> None:
    labels = torch.zeros(1, 4, 8, dtype=torch.int64)
    logits = torch.randn(1, 2, 4, 8) * 10
    assert 0 < pixel_weights(logits, labels, "ohem").mean() < 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_lies_under_ignored_pixels_changes_nothing(scheme: str) -> None:
    logits, labels = draw_batch()
    other = torch.where((labels == IGNORED)[:, None], -50 * logits, logits)
    torch.testing.assert_close(pixel_weights(logits, labels, scheme), pixel_weights(other, labels, scheme))
    assert (pixel_weights(other, labels, scheme)[labels == IGNORED] == 0).all()
    moved = weighted_cross_entropy(other, labels, scheme)
    torch.testing.assert_close(weighted_cross_entropy(logits, labels, scheme), moved)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_gradient_passes_the_loss_and_not_the_weights(scheme: str) -> None:
    logits, labels = draw_batch()
    logits.requires_grad_()
    weights = pixel_weights(logits, labels, scheme)
    assert not weights.requires_grad
    torch.autograd.backward(weighted_cross_entropy(logits, labels, scheme))
    valid = labels != IGNORED
    truth = torch.nn.functional.one_hot(labels.masked_fill(~valid, 0), 3).permute(0, 3, 1, 2)
    expected = weights[:, None] * (logits.detach().softmax(dim=1) - truth) / valid.sum()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_all_ignored_batch_costs_nothing(scheme: str) -> None:
    logits = torch.randn(2, 2, 3, 4, requires_grad=True)
    loss = weighted_cross_entropy(logits, torch.full((2, 3, 4), IGNORED), scheme)
    torch.autograd.backward(loss)
    assert loss.item() == 0.0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_huge_losses_stay_finite(scheme: str) -> None:
    labels = torch.randint(0, 2, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    logits = (torch.randn(2, 2, 8, 8) * 1e6).requires_grad_()
    loss = weighted_cross_entropy(logits, labels, scheme)
    torch.autograd.backward(loss)
    assert loss.isfinite()
    assert pixel_weights(logits, labels, scheme).isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_half_precision_is_computed_in_float32(scheme: str) -> None:
    logits, labels = draw_batch()
    half = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        weights = pixel_weights(half, labels, scheme)
        loss = weighted_cross_entropy(half, labels, scheme)
    assert weights.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(weights, pixel_weights(half.float(), labels, scheme))
    torch.testing.assert_close(loss, weighted_cross_entropy(half.float(), labels, scheme))


def test_another_ignore_index_is_obeyed() -> None:
    logits, labels = draw_batch()
    renamed = labels.masked_fill(labels == IGNORED, -100)
    expected = pixel_weights(logits, labels, "plf")
    torch.testing.assert_close(pixel_weights(logits, renamed, "plf", ignore_index=-100), expected)


def test_a_scheme_trusts_low_loss_pixels_more() -> None:
    labels = torch.tensor([[[0, 0, 1, 1]]])
    logits = torch.tensor([4.0, -4.0, -4.0, 4.0]).view(1, 1, 1, 4) * torch.tensor([1.0, -1.0]).view(
        1, 2, 1, 1
    )
    weights = pixel_weights(logits, labels, "plf")[0, 0]
    assert weights[0] > 100 * weights[1]
    assert weights[2] > 100 * weights[3]


def test_an_unknown_scheme_names_the_known_ones() -> None:
    logits, labels = draw_batch()
    known = "plain, c_max, c_diff, l_norm, lc_mix, plf, ohem"
    with pytest.raises(ValueError, match=f"one of {known}. Received: focal"):
        weighted_cross_entropy(logits, labels, "focal")
    with pytest.raises(ValueError, match=f"one of {known}. Received: focal"):
        pixel_weights(logits, labels, "focal")


def test_presence_loss_equals_its_formula() -> None:
    logits = torch.tensor([[2.0, -1.0], [0.5, 30.0]], dtype=torch.float64)
    presence = torch.tensor([[1, 0], [1, 1]])
    total = 0.0
    for logit, present in zip(logits.flatten().tolist(), presence.flatten().tolist(), strict=True):
        probability = 1 / (1 + math.exp(-logit))
        total -= math.log(probability if present else 1 - probability)
    assert compute_presence_loss(logits, presence).item() == pytest.approx(total / 4, abs=1e-9)


def test_presence_loss_is_safe_and_float32() -> None:
    loss = compute_presence_loss(torch.tensor([[1e4, -1e4]]).bfloat16(), torch.tensor([[0.0, 1.0]]))
    assert loss.dtype == torch.float32
    assert loss.isfinite()


@pytest.mark.parametrize("scheme", ["plain", "plf"])
def test_a_share_is_the_mean_loss_of_several_label_maps(scheme: str) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 2, 5, 6), torch.randint(0, 2, (3, 2, 5, 6))
    labels[:, 0, 0] = IGNORED
    parts = (0.2, 0.2, 0.6)
    share = sum(part * (each == 1).float() for part, each in zip(parts, labels, strict=True))
    found = weighted_cross_entropy(logits, labels[2], scheme, share=share)
    if scheme == "plain":
        alone = [weighted_cross_entropy(logits, each, scheme) for each in labels]
        torch.testing.assert_close(found, sum(part * each for part, each in zip(parts, alone, strict=True)))
    assert torch.isfinite(found)
    hard = weighted_cross_entropy(logits, labels[2], scheme, share=(labels[2] == 1).float())
    torch.testing.assert_close(hard, weighted_cross_entropy(logits, labels[2], scheme))
