"""What a slide will take, reported and checked before the network runs."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.units import GIB
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ModelFile
from glandseg.runtime.memory import measure_pace
from glandseg.runtime.outputs.overview import OVERVIEW_PX
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.slide_run import SlideRun, open_trial
from glandseg.runtime.slide_tissue import find_tissue
from glandseg.runtime.slide_windows import SlideWindows

_STORED_BYTES = 45_000  # of a stored window, compressed; at most 35 kB were measured on glands alone
_GLAND_BYTES = 40_000  # of the glands of a window full of them: store, GeoJSON and table
_MAPS = 2  # bytes per px, at most: probability, unstained px
_OUTPUTS = 5  # of those written by default: mask, and four of the labels
_SEPARATION_MAPS = 2  # outline map, p(core)
_L0_PER_PX = 64  # maximum level-0 px, which the overview shows, per px of the base plane
_FIXED_BYTES = 2 << 20  # record, facts, folders, and the unfilled tiles at the maps' edges


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What a slide will take.

    Attributes:
        windows: Number of windows; the maximum where some depend on others.
        left: Number of windows that are not kept from an earlier, unfinished run.
        seconds: Seconds of the network for those left.
        memory: Peak bytes of the process.
        disk: Bytes on disk during the run, the outputs included.
    """

    windows: int
    left: int
    seconds: float
    memory: int
    disk: int

    @classmethod
    def weigh(
        cls,
        windows: int,
        left: int,
        window_s: float,
        memory: int,
        pixels: int,
        *,
        separates: bool = False,
        keeps_core: bool = False,
        outputs_px_bytes: int = _OUTPUTS,
        report_bytes: int = 0,
    ) -> Preflight:
        """Estimate what `windows` windows over a base plane of `pixels` px will take.

        Args:
            windows: Number of windows.
            left: Number of windows that are not kept from an earlier run.
            window_s: Seconds of the network per window.
            memory: Peak bytes of the process.
            pixels: Px of the base plane.
            separates: Whether touching glands are told apart: the glands are then stored twice.
            keeps_core: Whether p(core) is stored too.
            outputs_px_bytes: Bytes per px of the outputs.
            report_bytes: Bytes of the report.
        """
        overview = 3 * min(_L0_PER_PX * pixels, OVERVIEW_PX**2)  # as if nothing could be compressed
        each = _STORED_BYTES * (1 + keeps_core) + _GLAND_BYTES * (1 + separates)
        maps = (_MAPS + outputs_px_bytes + _SEPARATION_MAPS * separates) * pixels
        disk = windows * each + maps + overview + report_bytes + _FIXED_BYTES
        return cls(windows=windows, left=left, seconds=left * window_s, memory=memory, disk=disk)

    def __str__(self) -> str:
        """Describe it in a line."""
        kept = f", {self.windows - self.left:,} of them kept from before" if self.left < self.windows else ""
        plural = "s" if self.windows != 1 else ""
        return (
            f"{self.windows:,} window{plural}{kept}; about {describe_seconds(self.seconds)} of network, "
            f"{self.memory / GIB:.1f} GiB of memory, up to {self.disk / GIB:.2g} GiB of disk"
        )

    def check_disk(self, folder: Path, used: int) -> None:
        """Check that the disk is large enough.

        Args:
            folder: Work folder.
            used: Bytes that it holds already.

        Raises:
            EnvironmentLacksError: Fewer bytes are free than needed.
        """
        free = shutil.disk_usage(folder).free + used
        if free < self.disk:
            raise EnvironmentLacksError(
                f"{folder.parent}: {self.disk / GIB:.2g} GiB are needed while the slide is worked on, "
                f"{free / GIB:.2g} GiB are free. Free space, or give another --out."
            )


def choose_batch(run: SlideRun, windows: SlideWindows) -> int:
    """Measure the network, report what the slide will take, and return the batch size that fits.

    Raises:
        EnvironmentLacksError: There is not enough memory or disk.
    """
    preflight, batch = _weigh_run(run, windows)
    run.say(str(preflight))
    if batch < run.settings.batch:
        run.say(f"batches of {batch} windows, to stay within --max-ram {run.settings.max_ram_gib:g}")
    preflight.check_disk(run.work, windows.store.size)
    return batch


def weigh_slide(path: Path, backend: ModelBackend, model: ModelFile, settings: InferSettings) -> Preflight:
    """Estimate what a slide will take, as if nothing of it had run before.

    The arguments and errors are those of `infer_slide`.
    """
    with open_trial(path, backend, model, settings) as run:
        tissue = find_tissue(run, lambda text: None)
        with SlideWindows(run, tissue) as windows:
            return _weigh_run(run, windows)[0]


def describe_seconds(seconds: float) -> str:
    """Describe a duration roughly: "40 s", "12 min", "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _weigh_run(run: SlideRun, windows: SlideWindows) -> tuple[Preflight, int]:
    """Measure the network; return what the slide will take, and the batch size that fits."""
    run.slide.clear_cache()
    settings, ceiling, grid = run.settings, run.budget.ceiling, windows.base.grid
    reserve = run.budget.reserve(len(windows.planes))
    pace = measure_pace(windows.network.infer, settings.batch, ceiling, reserve, run.slide.held_bytes)
    preflight = Preflight.weigh(
        windows.count,
        windows.count - windows.count_finished(),
        pace.window_s,
        pace.peak,
        grid.height_px * grid.width_px,
        separates=run.separation is not None,
        keeps_core=run.keeps_core,
        outputs_px_bytes=sum(output.px_bytes for output in run.paths.outputs.values()),
        report_bytes=int(settings.report_mb * 1e6) if "report" in run.paths.outputs else 0,
    )
    return preflight, pace.batch
