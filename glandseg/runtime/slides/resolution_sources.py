"""Where files say their microns per pixel: OpenSlide's properties, TIFF tags, OME-XML, descriptions."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from xml.etree import ElementTree

from glandseg.runtime.slides.resolution import Power, Statement

UM_PER_OME_UNIT = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3}
UM_PER_IMAGEJ_UNIT = UM_PER_OME_UNIT | {"micron": 1.0, "microns": 1.0, "\\u00B5m": 1.0, "cm": 1e4}
UM_PER_TIFF_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre; 1 is "no absolute unit"
TIFF_UNITS = {"inch": 2, "centimeter": 3}
DICOM_SPACING = "dicom.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing"
APERIO_MPP, APERIO_POWER = re.compile(r"\bMPP\s*=\s*([\d.]+)"), re.compile(r"\bAppMag\s*=\s*([\d.]+)")


def list_openslide_statements(properties: Mapping[str, str]) -> list[Statement]:
    """What OpenSlide's properties say: its own reading, then the vendor's, DICOM's and TIFF's."""
    x, y = (parse_number(properties.get(f"openslide.mpp-{axis}")) for axis in "xy")
    aperio = parse_number(properties.get("aperio.MPP"))
    down, across = (scale(parse_number(properties.get(f"{DICOM_SPACING}[{i}]")), 1e3) for i in (0, 1))
    x_per_unit, y_per_unit = (parse_number(properties.get(f"tiff.{a}Resolution")) or 0 for a in "XY")
    unit = TIFF_UNITS.get(properties.get("tiff.ResolutionUnit", ""), 1)
    return keep_stated(
        state("openslide.mpp", x, y),
        state("aperio.MPP", aperio, aperio),
        state("DICOM PixelSpacing", across, down),
        state_tiff(x_per_unit, y_per_unit, unit),
    )


def find_openslide_power(properties: Mapping[str, str]) -> Power | None:
    """The objective's power; Aperio's is the apparent one."""
    power = parse_number(properties.get("openslide.objective-power"))
    apparent = properties.get("openslide.vendor") == "aperio"
    return Power("openslide.objective-power", power, apparent) if power and power > 0 else None


def state_tiff(x_per_unit: float, y_per_unit: float, unit: int) -> Statement | None:
    """What the tags XResolution, YResolution and ResolutionUnit say.

    Printers' values, such as 72 or 300 per inch, are filler and no statement.
    """
    um = UM_PER_TIFF_UNIT.get(unit)
    if um is None or x_per_unit <= 0 or y_per_unit <= 0:
        return None
    stated = Statement("TIFF resolution tags", um / x_per_unit, um / y_per_unit)
    return stated if stated.is_believable else None


def state_imagej(x_per_unit: float, y_per_unit: float, unit: str) -> Statement | None:
    """What ImageJ writes: px per unit in the tags, the unit in the description."""
    um = UM_PER_IMAGEJ_UNIT.get(unit)
    if um is None or x_per_unit <= 0 or y_per_unit <= 0:
        return None
    return Statement("ImageJ's description", um / x_per_unit, um / y_per_unit)


def state_description(text: str) -> Statement | None:
    """What an Aperio description says that a converter copied into another TIFF."""
    found = APERIO_MPP.search(text)
    um = parse_number(found[1]) if found else None
    return state("MPP in the description", um, um)


def find_description_power(text: str) -> Power | None:
    """The power in a copied Aperio description."""
    found = APERIO_POWER.search(text)
    power = parse_number(found[1]) if found else None
    return Power("AppMag in the description", power, apparent=True) if power else None


def state_ome(xml: str, image: int) -> Statement | None:
    """What the `image`-th Pixels element of OME-XML says."""
    pixels = [element for element in list_elements(xml) if get_name(element) == "Pixels"]
    if image >= len(pixels):
        return None
    x, y = (read_physical_size(pixels[image].attrib, axis) for axis in "XY")
    return state("OME-XML", x, y)


def find_ome_power(xml: str) -> Power | None:
    """The objective's power in OME-XML, where it names one objective only."""
    powers = {
        parse_number(element.attrib.get("NominalMagnification"))
        for element in list_elements(xml)
        if get_name(element) == "Objective"
    }
    power = powers.pop() if len(powers) == 1 else None
    return Power("OME-XML's objective", power) if power and power > 0 else None


def read_physical_size(attributes: Mapping[str, str], axis: str) -> float | None:
    """PhysicalSizeX or PhysicalSizeY in um; the unit is um where none is named."""
    um = UM_PER_OME_UNIT.get(attributes.get(f"PhysicalSize{axis}Unit", "um"))
    return None if um is None else scale(parse_number(attributes.get(f"PhysicalSize{axis}")), um)


def list_elements(xml: str) -> list[ElementTree.Element]:
    """All elements of an XML text; none where it cannot be read."""
    try:
        return list(ElementTree.fromstring(xml).iter())
    except (ElementTree.ParseError, ValueError):
        return []


def get_name(element: ElementTree.Element) -> str:
    """An element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def state(source: str, x: float | None, y: float | None) -> Statement | None:
    """A statement, if both axes have a value above 0: 0 and less say "unknown"."""
    return Statement(source, x, y) if x and y and x > 0 and y > 0 else None


def keep_stated(*statements: Statement | None) -> list[Statement]:
    """Those that say something."""
    return [statement for statement in statements if statement]


def scale(value: float | None, factor: float) -> float | None:
    """The value in another unit."""
    return None if value is None else value * factor


def parse_number(text: str | None) -> float | None:
    """The number in a text; None where there is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
