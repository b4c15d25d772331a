"""The overview image: the slide's thumbnail, the glands drawn over it, a scale bar and a caption."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LinearRing, Polygon

from glandseg import RESEARCH_USE
from glandseg.runtime.outputs.encoded_image import encode_image
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn

_LINE_RGB = (40, 255, 120)  # brighter than the fill color in QuPath: a thin line loses strength
_CASING_RGB = (0, 48, 24)
_INK_RGB = (32, 32, 32)
_PAPER_RGB = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
OVERVIEW_PX = 1600  # maximum of the longer side, without the footer
_MIN_WIDTH = 640  # narrower thumbnails are centred on white of this width, so that the caption fits
_MARGIN = 16
_SHIFT = 4  # fractional bits of drawn coordinates


@contextmanager
def write_overview(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write a PNG; the same glands and thumbnail give the same pixels, and nothing in it names the file."""
    imagery = found.imagery
    shrink = min(1.0, OVERVIEW_PX / max(imagery.thumbnail.shape))
    image = _shrink(imagery.thumbnail, shrink)
    scale = found.plane.um_per_px / imagery.thumbnail_um_per_px * shrink
    with draw_contours(image, scale) as draw:
        yield lambda gland, _: draw(gland.polygon_px)
    page = _center(image)
    count = len(found.glands)
    caption = f"{count:,} gland{'s' * (count != 1)}, {found.area_mm2:,.3f} sq mm"
    footer = _draw_footer(page.shape[1], found.plane.um_per_px / scale, caption)
    page = cv2.cvtColor(np.vstack([page, footer]), cv2.COLOR_RGB2BGR)
    path.write_bytes(encode_image(".png", np.asarray(page, np.uint8)))


@contextmanager
def draw_contours(image: NDArray[np.uint8], scale: float) -> Iterator[Callable[[Polygon], None]]:
    """Draw contours and lumina into an (h, w, 3) uint8 RGB image: green on a dark casing.

    Casings and lines are drawn on layers of their own, laid over the image when the context closes, so that
    no gland's casing covers another's line.

    Args:
        image: Image to draw into.
        scale: Image px per px of the polygons.
    """
    width = 1 if max(image.shape[:2]) < OVERVIEW_PX else 2
    casings, lines = np.zeros((2, *image.shape[:2]), np.uint8)

    def draw(polygon: Polygon) -> None:
        rings = [_scale_ring(ring, scale) for ring in (polygon.exterior, *polygon.interiors)]
        # The lines twice: a thin anti-aliased line drawn once keeps only half its color.
        for layer, thickness in ((casings, 2 * width), (lines, width), (lines, width)):
            cv2.polylines(layer, rings, True, 255, thickness, cv2.LINE_AA, _SHIFT)

    yield draw
    _lay_over(image, _CASING_RGB, casings)
    _lay_over(image, _LINE_RGB, lines)


def choose_scale_bar(um_per_px: float, width: int) -> tuple[str, int]:
    """Return the label and length in pixels of the longest 1-2-5 bar within a quarter of the width.

    Args:
        um_per_px: Micrometres per image pixel.
        width: Width of the image in pixels.
    """
    room_um = um_per_px * width / 4
    power = 10.0 ** math.floor(math.log10(room_um))
    length_um = max(step * power for step in (1, 2, 5) if step * power <= room_um)
    label = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} um"
    return label, round(length_um / um_per_px)


def _scale_ring(ring: LinearRing, scale: float) -> NDArray[np.int32]:
    """Scale a ring to fixed-point pixel centres, as OpenCV counts them."""
    centres = shapely.get_coordinates(ring)[:-1] * scale - 0.5
    return np.round(centres * (1 << _SHIFT)).astype(np.int32)


def _shrink(thumbnail: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Return a smaller copy whose sides are `share` times as long, up to half a pixel."""
    height, width = (max(1, round(side * share)) for side in thumbnail.shape[:2])
    return np.array(cv2.resize(thumbnail, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _lay_over(image: NDArray[np.uint8], rgb: tuple[int, int, int], cover: NDArray[np.uint8]) -> None:
    """Blend a color into an image with weights `cover`, (h, w) uint8, 255 being opaque."""
    where = cover > 0
    share, below = cover[where][:, None] / np.float32(255), image[where].astype(np.float32)
    image[where] = np.rint(below + (np.asarray(rgb, np.float32) - below) * share)


def _center(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    spare = max(0, _MIN_WIDTH - image.shape[1])
    page = np.full((image.shape[0], image.shape[1] + spare, 3), _PAPER_RGB, np.uint8)
    page[:, spare // 2 : spare // 2 + image.shape[1]] = image
    return page


def _draw_footer(width: int, um_per_page_px: float, caption: str) -> NDArray[np.uint8]:
    """Draw the scale bar and the caption to its right on white: legible whatever the tissue."""
    size = min(1.0, max(0.45, width / 2400))
    line = round(44 * size)
    footer = np.full((2 * line + _MARGIN, width, 3), _PAPER_RGB, np.uint8)
    label, length = choose_scale_bar(um_per_page_px, width)
    bar_y, end_x = line + _MARGIN // 2, _MARGIN + length
    cv2.rectangle(footer, (_MARGIN, bar_y), (end_x, bar_y + round(10 * size)), _INK_RGB, cv2.FILLED)
    _write_text(footer, label, _MARGIN, bar_y - round(12 * size), size)
    text_x = max(end_x, _MARGIN + _measure_text(label, size)) + 2 * _MARGIN
    room = width - text_x - _MARGIN
    for row, text in enumerate((caption, RESEARCH_USE)):
        fitting = size * min(1.0, room / _measure_text(text, size))
        _write_text(footer, text, text_x, line * (row + 1) - round(4 * size), fitting)
    return footer


def _measure_text(text: str, size: float) -> int:
    return int(cv2.getTextSize(text, _FONT, size, 1)[0][0])


def _write_text(image: NDArray[np.uint8], text: str, x: int, y: int, size: float) -> None:
    cv2.putText(image, text, (x, y), _FONT, size, _INK_RGB, 1, cv2.LINE_AA)
