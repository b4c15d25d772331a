"""A slide's glands, traced from its maps as rows become final: touching ones are told apart first.

The mask keeps the px of the map as it is, so that with separation the map is traced a second time, as it is,
for the mask alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from glandseg.runtime.glands.cut import find_cut
from glandseg.runtime.glands.separation import find_reach_px
from glandseg.runtime.glands.separator import Separator
from glandseg.runtime.glands.store import Glands
from glandseg.runtime.glands.tracer import GlandTracer, open_tracer
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.slide_run import SlideRun


class SlideTracer(ExitStack):
    """The maps of a slide and the tracers of its glands; a context manager that closes their files.

    Args:
        run: Run of the slide.
        shape: Height and width of the base plane.

    Attributes:
        probability: p(gland), to be written.
        unstained: 0 and 1, to be written.
        core: p(core), to be written; None if it is not needed.
    """

    def __init__(self, run: SlideRun, shape: tuple[int, int]) -> None:
        super().__init__()
        self._run, self._shape, rule = run, shape, run.separation
        self.probability, self.unstained = self._lay("probability"), self._lay("unstained")
        self.core = self._lay("core") if run.keeps_core else None
        self._separator: Separator | None = None
        outline, self._whole = self.probability, None
        if rule:
            outline = self._lay("outline")
            self._separator = Separator(
                self.probability,
                self.core or self.probability,
                outline,
                cut=find_cut(run.settings.threshold),
                seed_cut=find_cut(rule.threshold),
                reach_px=find_reach_px(rule, run.base.um_per_px),
            )
            self._whole = self._open_tracer(self.probability, run.work / "whole", measures=False)
        self._tracer = self._open_tracer(outline, run.work)

    @property
    def followers(self) -> list[Callable[[int], None]]:
        """Functions that trace what is complete, now that the first rows of the maps are final.

        Each is called with (rows that are final), from one thread, which may be its own.
        """
        return [self._advance, *([self._whole.advance] if self._whole else [])]

    def _advance(self, rows: int) -> None:
        self._tracer.advance(self._separator.advance(rows) if self._separator else rows)

    def finish(self) -> tuple[Glands, Glands]:
        """Trace the rest, all rows being final.

        Returns:
            The glands; and those of the mask, in which glands that touch are one. They can be read until the
            files are closed.
        """
        self._advance(self._shape[0])
        glands = self._tracer.finish()
        return glands, self._whole.finish() if self._whole else glands

    def _lay(self, name: str) -> TileMap:
        return self.enter_context(TileMap(self._run.work / f"{name}.map", *self._shape))

    def _open_tracer(self, probability: TileMap, scratch: Path, measures: bool = True) -> GlandTracer:
        scratch.mkdir(exist_ok=True)
        run = self._run
        tracer = open_tracer(
            probability,
            self.unstained,
            scratch,
            run.settings,
            um_per_px=run.base.um_per_px,
            extent_px=run.extent_px,
            measures=measures,
        )
        return self.enter_context(tracer)
