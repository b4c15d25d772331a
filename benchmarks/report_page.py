"""The report with many glands in a real browser: its size, seconds until it is ready, frames per second.

Synthetic glands on a synthetic slide's frame are written as `glandseg infer` writes them; a headless Chromium
opens the page from the disk and pans at several zooms, by the browser's own clock of frames. Its software
renderer draws on the CPU, which a screen with a graphics card does faster.

    python -m benchmarks.report_page --glands 1000 100000 --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright
from shapely import Polygon

from benchmarks.measured_on import describe_circumstances
from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.imagery import Imagery
from glandseg.runtime.outputs.report.report import end_report, write_report
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.plane import TiledPlane

SPACING_PX, POINTS = 60, 104  # of glands, as on real colon at 1.3 um/px
UM_PER_PX, THUMBNAIL_UM = 1.3, 10.4
ZOOMS = (1, 4, 16, 64)  # of the whole slide
FRAMES = 60
# Pans by a hundredth of the view each frame, and returns the times of the frames in ms. A px of each
# canvas is read, as its drawing commands would else only be queued.
PAN = """frames => new Promise(done => {
  const viewer = OpenSeadragon.getViewer("viewer"), times = [];
  const step = viewer.viewport.getBounds().width / 100;
  const move = () => {
    for (const canvas of document.querySelectorAll("#viewer canvas")) {
      if (canvas.width && canvas.height) canvas.getContext("2d").getImageData(0, 0, 1, 1);
    }
    times.push(performance.now());
    if (times.length > frames) return done(times);
    viewer.viewport.panBy(new OpenSeadragon.Point(times.length % 40 < 20 ? step : -step, 0), true);
    requestAnimationFrame(move);
  };
  requestAnimationFrame(move);
})"""


class ManyGlands:
    """Glands on a grid, made when they are read."""

    def __init__(self, count: int) -> None:
        self._count, self._side = count, math.ceil(math.sqrt(count))
        self.area_px2 = 0.0

    def __len__(self) -> int:
        """Return the number of glands."""
        return self._count

    def __getitem__(self, index: int) -> Gland:
        """Draw a wavy disc."""
        random, angles = np.random.default_rng((0, index)), np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
        radii = 20 + 3 * np.sin(angles * random.integers(2, 7)) + random.normal(0, 0.3, POINTS)
        row, column = divmod(index, self._side)
        xy = np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)
        polygon = Polygon(xy + (np.array([column, row]) + 0.5) * SPACING_PX)
        return Gland(number=index + 1, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)

    def __iter__(self) -> Iterator[Gland]:
        """Draw all."""
        return map(self.__getitem__, range(self._count))


class NoProbability:
    """A map of zeros."""

    def __init__(self, side_px: int) -> None:
        self.shape = (side_px, side_px)

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Return zeros."""
        return np.zeros((bottom - top, right - left), np.uint8)


def main() -> None:
    """Write and open a report of each number of glands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--glands", type=int, nargs="+", default=[1000, 100_000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--browser", default=shutil.which("chromium"), help="Chromium's executable.")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        browser = started.chromium.launch(executable_path=args.browser, args=["--no-sandbox"])
        rows = []
        for count in args.glands:
            path = Path(folder) / f"{count}.report.html"
            write(path, count)
            rows.append({"glands": count, "mb": round(path.stat().st_size / 1e6, 1), **look(browser, path)})
        result = {"browser": browser.version, "rows": rows, **describe_circumstances()}
        browser.close()
    text = json.dumps(result, indent=1) + "\n"
    print(text, end="")
    if args.json:
        args.json.write_text(text, encoding="utf-8")


def write(path: Path, count: int) -> None:
    """Write a report of synthetic glands."""
    side_px = math.ceil(math.sqrt(count)) * SPACING_PX
    plane = SimpleNamespace(um_per_px=UM_PER_PX, l0_per_px=2.6, width_px=side_px, height_px=side_px)
    thumbnail = np.full((math.ceil(side_px / 8), math.ceil(side_px / 8), 3), (235, 210, 225), np.uint8)
    glands = ManyGlands(count)
    found = SlideGlands(
        name="synthetic",
        slide_path=path,
        glands=cast(Glands, glands),
        mask_glands=cast(Glands, glands),
        plane=cast(TiledPlane, plane),
        extent_px=(side_px, side_px),
        slide_sha256="",
        model_sha256="",
        imagery=Imagery(
            lay_plane=lambda um: cast(TiledPlane, plane),
            tissue=TissueMask(np.zeros((1, 1), np.bool_), 8.0),
            probability=NoProbability(side_px),
            thumbnail=thumbnail,
            thumbnail_um_per_px=THUMBNAIL_UM,
        ),
        metadata={},
    )
    with write_report(path, found, print) as add:
        for gland in glands:
            add(gland, found.measure(gland))
    result = {"glands": count, "gland_mm2": 1.0, "tissue_mm2": 2.0, "warnings": []}
    slide = {"um_per_px": "0.5", "um_per_px_source": "synthetic"}
    card = {"name": "none", "tissue": "nothing"}
    end_report(path, {"result": result, "slide": slide, "model": {"card": card}, "unread": []})


def look(browser: Any, path: Path) -> dict[str, Any]:
    """Open a report; return seconds until it is ready, and frames per second at each zoom."""
    page: Page = browser.new_page(viewport={"width": 1300, "height": 900})
    began = time.monotonic()
    page.goto(path.as_uri())
    page.wait_for_selector("body[data-ready=true]", timeout=120_000)
    ready_s = time.monotonic() - began
    zooms = {str(zoom): pan(page, zoom) for zoom in ZOOMS}
    page.close()
    return {"ready_s": round(ready_s, 2), "pan": zooms}


def pan(page: Page, zoom: int) -> dict[str, float]:
    """Pan at a zoom; return frames per second, and the longest frame in milliseconds."""
    page.evaluate(f"OpenSeadragon.getViewer('viewer').viewport.goHome(true).zoomBy({zoom}, null, true)")
    page.wait_for_timeout(1500)
    steps = np.diff(page.evaluate(PAN, FRAMES))
    return {"frames_per_s": round(1000 / float(steps.mean()), 1), "longest_ms": round(float(steps.max()))}


if __name__ == "__main__":
    main()
