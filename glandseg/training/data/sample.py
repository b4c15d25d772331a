"""An image to learn from, and a set of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.data.decoding import read_rgb
from glandseg.training.data.mask_rule import CURE, AmbiguousMaskError, Glands, find_glands
from glandseg.training.data.stored_values import read_samples


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An image to learn from, with an outline mask or with patch labels; for a teacher, without either.

    Attributes:
        name: unique in its data set.
        path: of the image.
        mask_path: of the mask whose non-zero pixels are gland, if there is one.
        labels: whether it holds non-gland and gland tissue, if that was told for the image as a whole.
        group: what may not be torn apart by a split: the patient where known, else the image.
        part: of the data set as published, such as "train" or "testA"; none where it has no parts.
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
        """Read what the mask says.

        Args:
            shape: Shape of the image, (H, W, ...), which the mask must share; None accepts any.

        Raises:
            BadInputError: If there is no mask, it cannot be decoded, its values have more than one meaning,
                or its size is not the image's.
        """
        if self.mask_path is None:
            raise BadInputError(f"{self.path}: has no outline mask. Give it one, or leave it out.")
        samples = read_samples(self.mask_path)
        height, width = samples.values.shape[:2]
        if shape and (height, width) != tuple(shape[:2]):
            raise BadInputError(
                f"{self.mask_path}: is {width} x {height} px, its image "
                f"{shape[1]} x {shape[0]}. Give a mask of the image's size."
            )
        try:
            return find_glands(samples)
        except AmbiguousMaskError as error:
            raise BadInputError(f"{self.mask_path}: as a mask it {error}. {CURE}.") from None

    def read_mask(self, shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
        """Read the mask as (H, W) uint8: 1 gland, 0 not. Arguments and errors as of `read_glands`."""
        return self.read_glands(shape).gland.astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Images of one kind.

    Attributes:
        kind: "glas", "ebhi", "prog", "outlines", "patches", or "images" without labels.
        images: what there is to learn from.
        um_per_px: of the images; None where the kind does not tell.
        notes: what whoever learns from it should know, a line each.
    """

    kind: str
    samples: tuple[Sample, ...]
    um_per_px: float | None
    notes: tuple[str, ...] = ()
