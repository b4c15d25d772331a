"""What is settled before anything is learned: data set, um/px and split, and whatever speaks against them.

Each refusal here would otherwise come after stage 1, which takes hours.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.core.units import HIGHEST_UM_PER_PX, LOWEST_UM_PER_PX, is_believable
from glandseg.training.data.corrupt_images import drop_corrupt
from glandseg.training.data.datasets import DataSet, Sample, find_samples
from glandseg.training.data.fractions import thin_split
from glandseg.training.data.image_file import name_some
from glandseg.training.data.leakage import refuse_leakage
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.data.splits import Split
from glandseg.training.settings import TrainSettings

DRAWN_UM_PER_PX = (0.1, 4.0)  # at which tissue can be drawn
LONGEST_NAME = 240  # bytes of a file's name: those of its masks, while being written, are longer
PARTS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a training starts from.

    Attributes:
        data_set: Its samples without the corrupt ones.
        split: Its parts, thinned to the wanted fraction.
        um_per_px: Microns per pixel of the images.
        model_um: Microns per pixel at which the segmenter works.
    """

    data_set: DataSet
    split: Split
    um_per_px: float
    model_um: float

    def describe_parts(self) -> str:
        """Say how many images each part has."""
        return ", ".join(f"{len(self.split.part(part))} {part}" for part in PARTS)


def prepare(data: Path, settings: TrainSettings, say: Callable[[str], None]) -> Prepared:
    """Read, check and split a data set.

    Args:
        data: Folder that `find_samples` knows.
        settings: Settings of the run.
        say: Called with each corrupt image that is left out, and with notes, a line each.

    Raises:
        BadInputError: If nothing can be learned from the data, or not with these settings.
    """
    data_set = find_samples(data, labelled=settings.labels != "none")
    um_per_px, model_um = choose_um(data, data_set, settings)
    refuse_long_names(data_set.samples)
    refuse_without_outlines(data, data_set.samples, settings)
    data_set = replace(data_set, samples=drop_corrupt(data_set.samples, settings.on_corrupt, say))
    split = split_data_set(data_set, settings.split, settings.shares, settings.split_seed)
    split = thin_split(split, settings.fraction, settings.segmenter.fit.seed)
    refuse_leakage({part: split.part(part) for part in PARTS}, settings.classifier.background)
    if not split.train or not (split.val or split.published):
        raise BadInputError(
            f"{data}: holds {len(data_set.samples)} images of {split.count_groups()} patients. At least two "
            "are needed: one to learn from, another to choose on."
        )
    if settings.teacher and settings.labels == "outlines" and not any(each.mask_path for each in split.train):
        raise BadInputError(f"{data}: no image to learn from has outlines. Give --labels none.")
    return Prepared(data_set=data_set, split=split, um_per_px=um_per_px, model_um=model_um)


def choose_um(data: Path, data_set: DataSet, settings: TrainSettings) -> tuple[float, float]:
    """Return the um/px of the images and of the segmenter.

    Raises:
        BadInputError: If it is not known, or the segmenter could not be trained or run at it.
    """
    um_per_px = settings.um_per_px or data_set.um_per_px
    if um_per_px is None:
        raise BadInputError(f"{data}: its um/px is not known. Give --mpp.")
    if not is_believable(um_per_px):
        raise BadInputError(
            f"{data}: is at {um_per_px:g} um/px; images lie between {LOWEST_UM_PER_PX:g} and "
            f"{HIGHEST_UM_PER_PX:g}. Give --mpp the true value."
        )
    model_um = settings.segmenter.um_per_px or um_per_px
    least, most = DRAWN_UM_PER_PX if settings.segmenter.drawn else (LOWEST_UM_PER_PX, HIGHEST_UM_PER_PX)
    if not least <= model_um <= most:
        otherwise = ", or train without drawn tissue: segmenter.drawn=0" if is_believable(model_um) else ""
        raise BadInputError(
            f"{data}: the segmenter would work at {model_um:g} um/px; it is trained between {least:g} and "
            f"{most:g}. Give the images' true --mpp, or --set segmenter.um_per_px=1{otherwise}."
        )
    return um_per_px, model_um


def refuse_long_names(samples: Sequence[Sample]) -> None:
    """Refuse file names whose masks could not be written beside those of others.

    Raises:
        BadInputError: Naming the first.
    """
    for sample in samples:
        if len(os.fsencode(Path(sample.name).name)) > LONGEST_NAME:
            raise BadInputError(
                f"{sample.path}: has a name of more than {LONGEST_NAME} bytes, too long for its mask's. "
                "Shorten it."
            )


def refuse_without_outlines(data: Path, samples: Sequence[Sample], settings: TrainSettings) -> None:
    """Refuse images without outlines where outlines alone are learned from.

    Raises:
        BadInputError: Saying how many, and naming some.
    """
    lacking = [sample.name for sample in samples if sample.mask_path is None]
    if lacking and settings.labels == "outlines" and settings.teacher is None:
        raise BadInputError(
            f"{data}: {len(lacking)} of {len(samples)} images have no outline mask. Train with --labels "
            f"patches, give them masks, or take them out: {name_some(lacking)}."
        )
