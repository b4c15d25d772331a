"""Image files: listing those of a folder, noting those left out, writing PNG."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
# Images that are not read here, so that a note says so.
OTHER_SUFFIXES = (".gif", ".jp2", ".j2k", ".jfif", ".jpe", ".avif", ".heic", ".svs", ".ndpi", ".npy", ".dcm")
WHITE = 215  # pixels whose darkest channel is brighter are background
NAMED = 3  # names in a note, of many


def list_images(folder: Path) -> list[Path]:
    """List the images in a folder, without hidden ones and subfolders, sorted by name."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _is_image(path))


def find_images(folder: Path) -> dict[str, Path]:
    """Return a folder's images by stem (NFC); of equal stems, the first in the order of `IMAGE_SUFFIXES`."""
    images = list_images(folder)
    images.sort(key=lambda path: (-IMAGE_SUFFIXES.index(path.suffix.lower()), path.name))
    return {normalize(path.stem): path for path in images}


def normalize(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): macOS writes file names decomposed, tables do not."""
    return unicodedata.normalize("NFC", name)


def note_left_out(*folders: Path, by_stem: bool = True) -> tuple[str, ...]:
    """Return notes on the images of folders that are left out.

    Args:
        folders: Folders of images.
        by_stem: Whether images are found by stem, which leaves out all but one of a stem.

    Returns:
        A line for each reason: equal stems, subfolders, formats that are not read.
    """
    notes: tuple[str, ...] = ()
    for folder in filter(Path.is_dir, folders):
        if by_stem:
            used = find_images(folder)
            unused = [path.name for path in list_images(folder) if used[normalize(path.stem)] != path]
            notes += note_names(unused, f"{folder}: {{}} images named like another but for the suffix")
        nested = [path for path in folder.rglob("*") if path.parent != folder and _is_image(path)]
        names = [path.relative_to(folder).as_posix() for path in nested]
        notes += note_names(names, f"{folder}: {{}} images in subfolders")
        others = [path.name for path in folder.iterdir() if path.suffix.lower() in OTHER_SUFFIXES]
        notes += note_names(others, f"{folder}: {{}} files of unreadable formats")
    return notes


def note_others(folder: Path, used: Set[Path | None], what: str) -> tuple[str, ...]:
    """Return a note on the images below a folder that are not used; `what` as in `note_names`."""
    others = [path for path in folder.rglob("*") if _is_image(path) and path not in used]
    names = [path.relative_to(folder).as_posix() for path in others]
    return note_names([name for name in names if "/." not in f"/{name}"], f"{{}} {what}")


def note_unpaired(images: Mapping[str, Path], masks: Mapping[str, Path]) -> tuple[str, ...]:
    """Return notes on images without a mask and masks without an image; none where all are paired."""
    lacking = [name for name in images if name not in masks]
    spare = [name for name in masks if name not in images]
    return note_names(lacking, f"{{}} of {len(images)} images without a mask") + note_names(
        spare, f"{{}} of {len(masks)} masks without an image"
    )


def note_names(names: Sequence[str], what: str) -> tuple[str, ...]:
    """Return a line that names some of what is left out; no line where nothing is.

    Args:
        names: Names of what is left out.
        what: What they are, in the plural, with {} for their number, such as "{} images in subfolders".
    """
    if not names:
        return ()
    left_out = f"{what.format(len(names))} are left out"
    if len(names) == 1:
        left_out = re.sub(r"\b1 (image|file|folder|line)s\b", r"1 \1", left_out.replace(" are ", " is "))
    return (f"{left_out}: {name_some(names)}",)


def name_some(names: Iterable[str]) -> str:
    """Join the first few names of many."""
    ordered = sorted(names)
    return ", ".join(ordered[:NAMED]) + (", ..." if len(ordered) > NAMED else "")


def encode_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB or (H, W) uint8 as PNG."""
    stored = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    cv2.imencode(".png", stored)[1].tofile(path)


def measure_white(image: NDArray[np.uint8]) -> float:
    """Compute the share of white in an image, (H, W, 3) uint8; 0 to 1."""
    return float((image.min(axis=2) > WHITE).mean())


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") and not path.is_dir()
