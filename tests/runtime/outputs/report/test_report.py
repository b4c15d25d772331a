"""The report as a file: complete, harmless whatever the slide is called, within its size."""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely import Polygon, box

from glandseg.runtime.glands.measurements import QUANTITIES
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.report import report
from glandseg.runtime.outputs.report.report import UNREAD_SHOWN, end_report, read_page, write_report

MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[str]]
RECORD: dict[str, Any] = {"use": "research", "result": {"glands": 1, "seconds": {"read": 1.0}}, "unread": []}
SCRIPT = re.compile(r'<script type="[^"]*" id="(\w+)">([^<]*)</script>')


def number(polygons: list[Polygon]) -> list[Gland]:
    return [
        Gland(number=index, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for index, polygon in enumerate(polygons, 1)
    ]


@pytest.fixture
def read(tmp_path: Path, make_found: MakeFound, write: Write) -> Callable[..., dict[str, str]]:
    """Return a function that writes a report and returns the texts of its data by name."""

    def run(glands: list[Gland], record: dict[str, Any] = RECORD, **options: Any) -> dict[str, str]:
        path = tmp_path / "a.report.html"
        write(write_report, path, make_found(glands, **options))
        end_report(path, record)
        return dict(SCRIPT.findall(path.read_text(encoding="utf-8")))

    return run


def test_the_page_holds_rows_outlines_probability_layout_and_record(
    read: Callable[..., dict[str, str]],
) -> None:
    data = read(number([box(10, 10, 30, 40), box(50, 50, 90, 60)]))
    layout, record = json.loads(data["layout"]), json.loads(data["record"])
    rows = np.frombuffer(zlib.decompress(base64.b64decode(data["rows"])), "<f4").reshape(2, -1)
    assert [name for name, *_ in layout["columns"]] == list(QUANTITIES)
    assert rows[:, 0] == pytest.approx([600 * 0.25, 400 * 0.25])
    assert (layout["glands"], layout["rows"], layout["outlines"]) == (2, 2, 2)
    assert base64.b64decode(data["probability"]).startswith(b"\x89PNG")
    assert record["result"] == {"glands": 1}


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\udce9"]
)
def test_a_slides_name_cannot_become_markup(
    name: str, read: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    data = read(number([box(10, 10, 30, 40)]), {**RECORD, "said": [name]}, name=name)
    assert json.loads(data["layout"])["name"] == name
    assert json.loads(data["record"])["said"] == [name]
    page = (tmp_path / "a.report.html").read_text(encoding="utf-8")
    assert (
        page.count("<script")
        == page.count("</script>")
        == read_page().count("<script") + page.count('class="tile"') + len(data)
    )


def test_glands_that_do_not_fit_are_counted_and_the_size_is_kept(
    read: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    angles = np.linspace(0, 2 * np.pi, 200)
    noise = np.random.default_rng(0).uniform(6, 9, (2000, 200))
    glands = number([Polygon(np.stack([r * np.cos(angles), r * np.sin(angles)], 1) + 90) for r in noise])
    layout = json.loads(read(glands, report_bytes=480_000)["layout"])
    assert (tmp_path / "a.report.html").stat().st_size <= 480_000
    assert layout["glands"] == 2000
    assert 0 < layout["outlines"] < 2000
    assert json.loads(read(glands)["layout"])["outlines"] == 2000


def test_long_lists_of_unread_parts_are_cut_and_counted(read: Callable[..., dict[str, str]]) -> None:
    record = json.loads(read([], {**RECORD, "unread": [{"x": 1}] * 1000})["record"])
    assert (len(record["unread"]), record["unread_parts"]) == (UNREAD_SHOWN, 1000)


def test_the_page_names_no_address_outside() -> None:
    page = read_page()
    library = Path(report.__file__).with_name("page") / "openseadragon.min.js"
    page = page.replace(library.read_text(encoding="utf-8"), "")
    assert set(re.findall(r"https?://[^\s\"'<>]+", page)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
