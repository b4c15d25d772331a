"""The scores are those of the textbook."""

from __future__ import annotations

import numpy as np
import pytest

from glandseg.training.evaluation.metrics import Confusion

TRUTH = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)
PREDICTED = np.array([[1, 1, 0, 1], [0, 0, 0, 0]], bool)


def test_by_hand() -> None:
    confusion = Confusion.of(PREDICTED, TRUTH)
    np.testing.assert_array_equal(confusion.counts, [[4, 1], [1, 2]])
    np.testing.assert_allclose(confusion.iou, [4 / 6, 2 / 4])
    assert confusion.miou == pytest.approx(7 / 12)
    assert confusion.gland_iou == 2 / 4
    assert confusion.dice == pytest.approx(4 / 6)
    assert confusion.f1 == pytest.approx((8 / 10 + 4 / 6) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_against_sets_of_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, predicted = rng.random((2, 20, 30)) < rng.random((2, 1, 1))
    classes = []
    for label in (False, True):
        t, p = (set(np.flatnonzero(mask == label)) for mask in (truth, predicted))
        precision, recall = len(t & p) / max(len(p), 1), len(t & p) / max(len(t), 1)
        f1 = 2 * precision * recall / (precision + recall) if t & p else 0.0
        classes.append((len(t & p) / len(t | p), f1))
    confusion = Confusion.of(predicted, truth)
    assert confusion.miou == pytest.approx(np.mean([iou for iou, _ in classes]))
    assert confusion.f1 == pytest.approx(np.mean([f1 for _, f1 in classes]))
    assert confusion.dice == pytest.approx(classes[1][1])


def test_images_add_up_by_pixel() -> None:
    parts = [Confusion.of(PREDICTED[:1], TRUTH[:1]), Confusion.of(PREDICTED[1:], TRUTH[1:])]
    total = sum(parts, Confusion.empty())
    np.testing.assert_array_equal(total.counts, Confusion.of(PREDICTED, TRUTH).counts)


def test_perfect_wrong_and_empty() -> None:
    assert Confusion.of(TRUTH, TRUTH).miou == Confusion.of(TRUTH, TRUTH).dice == 1
    assert Confusion.of(~TRUTH, TRUTH).miou == Confusion.of(~TRUTH, TRUTH).dice == 0
    nothing = np.zeros((3, 3), bool)
    assert Confusion.of(nothing, nothing).miou == Confusion.of(nothing, nothing).dice == 1
    assert Confusion.empty().f1 == 1


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"one shape expected. Received: \(2, 4\) and \(1, 4\)"):
        Confusion.of(PREDICTED, TRUTH[:1])
