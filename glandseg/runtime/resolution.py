"""Microns per pixel: where a file says it, when to believe it, and what overrides it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from glandseg.runtime.errors import BadInputError

LOWEST_UM_PER_PX = 0.05
HIGHEST_UM_PER_PX = 20.0
TOLERANCE = 0.10  # by which two statements about one picture may differ
UM_PER_OME_UNIT = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3}
UM_PER_TIFF_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre; 1 is "no absolute unit"


@dataclass(frozen=True)
class Resolution:
    """The size of a full-resolution pixel in um, and who said so (such as "--mpp" or "OME-XML")."""

    um_per_px: float
    source: str


def is_believable(um_per_px: float) -> bool:
    """Whether a microscope can have this many um/px: 72 dpi and other filler values cannot."""
    return LOWEST_UM_PER_PX <= um_per_px <= HIGHEST_UM_PER_PX


def take_given_resolution(um_per_px: float) -> Resolution:
    """The resolution that the user gave, which overrides the file's own.

    Raises:
        BadInputError: it is outside 0.05 to 20 um/px.
    """
    if not is_believable(um_per_px):
        raise BadInputError(
            f"--mpp {um_per_px:g}: microns per pixel lie between {LOWEST_UM_PER_PX:g} and "
            f"{HIGHEST_UM_PER_PX:g}. Give the scanner's value, such as 0.25 (40x) or 0.5 (20x)"
        )
    return Resolution(um_per_px, "--mpp")


def read_openslide_resolution(path: Path, properties: Mapping[str, str]) -> Resolution | None:
    """What `openslide.mpp-x` and `openslide.mpp-y` say; None without believable values."""
    x, y = (parse_number(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
    return average_axes(path, x, y, "openslide.mpp")


def read_tiff_resolution(path: Path, x_per_unit: float, y_per_unit: float, unit: int) -> Resolution | None:
    """What the tags XResolution, YResolution and ResolutionUnit say; None without believable values."""
    um = UM_PER_TIFF_UNIT.get(unit)
    if um is None or x_per_unit <= 0 or y_per_unit <= 0:
        return None
    return average_axes(path, um / x_per_unit, um / y_per_unit, "TIFF resolution tags")


def read_ome_resolution(path: Path, xml: str, image: int) -> Resolution | None:
    """What the `image`-th Pixels element of OME-XML says; None without believable values."""
    try:
        pixels = [e for e in ElementTree.fromstring(xml).iter() if e.tag.rpartition("}")[2] == "Pixels"]
    except ElementTree.ParseError:
        return None
    if image >= len(pixels):
        return None
    x, y = (read_physical_size(pixels[image].attrib, axis) for axis in "XY")
    return average_axes(path, x, y, "OME-XML")


def read_physical_size(attributes: Mapping[str, str], axis: str) -> float | None:
    """PhysicalSizeX or PhysicalSizeY in um; the unit is um where none is named."""
    size = parse_number(attributes.get(f"PhysicalSize{axis}"))
    um = UM_PER_OME_UNIT.get(attributes.get(f"PhysicalSize{axis}Unit", "um"))
    return None if size is None or um is None else size * um


def parse_number(text: str | None) -> float | None:
    """The number in a text; None where there is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def average_axes(path: Path, x: float | None, y: float | None, source: str) -> Resolution | None:
    """One resolution from two axes in um/px; None unless both are believable.

    Raises:
        BadInputError: the axes differ by more than 10 %.
    """
    if x is None or y is None or not (is_believable(x) and is_believable(y)):
        return None
    if differ(x, y):
        raise BadInputError(
            f"{path}: pixels are not square ({x:g} x {y:g} um by {source}); "
            f"they may differ by {TOLERANCE:.0%}. Give the true value with --mpp"
        )
    return Resolution((x + y) / 2, source)


def settle(path: Path, stated: list[Resolution | None]) -> Resolution | None:
    """The first of several statements, once all of them agree; None where there are none.

    Raises:
        BadInputError: two of them differ by more than 10 %.
    """
    known = [resolution for resolution in stated if resolution]
    for other in known[1:]:
        if differ(known[0].um_per_px, other.um_per_px):
            raise BadInputError(
                f"{path}: {known[0].source} says {known[0].um_per_px:g} um/px, {other.source} "
                f"{other.um_per_px:g}; they may differ by {TOLERANCE:.0%}. Give the true value with --mpp"
            )
    return known[0] if known else None


def differ(a: float, b: float) -> bool:
    """Whether two values in um/px are more than 10 % apart."""
    return max(a, b) > min(a, b) * (1 + TOLERANCE)
