"""Object scores are those of the challenge's formulas, computed slowly, and of cases known by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.training.evaluation.object_metrics import ObjectAgreement, number_objects

Mask = NDArray[np.bool_]


def measure_slowly(a: Mask, b: Mask) -> float:
    """Hausdorff distance by all pairs of pixels."""
    x, y = np.argwhere(a)[:, None].astype(float), np.argwhere(b)[None].astype(float)
    distances = np.sqrt(((x - y) ** 2).sum(2))
    return float(max(distances.min(1).max(), distances.min(0).max()))


def score_slowly(labels: NDArray[np.int32], truth: NDArray[np.int32]) -> tuple[float, float, float]:
    """F1, Dice and Hausdorff straight from the formulas; both sides hold objects."""
    predicted = [labels == k for k in range(1, labels.max() + 1)]
    true = [truth == k for k in sorted(set(truth[truth > 0].tolist()))]

    def match(own: Mask, others: list[Mask]) -> Mask | None:
        shared = [int((own & other).sum()) for other in others]
        return others[int(np.argmax(shared))] if max(shared) else None

    found = set()
    for s in predicted:
        g = match(s, true)
        if g is not None and (s & g).sum() >= 0.5 * g.sum():
            found.add(next(k for k, each in enumerate(true) if each is g))
    f1 = 2 * len(found) / (len(predicted) + len(true))

    def average(own: list[Mask], others: list[Mask]) -> tuple[float, float]:
        dice = hausdorff = 0.0
        total = sum(int(each.sum()) for each in own)
        for each in own:
            weight, other = each.sum() / total, match(each, others)
            if other is None:
                hausdorff += weight * min(measure_slowly(each, every) for every in others)
                continue
            dice += weight * 2 * (each & other).sum() / (each.sum() + other.sum())
            hausdorff += weight * measure_slowly(each, other)
        return dice, hausdorff

    one, two = average(predicted, true), average(true, predicted)
    return f1, (one[0] + two[0]) / 2, (one[1] + two[1]) / 2


def draw_blobs(rng: np.random.Generator, shape: tuple[int, int], threshold: float) -> Mask:
    noise = cv2.GaussianBlur(rng.normal(size=shape), (0, 0), 2.5)
    return np.asarray(noise > threshold * noise.std())


@pytest.mark.parametrize("seed", range(12))
def test_against_the_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, threshold = (38, 51), float(rng.uniform(0.2, 1.0))
    truth_mask = draw_blobs(rng, shape, threshold)
    predicted = np.roll(truth_mask, (2, 3), (0, 1)) if seed % 2 else draw_blobs(rng, shape, threshold)
    truth = np.asarray(cv2.connectedComponents(truth_mask.astype(np.uint8), connectivity=4)[1])
    truth = np.where(truth > 0, truth * 3, 0)  # ids need not be consecutive
    labels = np.asarray(cv2.connectedComponents(predicted.astype(np.uint8), connectivity=8)[1])
    agreement = ObjectAgreement.of(predicted, truth)
    f1, dice, hausdorff = score_slowly(labels, truth)
    assert agreement.f1 == pytest.approx(f1)
    assert agreement.dice == pytest.approx(dice)
    assert agreement.hausdorff_px == pytest.approx(hausdorff, abs=1e-4)


def draw_square(shape: tuple[int, int], y: int, x: int, side: int = 10) -> Mask:
    mask = np.zeros(shape, bool)
    mask[y : y + side, x : x + side] = True
    return mask


def test_nothing_on_one_side_or_both() -> None:
    nothing, square = np.zeros((30, 40), bool), draw_square((30, 40), 5, 5)
    both = ObjectAgreement.of(nothing, nothing.astype(np.uint8))
    assert (both.f1, both.dice, both.hausdorff_px) == (1, 1, 0)
    for predicted, truth in ((nothing, square), (square, nothing)):
        one = ObjectAgreement.of(predicted, truth.astype(np.uint8))
        assert (one.f1, one.dice, one.hausdorff_px) == (0, 0, 50)  # the diagonal of 30 x 40


def test_identical_and_shifted() -> None:
    square = draw_square((60, 60), 20, 20)
    same = ObjectAgreement.of(square, square.astype(np.uint8))
    assert (same.f1, same.dice, same.hausdorff_px) == (1, 1, 0)
    near = ObjectAgreement.of(draw_square((60, 60), 20, 24), square.astype(np.uint8))
    assert (near.f1, near.dice, near.hausdorff_px) == pytest.approx((1, 0.6, 4))
    far = ObjectAgreement.of(draw_square((60, 60), 20, 40), square.astype(np.uint8))
    assert (far.f1, far.dice, far.hausdorff_px) == pytest.approx((0, 0, 20))


def test_half_of_a_gland_is_a_detection_and_less_is_not() -> None:
    truth = draw_square((30, 30), 10, 10)
    half, less = truth.copy(), truth.copy()
    half[:, 15:], less[:, 14:] = False, False
    assert ObjectAgreement.of(half, truth.astype(np.uint8)).f1 == 1
    assert ObjectAgreement.of(less, truth.astype(np.uint8)).f1 == 0


def test_glands_that_touch_keep_apart_and_a_merger_detects_one() -> None:
    truth = np.zeros((30, 50), np.uint8)
    truth[10:20, 10:20], truth[10:20, 20:35] = 1, 2
    merged = ObjectAgreement.of(truth > 0, truth)
    assert merged.f1 == pytest.approx(2 / 3)  # one predicted, two true, one detected
    of_true = (100 * 200 / 350 + 150 * 300 / 400) / 250
    assert merged.dice == pytest.approx((0.75 + of_true) / 2)


def test_diagonal_pixels_are_one_object() -> None:
    mask = np.eye(6, dtype=bool)
    assert len(ObjectAgreement.of(mask, mask.astype(np.uint8)).predicted.area_px) == 1


def test_images_pool_their_objects() -> None:
    big, small = draw_square((60, 60), 0, 0, 30), draw_square((60, 60), 0, 0, 10)
    right = ObjectAgreement.of(big, big.astype(np.uint8))
    wrong = ObjectAgreement.of(draw_square((60, 60), 0, 20, 10), small.astype(np.uint8))
    total = sum([right, wrong], ObjectAgreement.empty())
    assert total.f1 == pytest.approx(0.5)
    assert total.dice == pytest.approx(0.9) and total.hausdorff_px == pytest.approx(
        2
    )  # by area, not by image


def test_numbers_follow_ids() -> None:
    np.testing.assert_array_equal(number_objects(np.array([[0, 7], [200, 7]], np.uint8)), [[0, 1], [2, 1]])


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"one shape expected. Received: \(2, 4\) and \(1, 4\)"):
        ObjectAgreement.of(np.zeros((2, 4), bool), np.zeros((1, 4), np.uint8))


def test_work_grows_with_the_objects_and_not_with_their_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    noise = cv2.GaussianBlur(rng.normal(size=(522, 775)), (0, 0), 16)
    truth = np.asarray(cv2.connectedComponents((noise > 0.5 * noise.std()).astype(np.uint8))[1])
    predicted = np.roll(noise, 8, 1) + 0.02 * cv2.GaussianBlur(rng.normal(size=noise.shape), (0, 0), 3)
    transformed_px: list[int] = []
    transform = cv2.distanceTransform

    def count(mask: NDArray[np.uint8], *how: int) -> NDArray[np.float32]:
        transformed_px.append(mask.size)
        return np.asarray(transform(mask, *how))

    monkeypatch.setattr(cv2, "distanceTransform", count)
    found = ObjectAgreement.of(predicted > 0.6 * noise.std(), truth)
    objects = len(found.predicted.area_px) + len(found.true.area_px)
    assert len(transformed_px) <= 2 * objects
    assert sum(transformed_px) <= 4 * noise.size  # boxes of objects, not the image for each
