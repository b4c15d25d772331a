"""The image size that an Aperio description names, compared with the actual image's.

Programs that shrink or crop a slide often copy its description. A crop keeps the slide's um/px; a shrunk copy
does not, and the description's um/px would be wrong by the factor. Where both sides shrank alike it is a
copy: a second statement then gives the um/px that the sizes imply, the two conflict, and nobody guesses.
"""

from __future__ import annotations

import re

from glandseg.slides.mpp import TOLERANCE, Statement

# "46920x33014 [0,100 46000x32914] (256x256) JPEG/RGB": the scan, and in brackets the part that was saved
SIZE = re.compile(r"(?<![\d.(])(\d+)x(\d+)(?:\s*\[\s*-?\d+\s*,\s*-?\d+\s+(\d+)x(\d+)\s*\])?")
ORIGINAL = {side: re.compile(rf"\bOriginal{side}\s*=\s*(\d+)", re.IGNORECASE) for side in ("Width", "Height")}
ALIKE = 0.005  # tolerance between both axes' factors in a shrunk copy, beside a px of rounding
Size = tuple[int, int]  # width and height in px


def find_described_size(text: str) -> Size | None:
    """Return the width and height in px that a description names; None without them."""
    found = SIZE.search(text)
    if found:
        width, height, saved_width, saved_height = found.groups()
        return int(saved_width or width), int(saved_height or height)
    sides = [pattern.search(text) for pattern in ORIGINAL.values()]
    return (int(sides[0][1]), int(sides[1][1])) if sides[0] and sides[1] else None


def state_by_size(text: str, um_per_px: float, image_wh: Size) -> Statement | None:
    """Return the um/px that a description implies for a shrunk copy; None for the image itself or a crop.

    Args:
        text: Description.
        um_per_px: The description's um/px.
        image_wh: Width and height of the actual image, in px.
    """
    described = find_described_size(text)
    if described is None or 0 in described or is_part(described, image_wh):
        return None
    x, y = (was / now for was, now in zip(described, image_wh, strict=True))
    source = f"the description's size ({describe(described)}, the image has {describe(image_wh)})"
    return Statement(source, um_per_px * x, um_per_px * y)


def warn_of_size(text: str, image_wh: Size) -> tuple[str, ...]:
    """Warn of an image that is taken for a crop of the larger one in its description."""
    described = find_described_size(text)
    if described is None or not is_part(described, image_wh):
        return ()
    if all(was <= now * (1 + TOLERANCE) for was, now in zip(described, image_wh, strict=True)):
        return ()
    return (
        f"the description is of {describe(described)}, the image has {describe(image_wh)}: taken for a "
        "part of it at the same um/px; check a length, or give --mpp",
    )


def is_part(described: Size, image_wh: Size) -> bool:
    """Return whether an image can be a crop of the described one, rather than a shrunk or enlarged copy."""
    x, y = (was / now for was, now in zip(described, image_wh, strict=True))
    if min(x, y) * (1 + TOLERANCE) < 1:
        return False
    a_px = 1 / min(image_wh)
    is_alike = abs(x / y - 1) <= max(ALIKE, a_px)
    return not (is_alike and max(x, y) > 1 + TOLERANCE)


def describe(wh: Size) -> str:
    """Return a size in words."""
    return f"{wh[0]} x {wh[1]} px"
