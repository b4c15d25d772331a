"""A slide's windows at each scale: laid, run and traced into glands; the finished ones are kept on disk."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from glandseg.core.time_limit import STALL_S
from glandseg.model.backend import Network
from glandseg.model.windows import MARGIN_PX, STRIDE_PX
from glandseg.runtime.glands.tracer import GlandTracer
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.memory import measure_pace
from glandseg.runtime.preflight import Preflight
from glandseg.runtime.slide_run import SlideRun, Tissue
from glandseg.runtime.tiling.adaptive import AdaptiveOrder
from glandseg.runtime.tiling.flip import FlipAverage
from glandseg.runtime.tiling.map_writer import UNSTAINED, Exclude, MapWriter
from glandseg.runtime.tiling.order import Step, choose_swath_px, count_windows, order_windows
from glandseg.runtime.tiling.pipeline import Pipeline
from glandseg.runtime.tiling.scales import ScalePlane
from glandseg.runtime.tiling.window_store import Key, WindowStore
from glandseg.runtime.tissue.lumen import mark_unstained
from glandseg.slides.scaled_plane import lay_scale
from glandseg.slides.slide_plane import SlidePlane

STORE = "finished.windows"
TOLERANCE_PX = 0.1  # of contours: a quarter of the vertices, and no gland's area changes by 1 %
Advance = Callable[[int, int], None]  # windows done, windows in all


@dataclass(frozen=True, kw_only=True)
class SlideWindows:
    """The windows of a slide at all scales.

    Attributes:
        run: Run of the slide.
        tissue: Tissue of the slide.
        network: Network, ready to run.
        planes: Planes of the scales to average, the base scales first.
        base_scales: Number of scales that run everywhere; the others run where these are uncertain.
        base: The slide at the model's um/px.
        cache_bytes: Bytes that the planes may hold.
        store: Finished windows.
        files: Files to close when the windows are closed.
    """

    run: SlideRun
    tissue: Tissue
    network: Network
    planes: Sequence[ScalePlane]
    base_scales: int
    base: ScalePlane
    cache_bytes: int
    store: WindowStore
    files: ExitStack

    def count_finished(self) -> int:
        """Return the number of windows that the network has finished."""
        return sum(key.plane != UNSTAINED for key in self.store)

    def choose_batch(self) -> int:
        """Measure the network, report what the slide will take, and return the batch size that fits.

        Raises:
            EnvironmentLacksError: Memory or disk is too small.
        """
        run, total = self.run, count_windows(self.planes)
        run.slide.forget()
        reserve = run.budget.reserve(len(self.planes))
        pace = measure_pace(
            self.network.infer, run.settings.batch, run.budget.ceiling, reserve, run.slide.held_bytes
        )
        left, pixels = total - self.count_finished(), self.base.grid.height_px * self.base.grid.width_px
        preflight = Preflight.weigh(total, left, pace.window_s, pace.peak, pixels)
        run.say(str(preflight))
        if pace.batch < run.settings.batch:
            run.say(f"batches of {pace.batch} windows, to stay within --max-ram {run.settings.max_ram_gib:g}")
        preflight.check_disk(run.work, self.store.size)
        return pace.batch

    def run_all(self, batch: int, advance: Advance) -> GlandTracer:
        """Run the windows that are not stored yet, blend them, and trace glands as rows become final.

        Args:
            batch: Windows per call of the network.
            advance: Called with (windows done, windows in all).

        Returns:
            The tracer, all rows being final.
        """
        run, settings = self.run, self.run.settings
        probability, unstained = (
            self.files.enter_context(
                TileMap(run.work / name, self.base.grid.height_px, self.base.grid.width_px)
            )
            for name in ("probability.map", "unstained.map")
        )
        tracer = GlandTracer(
            probability,
            unstained,
            run.work,
            um_per_px=run.base.um_per_px,
            min_gland_um2=settings.min_gland_um2,
            min_lumen_um2=settings.min_lumen_um2,
            threshold=settings.threshold,
            tolerance_px=TOLERANCE_PX,
            extent_px=run.extent_px,
        )
        writer = MapWriter(
            planes=self.planes,
            store=self.store,
            probability=probability,
            unstained=unstained,
            excludes=self._list_excludes(),
            trace=self.files.enter_context(tracer).advance,
        )
        pipeline = Pipeline(
            read=self._read,
            infer=self.network.infer,
            finish=writer.write_rows,
            store=self.store,
            batch=batch,
            slots=run.backend.slots,
            readers=run.readers,
            trace=run.trace,
            stall_s=STALL_S,
        )
        total, done = count_windows(self.planes), 0

        def count(windows: int) -> None:
            nonlocal done
            done += windows
            advance(done, total)

        count(0)
        pipeline.run(self._order_windows(), count)
        return tracer

    def _list_excludes(self) -> list[Exclude]:
        sources = [self.run.unread_regions.mask, *([self.run.roi.exclude] if self.run.roi else [])]
        return [partial(source, l0_per_px=self.run.base.l0_per_px) for source in sources]

    def _order_windows(self) -> Iterable[Step]:
        looks = [] if any(item.scale == 1 for item in self.planes[: self.base_scales]) else [self.base]
        planes = [*self.planes, *looks]
        swath_px = choose_swath_px(planes, self.cache_bytes)
        height, width = self.base.grid.height_px, self.base.grid.width_px
        if self.base_scales == len(self.planes):
            return order_windows(planes, height, swath_px)
        return AdaptiveOrder(
            planes=self.planes,
            base_scales=self.base_scales,
            always=looks,
            store=self.store,
            height_px=height,
            width_px=width,
            swath_px=max(swath_px, 4 * STRIDE_PX),
        )

    def _read(self, key: Key) -> NDArray[np.uint8] | None:
        """Read a window; of one of the base plane, store also which px are unstained."""
        is_base = key.plane == len(self.planes) or self.planes[key.plane].scale == 1
        item = self.base if is_base else self.planes[key.plane]
        look = Key(UNSTAINED, key.row, key.column)
        if key.plane == len(self.planes) and look in self.store:
            return None
        window = item.read(key.row, key.column)
        if is_base and look not in self.store:
            middle = slice(MARGIN_PX, MARGIN_PX + STRIDE_PX)
            self.store.append(look, mark_unstained(window[middle, middle], self.tissue.thumbnail.white_point))
        return window if key.plane < len(self.planes) else None


@contextlib.contextmanager
def lay_windows(run: SlideRun, tissue: Tissue) -> Iterator[SlideWindows]:
    """Lay planes over the slide, one for each scale, and open the store of their windows."""
    scales, base_scales = run.settings.choose_scales(run.backend.card.scales)
    cache_bytes = run.budget.share_planes(len(scales))
    share = cache_bytes // len(scales)
    base = SlidePlane(run.slide, run.base.um_per_px, share, run.unread_regions, tissue.thumbnail.fill_rgb)

    def is_wanted(*rectangle_um: float) -> bool:
        return tissue.mask.covers(*rectangle_um) and (run.roi is None or run.roi.touches(*rectangle_um))

    def lay(scale: float) -> ScalePlane:
        return ScalePlane(scale=scale, plane=lay_scale(base, scale, share), wanted=is_wanted)

    with ExitStack() as files:
        yield SlideWindows(
            run=run,
            tissue=tissue,
            network=FlipAverage(run.backend) if run.settings.flips else run.backend,
            planes=[lay(scale) for scale in scales],
            base_scales=base_scales,
            base=lay(1.0),
            cache_bytes=cache_bytes,
            store=files.enter_context(WindowStore(run.work / STORE)),
            files=files,
        )
