"""Units and their bounds."""

from __future__ import annotations

HIGHEST_UM_PER_PX = 20.0


LOWEST_UM_PER_PX = 0.05


GIB = 1 << 30


def is_believable(um_per_px: float) -> bool:
    """Whether a microscope can have this many um/px: 72 dpi and other filler values cannot."""
    return LOWEST_UM_PER_PX <= um_per_px <= HIGHEST_UM_PER_PX
