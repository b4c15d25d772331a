"""Images are judged at their own size, by part, in pixels and gland by gland."""

from __future__ import annotations

import contextlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.runtime.settings import InferSettings
from glandseg.training.data.borders import number_glands
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.evaluate import choose_part, choose_parts, evaluate
from glandseg.training.evaluation.metrics import Confusion

SIDE = 120


class RedIsGland(contextlib.nullcontext["RedIsGland"]):
    name, classes = "red", 2

    def __init__(self) -> None:
        super().__init__(self)

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        red = windows[..., 0]
        return np.stack([255 - red, red], axis=1)


def write(path: Path, pixels: NDArray[np.uint8]) -> None:
    cv2.imencode(".png", pixels)[1].tofile(path)


def draw_pair(folder: Path, name: str, shift: int = 0, ids: tuple[int, int] = (1, 2)) -> None:
    """Two touching glands; the image shows both, shifted to the right."""
    truth = np.zeros((SIDE, SIDE), np.uint8)
    truth[30:90, 20:50], truth[30:90, 50:80] = ids
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[..., 2] = 255 * (np.roll(truth, shift, 1) > 0)
    write(folder / f"{name}.png", image)
    write(folder / f"{name}_anno.png", truth)


@pytest.fixture
def glas(tmp_path: Path) -> Path:
    for index in range(4):
        draw_pair(tmp_path, f"train_{index}")
    for name, shift in (("testA_1", 0), ("testA_2", 6), ("testB_1", 12)):
        draw_pair(tmp_path, name, shift)
    return tmp_path


def list_names(samples: tuple[Sample, ...]) -> list[str]:
    return [sample.name for sample in samples]


def test_parts_as_published_or_as_split(glas: Path) -> None:
    data_set = find_samples(glas)
    assert list_names(choose_part(data_set, "testA")) == ["testA_1", "testA_2"]
    assert list_names(choose_part(data_set, "test")) == ["testA_1", "testA_2", "testB_1"]
    assert len(choose_part(data_set, "train")) == 4 and len(choose_part(data_set, "all")) == 7
    assert list(choose_parts(data_set, None)) == ["testA", "testB"]
    assert list(choose_parts(data_set, "testB, train")) == ["testB", "train"]
    with pytest.raises(BadInputError, match="--part testC: this data set has all, test, testA, testB, train"):
        choose_parts(data_set, "testA,testC")


def test_parts_of_a_set_without_published_ones(tmp_path: Path) -> None:
    for index in range(5):
        draw_pair(tmp_path, f"other_{index}")
    data_set = find_samples(tmp_path)
    parts = choose_parts(data_set, None)
    assert list(parts) == ["test"] and 0 < len(parts["test"]) < 5


def test_scores_by_image_by_part_and_together(glas: Path) -> None:
    data_set = find_samples(glas)
    parts, kept = choose_parts(data_set, None), []
    result = evaluate(
        (*parts["testA"], *parts["testB"]),
        RedIsGland(),
        image_um=0.62,
        model_um=0.62,
        objects=True,
        keep=lambda sample, score, mask: kept.append((sample.name, mask.sum())),
    )
    assert [name for name, _ in kept] == ["testA_1", "testA_2", "testB_1"] and {n for _, n in kept} == {3600}
    assert result.samples["testA_1"].list_scores()["miou"] == 100
    alone = result.pick(parts["testB"])
    truth = np.zeros((SIDE, SIDE), bool)
    truth[30:90, 20:80] = True
    expected = Confusion.of(np.roll(truth, 12, 1), truth)
    assert alone.list_scores()["miou"] == pytest.approx(100 * expected.miou, abs=0.01)
    scores = result.list_scores()
    assert scores["images"] == 3 and scores["object_f1"] == pytest.approx(200 / 3, abs=0.01)
    by_image = [one.confusion.miou for one in result.samples.values()]
    assert scores["mean_image_miou"] == pytest.approx(100 * np.mean(by_image), abs=0.01)
    # Merged glands lie 30, 24, 18 from their match; the true ones 30 and 30, 36 and 24, 42 and 18.
    assert scores["object_hausdorff_px"] == 27


def test_specks_and_pinholes_are_cleaned_as_in_an_inference(glas: Path) -> None:
    (sample,) = choose_part(find_samples(glas), "testB")
    image = sample.read()
    clean = evaluate([sample], RedIsGland(), image_um=0.62, model_um=0.62, objects=True)
    image[5:25, 5:25, 0], image[60:70, 70:75, 0] = 255, 0  # 154 um2 and 19 um2
    write(sample.path, image[..., ::-1])
    assert evaluate([sample], RedIsGland(), image_um=0.62, model_um=0.62, objects=True).list_scores() == (
        clean.list_scores()
    )
    kept = evaluate(
        [sample],
        RedIsGland(),
        image_um=0.62,
        model_um=0.62,
        settings=InferSettings(min_gland_um2=0, min_lumen_um2=0),
    )
    assert kept.list_scores()["miou"] < clean.list_scores()["miou"]


def test_pixels_alone_unless_objects_are_requested(glas: Path) -> None:
    samples = choose_part(find_samples(glas), "testB")
    scores = evaluate(samples, RedIsGland(), image_um=0.62, model_um=0.62).list_scores()
    assert list(scores) == ["images", "miou", "gland_iou", "f1", "dice", "mean_image_miou"]


@pytest.mark.parametrize(("ids", "glands"), [((1, 2), 2), ((1, 1), 1), ((255, 255), 1), ((200, 90), 2)])
def test_ids_are_read_and_plain_masks_are_cut_into_glands(
    tmp_path: Path, ids: tuple[int, int], glands: int
) -> None:
    draw_pair(tmp_path, "one_1", ids=ids)
    (sample,) = find_samples(tmp_path).samples
    objects = number_glands(sample.read_glands())
    assert len(np.unique(objects)) - 1 == glands
    np.testing.assert_array_equal(objects > 0, sample.read_mask() == 1)


def test_a_mask_of_another_size_is_refused(glas: Path) -> None:
    write(glas / "testB_1_anno.png", np.ones((SIDE, SIDE - 1), np.uint8))
    samples = choose_part(find_samples(glas), "testB")
    with pytest.raises(BadInputError, match="Give a mask of the image's size"):
        evaluate(samples, RedIsGland(), image_um=0.62, model_um=0.62)
