"""The report with many glands in a real browser: its size, seconds until it is ready, frames per second.

Synthetic glands on a synthetic slide's frame are written as `glandseg infer` writes them; a headless Chromium
opens the page from the disk and pans at several zooms, by the browser's own clock of frames. Its software
renderer draws on the CPU, which a screen with a graphics card does faster.

    python -m benchmarks.report_page --glands 1000 100000 --json benchmarks/results/NAME.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from benchmarks.many_glands import ManyGlands, lay_glands
from benchmarks.measured_on import describe_circumstances
from glandseg.runtime.outputs.report.report import end_report, write_report

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
    found = lay_glands(path, ManyGlands(count))
    with write_report(path, found, print) as add:
        for gland in found.glands:
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
