"""What the outputs are called, and the table and thumbnail behind them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from shapely import Polygon, box

from glandseg.runtime.outlines import outline, raster, regions
from glandseg.runtime.outlines.findings import SUFFIXES, Findings, name_outputs, write_findings
from glandseg.runtime.outlines.gland_spool import Glands, GlandSpool
from glandseg.runtime.slides.slide import open_slide
from glandseg.runtime.slides.slide_plane import SlidePlane

Trace = Callable[..., Glands]


def lay(tmp_path: Path, width: int, height: int) -> SlidePlane:
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((height, width, 3), 70, np.uint8))
    return SlidePlane(open_slide(tmp_path / "picture.png", 0.5), 1.0)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.svs", "a"),
        ("a.ome.tif", "a"),
        ("A.OME.TIF", "A"),
        ("a.ome.tiff", "a"),
        ("a.b.ndpi", "a.b"),
        ("a", "a"),
        ("2024-01-01 µ.tif", "2024-01-01 µ"),
    ],
)
def test_outputs_are_named_after_the_slide(name: str, stem: str) -> None:
    names = name_outputs(Path("folder") / name)
    assert names == [stem + suffix for suffix in SUFFIXES]
    assert names[-1].endswith(".run.json")
    assert name not in names


def test_lumina_do_not_count_as_area_and_ids_tell_slides_apart(tmp_path: Path) -> None:
    ring = Polygon(box(0, 0, 100, 100).exterior, [box(25, 25, 75, 75).exterior])
    spool = GlandSpool(tmp_path / "spool")
    spool.add((0, 0), (0, 0), ring, (1.0, 0.25))
    glands, plane = spool.finish(), lay(tmp_path, 400, 400)
    one, same, other = (
        Findings(glands=glands, plane=plane, slide_sha256=name, model_sha256="m") for name in "aab"
    )
    assert one.area_mm2 == pytest.approx(7500e-6)
    (measured,) = one.measure()
    assert list(same.measure()) == [measured]
    assert next(other.measure()).id != measured.id
    assert measured.area_px_l0 == pytest.approx(30_000)
    spool.close()


def write(folder: Path, glands: Glands, plane: SlidePlane) -> list[bytes]:
    folder.mkdir()
    findings = Findings(glands=glands, plane=plane, slide_sha256="s", model_sha256="m")
    thumbnail = np.full((plane.height_px // 2, plane.width_px // 2, 3), 220, np.uint8)
    names = name_outputs(Path("a.svs"))
    write_findings(findings, folder, names, {}, thumbnail=thumbnail, thumbnail_px_per_px=0.5)
    return [(folder / name).read_bytes() for name in names[:4]]


def test_files_are_the_same_whatever_the_bands_and_calls(
    tmp_path: Path, trace: Trace, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 420)).astype(np.uint8)
    clouds = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    plane = lay(tmp_path, 840, 600)
    whole = write(tmp_path / "whole", trace(clouds, min_lumen_um2=50, min_gland_um2=20), plane)
    for number, (band, strip, rows) in enumerate(((1, 1, ()), (4200, 900, range(300)), (42_000, 1, (150,)))):
        monkeypatch.setattr(regions, "BAND_PX", band)
        monkeypatch.setattr(outline, "STRIP_PX", strip)
        monkeypatch.setattr(raster, "STRIP_PX", strip)
        glands = trace(clouds, min_lumen_um2=50, min_gland_um2=20, rows=rows)
        assert write(tmp_path / str(number), glands, plane) == whole
    assert whole[2].count(b"\n") > 10


def test_outlines_table_and_mask_hold_the_same_glands(tmp_path: Path, trace: Trace) -> None:
    squares = np.zeros((60, 90), np.uint8)
    squares[5:20, 5:20] = squares[30:50, 40:80] = 255
    write(tmp_path / "out", trace(squares), lay(tmp_path, 180, 120))
    collection = json.loads((tmp_path / "out" / "a.glands.geojson").read_text(encoding="utf-8"))
    rows = (tmp_path / "out" / "a.glands.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [feature["id"] for feature in collection["features"]] == [row.split(",")[0] for row in rows]
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.mask.ome.tif"), squares)


def test_no_gland_gives_files_that_say_so(tmp_path: Path, trace: Trace) -> None:
    written = write(tmp_path / "out", trace(np.zeros((60, 90), np.uint8)), lay(tmp_path, 180, 120))
    assert json.loads(written[0])["features"] == []
    assert written[2].count(b"\n") == 1
