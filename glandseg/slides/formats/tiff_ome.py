"""Which pages of a TIFF its OME-XML calls which image; files that it names are never opened."""

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
COARSE = 4.0  # an image with px this many times larger is an overview


@dataclass(frozen=True, kw_only=True)
class OmeImage:
    """An Image of OME-XML whose pixels lie in this file.

    Attributes:
        index: of its Pixels among all Pixels of the XML.
        name: as it stands there; it may name a patient.
        width: in px; likewise `height`.
        planes: of Z and T; likewise `channels`.
        page: index of its first page in this file.
        um_per_px: along X, 0 where it is not said.
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
        """Whether its name says that it is a label, a macro or the like."""
        return bool(BESIDE_THE_SLIDE.fullmatch(self.name.strip()))


def list_ome_images(xml: str, file_name: str) -> list[OmeImage]:
    """List the images whose pages lie in this file.

    Args:
        xml: OME-XML.
        file_name: name of the file, without its folder.

    Raises:
        ElementTree.ParseError: the XML cannot be read.
        ValueError: a number in it is none.
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
    """Find the TiffData that lie in this file: without a UUID, or with this file's own UUID or name.

    Where one file only is named, for all of them and not by this name, the file was renamed: all lie here.
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
    """Find the UUID of the file that a TiffData lies in; None without one, or for another element."""
    return next(list_children(part, "UUID"), None) if get_name(part) == "TiffData" else None


def get_file_name(uuid: ElementTree.Element) -> str:
    """Return the file's name without its folder, in either system's spelling."""
    return normalise(ntpath.basename(uuid.get("FileName", "")))


def find_first_page(pixels: ElementTree.Element, own: set[ElementTree.Element]) -> int | None:
    """Find the first page of an image in this file; None where its pixels are elsewhere or left out."""
    parts = list(list_children(pixels, "TiffData"))
    if not parts:
        elsewhere = any(True for kind in ("MetadataOnly", "BinData") for _ in list_children(pixels, kind))
        return None if elsewhere else 0
    return min((read_count(part, "IFD", 0, least=0) for part in parts if part in own), default=None)


def read_image(image: ElementTree.Element, pixels: ElementTree.Element, index: int, page: int) -> OmeImage:
    """Read what is needed of an image."""
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


def read_count(element: ElementTree.Element, name: str, default: int | None = None, least: int = 1) -> int:
    """Read a whole number.

    Raises:
        ValueError: it is none, below `least`, or absent and without a default.
    """
    text = element.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.strip().isdecimal() or len(text) > 18 or int(text) < least:
        raise ValueError(
            f"OME-XML says {name} {(text or 'nothing')[:20]!r}, which is no number of px or pages"
        )
    return int(text)


def rank_images(images: list[OmeImage]) -> list[OmeImage]:
    """Sort images, the slide's first: no label or overview, the most px, the first in the file.

    Labels and the like are left out, unless there is nothing else.
    """
    slides = [image for image in images if not image.is_beside_the_slide] or images
    finest = min((image.um_per_px for image in slides if image.um_per_px > 0), default=0.0)
    return sorted(slides, key=lambda i: (is_overview(i, finest), -i.width * i.height, i.page))


def is_overview(image: OmeImage, finest_um_per_px: float) -> bool:
    """Return whether an image's px are so much larger than the finest ones that it shows a whole slide."""
    return finest_um_per_px > 0 and image.um_per_px > COARSE * finest_um_per_px


def list_children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    """Yield the children of this name, whatever their namespace."""
    return (child for child in element if get_name(child) == name)


def normalise(text: str | None) -> str:
    """Return a UUID or a file name in small letters, without white space around it."""
    return (text or "").strip().lower()
