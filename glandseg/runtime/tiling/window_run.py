"""All windows of a slide, run and turned into glands; cut off, it goes on where it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.trace import Trace
from glandseg.model.windows import MARGIN_PX, STRIDE_PX
from glandseg.runtime.glands.store import Glands
from glandseg.runtime.glands.tracer import GlandTracer
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.tiling.adaptive import AdaptiveRoute
from glandseg.runtime.tiling.blend import LOOK, Exclude, RowFinisher
from glandseg.runtime.tiling.order import Step, choose_swath_px, count_windows, lay_route
from glandseg.runtime.tiling.pipeline import Pipeline
from glandseg.runtime.tiling.scales import ScalePlane
from glandseg.runtime.tiling.window_store import Key, WindowStore
from glandseg.runtime.tissue.lumen import mark_unstained

STORE = "finished.windows"
Advance = Callable[[int, int], None]  # windows done, windows in all


@dataclass(frozen=True, kw_only=True)
class NetworkCalls:
    """How the network is called.

    Attributes:
        infer: (N, 320, 320, 3) uint8 RGB to (N, classes, 320, 320) uint8.
        slots: calls that may overlap.
        batch: windows a call.
        readers: threads that read for it.
        stall_s: seconds after which a call that has not ended counts as stalled.
    """

    infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    slots: int
    batch: int
    readers: int
    stall_s: float


@dataclass(kw_only=True)
class WindowRun:
    """The windows of a slide at all scales; a context manager that lets go of its files.

    Attributes:
        planes: of the scales to average; where only some are cheap, these come first.
        cheap: how many are run everywhere; the others where these leave the answer open.
        base: the slide at the model's um/px.
        work: folder in which finished windows are kept.
        cache_bytes: that the planes may hold.
    """

    planes: Sequence[ScalePlane]
    cheap: int
    base: ScalePlane
    work: Path
    cache_bytes: int
    _files: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Open the store."""
        self.store = self._files.enter_context(WindowStore(self.work / STORE))

    @cached_property
    def windows(self) -> int:
        """The number of windows, all that may have to be run."""
        return count_windows(self.planes)

    def count_stored(self) -> int:
        """Count the windows that the network has answered for."""
        return sum(key.plane != LOOK for key in self.store)

    def count_left(self) -> int:
        """Count the windows that may have to be run yet."""
        return self.windows - self.count_stored()

    def run(
        self,
        network: NetworkCalls,
        white_point: NDArray[np.float32],
        excludes: Sequence[Exclude],
        trace: Trace,
        advance: Advance,
        **tracing: Any,
    ) -> Glands:
        """Run the windows that are not stored yet, and trace the glands.

        Args:
            network: ready to be called.
            white_point: (3,) RGB in 0..255 of unstained glass.
            excludes: tell px of the base plane that no gland may lie on.
            trace: of the time spent.
            advance: is told how many windows are done, and of how many.
            **tracing: settings of `GlandTracer`.

        Returns:
            The glands; they can be read until this is closed.
        """
        height, width = self.base.grid.height_px, self.base.grid.width_px
        probability, unstained = (
            self._files.enter_context(TileMap(self.work / name, height, width))
            for name in ("probability.map", "unstained.map")
        )
        tracer = self._files.enter_context(GlandTracer(probability, unstained, self.work, **tracing))
        finisher = RowFinisher(
            planes=self.planes,
            store=self.store,
            probability=probability,
            unstained=unstained,
            excludes=excludes,
            trace=tracer.advance,
        )
        pipeline = Pipeline(
            read=lambda key: self._read(key, white_point),
            infer=network.infer,
            finish=finisher.finish,
            store=self.store,
            batch=network.batch,
            slots=network.slots,
            readers=network.readers,
            trace=trace,
            stall_s=network.stall_s,
        )
        pipeline.run(self._lay_route(), Counter(self.windows, advance).add)
        with trace.span("finish"):
            return tracer.finish()

    def close(self) -> None:
        """Let go of the files, which stay; harmless when repeated."""
        self._files.close()

    def __enter__(self) -> WindowRun:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the files."""
        self.close()

    def _lay_route(self) -> Iterable[Step]:
        looks = [] if any(item.scale == 1 for item in self.planes[: self.cheap]) else [self.base]
        planes = [*self.planes, *looks]
        swath_px = choose_swath_px(planes, self.cache_bytes)
        height, width = self.base.grid.height_px, self.base.grid.width_px
        if self.cheap == len(self.planes):
            return lay_route(planes, height, swath_px)
        return AdaptiveRoute(
            planes=self.planes,
            cheap=self.cheap,
            always=looks,
            store=self.store,
            height_px=height,
            width_px=width,
            swath_px=max(swath_px, 4 * STRIDE_PX),
        )

    def _read(self, key: Key, white_point: NDArray[np.float32]) -> NDArray[np.uint8] | None:
        """Read a window; of one of the base plane, keep also which px are unstained."""
        is_base = key.plane == len(self.planes) or self.planes[key.plane].scale == 1
        item = self.base if is_base else self.planes[key.plane]
        look = Key(LOOK, key.row, key.column)
        if key.plane == len(self.planes) and look in self.store:
            return None
        window = item.read(key.row, key.column)
        if is_base and look not in self.store:
            middle = slice(MARGIN_PX, MARGIN_PX + STRIDE_PX)
            self.store.append(look, mark_unstained(window[middle, middle], white_point))
        return window if key.plane < len(self.planes) else None


@dataclass
class Counter:
    """Counts windows, and tells."""

    total: int
    advance: Advance
    done: int = 0

    def __post_init__(self) -> None:
        """Tell the beginning."""
        self.advance(0, self.total)

    def add(self, windows: int) -> None:
        """Count some."""
        self.done += windows
        self.advance(self.done, self.total)
