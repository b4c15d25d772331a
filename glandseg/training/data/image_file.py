"""Image files: which there are in a folder, and writing them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# Images that are not read here, so that leaving them out is told.
OTHER_SUFFIXES = (".gif", ".jp2", ".j2k", ".jfif", ".jpe", ".avif", ".heic", ".svs", ".ndpi", ".npy", ".dcm")
WHITE = 215  # a pixel whose darkest channel is brighter counts as background
NAMED = 3  # of many names, those that a note repeats


def list_images(folder: Path) -> list[Path]:
    """List the images in a folder, hidden ones and subfolders left out, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _is_image(path))


def find_images(folder: Path) -> dict[str, Path]:
    """Return a folder's images by stem (NFC); of several, the first in the order of `IMAGE_SUFFIXES`."""
    images = list_images(folder)
    images.sort(key=lambda path: (-IMAGE_SUFFIXES.index(path.suffix.lower()), path.name))
    return {normalize(path.stem): path for path in images}


def normalize(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): macOS writes file names decomposed, tables do not."""
    return unicodedata.normalize("NFC", name)


def note_left_out(*folders: Path, by_stem: bool = True) -> tuple[str, ...]:
    """Say which images of folders are left out.

    Args:
        folders: Folders of images.
        by_stem: Whether images are found by stem, so that one of two with the same stem is left out.

    Returns:
        A line for each reason: equal stems, subfolders, formats that are not read.
    """
    notes: list[str] = []
    for folder in filter(Path.is_dir, folders):
        if by_stem:
            used = find_images(folder)
            unused = [path.name for path in list_images(folder) if used[normalize(path.stem)] != path]
            notes += _note(unused, f"{folder}: {{}} images named like another but for the suffix")
        nested = [path for path in folder.rglob("*") if path.parent != folder and _is_image(path)]
        names = [path.relative_to(folder).as_posix() for path in nested]
        notes += _note(names, f"{folder}: {{}} images in subfolders")
        others = [path.name for path in folder.iterdir() if path.suffix.lower() in OTHER_SUFFIXES]
        notes += _note(others, f"{folder}: {{}} files of unreadable formats")
    return tuple(notes)


def note_others(folder: Path, used: Set[Path | None], what: str) -> tuple[str, ...]:
    """Say which images of a folder and its subfolders are not among those used."""
    others = [path for path in folder.rglob("*") if _is_image(path) and path not in used]
    names = [path.relative_to(folder).as_posix() for path in others]
    return tuple(_note([name for name in names if "/." not in f"/{name}"], f"{{}} {what}"))


def note_unpaired(images: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[str, ...]:
    """Say which images have no mask, and which masks no image; nothing where all are paired."""
    lacking = [name for name in images if name not in masks]
    spare = [name for name in masks if name not in images]
    return (
        *_note(lacking, f"{{}} of {len(images)} images without a mask"),
        *_note(spare, f"{{}} of {len(masks)} masks without an image"),
    )


def name_some(names: Iterable[str]) -> str:
    """Name the first few of many."""
    ordered = sorted(names)
    return ", ".join(ordered[:NAMED]) + (", ..." if len(ordered) > NAMED else "")


def encode_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 as PNG."""
    stored = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    cv2.imencode(".png", stored)[1].tofile(path)


def measure_white(image: NDArray[np.uint8]) -> float:
    """Give the share of white in an image, (H, W, 3) uint8."""
    return float((image.min(axis=2) > WHITE).mean())


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _note(names: Sequence[str], what: str) -> list[str]:
    if not names:
        return []
    left_out = f"{what.format(len(names))} are left out"
    if len(names) == 1 and "{} of" not in what:
        left_out = (
            left_out.replace("1 images", "1 image").replace("1 files", "1 file").replace(" are ", " is ")
        )
    return [f"{left_out}: {name_some(names)}"]
