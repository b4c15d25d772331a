"""A real browser, a slide with its report, and what the page says and asks for."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glandseg.model.files import check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.view.open_view import open_view

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
DISKS = [(x, y, 60.0) for y in range(150, 1400, 210) for x in range(150, 1900, 190)]


@dataclass
class Opened:
    """A page in the browser, and what went over the network or to its console.

    Attributes:
        page: Page of Playwright, ready.
        requests: Addresses asked for, but those of embedded data.
        complaints: Errors and warnings.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Start a browser; skip where none is installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed: {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def slide(tmp_path: Path, draw_disks: Callable[..., Any], red_model: Path) -> Path:
    """Draw 54 glands, two of them merging, and run the slide."""
    path = tmp_path / "a <b> & c.png"
    cv2.imwrite(str(path), np.ascontiguousarray(draw_disks(2000, 1500, DISKS, [])[..., ::-1]))
    with CpuSession(red_model, threads=1) as session:
        model = check_model(red_model, "--model")
        infer_slide(path, session, model, InferSettings(mpp=0.5, min_gland_um2=100.0))
    return path


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[[str], Opened]]:
    """Return a function that opens an address and waits until the page is ready."""
    pages = []

    def run(url: str) -> Opened:
        opened = Opened(browser.new_page(viewport={"width": 1300, "height": 900}))
        pages.append(opened.page)
        opened.page.on(
            "request",
            lambda request: None if request.url.startswith("data:") else opened.requests.append(request.url),
        )
        opened.page.on(
            "console",
            lambda message: (
                opened.complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.goto(url)
        opened.page.wait_for_selector("body[data-ready=true]")
        return opened

    yield run
    for page in pages:
        page.close()


@pytest.fixture(params=["file", "served"])
def opened(request: pytest.FixtureRequest, slide: Path, show: Callable[[str], Opened]) -> Iterator[Opened]:
    """Open the report of the slide, as a file and as `glandseg view` serves it."""
    if request.param == "file":
        yield show(slide.with_name("a <b> & c.report.html").as_uri())
        return
    with open_view(slide, None) as server, server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield show(server.url)
        server.shutdown()
        thread.join()
