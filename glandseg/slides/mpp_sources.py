"""Statements of um/px in files: OpenSlide's properties, TIFF tags, OME-XML, descriptions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.etree import ElementTree

from glandseg.slides.described_size import state_by_size
from glandseg.slides.lengths import NO_UNITS, find_um, parse_number
from glandseg.slides.mpp import Power, Statement

UM_PER_TIFF_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre; 1 is "no absolute unit"
TIFF_UNITS = {"inch": 2, "centimeter": 3}
DICOM_SPACING = "dicom.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing"
NUMBER = r"([\d.,]*\d)"
APERIO_MPP, APERIO_POWER = (re.compile(rf"\b{name}\s*=\s*{NUMBER}") for name in ("MPP", "AppMag"))
FILLER_DPI = (1, 2.54, 72, 75, 96, 100, 120, 150, 180, 200, 240, 254, 300, 350, 360, 400, 600, 720, 1200)


def list_openslide_statements(properties: Mapping[str, str]) -> list[Statement]:
    """List the statements in OpenSlide's properties: its own, then the vendor's, DICOM's and TIFF's."""
    x, y = (parse_number(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
    aperio = parse_number(properties.get("aperio.MPP"))
    down, across = (scale(parse_number(properties.get(f"{DICOM_SPACING}[{i}]")), 1e3) for i in (0, 1))
    x_per_unit, y_per_unit = (parse_number(properties.get(f"tiff.{a}Resolution")) or 0 for a in "XY")
    unit = TIFF_UNITS.get(properties.get("tiff.ResolutionUnit", ""), 1)
    return keep_stated(
        state("openslide.mpp", x, y),
        state("aperio.MPP", aperio, aperio),
        state_openslide_size(properties, aperio),
        state("DICOM PixelSpacing", across, down),
        state_tiff(x_per_unit, y_per_unit, unit),
    )


def state_openslide_size(properties: Mapping[str, str], um_per_px: float | None) -> Statement | None:
    """Return the um/px that Aperio's description implies for this image's size; None where they agree."""
    width, height = (
        parse_number(properties.get(f"openslide.level[0].{side}")) for side in ("width", "height")
    )
    if not (um_per_px and width and height):
        return None
    return state_by_size(properties.get("openslide.comment", ""), um_per_px, (int(width), int(height)))


def find_openslide_power(properties: Mapping[str, str]) -> Power | None:
    """Return the objective's power; Aperio's is apparent. None where it is unknown."""
    power = parse_number(properties.get("openslide.objective-power"))
    apparent = properties.get("openslide.vendor") == "aperio"
    return Power("openslide.objective-power", power, apparent) if power and power > 0 else None


def state_tiff(x_per_unit: float, y_per_unit: float, unit: int) -> Statement | None:
    """Return what the tags XResolution, YResolution and ResolutionUnit state.

    Printers' values, such as 1, 72 or 300 per inch, are filler: None.
    """
    um = UM_PER_TIFF_UNIT.get(unit)
    if um is None or x_per_unit <= 0 or y_per_unit <= 0:
        return None
    stated = Statement("TIFF resolution tags", um / x_per_unit, um / y_per_unit)
    return None if is_filler(stated) else stated


def is_filler(stated: Statement) -> bool:
    """Return whether tags hold a default value: one px per unit, or a printer's number per inch."""
    dpi = (UM_PER_TIFF_UNIT[2] / stated.x, UM_PER_TIFF_UNIT[2] / stated.y)
    return all(any(abs(value - usual) <= 0.01 * usual for usual in FILLER_DPI) for value in dpi)


def state_imagej(x_per_unit: float, y_per_unit: float, unit: str) -> Statement | None:
    """Return what ImageJ states: px per unit in the tags, the unit in the description."""
    if x_per_unit <= 0 or y_per_unit <= 0:
        return None
    return state_in_unit("ImageJ's description", 1 / x_per_unit, 1 / y_per_unit, unit)


def state_description(text: str) -> Statement | None:
    """Return the um/px of an Aperio description that a converter copied into another TIFF."""
    found = APERIO_MPP.search(text)
    um = parse_number(found[1]) if found else None
    return state("MPP in the description", um, um)


def state_description_size(text: str, image_wh: tuple[int, int]) -> Statement | None:
    """Return the um/px that a copied description implies for this image's size; None where they agree."""
    stated = state_description(text)
    return state_by_size(text, stated.um_per_px, image_wh) if stated else None


def find_description_power(text: str) -> Power | None:
    """Return the power in a copied Aperio description; None without one."""
    found = APERIO_POWER.search(text)
    power = parse_number(found[1]) if found else None
    return Power("AppMag in the description", power, apparent=True) if power else None


def state_ome(xml: str, image: int) -> Statement | None:
    """Return what the `image`-th Pixels element of OME-XML states."""
    pixels = [element for element in list_elements(xml) if get_name(element) == "Pixels"]
    if image >= len(pixels):
        return None
    return state_physical_sizes(pixels[image].attrib)


def state_physical_sizes(attributes: Mapping[str, str]) -> Statement | None:
    """Return what a Pixels element's PhysicalSizeX and PhysicalSizeY state; the default unit is um."""
    x, y = (parse_number(attributes.get(f"PhysicalSize{axis}")) for axis in "XY")
    units = [attributes.get(f"PhysicalSize{axis}Unit", "um") for axis in "XY"]
    if not (x and y and x > 0 and y > 0):
        return None
    x_um, y_um = (find_um(unit) for unit in units)
    if x_um and y_um:
        return Statement("OME-XML", x * x_um, y * y_um)
    return state_in_unit("OME-XML", x, y, next(unit for unit in units if not find_um(unit)))


def find_ome_power(xml: str) -> Power | None:
    """Return the objective's power in OME-XML; None unless it names exactly one."""
    powers = {
        parse_number(element.attrib.get("NominalMagnification"))
        for element in list_elements(xml)
        if get_name(element) == "Objective"
    }
    power = powers.pop() if len(powers) == 1 else None
    return Power("OME-XML's objective", power) if power and power > 0 else None


def read_physical_size(attributes: Mapping[str, str], axis: str) -> float | None:
    """Read PhysicalSizeX or PhysicalSizeY in um; None if it is absent or its unit unknown."""
    um = find_um(attributes.get(f"PhysicalSize{axis}Unit", "um"))
    return None if um is None else scale(parse_number(attributes.get(f"PhysicalSize{axis}")), um)


def state_in_unit(source: str, x: float, y: float, unit: str) -> Statement | None:
    """Build a statement in any unit; an unknown unit is kept for messages, px as a unit state nothing."""
    if unit.strip().lower() in NO_UNITS:
        return None
    um = find_um(unit)
    return Statement(source, x, y, unit) if um is None else Statement(source, x * um, y * um)


def list_elements(xml: str) -> list[ElementTree.Element]:
    """List all elements of an XML text; none where it cannot be parsed."""
    try:
        return list(ElementTree.fromstring(xml).iter())
    except (ElementTree.ParseError, ValueError):
        return []


def get_name(element: ElementTree.Element) -> str:
    """Return an element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def state(source: str, x: float | None, y: float | None) -> Statement | None:
    """Build a statement if both axes are above 0; 0 and less stand for "unknown"."""
    return Statement(source, x, y) if x and y and x > 0 and y > 0 else None


def keep_stated(*statements: Statement | None) -> list[Statement]:
    """List the statements that are not None."""
    return [statement for statement in statements if statement]


def scale(value: float | None, factor: float) -> float | None:
    """Convert a value to another unit; None stays None."""
    return None if value is None else value * factor
