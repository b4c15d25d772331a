"""The data sets that can be read, recognised by the layout of their folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.training.data.ebhi import read_ebhi_classes, read_ebhi_index
from glandseg.training.data.glas import UM_PER_PX as GLAS_UM_PER_PX
from glandseg.training.data.glas import read_glas
from glandseg.training.data.image_folders import read_outlined, read_unlabelled
from glandseg.training.data.labelled_patches import LABELS_CSV, read_class_folders, read_labelled_patches
from glandseg.training.data.prog import read_prog
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.paths import is_folder

__all__ = ["GLAS_UM_PER_PX", "DataSet", "Sample", "find_samples"]

_LAYOUTS: tuple[Callable[[Path], DataSet | None], ...] = (
    read_labelled_patches,
    read_glas,
    read_ebhi_index,
    read_ebhi_classes,
    read_prog,
    read_outlined,
    read_class_folders,
)


def find_samples(folder: Path, *, labelled: bool = True) -> DataSet:
    """Recognise a data folder and list its images, sorted by name.

    Known, in this order: a folder of patches with `patches.csv` (columns file, gland, non_gland and, where
    known, patient and um_per_px); GlaS (`NAME.bmp` beside `NAME_anno.bmp`); EBHI-Seg (`CLASS/image` and
    `CLASS/label`, or `images`, `masks` and `index.csv` with its classes); ProG (`TRAIN` and `TEST`, each
    `IMAGES` and `MANUAL GLANDS`); `images` and `masks` of equal names with, where known, an `index.csv` of
    name, patient and um_per_px; patches in folders named `gland`, `non_gland` and `mixed`; and, without
    labels, images in the folder or in its `images`.

    Args:
        folder: Folder of the data.
        labelled: Whether labels are required.

    Raises:
        BadInputError: If the folder is missing or holds none of these.
    """
    if not is_folder(folder):
        raise BadInputError(f"{folder}: no such folder. Give the folder that holds the training images.")
    for read_layout in _LAYOUTS if labelled else (*_LAYOUTS, read_unlabelled):
        data_set = read_layout(folder)
        if data_set:
            samples = tuple(sorted(data_set.samples, key=lambda sample: sample.name))
            return replace(data_set, samples=samples)
    if any(folder.glob("*.geojson*")):
        raise BadInputError(
            f"{folder}: holds slides with annotated regions, which must be cut into patches first. "
            f"Run `glandseg cut {folder} --out PATCHES`, then train on PATCHES."
        )
    raise BadInputError(
        f"{folder}: not a data set. Known: NAME.bmp with NAME_anno.bmp (GlaS), CLASS/image with CLASS/label "
        "(EBHI-Seg), TRAIN/IMAGES with TRAIN/MANUAL GLANDS (ProG), images with masks, folders gland and "
        f"non_gland of patches, patches with a {LABELS_CSV} of columns file,gland,non_gland, or, to learn "
        "from a --teacher alone, images."
    )
