"""The windows of a plane: where each lies.

Windows of 320 px overlap by 64 px: a network sees less at a window's edge, where context is cut off, so that
maps of windows laid side by side show seams.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from glandseg.model.windows import window_starts


@dataclass(frozen=True)
class Grid:
    """Windows of 320 px every 256 px over a plane.

    Attributes:
        width_px: Width of the plane.
        height_px: Height of the plane.
    """

    width_px: int
    height_px: int

    @cached_property
    def rows(self) -> list[int]:
        """The px at which each row of windows starts."""
        return window_starts(self.height_px)

    @cached_property
    def columns(self) -> list[int]:
        """The px at which each column of windows starts."""
        return window_starts(self.width_px)
