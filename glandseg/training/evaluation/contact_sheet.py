"""Contact sheets: many images with outlines on one PNG, for visual inspection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.core.atomic import write_whole

COLUMNS, SIDE_PX, CAPTION_PX, MARGIN_PX = 4, 380, 22, 6
INK, PAPER = (30, 30, 30), 255
Color = tuple[int, int, int]
GREEN: Color = (0, 150, 0)
YELLOW: Color = (255, 230, 0)
CYAN: Color = (0, 225, 255)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """An image of a sheet.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        outlines: Masks, each (H, W) bool, with the RGB color of their outlines; the last is drawn on top.
        caption: Text below the image, in ASCII.
    """

    image: NDArray[np.uint8]
    outlines: Sequence[tuple[NDArray[np.bool_], Color]]
    caption: str


def write_contact_sheet(
    path: Path, cells: Sequence[Cell], title: str = "", *, columns: int = COLUMNS
) -> None:
    """Write a sheet as PNG, row by row.

    Args:
        path: PNG file.
        cells: Images, at least one.
        title: Text above them, in ASCII.
        columns: Maximum number of images in a row.
    """
    columns = min(columns, len(cells))
    drawn = [draw_cell(cell) for cell in cells]
    rows = [_join_row(drawn[first : first + columns], columns) for first in range(0, len(drawn), columns)]
    sheet = np.vstack([_write_line(title, columns * SIDE_PX), *rows] if title else rows)
    with write_whole(path) as part:
        cv2.imencode(".png", sheet[..., ::-1])[1].tofile(part)


def draw_cell(cell: Cell) -> NDArray[np.uint8]:
    """Draw an image with its outlines and its caption below: (H, SIDE_PX, 3) uint8 RGB."""
    room = SIDE_PX - 2 * MARGIN_PX
    height, width = cell.image.shape[:2]
    scale = room / max(height, width)
    size_wh = max(round(width * scale), 1), max(round(height * scale), 1)
    image = cv2.resize(cell.image, size_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    for mask, color in cell.outlines:
        small = cv2.resize(mask.astype(np.uint8), size_wh, interpolation=cv2.INTER_NEAREST)
        edges, _ = cv2.findContours(small, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        # a dark seam: bright tissue would hide the line
        cv2.drawContours(image, edges, -1, INK, 3, cv2.LINE_AA)
        cv2.drawContours(image, edges, -1, color, 2, cv2.LINE_AA)
    canvas = np.full((size_wh[1] + MARGIN_PX, SIDE_PX, 3), PAPER, np.uint8)
    left = (SIDE_PX - size_wh[0]) // 2
    canvas[MARGIN_PX:, left : left + size_wh[0]] = image
    return np.vstack([canvas, _write_line(cell.caption, SIDE_PX)])


def _join_row(cells: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    row = np.full((max(len(cell) for cell in cells), columns * SIDE_PX, 3), PAPER, np.uint8)
    for place, cell in enumerate(cells):
        row[: len(cell), place * SIDE_PX : (place + 1) * SIDE_PX] = cell
    return row


def _write_line(text: str, width_px: int) -> NDArray[np.uint8]:
    line = np.full((CAPTION_PX, width_px, 3), PAPER, np.uint8)
    cv2.putText(line, text, (MARGIN_PX, CAPTION_PX - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.45, INK, 1, cv2.LINE_AA)
    return line
