"""Units and their bounds."""

from __future__ import annotations

LOWEST_UM_PER_PX, HIGHEST_UM_PER_PX = 0.05, 20.0
GIB = 1 << 30


def is_believable(um_per_px: float) -> bool:
    """Return whether a microscope can have this um/px: 72 dpi and other filler values cannot."""
    return LOWEST_UM_PER_PX <= um_per_px <= HIGHEST_UM_PER_PX
