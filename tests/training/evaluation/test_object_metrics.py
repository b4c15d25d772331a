"""Object scores are those of the challenge's formulas, computed slowly, and of cases known by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.training.evaluation.object_metrics import ObjectAgreement, number_objects

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]


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
    agreement = ObjectAgreement.of(labels, truth)
    f1, dice, hausdorff = score_slowly(labels, truth)
    assert agreement.f1 == pytest.approx(f1)
    assert agreement.dice == pytest.approx(dice)
    assert agreement.hausdorff_px == pytest.approx(hausdorff, abs=1e-4)


def draw(*boxes: tuple[int, int, int, int, int], shape: tuple[int, int] = (30, 60)) -> Labels:
    """Draw boxes of label, top, left, height and width."""
    labels = np.zeros(shape, np.int32)
    for label, top, left, height, width in boxes:
        labels[top : top + height, left : left + width] = label
    return labels


def score(predicted: Labels, true: Labels) -> tuple[float, float, float]:
    agreement = ObjectAgreement.of(predicted, true)
    return agreement.f1, agreement.dice, agreement.hausdorff_px


def test_nothing_on_one_side_or_both() -> None:
    nothing, square = draw(shape=(30, 40)), draw((1, 5, 5, 10, 10), shape=(30, 40))
    assert score(nothing, nothing) == (1, 1, 0)
    assert score(nothing, square) == score(square, nothing) == (0, 0, 50)  # the diagonal of 30 x 40


def test_identical_and_shifted() -> None:
    square = draw((1, 10, 10, 10, 10))
    assert score(square, square) == (1, 1, 0)
    assert score(draw((1, 10, 14, 10, 10)), square) == pytest.approx((1, 0.6, 4))
    assert score(draw((1, 10, 30, 10, 10)), square) == pytest.approx((0, 0, 20))


def test_half_of_a_gland_is_a_detection_and_less_is_not() -> None:
    truth = draw((1, 10, 10, 10, 10))
    assert ObjectAgreement.of(draw((1, 10, 10, 10, 5)), truth).f1 == 1
    assert ObjectAgreement.of(draw((1, 10, 10, 10, 4)), truth).f1 == 0


def test_two_predicted_glands_that_touch_are_two_by_their_labels() -> None:
    truth = draw((1, 10, 10, 10, 10), (2, 10, 20, 10, 15))
    assert score(truth, truth) == (1, 1, 0)
    assert score(np.where(truth > 0, 3 - truth, 0), truth) == (1, 1, 0)  # whatever the labels are
    f1, dice, hausdorff = score(np.minimum(truth, 1), truth)  # merged: one detection, three objects
    of_true = (100 * 200 / 350 + 150 * 300 / 400) / 250
    assert (f1, dice) == pytest.approx((2 / 3, (0.75 + of_true) / 2))
    assert hausdorff == pytest.approx((10 + (100 * 15 + 150 * 10) / 250) / 2)


def test_a_label_in_two_pieces_is_one_object() -> None:
    truth = draw((1, 5, 5, 10, 10), (1, 5, 25, 10, 20))
    assert score(truth, truth) == (1, 1, 0)
    pieces = draw((1, 5, 5, 10, 10), (2, 5, 25, 10, 20))
    # The larger piece detects it: 1 of 3 objects. The smaller piece lies 30 px from the end of the whole.
    assert score(pieces, truth) == pytest.approx(
        (
            2 / 3,
            ((100 * 200 / 400 + 200 * 400 / 500) / 300 + 400 / 500) / 2,
            ((100 * 30 + 200 * 20) / 300 + 20) / 2,
        )
    )


def test_more_predicted_than_true_and_one_without_overlap() -> None:
    truth = draw((1, 5, 5, 10, 10), (2, 5, 40, 10, 10))
    predicted = draw((7, 5, 5, 10, 10), (4, 5, 42, 10, 8), (9, 5, 25, 10, 6))
    # The last has no match: a Dice of 0, and the lesser distance of 20 px between its left edge and that of
    # the first true gland, and of 19 px between its right edge and that of the second.
    f1, dice, hausdorff = score(predicted, truth)
    assert f1 == pytest.approx(2 * 2 / 5)
    of_predicted, of_true = (100 * 1 + 80 * 160 / 180) / 240, (100 * 1 + 100 * 160 / 180) / 200
    assert dice == pytest.approx((of_predicted + of_true) / 2)
    assert hausdorff == pytest.approx(((80 * 2 + 60 * 19) / 240 + 100 * 2 / 200) / 2)


def test_on_a_tie_the_lowest_label_is_the_match() -> None:
    predicted, truth = draw((1, 5, 10, 10, 20)), draw((8, 5, 10, 10, 10), (3, 5, 20, 10, 20))
    # Both share 100 px with it. With label 3, of 200 px, Dice is 0.5; with label 8 it would be 2/3.
    (dice,) = ObjectAgreement.of(predicted, truth).predicted.dice
    assert dice == pytest.approx(0.5)


def test_images_pool_their_objects_by_area_and_not_by_image() -> None:
    big, small = draw((1, 0, 0, 30, 30)), draw((1, 0, 0, 10, 10))
    right = ObjectAgreement.of(big, big)
    wrong = ObjectAgreement.of(draw((1, 0, 20, 10, 10)), small)
    total = sum([right, wrong], ObjectAgreement.empty())
    assert (total.f1, total.dice, total.hausdorff_px) == pytest.approx((0.5, 0.9, 2))


def test_numbers_follow_labels() -> None:
    np.testing.assert_array_equal(number_objects(np.array([[0, 7], [200, 7]], np.uint8)), [[0, 1], [2, 1]])


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"one shape expected. Received: \(2, 4\) and \(1, 4\)"):
        ObjectAgreement.of(np.zeros((2, 4), np.int32), np.zeros((1, 4), np.uint8))


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
    labels = np.asarray(cv2.connectedComponents((predicted > 0.6 * noise.std()).astype(np.uint8))[1])
    found = ObjectAgreement.of(labels, truth)
    objects = len(found.predicted.area_px) + len(found.true.area_px)
    assert len(transformed_px) <= 2 * objects
    assert sum(transformed_px) <= 4 * noise.size  # boxes of objects, not the image for each
