"""A slide's windows at each scale: laid, run and traced into glands; the finished ones are kept on disk."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Advance
from glandseg.core.workers import STALL_S
from glandseg.model.backend import Network
from glandseg.model.windows import MARGIN_PX, STRIDE_PX
from glandseg.runtime.slide_run import SlideRun
from glandseg.runtime.slide_tissue import Tissue
from glandseg.runtime.slide_tracer import SlideTracer
from glandseg.runtime.tiling.adaptive import AdaptiveOrder
from glandseg.runtime.tiling.flip import FlipAverage
from glandseg.runtime.tiling.map_writer import UNSTAINED, Exclude, MapWriter
from glandseg.runtime.tiling.order import Step, choose_swath_px, count_windows, order_windows
from glandseg.runtime.tiling.pipeline import Pipeline
from glandseg.runtime.tiling.scales import ScalePlane
from glandseg.runtime.tiling.window_store import CORE_PLANES, Key, WindowStore
from glandseg.runtime.tissue.lumen import mark_unstained
from glandseg.slides.scaled_plane import lay_scale
from glandseg.slides.slide_plane import SlidePlane

STORE = "finished.windows"


class SlideWindows(ExitStack):
    """The windows of a slide at all scales; a context manager that closes their files, which stay.

    Args:
        run: Run of the slide.
        tissue: Tissue of the slide.

    Attributes:
        network: Network, ready to run.
        planes: Planes of the scales to average, the base scales first.
        base: The slide at the model's um/px.
        store: Finished windows.
    """

    def __init__(self, run: SlideRun, tissue: Tissue) -> None:
        super().__init__()
        self._run, self._white_point = run, tissue.thumbnail.white_point
        self.network: Network = FlipAverage(run.backend) if run.settings.flips else run.backend
        scales, self._base_scales = run.settings.choose_scales(run.backend.card.scales)
        self._cache_bytes = run.budget.share_planes(len(scales))
        share = self._cache_bytes // len(scales)
        um_per_px, fill_rgb = run.base.um_per_px, tissue.thumbnail.fill_rgb
        base = SlidePlane(run.slide, um_per_px, share, run.unread_regions, fill_rgb)

        def is_wanted(*rectangle_um: float) -> bool:
            return tissue.mask.covers(*rectangle_um) and (run.roi is None or run.roi.touches(*rectangle_um))

        def lay(scale: float) -> ScalePlane:
            return ScalePlane(scale=scale, plane=lay_scale(base, scale, share), wanted=is_wanted)

        self.planes, self.base = [lay(scale) for scale in scales], lay(1.0)
        self.store = self.enter_context(WindowStore(run.work / STORE))

    @cached_property
    def count(self) -> int:
        """The number of windows, all that may have to run."""
        return count_windows(self.planes)

    def count_finished(self) -> int:
        """Return the number of windows that the network has finished."""
        return sum(key.plane < CORE_PLANES for key in self.store)

    def run_all(self, batch: int, advance: Advance) -> SlideTracer:
        """Run the windows that are not stored yet, blend them, and trace glands as rows become final.

        Args:
            batch: Windows per call of the network.
            advance: Called with (windows done, windows in all).

        Returns:
            The tracer, all rows being final.
        """
        run = self._run
        grid = self.base.grid
        tracer = self.enter_context(SlideTracer(run, (grid.height_px, grid.width_px)))
        writer = MapWriter(
            planes=self.planes,
            store=self.store,
            probability=tracer.probability,
            unstained=tracer.unstained,
            core=tracer.core,
            excludes=self._list_excludes(),
            threads=run.readers,
        )
        pipeline = Pipeline(
            read=self._read,
            infer=self.network.infer,
            finish=writer.write_rows,
            follow=tracer.followers,
            store=self.store,
            keeps_core=run.keeps_core,
            batch=batch,
            slots=run.backend.slots,
            readers=run.readers,
            trace=run.trace,
            stall_s=STALL_S,
        )
        done = 0

        def count(windows: int) -> None:
            nonlocal done
            done += windows
            advance(done, self.count)

        count(0)
        pipeline.run(self._order_windows(), count)
        return tracer

    def _list_excludes(self) -> list[Exclude]:
        sources = [self._run.unread_regions.mask, *([self._run.roi.exclude] if self._run.roi else [])]
        return [partial(source, l0_per_px=self._run.base.l0_per_px) for source in sources]

    def _order_windows(self) -> Iterable[Step]:
        has_base = any(item.scale == 1 for item in self.planes[: self._base_scales])
        always = [] if has_base else [self.base]  # read for its unstained px, not run
        planes = [*self.planes, *always]
        swath_px = choose_swath_px(planes, self._cache_bytes)
        height, width = self.base.grid.height_px, self.base.grid.width_px
        if self._base_scales == len(self.planes):
            return order_windows(planes, height, swath_px)
        return AdaptiveOrder(
            planes=self.planes,
            base_scales=self._base_scales,
            always=always,
            store=self.store,
            height_px=height,
            width_px=width,
            swath_px=max(swath_px, 4 * STRIDE_PX),
        )

    def _read(self, key: Key) -> NDArray[np.uint8] | None:
        """Read a window; of one of the base plane, store also which px are unstained."""
        is_base = key.plane == len(self.planes) or self.planes[key.plane].scale == 1
        item = self.base if is_base else self.planes[key.plane]
        unstained = Key(UNSTAINED, key.row, key.column)
        if key.plane == len(self.planes) and unstained in self.store:
            return None
        window = item.read(key.row, key.column)
        if is_base and unstained not in self.store:
            middle = slice(MARGIN_PX, MARGIN_PX + STRIDE_PX)
            self.store.append(unstained, mark_unstained(window[middle, middle], self._white_point))
        return window if key.plane < len(self.planes) else None
