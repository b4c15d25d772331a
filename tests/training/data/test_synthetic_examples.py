"""Synthetic examples: no gland where cores are not learned, crowded glands with cores where they are."""

from __future__ import annotations

import cv2
import numpy as np

from glandseg.training.data.synthetic_examples import draw_examples
from glandseg.training.segmenter_settings import SegmenterSettings


def test_without_cores_there_is_no_gland() -> None:
    for example in draw_examples(3, 1.24, 0, SegmenterSettings()):
        assert not example.mask.any() and not example.maps


def test_with_cores_every_other_example_has_crowded_glands() -> None:
    examples = draw_examples(4, 1.24, 0, SegmenterSettings(core_um=5.0, border_weight=1.0))
    assert [bool(example.mask.any()) for example in examples] == [False, True, False, True]
    for example in examples:
        assert example.core is not None and example.border is not None
        assert example.core.any() == example.border.any() == example.mask.any()
        assert (example.mask[example.core > 0] == 1).all() and (example.mask[example.border > 0] == 0).all()
    masks, cores = (
        sum(count_components(values) for values in planes)
        for planes in (
            [each.mask for each in examples],
            [each.core for each in examples if each.core is not None],
        )
    )
    assert cores > masks > 2  # glands that touch are one component, their cores are two


def count_components(values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> int:
    return cv2.connectedComponents((values > 0).astype(np.uint8))[0] - 1
