"""Images become examples, and a student is judged by outlines or by its teacher."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glandseg.synthetic import draw_tile
from glandseg.training.data.borders import find_cores, number_glands
from glandseg.training.data.image_file import encode_png
from glandseg.training.data.mask_rule import Glands
from glandseg.training.data.sample import Sample
from glandseg.training.distill.examples import (
    judge_by_outlines,
    judge_by_teacher,
    read_taught_examples,
    teach_truth,
)
from glandseg.training.distill.teacher_maps import CORE_FOLDER, TeacherMaps
from glandseg.training.segmenter import Example
from glandseg.training.segmenter_settings import SegmenterSettings

SETTINGS = SegmenterSettings()


def draw_example(seed: int) -> Example:
    """Draw tissue whose teacher sees a gland where the image is blue."""
    image, glands = draw_tile(96, 1.24, seed, "glands")
    return Example(image=image, mask=glands.astype(np.uint8), soft=np.ascontiguousarray(image[..., 2]))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Return two images with a teacher's maps in tmp_path, of which the first has outlines."""
    found = []
    for name in ("a", "b"):
        example = draw_example(ord(name))
        encode_png(tmp_path / f"{name}.png", example.image)
        encode_png(tmp_path / f"{name}_mask.png", 255 * example.mask)
        assert example.soft is not None
        TeacherMaps(tmp_path).write(name, example.soft)
        mask_path = tmp_path / f"{name}_mask.png" if name == "a" else None
        found.append(Sample(name=name, path=tmp_path / f"{name}.png", group=name, mask_path=mask_path))
    return found


def test_images_become_examples(samples: list[Sample], tmp_path: Path) -> None:
    maps = TeacherMaps(tmp_path)
    for outlines in (True, False):
        first, second = read_taught_examples(samples, maps, None, 0.62, SETTINGS, outlines=outlines)
        expected = draw_example(ord("a"))
        np.testing.assert_array_equal(first.image, expected.image)
        np.testing.assert_array_equal(first.soft, expected.soft)
        np.testing.assert_array_equal(first.mask, expected.mask if outlines else 255)
        assert (second.mask == 255).all()


def test_examples_are_enlarged_whole(samples: list[Sample], tmp_path: Path) -> None:
    (small, _) = read_taught_examples(
        samples, TeacherMaps(tmp_path), None, 0.62, replace(SETTINGS, um_per_px=1.24), outlines=True
    )
    assert small.soft is not None and small.soft.shape == small.mask.shape == small.image.shape[:2] == (
        48,
        48,
    )
    whole = draw_example(ord("a")).soft
    assert whole is not None and abs(float(small.soft.mean()) - float(whole.mean())) < 1


def test_the_teacher_or_the_outlines_judge() -> None:
    example = draw_example(0)
    assert example.soft is not None
    (taught,) = judge_by_teacher([example])
    np.testing.assert_array_equal(taught.mask, example.soft >= 128)
    (drawn,) = judge_by_outlines([example])
    np.testing.assert_array_equal(drawn.mask, example.mask)
    assert taught.soft is None and drawn.soft is None


def test_synthetic_tissue_is_certain() -> None:
    mask = np.array([[0, 1], [255, 0]], np.uint8)
    (taught,) = teach_truth([Example(image=np.zeros((2, 2, 3), np.uint8), mask=mask)])
    assert taught.soft is not None and taught.soft.tolist() == [[0, 255], [0, 0]]
    assert taught.target.shape == (2, 2, 2)


def test_cores_are_of_outlines_then_of_the_teacher_then_of_its_mask(
    samples: list[Sample], tmp_path: Path
) -> None:
    maps, cores = TeacherMaps(tmp_path), TeacherMaps(tmp_path, CORE_FOLDER)
    for sample in samples:
        cores.write(sample.name, np.full((96, 96), 90, np.uint8))
    settings = replace(SETTINGS, core_um=5.0)
    outlined, mapped = read_taught_examples(samples, maps, cores, 1.24, settings, outlines=True)
    eroded = find_cores(number_glands(Glands(gland=draw_example(ord("a")).mask == 1)), 5.0 / 1.24)
    np.testing.assert_array_equal(outlined.core, eroded)
    assert mapped.core is not None and (mapped.core == 90).all()
    (_, masked) = read_taught_examples(samples, maps, None, 1.24, settings, outlines=True)
    assert masked.soft is not None
    expected = find_cores(number_glands(Glands(gland=masked.soft >= 128)), 5.0 / 1.24)
    np.testing.assert_array_equal(masked.core, expected)
    assert (masked.mask == 255).all()
