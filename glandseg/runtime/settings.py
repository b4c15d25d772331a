"""What can be asked of an inference."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glandseg.runtime.errors import BadInputError

SCALE_MIN, SCALE_MAX = 0.25, 4.0


@dataclass(frozen=True, kw_only=True)
class InferSettings:
    """What can be asked of an inference.

    Attributes:
        scales: enlargements at which the network runs; their probabilities are averaged. None takes the
            model card's.
        mpp: um per level-0 px, in place of what the file says.
        threshold: least probability of gland.
        min_gland_um2: smaller glands are dropped; the default is a disc of 23 um, less than any crypt.
        min_lumen_um2: smaller holes are filled.
        tissue_mask: skip windows without tissue.
        batch: windows a call of the network.
    """

    scales: tuple[float, ...] | None = None
    mpp: float | None = None
    threshold: float = 0.5
    min_gland_um2: float = 400.0
    min_lumen_um2: float = 100.0
    tissue_mask: bool = True
    batch: int = 8

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.scales is not None:
            _check_scales(self.scales)
        if not 0 < self.threshold < 1:
            raise BadInputError(f"--threshold: between 0 and 1. Received: {self.threshold}")
        for name in ("min_gland_um2", "min_lumen_um2"):
            value = getattr(self, name)
            if not (value >= 0 and math.isfinite(value)):
                raise BadInputError(f"--{name.replace('_', '-')}: 0 or more um2. Received: {value}")
        if self.batch < 1:
            raise BadInputError(f"--batch: at least 1. Received: {self.batch}")


def parse_scales(text: str) -> tuple[float, ...]:
    """Read scales written as "1" or "0.75,1,1.5".

    Raises:
        BadInputError: if a part is no number; `InferSettings` checks the rest.
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(
            f"--scales: numbers separated by commas, such as 0.75,1,1.5. Received: {text}"
        ) from None


def _check_scales(scales: tuple[float, ...]) -> None:
    if not scales or not all(SCALE_MIN <= scale <= SCALE_MAX for scale in scales):
        raise BadInputError(f"--scales: within {SCALE_MIN:g}..{SCALE_MAX:g}. Received: {_list(scales)}")
    if len(set(scales)) < len(scales):
        raise BadInputError(f"--scales: each once. Received: {_list(scales)}")


def _list(scales: tuple[float, ...]) -> str:
    return ",".join(f"{scale:g}" for scale in scales)
