"""The data sets that can be learned from: outlines (GlaS, EBHI-Seg) or patch labels in a CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

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


def _list_labelled_patches(folder: Path) -> Iterator[Picture]:
    for where, row in _read_table(folder / LABELS_CSV, ("file", "gland", "non_gland")):
        name = row["file"]
        if PurePath(name).anchor or ".." in PurePath(name).parts:
            raise BadInputError(f"{where} names {name}, which is not below {folder}. Move it there.")
        if not (folder / name).is_file():
            raise BadInputError(f"{where} names {name}, which is not there. Mend the line or take it out.")
        labels = (_read_flag(row, "non_gland", where), _read_flag(row, "gland", where))
        if not any(labels):
            raise BadInputError(f"{where} says neither gland nor non_gland. Mark one or take the line out.")
        yield Picture(name=name, path=folder / name, labels=labels, group=row.get("patient") or name)


def _read_flag(row: dict[str, str], column: str, where: str) -> bool:
    value = row[column].lower()
    if value not in ("0", "1", "true", "false", "yes", "no"):
        raise BadInputError(f"{where}, column {column}: 0 or 1 expected. Received: {value!r}")
    return value in ("1", "true", "yes")


def _list_glas(folder: Path) -> Iterator[Picture]:
    images = _find_images(folder)
    for stem, mask in images.items():
        name = stem.removesuffix("_anno")
        if name != stem and name in images:
            yield Picture(name=name, path=images[name], mask_path=mask, group=name)


def _list_ebhi_index(folder: Path) -> Iterator[Picture]:
    images, masks = _find_images(folder / "images"), _find_images(folder / "masks")
    for _, row in _read_table(folder / "index.csv", ("name", "patient")):
        name = row["name"]
        if name in images and name in masks:
            group = row["patient"] or name
            yield Picture(name=name, path=images[name], mask_path=masks[name], group=group)


def _list_ebhi_classes(folder: Path) -> Iterator[Picture]:
    for images in sorted(folder.glob("*/image")):
        masks = _find_images(images.parent / "label")
        for stem, path in _find_images(images).items():
            if stem in masks:
                digits = re.search(r"\d{6,}", stem)
                name, group = f"{images.parent.name}/{stem}", digits.group() if digits else stem
                yield Picture(name=name, path=path, mask_path=masks[stem], group=group)


def _find_images(folder: Path) -> dict[str, Path]:
    """Give a folder's images by stem; where several share one, the first in the order of `IMAGE_SUFFIXES`."""
    if not folder.is_dir():
        return {}
    images = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    ]
    images.sort(key=lambda path: IMAGE_SUFFIXES.index(path.suffix.lower()), reverse=True)
    return {path.stem: path for path in images}


def _read_table(table: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """Give the rows of a CSV file, each with where it stands; none if there is no such file.

    Raises:
        BadInputError: if it is not a table, a column is missing, or the first column names something twice.
    """
    if not table.is_file():
        return
    seen: set[str] = set()
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            lacking = sorted(set(columns) - set(header))
            if lacking:
                raise BadInputError(f"{table}: lacks the column {', '.join(lacking)}. Add it to the header.")
            for cells in filter(None, reader):
                row = dict(zip(header, [cell.strip() for cell in cells] + [""] * len(header), strict=False))
                where, key = f"{table}: line {reader.line_num}", row[columns[0]]
                if key in seen:
                    raise BadInputError(f"{where} names {key} again. Name each image once.")
                seen.add(key)
                yield where, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{table}: not a CSV file in UTF-8 ({error}). Save it as one.") from None


def decode_image(path: Path, flags: int) -> NDArray[np.uint8]:
    """Decode an image file as OpenCV's `flags` say.

    Raises:
        BadInputError: if it is missing or not an image.
    """
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    image = cv2.imdecode(data, flags) if data.size else None
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
