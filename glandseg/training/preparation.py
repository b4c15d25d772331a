"""Data set, um/px and split, checked before anything is learned.

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
from glandseg.training.networks.hub import refuse_missing
from glandseg.training.networks.table import ENCODERS
from glandseg.training.run import PARTS
from glandseg.training.settings import TrainSettings
from glandseg.training.start import find_start
from glandseg.training.validation import refuse_unknown

SYNTHETIC_UM_PER_PX = (0.1, 4.0)  # range at which tissue can be synthesised
MAX_NAME = 240  # bytes of a file name; the temporary names of its masks are longer


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The checked start of a training.

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
        """Return how many images each part has, as text."""
        return ", ".join(f"{len(self.split.part(part))} {part}" for part in PARTS)


def refuse_unusable_weights(settings: TrainSettings) -> None:
    """Refuse pretrained weights that are missing or that no stage uses, and a missing run to start from.

    Raises:
        BadInputError: Naming the first.
    """
    stages = (settings.segmenter, *((settings.classifier,) if settings.labels == "patches" else ()))
    if settings.weights and settings.weights not in map(settings.choose_weights, stages):
        raise BadInputError(
            f"weights {settings.weights}: no stage has the encoder {settings.encoder}. "
            "Give --set classifier.weights=FILE or segmenter.weights=FILE."
        )
    for stage in stages:
        if weights := settings.choose_weights(stage):
            refuse_missing(weights, settings.choose_encoder(stage))
    if settings.start_from:
        find_start(settings.start_from)


def prepare(data: Path, settings: TrainSettings, say: Callable[[str], None]) -> Prepared:
    """Read, check and split a data set.

    Args:
        data: Folder that `find_samples` knows.
        settings: Settings of the run.
        say: Called with each corrupt image that is left out, and with notes, a line each.

    Raises:
        BadInputError: If nothing can be learned from the data, or not with these settings.
    """
    refuse_strides(settings)
    data_set = find_samples(data, labelled=settings.labels != "none")
    um_per_px, model_um = choose_um(data, data_set, settings)
    refuse_long_names(data_set.samples)
    refuse_without_outlines(data, data_set.samples, settings)
    data_set = replace(data_set, samples=drop_corrupt(data_set.samples, settings.on_corrupt, say))
    split = split_data_set(data_set, settings.split, settings.shares, settings.split_seed)
    split = thin_split(split, settings.fraction, settings.segmenter.fit.seed)
    refuse_leakage({part: split.part(part) for part in PARTS}, settings.classifier.background)
    if not split.train or not (split.val or split.published):
        images, patients = len(data_set.samples), split.count_groups()
        raise BadInputError(
            f"{data}: at least two patients are needed, one to learn from and another to choose on. "
            f"Received: {images} image{'s' * (images != 1)} of {patients} patient{'s' * (patients != 1)}"
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
    lowest, highest = (
        SYNTHETIC_UM_PER_PX if settings.segmenter.synthetic else (LOWEST_UM_PER_PX, HIGHEST_UM_PER_PX)
    )
    if not lowest <= model_um <= highest:
        otherwise = (
            ", or train without synthetic tissue: segmenter.synthetic=0" if is_believable(model_um) else ""
        )
        raise BadInputError(
            f"{data}: the segmenter would work at {model_um:g} um/px; it is trained between {lowest:g} and "
            f"{highest:g}. Give the images' true --mpp, or --set segmenter.um_per_px=1{otherwise}."
        )
    return um_per_px, model_um


def refuse_strides(settings: TrainSettings) -> None:
    """Refuse an output stride that the encoder of a stage cannot have.

    Raises:
        BadInputError: If there is one.
    """
    used = ("classifier", "segmenter") if settings.labels == "patches" else ("segmenter",)
    for name in used:
        stage = settings.classifier if name == "classifier" else settings.segmenter
        encoder = settings.choose_encoder(stage)
        strides = ENCODERS[encoder].output_strides
        refuse_unknown(f"{name}.output_stride of {encoder}", stage.output_stride, strides)


def refuse_long_names(samples: Sequence[Sample]) -> None:
    """Refuse file names whose masks could not be written beside those of others.

    Raises:
        BadInputError: Naming the first.
    """
    for sample in samples:
        if len(os.fsencode(Path(sample.name).name)) > MAX_NAME:
            raise BadInputError(
                f"{sample.path}: has a name of more than {MAX_NAME} bytes, too long for its mask's. "
                "Shorten it."
            )


def refuse_without_outlines(data: Path, samples: Sequence[Sample], settings: TrainSettings) -> None:
    """Refuse images without outlines where outlines are the only labels.

    Raises:
        BadInputError: With their count and some names.
    """
    lacking = [sample.name for sample in samples if sample.mask_path is None]
    if lacking and settings.labels == "outlines" and settings.teacher is None:
        raise BadInputError(
            f"{data}: {len(lacking)} of {len(samples)} images have no outline mask. Train with --labels "
            f"patches, give them masks, or take them out: {name_some(lacking)}."
        )
