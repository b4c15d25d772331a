"""The report in a real browser, as a file and as `glandseg view` serves it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.glands.measurements import QUANTITIES
from tests.browser.conftest import DISKS, Opened

OUTLINE_RGB, CHOSEN_RGB = (86, 180, 233), (240, 228, 66)


def look(page: Any) -> NDArray[np.int64]:
    """Take a picture of the viewer, (h, w, 3) RGB."""
    image = pytest.importorskip("PIL.Image")
    page.wait_for_timeout(900)  # the viewer's animation takes half a second
    return np.asarray(image.open(io.BytesIO(page.locator("#viewer").screenshot())).convert("RGB"), np.int64)


def count_px(picture: NDArray[np.int64], rgb: tuple[int, int, int]) -> int:
    return int((np.abs(picture - rgb).max(axis=2) < 40).sum())


def list_numbers(page: Any) -> list[int]:
    return [int(text) for text in page.locator("#table tbody td:first-child").all_inner_texts()]


def test_it_opens_without_a_complaint_and_asks_no_other_machine(opened: Opened) -> None:
    assert opened.page.title() == "a <b> & c - glandseg report"
    assert opened.page.inner_text("#title") == "a <b> & c"
    assert "Not for use in diagnostic procedures" in opened.page.inner_text("#use")
    assert count_px(look(opened.page), OUTLINE_RGB) > 1000
    opened.page.click("#zoom-in")
    look(opened.page)
    root = opened.requests[0]
    assert all(url.startswith(root) for url in opened.requests)
    assert root.startswith(("file:", "http://127.0.0.1:"))
    assert opened.complaints == []


def test_layers_come_and_go(opened: Opened) -> None:
    whole = look(opened.page)
    opened.page.uncheck("#show-outlines")
    bare = look(opened.page)
    assert count_px(bare, OUTLINE_RGB) < 50 < count_px(whole, OUTLINE_RGB)
    opened.page.check("#show-probability")
    assert np.abs(look(opened.page) - bare).mean() > 1
    opened.page.uncheck("#show-probability")
    opened.page.uncheck("#show-slide")
    assert look(opened.page).std() < bare.std() / 4


def test_zooming_shows_less_of_the_slide_at_a_finer_scale(opened: Opened) -> None:
    before = opened.page.inner_text("#bar-label")
    for _ in range(3):
        opened.page.click("#zoom-in")
    look(opened.page)
    assert opened.page.inner_text("#bar-label") != before
    opened.page.click("#home")
    look(opened.page)
    assert opened.page.inner_text("#bar-label") == before


def test_a_row_flies_to_its_gland_and_a_click_on_a_gland_finds_its_row(opened: Opened) -> None:
    opened.page.click("#next")
    number = list_numbers(opened.page)[-1]
    opened.page.get_by_role("button", name=f"Show gland {number}", exact=True).click()
    picture = look(opened.page)
    ys, xs = np.nonzero(np.abs(picture - CHOSEN_RGB).max(axis=2) < 40)
    height, width = picture.shape[:2]
    assert abs(ys.mean() / height - 0.5) < 0.1
    assert abs(xs.mean() / width - 0.5) < 0.1
    opened.page.click("#previous")
    assert number not in list_numbers(opened.page)
    opened.page.locator("#viewer").click(position={"x": width / 2, "y": height / 2})
    assert opened.page.inner_text("tr.chosen td:first-child") == str(number)


def test_columns_sort_both_ways(opened: Opened) -> None:
    assert list_numbers(opened.page) == list(range(1, 51))
    assert f"of {len(DISKS)}" in opened.page.inner_text("#page")
    column = 2 + list(QUANTITIES).index("centroid_x_um")  # from 1, after the number
    for wanted in ("ascending", "descending"):
        opened.page.get_by_role("button", name="Centroid X um").click()
        cells = opened.page.locator(f"#table tbody td:nth-child({column})")
        values = [float(text) for text in cells.all_inner_texts()]
        assert values == sorted(values, reverse=wanted == "descending")
        assert opened.page.get_attribute(f"th:nth-child({column})", "aria-sort") == wanted
    assert len(set(values)) > 5


def test_glands_without_a_value_come_last(opened: Opened) -> None:
    column = 2 + list(QUANTITIES).index("orientation_deg")
    for _ in ("ascending", "descending"):
        opened.page.get_by_role("button", name="Orientation deg").click()
        cells = opened.page.locator(f"#table tbody td:nth-child({column})").all_inner_texts()
        finite = [cell != "" for cell in cells]
        assert finite == sorted(finite, reverse=True)
    assert not all(finite)


def test_the_keyboard_reaches_everything(opened: Opened) -> None:
    reached = set()
    for _ in range(40):
        opened.page.keyboard.press("Tab")
        reached.add(opened.page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    assert {"zoom-in", "home", "show-outlines", "show-probability", "opacity", "Number", "1"} <= reached


def test_axe_finds_no_serious_fault(opened: Opened) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright")
    opened.page.locator("details").first.evaluate("details => details.open = true")
    found = axe.Axe().run(opened.page)["violations"]
    assert [fault["id"] for fault in found if fault["impact"] in ("serious", "critical")] == []


def test_it_prints_on_a4_with_the_record_open(opened: Opened) -> None:
    opened.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.page.locator("details:not([open])").count() == 0
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.page.pdf(format="A4").startswith(b"%PDF")
