"""Settings of an inference, and their bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.model.windows import SCALE_MAX, SCALE_MIN
from glandseg.runtime.glands.cut import THRESHOLD

PAPER_SCALES = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0)  # Li et al. 2022, whose cost is 27.7 times one
BASE_SCALES = (1.25, 1.75)  # run everywhere; the other scales run only where these are uncertain
ADAPTIVE = "adaptive"
MIN_RAM_GIB, MAX_RAM_GIB = 0.5, 65536.0
MAX_BATCH = 4096
MAX_SUGGESTIONS = 1000
MIN_REPORT_MB, MAX_REPORT_MB = 2.0, 400.0  # beyond, browsers refuse the page
DECIMAL_MARKS = (".", ",")


@dataclass(frozen=True, kw_only=True)
class InferSettings:
    """Settings of an inference.

    Attributes:
        scales: Scales at which the network runs, whose probabilities are averaged; None for the model card's.
        adaptive: Run the papers' scales, the extra ones only where the base ones are uncertain.
        flips: Average each window with its mirror image.
        mpp: Um per level-0 px, in place of the file's.
        threshold: Probability threshold of gland, between 0 and 1.
        separate: Tell touching glands apart, if the model card says how.
        min_gland_um2: Smaller glands are dropped; the default is a disc of 23 um, less than any crypt.
        min_lumen_um2: Smaller holes are filled.
        tissue_mask: Skip windows without tissue.
        roi: GeoJSON file of the regions of interest; what lies outside is left out.
        batch: Maximum batch size, in windows.
        max_ram_gib: Memory that the process may take, GiB.
        max_unread: Share of the tissue that may be unreadable, 0..1, before the slide counts as failed.
        csv_decimal: Decimal mark of the table, "." or ",".
        suggest: Number of regions to suggest for correction.
        report_mb: Maximum size of the report, MB.
        write: Names of the outputs to write, as in `WRITERS`; None for the default ones.
    """

    scales: tuple[float, ...] | None = None
    adaptive: bool = False
    flips: bool = False
    mpp: float | None = None
    threshold: float = THRESHOLD
    separate: bool = True
    min_gland_um2: float = 400.0
    min_lumen_um2: float = 100.0
    tissue_mask: bool = True
    roi: Path | None = None
    batch: int = 8
    max_ram_gib: float = 2.0
    max_unread: float = 0.01
    csv_decimal: str = "."
    suggest: int = 0
    report_mb: float = 20.0
    write: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        """Check the bounds."""
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
        if self.batch > MAX_BATCH:
            raise BadInputError(f"--batch: at most {MAX_BATCH}. Received: {self.batch}")
        if not self.max_ram_gib >= MIN_RAM_GIB:
            raise BadInputError(f"--max-ram: at least {MIN_RAM_GIB:g} GiB. Received: {self.max_ram_gib}")
        if self.max_ram_gib > MAX_RAM_GIB:
            raise BadInputError(f"--max-ram: at most {MAX_RAM_GIB:g} GiB. Received: {self.max_ram_gib:g}")
        if self.csv_decimal not in DECIMAL_MARKS:
            raise BadInputError(f'--csv-decimal: "." or ",". Received: {self.csv_decimal}')
        if not 0 <= self.suggest <= MAX_SUGGESTIONS:
            raise BadInputError(f"--suggest: 0 to {MAX_SUGGESTIONS}. Received: {self.suggest}")
        if self.write and "suggestions" in self.write and not self.suggest:
            raise BadInputError("--write suggestions: how many? Give --suggest a number.")
        if not MIN_REPORT_MB <= self.report_mb <= MAX_REPORT_MB:
            raise BadInputError(
                f"--report-mb: {MIN_REPORT_MB:g} to {MAX_REPORT_MB:g}. Received: {self.report_mb:g}"
            )
        if not 0 <= self.max_unread <= 1:
            raise BadInputError(f"--max-unread: a share of 0..1. Received: {self.max_unread}")

    def choose_scales(self, card_scales: tuple[float, ...]) -> tuple[tuple[float, ...], int]:
        """Return the scales to run, and how many of them, from the first on, run everywhere.

        Args:
            card_scales: Scales of the model card, taken by default.
        """
        if self.adaptive:
            extra_scales = (scale for scale in PAPER_SCALES if scale not in BASE_SCALES)
            return (*BASE_SCALES, *extra_scales), len(BASE_SCALES)
        scales = self.scales or card_scales
        return scales, len(scales)


DEFAULTS = InferSettings()


def parse_scales(text: str | None) -> tuple[float, ...] | None:
    """Read scales written as "1" or "0.75,1,1.5"; None, the model card's, for None and "adaptive".

    Raises:
        BadInputError: A part is no number; `InferSettings` checks the rest.
    """
    if text is None or text == ADAPTIVE:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise BadInputError(
            f"--scales: numbers separated by commas, such as 0.75,1,1.5, or {ADAPTIVE}. Received: {text}"
        ) from None


def _check_scales(scales: tuple[float, ...]) -> None:
    if not scales or not all(SCALE_MIN <= scale <= SCALE_MAX for scale in scales):
        raise BadInputError(f"--scales: within {SCALE_MIN:g}..{SCALE_MAX:g}. Received: {_list(scales)}")
    if len(set(scales)) < len(scales):
        raise BadInputError(f"--scales: each once. Received: {_list(scales)}")


def _list(scales: tuple[float, ...]) -> str:
    return ",".join(f"{scale:g}" for scale in scales)
