"""How well a model does on a data set with outlines, run as it will be run on slides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.backend import Backend
from glandseg.runtime.errors import BadInputError
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.probability import sample_band
from glandseg.runtime.segment import segment_plane
from glandseg.runtime.slide import open_slide
from glandseg.training.datasets import DataSet, Picture
from glandseg.training.metrics import Confusion
from glandseg.training.splits import split_pictures

GLAND_BYTE = 128  # least probability of gland, of 255


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of a model on pictures at their own size.

    Attributes:
        total: pixels of all pictures counted together.
        pictures: of each picture, by name.
    """

    total: Confusion
    pictures: dict[str, Confusion]

    def list_scores(self) -> dict[str, float]:
        """List the scores in percent: of all pixels together, and mIoU as the mean over pictures."""
        return {
            "images": len(self.pictures),
            "miou": round(100 * self.total.miou, 2),
            "f1": round(100 * self.total.f1, 2),
            "dice": round(100 * self.total.dice, 2),
            "mean_image_miou": round(100 * float(np.mean([one.miou for one in self.pictures.values()])), 2),
        }


def choose_part(data_set: DataSet, part: str) -> tuple[Picture, ...]:
    """Choose the pictures to evaluate.

    GlaS names its parts itself (train, testA, testB); other sets are split by patient as training does.

    Args:
        data_set: whose pictures.
        part: "train", "val", "test" or "all"; for GlaS "train", "testA", "testB" or "all".

    Raises:
        BadInputError: if there is no such part.
    """
    if part == "all":
        return data_set.pictures
    if data_set.kind == "glas":
        chosen = tuple(picture for picture in data_set.pictures if picture.name.startswith(f"{part}_"))
        known = sorted({picture.name.rpartition("_")[0] for picture in data_set.pictures})
    else:
        known = ["train", "val", "test"]
        chosen = split_pictures(data_set.pictures).part(part) if part in known else ()
    if not chosen:
        raise BadInputError(f"--part {part}: this data set has {', '.join(known)} and all.")
    return chosen


def evaluate(
    pictures: Sequence[Picture],
    backend: Backend,
    *,
    picture_um: float,
    model_um: float,
    scales: Iterable[float] = (1.0,),
    report: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Segment pictures and compare them with their outlines.

    Args:
        pictures: with outline masks.
        backend: the network.
        picture_um: um/px of the pictures.
        model_um: um/px at which the network works.
        scales: enlargements whose probabilities are averaged.
        report: is told how many pictures are done.
    """
    found: dict[str, Confusion] = {}
    for picture in pictures:
        probability = segment_file(picture, backend, picture_um, model_um, tuple(scales))
        found[picture.name] = Confusion.of(probability >= GLAND_BYTE, picture.read_mask() == 1)
        report(len(found))
    return Evaluation(total=sum(found.values(), Confusion.empty()), pictures=found)


def segment_file(
    picture: Picture, backend: Backend, picture_um: float, model_um: float, scales: Sequence[float]
) -> NDArray[np.float32]:
    """Give the gland probability of each pixel of a picture, (H, W) float32 in 0..255."""
    with open_slide(picture.path, picture_um) as slide:
        total = np.zeros((slide.height_l0, slide.width_l0), np.float32)
        for scale in scales:
            plane = SlidePlane(slide, model_um / scale)
            values = np.concatenate([band.probability for band in segment_plane(plane, backend)])
            total += sample_band(values, 1 / plane.l0_per_px, 0, *total.shape)
    return total / len(scales)
