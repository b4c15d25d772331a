"""The rule by which touching glands are told apart, as a model card states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glandseg.core.errors import show

CORE_CHANNEL = "core"
CHANNELS = ("gland", CORE_CHANNEL)
_CORE_THRESHOLD, _CORE_REACH = 0.5, 2.0  # even odds; a reach in core_um, to the corners too
REACH_MAX_UM = 50.0  # half of a large gland; the halo of a band of rows follows from it


@dataclass(frozen=True, kw_only=True)
class Separation:
    """Glands grown from seeds: connected px of a confident channel, each the start of one gland.

    Attributes:
        channel: Channel of the seeds: "gland", or "core" where the network has one.
        threshold: Minimum probability of a seed's px, above 0 and up to 1.
        reach_um: Distance that a seed grows inside the gland mask, in um.
    """

    channel: str
    threshold: float
    reach_um: float

    def __post_init__(self) -> None:
        """Raise a ValueError if a value is unknown or out of range."""
        if self.channel not in CHANNELS:
            raise ValueError(f"separation: channel: {' or '.join(CHANNELS)}, not {show(self.channel)}")
        for name, most in (("threshold", 1.0), ("reach_um", REACH_MAX_UM)):
            value: Any = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
                raise ValueError(f"separation: {name}: above 0 and up to {most:g}, not {show(value)}")

    def __str__(self) -> str:
        """Return "seeds where p(core) is at least 0.5, grown by at most 10 um inside the gland mask"."""
        seeds = f"seeds where p({self.channel}) is at least {self.threshold:g}"
        return f"{seeds}, grown by at most {self.reach_um:g} um inside the gland mask"


def separate_by_cores(core_um: float | None) -> Separation | None:
    """Return the rule for a network whose cores begin `core_um` from a gland's border; None without cores."""
    if core_um is None:
        return None
    return Separation(
        channel=CORE_CHANNEL, threshold=_CORE_THRESHOLD, reach_um=min(_CORE_REACH * core_um, REACH_MAX_UM)
    )
