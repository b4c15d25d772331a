"""An image to learn from, and a set of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError
from glandseg.training.data.image_file import decode_image


@dataclass(frozen=True, kw_only=True)
class Picture:
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
        """Read the image as (H, W, 3) uint8 RGB."""
        return np.ascontiguousarray(decode_image(self.path, cv2.IMREAD_COLOR)[..., ::-1])

    def read_mask(self, shape: tuple[int, ...] | None = None) -> NDArray[np.uint8]:
        """Read the mask as (H, W) uint8: 1 gland, 0 not.

        Args:
            shape: of the image, which the mask must share; none takes any.

        Raises:
            BadInputError: if there is none, it cannot be decoded, or its size is not the image's.
        """
        if self.mask_path is None:
            raise BadInputError(f"{self.path}: has no outline mask. Train with --labels patches.")
        mask = decode_image(self.mask_path, cv2.IMREAD_UNCHANGED)
        if mask.ndim == 3:
            mask = mask[..., :3].max(axis=2)  # without opacity
        if shape and mask.shape != shape[:2]:
            raise BadInputError(
                f"{self.mask_path}: is {mask.shape[1]} x {mask.shape[0]} px, its image "
                f"{shape[1]} x {shape[0]}. Give a mask of the image's size."
            )
        # Instance ids count from 1; a grey mask's edges are uncertain and split at the middle.
        grey = mask.dtype == np.uint8 and mask.max() > 127
        return (mask > (127 if grey else 0)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Pictures of one kind.

    Attributes:
        kind: "glas", "ebhi", "prog", "outlines", "patches", or "pictures" without labels.
        pictures: what there is to learn from.
        um_per_px: of the images; None where the kind does not tell.
        notes: what whoever learns from it should know, a line each.
    """

    kind: str
    pictures: tuple[Picture, ...]
    um_per_px: float | None
    notes: tuple[str, ...] = ()
