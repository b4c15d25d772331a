"""The outputs' names, the one pass that writes them, and an output that is added."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import shapely
import tifffile
from shapely import Polygon, box
from shapely.geometry import shape

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.files import check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.glands.store import Glands, GlandStore
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.outputs.gland_writer import AddGland, GlandWriter, SlideGlands, Warn
from glandseg.runtime.outputs.output import Output
from glandseg.runtime.outputs.write import SUFFIXES, WRITERS, OutputPaths, write_outputs
from glandseg.runtime.settings import InferSettings
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane
from tests.runtime.output_bytes import read_output

Trace = Callable[..., Glands]
MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[bytes]]


def lay(tmp_path: Path, width: int, height: int) -> SlidePlane:
    cv2.imwrite(str(tmp_path / "image.png"), np.full((height, width, 3), 70, np.uint8))
    return SlidePlane(open_slide(tmp_path / "image.png", 0.5), 1.0)


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
    paths = OutputPaths.of_slide(Path("folder") / name)
    assert paths.folder == Path("folder")
    assert paths.names == [stem + suffix for suffix in SUFFIXES]
    assert paths.names[-1] == paths.record.name == f"{stem}.run.json"
    assert name not in paths.names


def test_lumina_do_not_count_as_area_and_ids_tell_slides_apart(tmp_path: Path, make_found: MakeFound) -> None:
    ring = Polygon(box(0, 0, 100, 100).exterior, [box(25, 25, 75, 75).exterior])
    store = GlandStore(tmp_path / "store")
    store.add((0, 0), (0, 0), ring, (1.0, 0.25))
    (gland,) = glands = store.finish()
    one = make_found(glands, lay(tmp_path, 400, 400))
    same, other = (replace(one, slide_sha256=sha256) for sha256 in "st")
    assert one.area_mm2 == pytest.approx(7500e-6)
    assert same.measure(gland).list_quantities() == one.measure(gland).list_quantities()
    assert same.measure(gland).id == one.measure(gland).id
    assert other.measure(gland).id != one.measure(gland).id
    assert one.measure(gland).area_px_l0 == pytest.approx(30_000)
    store.close()


@pytest.fixture
def write(make_found: MakeFound, tmp_path: Path) -> Write:
    """Return a function that writes all outputs but the record into a folder and returns their bytes."""

    def run(glands: Glands, plane: SlidePlane, out: str = "out", **options: Any) -> list[bytes]:
        (tmp_path / out).mkdir()
        paths = OutputPaths(tmp_path / out, "a")
        assert write_outputs(make_found(glands, plane, **options), paths) == []
        return [paths[output.suffix].read_bytes() for output in paths.outputs.values()]

    return run


def test_files_are_the_same_whatever_the_bands_and_calls(
    tmp_path: Path, trace: Trace, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 420)).astype(np.uint8)
    clouds = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX)
    plane = lay(tmp_path, 840, 600)
    whole = write(trace(clouds, min_lumen_um2=50, min_gland_um2=20), plane)
    for number, (band, strip, rows) in enumerate(((1, 1, ()), (4200, 900, range(300)), (42_000, 1, (150,)))):
        glands = trace(clouds, min_lumen_um2=50, min_gland_um2=20, rows=rows, band_px=band, strip_px=strip)
        assert write(glands, plane, str(number)) == whole
    assert whole[2].count(b"\n") > 10


def test_outlines_table_and_mask_hold_the_same_glands(tmp_path: Path, trace: Trace, write: Write) -> None:
    squares = np.zeros((60, 90), np.uint8)
    squares[5:20, 5:20] = squares[30:50, 40:80] = 255
    write(trace(squares), lay(tmp_path, 180, 120))
    collection = json.loads((tmp_path / "out" / "a.glands.geojson").read_text(encoding="utf-8"))
    rows = (tmp_path / "out" / "a.glands.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [feature["id"] for feature in collection["features"]] == [row.split(",")[1] for row in rows]
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "a.mask.ome.tif"), squares)


def test_no_gland_gives_files_that_say_so(tmp_path: Path, trace: Trace, write: Write) -> None:
    written = write(trace(np.zeros((60, 90), np.uint8)), lay(tmp_path, 180, 120))
    assert json.loads(written[0])["features"] == []
    assert written[2].count(b"\n") == 1


def test_the_table_names_the_slide_and_takes_the_decimal_mark(
    tmp_path: Path, trace: Trace, write: Write
) -> None:
    squares = np.zeros((60, 90), np.uint8)
    squares[5:20, 5:20] = 255
    _, _, table, *_ = write(trace(squares), lay(tmp_path, 180, 120), name="a; b", csv_decimal=",")
    header, row = table.decode().splitlines()
    assert header.startswith("slide;id;number;area_um2;")
    assert row.startswith('"a; b";')
    assert row.count(";") == header.count(";") + 1
    assert row.split(";")[4] == "224,50"


def test_the_mask_does_not_overhang_the_slide(tmp_path: Path, trace: Trace, write: Write) -> None:
    everywhere = np.full((50, 70), 255, np.uint8)
    plane = lay(tmp_path, 139, 99)  # px of 2 level-0 px, the last half outside
    glands = trace(everywhere, extent_px=(69.5, 49.5))
    outlines, *_ = write(glands, plane, extent_px=(69.5, 49.5))
    assert (plane.height_px, plane.width_px) == (50, 70)
    mask = tifffile.imread(tmp_path / "out" / "a.mask.ome.tif")
    assert mask.shape == (49, 69)
    assert mask[1:-1].all()
    (feature,) = json.loads(outlines)["features"]
    assert shapely.bounds(shape(feature["geometry"])).tolist() == [0, 0, 139, 99]


@pytest.mark.parametrize(
    ("extent_px", "shape_hw"), [((400, 400), (400, 400)), ((399.995, 0.3), (1, 400)), ((1e9, 7.9), (7, 400))]
)
def test_the_mask_is_made_of_whole_pixels(
    extent_px: tuple[float, float],
    shape_hw: tuple[int, int],
    tmp_path: Path,
    trace: Trace,
    make_found: MakeFound,
) -> None:
    glands = trace(np.zeros((9, 9), np.uint8))
    assert make_found(glands, lay(tmp_path, 800, 800), extent_px=extent_px).mask_shape == shape_hw


# An output that is added


@contextmanager
def write_wkt(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write each gland's number, area and contour, in px of the plane, as a line of text."""
    with path.open("w", encoding="utf-8") as file:
        yield lambda gland, measured: print(gland.number, measured.area_um2, gland.polygon_px.wkt, file=file)
    warn(f"{len(found.glands)} as WKT")


@contextmanager
def fail_at_the_end(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    path.touch()
    yield lambda gland, measured: None
    raise OSError(errno.ENOSPC, "No space left on device")


Run = Callable[[], Result]


@pytest.fixture
def run(red_model: Path, draw_disks: Callable[..., Any], tmp_path: Path) -> Run:
    """Return a function that finds the glands of a slide with a disk, into the folder "out"."""
    cv2.imwrite(str(tmp_path / "disk.png"), draw_disks(700, 600, [(300.0, 250.0, 80.0)], [])[..., ::-1])

    def infer() -> Result:
        with CpuSession(red_model, threads=1) as session:
            model, settings = check_model(red_model, "--model"), InferSettings(mpp=0.5)
            return infer_slide(tmp_path / "disk.png", session, model, settings, out=tmp_path / "out")

    return infer


def add_output(monkeypatch: pytest.MonkeyPatch, writer: GlandWriter) -> None:
    writers = {"wkt": Output(".glands.wkt", writer), **WRITERS}
    monkeypatch.setattr("glandseg.runtime.outputs.write.WRITERS", writers)


def test_an_added_output_is_named_written_and_moved_into_place(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [read_output(path) for path in run().outputs[:-1]]
    add_output(monkeypatch, write_wkt)
    result = run()
    wkt, *others, record = result.outputs
    number, area, contour = wkt.read_text(encoding="utf-8").split(" ", 2)
    assert (wkt.name, record.name) == ("disk.glands.wkt", "disk.run.json")
    assert (number, result.warnings) == ("1", ("1 as WKT",))
    assert float(area) / 1e6 == pytest.approx(result.gland_mm2, abs=1e-6)
    assert shapely.from_wkt(contour).is_valid
    assert [read_output(path) for path in others] == plain


def test_an_added_output_that_fails_leaves_no_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_output(monkeypatch, fail_at_the_end)
    with pytest.raises(EnvironmentLacksError, match="the disk is full; nothing was written"):
        run()
    assert not list((tmp_path / "out").glob("disk*"))


def test_an_added_output_of_another_slide_is_not_replaced(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_output(monkeypatch, write_wkt)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "disk.glands.wkt").touch()
    (tmp_path / "out" / "disk.run.json").write_text('{"slide": {"sha256": "0"}}', encoding="utf-8")
    with pytest.raises(BadInputError, match=r"disk\.glands\.wkt: is of another slide"):
        run()
