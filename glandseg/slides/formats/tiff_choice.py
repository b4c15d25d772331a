"""Which page of a TIFF is its slide, and which others may be smaller copies of it.

TIFF has no notion of a slide: a file is a list of pages, and pyramid, label, macro and planes of a stack look
alike. Taking the first page reads labels as slides; trusting the sizes alone makes a damaged or unrelated
page a level, and tissue is then taken from it. So OME-XML decides where it exists: it names each image's
page, and copies lie in that page's SubIFDs. In other TIFFs the largest page is the slide, and copies lie in
its SubIFDs or in further pages, whose px must prove it (tiff_likeness). Pages that are named label, macro or
the like are never read: they may show a patient's name. Stacks are refused rather than read in part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from glandseg.core.errors import BadInputError, shorten
from glandseg.slides.formats.tiff_checks import count_stored_pixels, find_layout_problem
from glandseg.slides.formats.tiff_ome import OmeImage, list_ome_images, rank_images
from glandseg.slides.formats.tiff_pyramid import (
    Candidate,
    count_hidden_planes,
    count_pixels,
    is_same_kind,
    is_smaller_copy,
    list_own_copies,
)

BESIDE_THE_SLIDE = re.compile(
    r"<ImageType>\s*(?:label|overview|thumbnail|macro)\s*</|^\s*(?:label|macro|thumbnail|overview)\b",
    re.I | re.M,
)
MIN_REPORTED = 1 / 16  # of the slide's px: smaller images are labels and the like, and cause no warning


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The pages of a TIFF's slide.

    Attributes:
        page: Page of the slide.
        candidates: Possible levels, large to small.
        ome_index: Index of its Pixels in OME-XML; None if that does not state one.
        warnings: What was passed over, and why.
        doubtful: Pages that store more bytes than the slide's, so that their small size may be damage.
    """

    page: tifffile.TiffPage
    candidates: tuple[Candidate, ...]
    ome_index: int | None = None
    warnings: tuple[str, ...] = ()
    doubtful: tuple[tifffile.TiffPage, ...] = ()


def choose_slide(path: Path, tiff: tifffile.TiffFile) -> Choice:
    """Choose the page that is the slide, and those that may be smaller copies.

    Raises:
        BadInputError: There is none, it is one plane of several, or tags and OME-XML contradict each other.
    """
    pages = [page for page in tiff.pages if isinstance(page, tifffile.TiffPage)]
    if not any(page.imagewidth and page.imagelength for page in pages):
        raise BadInputError(f"{path}: this TIFF holds no image: damaged or cut short. Export it again.")
    if not tiff.is_ome:
        return choose_largest(path, tiff, pages)
    try:
        images = list_ome_images(pages[0].description, path.name)
    except ElementTree.ParseError as error:
        return choose_without_xml(path, tiff, pages, f"cannot be read ({shorten(error)})")
    except ValueError as error:
        raise BadInputError(f"{path}: {error}: damaged. Export it again.") from error
    if not images:
        return choose_without_xml(path, tiff, pages, "describes no image of this file")
    return choose_ome_image(path, pages, images)


def choose_without_xml(
    path: Path, tiff: tifffile.TiffFile, pages: list[tifffile.TiffPage], reason: str
) -> Choice:
    """Choose as in a plain TIFF, and warn that the OME-XML is not used."""
    choice = choose_largest(path, tiff, pages)
    return replace(choice, warnings=(f"The OME-XML {reason}: its um/px is not used.", *choice.warnings))


def choose_ome_image(path: Path, pages: list[tifffile.TiffPage], images: list[OmeImage]) -> Choice:
    """Choose the image that is the slide, and warn of the others."""
    ranked = rank_images(images)
    image = ranked[0]
    page = pages[image.page] if image.page < len(pages) else pages[0]
    check_planes(path, image, page, len(pages))
    if (image.width, image.height) != (page.imagewidth, page.imagelength):
        raise BadInputError(
            f"{path}: its OME-XML says {image.width:,} x {image.height:,} px, the tags of page "
            f"{image.page + 1} {page.imagewidth:,} x {page.imagelength:,} px: one of them is "
            "damaged or stale. Export it again."
        )
    warnings = [
        f"The file holds {len(images)} images: image {image.index + 1} ({image.width} x {image.height} px) "
        f"is read, image {other.index + 1} ({other.width} x {other.height} px) is passed over."
        for other in ranked[1:]
        if other.page != image.page
    ]
    rivals = [other for other in images if other.page == image.page and other.um_per_px != image.um_per_px]
    if rivals:
        warnings.append("The OME-XML calls one page several images of other um/px, so its um/px is not used.")
    return Choice(
        page=page,
        candidates=tuple(list_own_copies(page)),
        ome_index=None if rivals else image.index,
        warnings=tuple(warnings),
    )


def check_planes(path: Path, image: OmeImage, page: tifffile.TiffPage, pages: int) -> None:
    """Check that an image is one plane, and that the file holds its page.

    Raises:
        BadInputError: It has several planes, or the file lacks pages.
    """
    planes = image.planes * max(image.channels // max(int(page.samplesperpixel), 1), 1)
    if image.page + planes > pages:
        raise BadInputError(
            f"{path}: its OME-XML states {planes:,} planes from page {image.page + 1:,} on, the file holds "
            f"{pages:,} pages: damaged, or one part of several. Export it again."
        )
    if planes > 1:
        raise_stack(path, planes, f"channels {image.channels:,}, Z and T {image.planes:,}")


def choose_largest(path: Path, tiff: tifffile.TiffFile, pages: list[tifffile.TiffPage]) -> Choice:
    """Choose the largest page of a TIFF that is not OME.

    Raises:
        BadInputError: Its tags, or those of a page that may be larger, are damaged; or it is a stack.
    """
    shown = [page for page in pages if not BESIDE_THE_SLIDE.search(page.description)] or pages
    full = max(shown, key=count_pixels)
    for page in shown:
        problem = find_layout_problem(page)
        if problem and (page is full or may_be_larger(page, full)):
            raise BadInputError(
                f"{path}: page {page.index + 1}: {problem}: damaged or cut short. Copy or export it again."
            )
    planes = max(sum(is_same_kind(full, page) for page in shown), count_hidden_planes(tiff, full))
    if planes > 1:
        raise_stack(path, planes, f"of {full.imagewidth:,} x {full.imagelength:,} px")
    further = [
        Candidate(page=page, number=f"Page {page.index + 1}", is_own=False)
        for page in shown
        if page is not full and is_smaller_copy(full, page)
    ]
    passed = [page for page in shown if page is not full and not is_smaller_copy(full, page)]
    candidates = sorted([*list_own_copies(full), *further], key=lambda c: -count_pixels(c.page))
    return Choice(
        page=full,
        candidates=tuple(candidates),
        warnings=tuple(
            f"Page {page.index + 1} ({page.imagewidth} x {page.imagelength} px) is passed over: "
            "another image than the slide."
            for page in passed
            if count_pixels(page) >= MIN_REPORTED * count_pixels(full)
        ),
        doubtful=tuple(
            page for page in shown if page is not full and sum(page.databytecounts) > sum(full.databytecounts)
        ),
    )


def may_be_larger(page: tifffile.TiffPage, full: tifffile.TiffPage) -> bool:
    """Return whether a page with damaged tags may be the slide, by its segments or its bytes."""
    has_size = page.imagewidth > 0 and page.imagelength > 0
    has_more = sum(page.databytecounts) > sum(full.databytecounts)
    return has_more or not has_size or count_stored_pixels(page) >= count_pixels(full)


def raise_stack(path: Path, planes: int, kind: str) -> None:
    """Raise the error of a file of several planes."""
    raise BadInputError(
        f"{path}: holds {planes:,} planes ({kind}), as fluorescence or a stack does; one RGB image is "
        f"read. Export it as RGB (bioformats: raw2ometiff --rgb)."
    )
