"""An image to train or score on with its labels, and a set of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.data.decoding import read_rgb
from glandseg.training.data.mask_rule import CURE, AmbiguousMaskError, Glands, find_glands
from glandseg.training.data.stored_values import read_values


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An image with an outline mask or with patch labels; for distillation, without either.

    Attributes:
        name: Name, unique in its data set.
        path: Image file.
        mask_path: Mask file, as `mask_rule` reads it; None without one.
        labels: Whether the image holds non-gland and gland tissue; None without labels of the whole image.
        group: Patient where known, else the image: no split tears a group apart.
        part: Part of the data set as published, such as "train" or "testA"; None without parts.
    """

    name: str
    path: Path
    mask_path: Path | None = None
    labels: tuple[bool, bool] | None = None
    group: str
    part: str | None = None

    def read(self) -> NDArray[np.uint8]:
        """Read the image as (H, W, 3) uint8 RGB, as inference reads it."""
        return read_rgb(self.path)

    def read_glands(self, shape: tuple[int, ...] | None = None) -> Glands:
        """Read the glands of the mask.

        Args:
            shape: Shape of the image, (H, W, ...), which the mask must have; None accepts any.

        Raises:
            BadInputError: If there is no mask, it cannot be decoded, its values have more than one meaning,
                or its size is not the image's.
        """
        if self.mask_path is None:
            raise BadInputError(f"{self.path}: has no outline mask. Give it one, or leave it out.")
        stored = read_values(self.mask_path)
        height, width = stored.values.shape[:2]
        if shape and (height, width) != tuple(shape[:2]):
            raise BadInputError(
                f"{self.mask_path}: is {width} x {height} px, its image "
                f"{shape[1]} x {shape[0]}. Give a mask of the image's size."
            )
        try:
            return find_glands(stored)
        except AmbiguousMaskError as error:
            raise BadInputError(f"{self.mask_path}: as a mask it {error}. {CURE}.") from None

    def read_mask(self, shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
        """Read the mask as (H, W) uint8: 1 gland, 0 not. Arguments and errors as of `read_glands`."""
        return self.read_glands(shape).gland.astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Samples of one kind.

    Attributes:
        kind: "glas", "ebhi", "prog", "outlines", "patches", or "images" without labels.
        samples: The samples.
        um_per_px: Microns per pixel of the images; None where unknown.
        notes: Remarks for the user on what was left out, a line each.
    """

    kind: str
    samples: tuple[Sample, ...]
    um_per_px: float | None
    notes: tuple[str, ...] = ()


def pick_evenly(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Return up to `count` samples, evenly spaced by name, so the same ones whatever their order."""
    ordered = sorted(samples, key=lambda sample: sample.name)
    places = np.linspace(0, len(ordered) - 1, min(count, len(ordered))).round().astype(int)
    return [ordered[place] for place in places]


def pair_samples(
    images: Mapping[str, Path],
    masks: Mapping[str, Path],
    find_group: Callable[[str], str | None],
    *,
    prefix: str = "",
    find_part: Callable[[str], str | None] = lambda stem: None,
) -> tuple[Sample, ...]:
    """Return a sample for each image with a mask.

    Args:
        images: Images by stem.
        masks: Masks by stem.
        find_group: Called with a stem; returns its patient, or None where unknown.
        prefix: Text before the stem in a sample's name.
        find_part: Called with a stem; returns its published part, or None.
    """
    return tuple(
        Sample(
            name=prefix + stem,
            path=path,
            mask_path=masks[stem],
            group=find_group(stem) or stem,
            part=find_part(stem),
        )
        for stem, path in images.items()
        if stem in masks
    )
