"""The data sets that can be learned from: outlines (GlaS, EBHI-Seg) or patch labels in a CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
LABELS_CSV = "patches.csv"
# What each set's images measure. EBHI-Seg does not say: settled on GlaS, see docs/accuracy.md.
GLAS_UM_PER_PX = 0.62
EBHI_UM_PER_PX = 1.4


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image to learn from, with an outline mask or with patch labels.

    Attributes:
        name: unique in its data set.
        path: of the image.
        mask_path: of the mask whose non-zero pixels are gland, if there is one.
        labels: whether it holds non-gland and gland tissue, if that was told for the image as a whole.
        group: what may not be torn apart by a split: the patient where known, else the image.
    """

    name: str
    path: Path
    mask_path: Path | None = None
    labels: tuple[bool, bool] | None = None
    group: str

    def read(self) -> NDArray[np.uint8]:
        """Read the image as (H, W, 3) uint8 RGB."""
        return np.ascontiguousarray(_decode(self.path, cv2.IMREAD_COLOR)[..., ::-1])

    def read_mask(self) -> NDArray[np.uint8]:
        """Read the mask as (H, W) uint8: 1 gland, 0 not."""
        if self.mask_path is None:
            raise BadInputError(f"{self.path}: has no outline mask. Train with --labels patches.")
        mask = _decode(self.mask_path, cv2.IMREAD_UNCHANGED)
        if mask.ndim == 3:
            mask = mask.max(axis=2)
        # Instance ids count from 1; a grey mask's edges are uncertain and split at the middle.
        return (mask > (127 if mask.max() > 127 else 0)).astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Pictures of one kind.

    Attributes:
        kind: "glas", "ebhi" or "patches".
        pictures: sorted by name.
        um_per_px: of the images; None where the kind does not tell.
    """

    kind: str
    pictures: tuple[Picture, ...]
    um_per_px: float | None


def find_pictures(folder: Path) -> DataSet:
    """Recognise a data folder and list its pictures.

    Known: GlaS (`NAME.bmp` beside `NAME_anno.bmp`), EBHI-Seg (`CLASS/image` and `CLASS/label`, or `images`,
    `masks` and `index.csv`), and a folder of patches with `patches.csv` (columns file, gland, non_gland
    and, where known, patient).

    Raises:
        BadInputError: if the folder is missing or holds none of these.
    """
    if not folder.is_dir():
        raise BadInputError(f"{folder}: no such folder. Give the folder that holds the training images.")
    for kind, list_pictures, um_per_px in _KINDS:
        pictures = tuple(sorted(list_pictures(folder), key=lambda picture: picture.name))
        if pictures:
            return DataSet(kind=kind, pictures=pictures, um_per_px=um_per_px)
    raise BadInputError(
        f"{folder}: not a data set. Known: NAME.bmp with NAME_anno.bmp (GlaS), CLASS/image with CLASS/label "
        f"(EBHI-Seg), or images with a {LABELS_CSV} of columns file,gland,non_gland."
    )


def _list_labelled_patches(folder: Path) -> Iterable[Picture]:
    table = folder / LABELS_CSV
    if not table.is_file():
        return
    with table.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        lacking = {"file", "gland", "non_gland"} - set(reader.fieldnames or ())
        if lacking:
            raise BadInputError(
                f"{table}: lacks the column {', '.join(sorted(lacking))}. Add it to the header."
            )
        for number, row in enumerate(reader, start=2):
            path = folder / row["file"]
            if not path.is_file():
                raise BadInputError(f"{table}: line {number} names {row['file']}, which is not there.")
            labels = (_read_flag(row, "non_gland", table, number), _read_flag(row, "gland", table, number))
            yield Picture(name=row["file"], path=path, labels=labels, group=row.get("patient") or row["file"])


def _read_flag(row: dict[str, str], column: str, table: Path, number: int) -> bool:
    value = (row[column] or "").strip().lower()
    if value not in ("0", "1", "true", "false", "yes", "no"):
        raise BadInputError(f"{table}: line {number}, column {column}: 0 or 1 expected. Received: {value!r}")
    return value in ("1", "true", "yes")


def _list_glas(folder: Path) -> Iterable[Picture]:
    for mask in sorted(folder.glob("*_anno.*")):
        name = mask.stem.removesuffix("_anno")
        image = _find_image(folder, name)
        if image:
            yield Picture(name=name, path=image, mask_path=mask, group=name)


def _list_ebhi_index(folder: Path) -> Iterable[Picture]:
    index = folder / "index.csv"
    if not index.is_file():
        return
    with index.open(newline="", encoding="utf-8-sig") as file:
        for row in csv.DictReader(file):
            image = _find_image(folder / "images", row["name"])
            mask = _find_image(folder / "masks", row["name"])
            if image and mask:
                yield Picture(name=row["name"], path=image, mask_path=mask, group=row["patient"])


def _list_ebhi_classes(folder: Path) -> Iterable[Picture]:
    for images in sorted(folder.glob("*/image")):
        for path in sorted(images.iterdir()):
            mask = _find_image(images.parent / "label", path.stem)
            if path.suffix.lower() in IMAGE_SUFFIXES and mask:
                digits = re.search(r"\d{6,}", path.stem)
                yield Picture(
                    name=f"{images.parent.name}/{path.stem}",
                    path=path,
                    mask_path=mask,
                    group=digits.group() if digits else path.stem,
                )


def _find_image(folder: Path, name: str) -> Path | None:
    return next((path for suffix in IMAGE_SUFFIXES if (path := folder / (name + suffix)).is_file()), None)


def _decode(path: Path, flags: int) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.fromfile(path, np.uint8), flags) if path.stat().st_size else None
    if image is None:
        raise BadInputError(
            f"{path}: not an image that can be decoded. Replace it or take it out of the folder."
        )
    return np.asarray(image)


_KINDS: tuple[tuple[str, Callable[[Path], Iterable[Picture]], float | None], ...] = (
    ("patches", _list_labelled_patches, None),
    ("glas", _list_glas, GLAS_UM_PER_PX),
    ("ebhi", _list_ebhi_index, EBHI_UM_PER_PX),
    ("ebhi", _list_ebhi_classes, EBHI_UM_PER_PX),
)
