"""The size of the image that an Aperio description is of, against the size of the image at hand.

Programs that shrink or cut a slide often copy its description. A part of the slide still has its um/px; a
shrunk copy has not. Both sides shrunk alike tell a copy from a part, and then the description's um/px is
stated a second time, as the sizes let expect, so the two conflict and no one guesses.
"""

from __future__ import annotations

import re

from glandseg.slides.mpp import TOLERANCE, Statement

# "46920x33014 [0,100 46000x32914] (256x256) JPEG/RGB": scanned, and in brackets the part that was saved
SIZE = re.compile(r"(?<![\d.(])(\d+)x(\d+)(?:\s*\[\s*-?\d+\s*,\s*-?\d+\s+(\d+)x(\d+)\s*\])?")
ORIGINAL = {side: re.compile(rf"\bOriginal{side}\s*=\s*(\d+)", re.IGNORECASE) for side in ("Width", "Height")}
ALIKE = 0.005  # by which the factors of both axes may differ in a shrunk copy; and by a px of rounding
Size = tuple[int, int]  # width and height in px


def find_described_size(text: str) -> Size | None:
    """Return width and height, in px, of the image that a description is of; None where it names none."""
    found = SIZE.search(text)
    if found:
        width, height, saved_width, saved_height = found.groups()
        return int(saved_width or width), int(saved_height or height)
    sides = [pattern.search(text) for pattern in ORIGINAL.values()]
    return (int(sides[0][1]), int(sides[1][1])) if sides[0] and sides[1] else None


def state_by_size(text: str, um_per_px: float, image_wh: Size) -> Statement | None:
    """State the um/px that a description implies for an image of another size; None where it implies none.

    Args:
        text: Description.
        um_per_px: What it says.
        image_wh: Width and height of the image at hand, in px.
    """
    described = find_described_size(text)
    if described is None or 0 in described or is_part(described, image_wh):
        return None
    x, y = (was / now for was, now in zip(described, image_wh, strict=True))
    source = f"the description's size ({describe(described)}, the image has {describe(image_wh)})"
    return Statement(source, um_per_px * x, um_per_px * y)


def warn_of_size(text: str, image_wh: Size) -> tuple[str, ...]:
    """Warn where an image is taken for a part of the larger one that its description is of."""
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
    """Return whether an image can be a part of the one described, rather than a shrunk or enlarged copy."""
    x, y = (was / now for was, now in zip(described, image_wh, strict=True))
    if min(x, y) * (1 + TOLERANCE) < 1:
        return False
    a_px = 1 / min(image_wh)
    is_alike = abs(x / y - 1) <= max(ALIKE, a_px)
    return not (is_alike and max(x, y) > 1 + TOLERANCE)


def describe(wh: Size) -> str:
    """Describe a size."""
    return f"{wh[0]} x {wh[1]} px"
