"""The images that a TIFF's OME-XML describes, with their pages; other files that it names are not opened."""

from __future__ import annotations

import ntpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree

from glandseg.slides.mpp_sources import get_name, read_physical_size

BESIDE_THE_SLIDE = re.compile(
    r"(?:.*[\W_])?(?:label|macro|overview|thumbnail|barcode)(?:[\W_]*(?:image|photo|image))?[\W_]*",
    re.IGNORECASE | re.DOTALL,
)
COARSE = 4.0  # an image with this many times larger px is an overview


@dataclass(frozen=True, kw_only=True)
class OmeImage:
    """An Image of OME-XML whose pixels lie in this file.

    Attributes:
        index: Index of its Pixels among all Pixels of the XML.
        name: Name as stored; it may identify a patient.
        width: Width in px; likewise `height`.
        planes: Number of Z and T planes; likewise `channels`.
        page: Index of its first page in this file.
        um_per_px: um/px along X; 0 if it is not stated.
    """

    index: int
    name: str
    width: int
    height: int
    planes: int
    channels: int
    page: int
    um_per_px: float

    @property
    def is_beside_the_slide(self) -> bool:
        """Whether its name marks a label, a macro or the like."""
        return bool(BESIDE_THE_SLIDE.fullmatch(self.name.strip()))


def list_ome_images(xml: str, file_name: str) -> list[OmeImage]:
    """List the images whose pages lie in this file.

    Args:
        xml: OME-XML.
        file_name: Name of the file, without its folder.

    Raises:
        ElementTree.ParseError: The XML cannot be parsed.
        ValueError: A number in it is invalid.
    """
    root = ElementTree.fromstring(xml.strip())
    is_here = find_own_parts(root, file_name)
    images = [image for image in root if get_name(image) == "Image"]
    described = [(image, pixels) for image in images for pixels in list_children(image, "Pixels")]
    numbered = {id(e): i for i, e in enumerate(e for e in root.iter() if get_name(e) == "Pixels")}
    return [
        read_image(image, pixels, numbered[id(pixels)], page)
        for image, pixels in described
        if (page := find_first_page(pixels, is_here)) is not None
    ]


def find_own_parts(root: ElementTree.Element, file_name: str) -> set[ElementTree.Element]:
    """Find the TiffData in this file: those without a UUID, or with this file's own UUID or name.

    If all name one other file, this file was renamed, and all are in it.
    """
    named = {part: uuid for part in root.iter() if (uuid := find_uuid(part)) is not None}
    own_uuid = normalise(root.get("UUID"))
    own = {part for part, uuid in named.items() if own_uuid and normalise(uuid.text) == own_uuid}
    own = own or {part for part, uuid in named.items() if get_file_name(uuid) == normalise(file_name)}
    files = {normalise(uuid.text) or get_file_name(uuid) for uuid in named.values()}
    unnamed = {part for part in root.iter() if get_name(part) == "TiffData" and part not in named}
    if not own and not unnamed and len(files) == 1:
        own = set(named)
    return own | unnamed


def find_uuid(part: ElementTree.Element) -> ElementTree.Element | None:
    """Find the UUID of a TiffData's file; None without one, or for another element."""
    return next(list_children(part, "UUID"), None) if get_name(part) == "TiffData" else None


def get_file_name(uuid: ElementTree.Element) -> str:
    """Return the file's name without its folder, which may be a Windows path."""
    return normalise(ntpath.basename(uuid.get("FileName", "")))


def find_first_page(pixels: ElementTree.Element, own: set[ElementTree.Element]) -> int | None:
    """Find the first page of an image in this file; None if its pixels are elsewhere or missing."""
    parts = list(list_children(pixels, "TiffData"))
    if not parts:
        elsewhere = any(True for kind in ("MetadataOnly", "BinData") for _ in list_children(pixels, kind))
        return None if elsewhere else 0
    return min((read_count(part, "IFD", 0, minimum=0) for part in parts if part in own), default=None)


def read_image(image: ElementTree.Element, pixels: ElementTree.Element, index: int, page: int) -> OmeImage:
    """Read an Image and its Pixels."""
    return OmeImage(
        index=index,
        name=image.get("Name", ""),
        width=read_count(pixels, "SizeX"),
        height=read_count(pixels, "SizeY"),
        planes=read_count(pixels, "SizeZ", 1) * read_count(pixels, "SizeT", 1),
        channels=read_count(pixels, "SizeC", 1),
        page=page,
        um_per_px=read_physical_size(pixels.attrib, "X") or 0.0,
    )


def read_count(element: ElementTree.Element, name: str, default: int | None = None, minimum: int = 1) -> int:
    """Read an integer.

    Raises:
        ValueError: It is invalid, below `minimum`, or absent and without a default.
    """
    text = element.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.strip().isdecimal() or len(text) > 18 or int(text) < minimum:
        raise ValueError(
            f"OME-XML says {name} {(text or 'nothing')[:20]!r}, which is no number of px or pages"
        )
    return int(text)


def rank_images(images: list[OmeImage]) -> list[OmeImage]:
    """Sort images, the slide first: not an overview, the most px, the first in the file.

    Labels and the like are left out unless there is nothing else.
    """
    slides = [image for image in images if not image.is_beside_the_slide] or images
    finest = min((image.um_per_px for image in slides if image.um_per_px > 0), default=0.0)
    return sorted(slides, key=lambda i: (is_overview(i, finest), -i.width * i.height, i.page))


def is_overview(image: OmeImage, finest_um_per_px: float) -> bool:
    """Return whether an image's px are so much larger than the finest that it is an overview."""
    return finest_um_per_px > 0 and image.um_per_px > COARSE * finest_um_per_px


def list_children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Return the children of this name in any namespace."""
    return (child for child in element if get_name(child) == name)


def normalise(text: str | None) -> str:
    """Return a UUID or a file name in lower case, without surrounding white space."""
    return (text or "").strip().lower()
