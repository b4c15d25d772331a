"""The report as an output: a page that holds the slide, its glands, their measurements and the record.

The page is written in the order in which its parts become known: the markup, the viewer, the slide's tiles,
in a thread beside the other outputs, then the glands, and last, by `end_report`, the record and the script
that shows it all. Of its maximum size, a part is kept for the glands by their number; the slide is shown as
finely as the rest allows.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from glandseg import RESEARCH_USE
from glandseg.core.workers import Workers, await_result
from glandseg.runtime.glands.contour_edits import simplify_contour
from glandseg.runtime.glands.measurements import QUANTITIES, Measurements
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.report.images import encode_probability
from glandseg.runtime.outputs.report.packed import STEPS_PER_PX, PackedRecords, pack_outline
from glandseg.runtime.outputs.report.tiles import write_tiles

REPORT_SUFFIX = ".report.html"
TOLERANCES_PX = (0.25, 2.0)  # of the outlines; the coarse ones are shown where the fine ones do not fit
UNREAD_SHOWN = 100  # parts that could not be read, listed in the page
_PAGE = Path(__file__).with_name("page")
_GLAND_BYTES, _FEW_GLANDS_BYTES = 400, 200_000  # kept for each gland, and for a few large ones
_GLANDS_SHARE = 0.7  # of the space, at most
_ROWS_SHARE = 0.3  # of what is kept for glands
_RECORD_BYTES = 64_000  # kept free for the record
_TIMES = ("seconds", "network_share")
_DATA = "<!-- data -->"  # where the page's data begin


@contextmanager
def write_report(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write a page of at most `found.report_bytes`; `end_report` completes it.

    Glands whose rows or outlines do not fit are left out of the page, which then says how many it shows.
    """
    head, script = read_page().split(_DATA)
    space = found.report_bytes - len(head) - len(script) - _RECORD_BYTES
    reserved = min(_FEW_GLANDS_BYTES + _GLAND_BYTES * len(found.glands), space * _GLANDS_SHARE)
    with (
        PackedRecords(path.parent, reserved * _ROWS_SHARE) as rows,
        PackedRecords(path.parent, reserved * (1 - _ROWS_SHARE)) as fine,
        PackedRecords(path.parent, reserved * (1 - _ROWS_SHARE)) as coarse,
        path.open("w+b") as file,
        Workers("report", 1) as workers,
    ):
        file.write(head.encode())
        showing = workers.submit(_write_images, file, found, len(head) + space - reserved)

        def add(gland: Gland, measured: Measurements) -> None:
            quantities = measured.list_quantities()
            rows.add(np.array([quantities.get(name, np.nan) for name in QUANTITIES], "<f4").tobytes())
            for outlines, tolerance_px in zip((fine, coarse), TOLERANCES_PX, strict=True):
                outlines.add(pack_outline(simplify_contour(gland.polygon_px, tolerance_px)))

        yield add
        tiles = await_result(showing, "the report", math.inf)  # what it waits for has limits of its own
        outlines = coarse if fine.is_full else fine
        _write_glands(file, rows, outlines)
        _write_json(file, "layout", _describe_layout(found, tiles, rows.count, outlines.count))


def end_report(path: Path, record: Mapping[str, Any]) -> None:
    """Complete a page by the record of the run, without its times and the end of long lists, and the script.

    So the same slide and settings give the same page.
    """
    result = {name: value for name, value in record["result"].items() if name not in _TIMES}
    unread = record["unread"]
    shown = {**record, "result": result, "unread": unread[:UNREAD_SHOWN], "unread_parts": len(unread)}
    with path.open("ab") as file:
        _write_json(file, "record", shown)
        file.write(read_page().split(_DATA)[1].encode())


def read_page() -> str:
    """Return the page without data: markup, style and scripts in one text."""
    page = (_PAGE / "page.html").read_text(encoding="utf-8")
    for name in ("page.css", "openseadragon.min.js", "page.js"):
        page = page.replace(f"<!-- {name} -->", (_PAGE / name).read_text(encoding="utf-8"))
    return page


def _write_glands(file: IO[bytes], rows: PackedRecords, outlines: PackedRecords) -> None:
    for name, records in (("rows", rows), ("outlines", outlines)):
        file.write(b'<script type="application/zlib" id="%s">' % name.encode())
        records.write_text(file)
        file.write(b"</script>\n")


def _write_images(file: IO[bytes], found: SlideGlands, end: float) -> dict[str, Any]:
    """Write the probabilities, and as many of the slide's tiles as the file may hold; return their layout."""
    png = base64.b64encode(encode_probability(found.imagery.probability))
    file.write(b'<script type="image/png" id="probability">' + png + b"</script>\n")
    return write_tiles(file, found.imagery, found.plane.um_per_px, max(end - file.tell(), 0))


def _describe_layout(
    found: SlideGlands, tiles: Mapping[str, Any], rows: int, outlines: int
) -> dict[str, Any]:
    height, width = found.imagery.probability.shape
    return {
        "name": found.name,
        "use": RESEARCH_USE,
        "columns": [[name, label, decimals] for name, (label, decimals) in QUANTITIES.items()],
        "glands": len(found.glands),
        "rows": rows,
        "outlines": outlines,
        "steps_per_px": STEPS_PER_PX,
        "um_per_px": found.plane.um_per_px,
        "width_px": width,
        "height_px": height,
        "tiles": tiles,
        "suggestions": [asdict(region) for region in found.suggestions],
        "unread": [feature["geometry"] for feature in found.unread[:UNREAD_SHOWN]],
        "l0_per_px": found.plane.l0_per_px,
    }


def _write_json(file: IO[bytes], name: str, value: Any) -> None:
    """Write JSON into a script that nothing within it can end."""
    text = json.dumps(value).replace("<", "\\u003c")
    file.write(f'<script type="application/json" id="{name}">{text}</script>\n'.encode())
