"""A slide from file to outputs, with a network whose answer is known: red is gland."""

from __future__ import annotations

import csv
import getpass
import json
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import cv2
import numpy as np
import openslide
import pytest
import shapely
import tifffile
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry import shape

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.card import ModelCard
from glandseg.model.files import ModelFile, check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.outputs.output import Output
from glandseg.runtime.outputs.write import SUFFIXES
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.slide_tissue import UnreadError, show_slide
from glandseg.slides.open import open_slide
from glandseg.slides.unread import UnreadRegions
from glandseg.synthetic import write_slide

Pixels = NDArray[np.uint8]
Disk = tuple[float, float, float]
DrawDisks = Callable[..., Pixels]
WIDTH, HEIGHT = 1200, 1000
DISKS: list[Disk] = [(300.0, 250.0, 80.0), (741.5, 493.2, 120.0), (1040.3, 800.0, 60.0)]
RING_HOLE: Disk = (741.5, 493.2, 50.0)
UM_PER_PX = 1.4


@dataclass(frozen=True)
class Outputs:
    """The files of a slide, read back."""

    features: list[dict[str, Any]]
    rows: list[dict[str, str]]
    mask: Pixels
    record: dict[str, Any]
    overview: Pixels
    labels: NDArray[np.uint32]

    @classmethod
    def read(cls, result: Result) -> Outputs:
        outlines, mask, table, overview, labels, _, record = result.outputs
        with table.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return cls(
            json.loads(outlines.read_text(encoding="utf-8"))["features"],
            rows,
            tifffile.imread(mask),
            json.loads(record.read_text(encoding="utf-8")),
            np.asarray(cv2.imread(str(overview)), np.uint8),
            tifffile.imread(labels),
        )


@pytest.fixture(scope="module")
def session(red_model: Path) -> Iterator[CpuSession]:
    with CpuSession(red_model, threads=1) as session:
        yield session


@pytest.fixture
def run(session: CpuSession, model: ModelFile) -> Callable[..., Result]:
    def infer(path: Path, out: Path | None = None, overwrite: bool = False, **settings: Any) -> Result:
        return infer_slide(path, session, model, InferSettings(**settings), out=out, overwrite=overwrite)

    return infer


@pytest.fixture
def image(draw_disks: DrawDisks) -> Pixels:
    return draw_disks(WIDTH, HEIGHT, DISKS, [RING_HOLE])


def write_png(path: Path, image: Pixels) -> Path:
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def write_ome(path: Path, image: Pixels, um_per_px: float) -> Path:
    size = {f"PhysicalSize{axis}": um_per_px for axis in "XY"}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in "XY"}
    tifffile.imwrite(
        path,
        image,
        ome=True,
        photometric="rgb",
        tile=(256, 256),
        compression="deflate",
        metadata={"axes": "YXS", **size, **units},
    )
    return path


def read_outlines(outputs: Outputs) -> list[Polygon]:
    outlines = [shape(feature["geometry"]) for feature in outputs.features]
    assert all(isinstance(outline, Polygon) for outline in outlines)
    return cast(list[Polygon], outlines)


def list_folder(folder: Path) -> dict[str, bytes]:
    """Read all files but those of unfinished work, which lie in a hidden folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def check_agreement(result: Result, out: Path) -> Outputs:
    """Check what holds of any slide, and give the outputs."""
    outputs = Outputs.read(result)
    assert sorted(path.name for path in out.iterdir() if path.name.endswith(SUFFIXES)) == sorted(
        path.name for path in result.outputs
    )
    assert len(outputs.features) == len(outputs.rows) == outputs.record["result"]["glands"] == result.glands
    assert [feature["id"] for feature in outputs.features] == [row["id"] for row in outputs.rows]
    assert np.unique(outputs.labels[outputs.labels > 0]).tolist() == [
        int(row["number"]) for row in outputs.rows
    ]
    width_l0, height_l0 = map(int, outputs.record["slide"]["size_l0"].split(" x "))
    frame = shapely.box(-0.01, -0.01, width_l0 + 0.01, height_l0 + 0.01)
    for feature in outputs.features:
        outline = shape(feature["geometry"])
        assert outline.is_valid
        assert outline.within(frame)
    l0_per_px = float(outputs.record["slide"]["l0_per_model_px"])
    canvas = shapely.box(0, 0, *(side * l0_per_px for side in outputs.mask.shape[::-1]))
    covered_px2 = sum(shape(feature["geometry"]).intersection(canvas).area for feature in outputs.features)
    assert np.count_nonzero(outputs.mask) == pytest.approx(covered_px2 / l0_per_px**2, rel=0.03, abs=500)
    assert not list(out.glob(".glandseg-*"))
    return outputs


# Where the outlines lie


@pytest.mark.parametrize("um_per_px", [0.5, 0.35])
@pytest.mark.parametrize("kind", ["png", "tif", "ome.tif"])
def test_outlines_land_on_the_disks(
    kind: str, um_per_px: float, image: Pixels, tmp_path: Path, run: Callable[..., Result]
) -> None:
    path = tmp_path / f"disks.{kind}"
    if kind == "png":
        write_png(path, image)
    elif kind == "tif":
        write_slide(path, image, um_per_px)
    else:
        write_ome(path, image, um_per_px)
    result = run(path, mpp=um_per_px if kind == "png" else None)
    outputs = check_agreement(result, tmp_path)

    outlines = read_outlines(outputs)
    assert len(outlines) == len(DISKS)
    for outline, (x_l0, y_l0, radius_l0) in zip(outlines, DISKS, strict=True):
        filled = Polygon(outline.exterior)
        assert np.hypot(filled.centroid.x - x_l0, filled.centroid.y - y_l0) < 0.5
        assert filled.area == pytest.approx(np.pi * radius_l0**2, rel=0.02)
    assert [len(outline.interiors) for outline in outlines] == [0, 1, 0]
    hole = Polygon(outlines[1].interiors[0])
    assert np.hypot(hole.centroid.x - RING_HOLE[0], hole.centroid.y - RING_HOLE[1]) < 0.5
    assert hole.area == pytest.approx(np.pi * RING_HOLE[2] ** 2, rel=0.04)

    row = outputs.rows[1]
    area_um2 = np.pi * (120.0**2 - 50.0**2) * um_per_px**2
    assert float(row["area_um2"]) == pytest.approx(area_um2, rel=0.03)
    assert float(row["centroid_x_l0"]) == pytest.approx(741.5, abs=0.5)
    assert float(row["centroid_y_um"]) == pytest.approx(493.2 * um_per_px, abs=0.5)
    assert float(row["lumen_fraction"]) == pytest.approx((50 / 120) ** 2, rel=0.05)
    assert result.gland_mm2 == pytest.approx(
        sum(float(row["area_um2"]) for row in outputs.rows) / 1e6, abs=2e-6
    )


@pytest.mark.parametrize("um_per_px", [0.5, 0.35])
def test_the_mask_is_the_plane_and_agrees_with_the_outlines(
    um_per_px: float, image: Pixels, tmp_path: Path, run: Callable[..., Result]
) -> None:
    write_slide(tmp_path / "disks.tif", image, um_per_px)
    outputs = Outputs.read(run(tmp_path / "disks.tif"))
    l0_per_px = UM_PER_PX / um_per_px
    assert outputs.mask.shape == (HEIGHT // l0_per_px, WIDTH // l0_per_px)
    y_l0, x_l0 = ((np.argwhere(np.ones_like(outputs.mask)) + 0.5) * l0_per_px).T
    inside = np.zeros(len(x_l0), bool)
    for feature in outputs.features:
        inside |= shapely.contains_xy(shape(feature["geometry"]), x_l0, y_l0)
    assert np.count_nonzero(inside != outputs.mask.ravel().astype(bool)) <= 2
    with tifffile.TiffFile(tmp_path / "disks.mask.ome.tif") as tiff:
        assert tiff.is_ome
        assert f'PhysicalSizeX="{UM_PER_PX}"' in (tiff.ome_metadata or "")


def test_the_mask_of_a_wide_slide_is_a_pyramid(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = write_png(tmp_path / "wide.png", np.full((40, 2100, 3), 90, np.uint8))
    result = run(path, mpp=UM_PER_PX)
    with tifffile.TiffFile(result.outputs[1]) as tiff:
        assert [level.shape for level in tiff.series[0].levels] == [
            (40, 2100),
            (20, 1050),
            (10, 525),
            (5, 262),
        ]


def test_scales_agree_on_a_smooth_image(tmp_path: Path, run: Callable[..., Result]) -> None:
    y, x = np.mgrid[0:700, 0:900] / 60.0
    red = np.rint(127.5 + 100 * np.sin(x) * np.sin(y)).astype(np.uint8)
    path = write_png(tmp_path / "hills.png", np.dstack([red, np.full_like(red, 90), np.full_like(red, 90)]))
    masks = [
        Outputs.read(run(path, tmp_path / str(scales), mpp=0.7, scales=scales)).mask > 0
        for scales in [(1.0,), (0.75,), (1.5,), (0.75, 1.0, 1.5)]
    ]
    assert 0.2 < masks[0].mean() < 0.6
    for mask in masks[1:]:
        assert (mask != masks[0]).mean() < 0.004


def test_the_cards_scales_hold_unless_others_are_asked_for(
    image: Pixels, tmp_path: Path, write_model: Callable[..., Path], run: Callable[..., Result]
) -> None:
    card = ModelCard(
        name="two", network="", tissue="", um_per_px=UM_PER_PX, weights_sha256="", scales=(0.75, 1.5)
    )
    path = write_png(tmp_path / "disks.png", image)
    other = write_model(tmp_path / "two.onnx", card.to_metadata())
    with CpuSession(other) as session:
        file = check_model(other, "--model")
        own = infer_slide(path, session, file, InferSettings(mpp=0.5), out=tmp_path / "own")
        asked = infer_slide(
            path, session, file, InferSettings(mpp=0.5, scales=(1.0,)), out=tmp_path / "asked"
        )
    assert Outputs.read(own).record["settings"]["scales"] == [0.75, 1.5]
    assert Outputs.read(asked).record["settings"]["scales"] == [1.0]
    plain = run(path, tmp_path / "plain", mpp=0.5)
    assert asked.outputs[1].read_bytes() == plain.outputs[1].read_bytes()
    assert own.glands == 3


# Lumina


def test_a_white_lumen_is_kept_as_lumen_fraction(
    draw_disks: DrawDisks, tmp_path: Path, run: Callable[..., Result]
) -> None:
    image = draw_disks(WIDTH, HEIGHT, [(600.0, 500.0, 200.0)])
    y, x = np.ogrid[0.5:HEIGHT, 0.5:WIDTH]
    image[np.hypot(x - 600, y - 500) < 100] = 243
    image[:60] = (0, 243, 243)
    result = run(write_png(tmp_path / "ring.png", image), mpp=0.5)
    outputs = check_agreement(result, tmp_path)
    assert [len(outline.interiors) for outline in read_outlines(outputs)] == [0]
    assert float(outputs.rows[0]["lumen_fraction"]) == pytest.approx(0.25, rel=0.05)


def test_small_glands_and_lumina_go(
    draw_disks: DrawDisks, tmp_path: Path, run: Callable[..., Result]
) -> None:
    disks, holes = [(300.0, 300.0, 100.0), (700.0, 300.0, 18.0)], [(300.0, 300.0, 9.0)]
    path = write_png(tmp_path / "small.png", draw_disks(1000, 600, disks, holes))
    default = Outputs.read(run(path, tmp_path / "default", mpp=0.5))
    everything = Outputs.read(run(path, tmp_path / "all", mpp=0.5, min_gland_um2=0.0, min_lumen_um2=0.0))
    assert [len(outline.interiors) for outline in read_outlines(default)] == [0]
    assert [len(outline.interiors) for outline in read_outlines(everything)] == [1, 0]


# The same result, and nothing in it that tells who made it


def test_a_gland_has_the_same_id_when_only_a_region_is_run(
    draw_disks: DrawDisks, tmp_path: Path, run: Callable[..., Result]
) -> None:
    disks = [(x, y, 40.0 + y / 50) for y in (150.0, 700.0, 1500.0) for x in (200.0, 900.0, 1700.0)]
    write_slide(tmp_path / "disks.tif", draw_disks(2000, 1700, disks, []), 0.5)
    region = shapely.box(600, 500, 2000, 1700)  # holds four disks
    (tmp_path / "roi.geojson").write_text(shapely.to_geojson(region), encoding="utf-8")
    everything = Outputs.read(run(tmp_path / "disks.tif", tmp_path / "all"))
    part = Outputs.read(run(tmp_path / "disks.tif", tmp_path / "part", roi=tmp_path / "roi.geojson"))
    assert (len(everything.features), len(part.features)) == (9, 4)
    geometries = {feature["id"]: feature["geometry"] for feature in everything.features}
    assert len(geometries) == 9
    for feature in part.features:
        assert geometries[feature["id"]] == feature["geometry"]


def test_the_decimal_mark_changes_the_table_alone(
    image: Pixels, tmp_path: Path, run: Callable[..., Result]
) -> None:
    write_slide(tmp_path / "disks.tif", image, 0.5)
    point, comma = (
        [path.read_bytes() for path in run(tmp_path / "disks.tif", tmp_path / name, csv_decimal=mark).outputs]
        for name, mark in (("point", "."), ("comma", ","))
    )
    assert [one == other for one, other in zip(point[:4], comma[:4], strict=True)] == [
        True,
        True,
        False,
        True,
    ]
    swapped = point[2].replace(b",", b";").replace(b".", b",")
    assert comma[2] == swapped


def test_batch_and_threads_change_no_byte(
    image: Pixels, tmp_path: Path, red_model: Path, model: ModelFile
) -> None:
    path = tmp_path / "disks.tif"
    write_slide(path, image, 0.35)
    results = []
    for batch, threads in [(1, 1), (8, 1), (8, 2)]:
        with CpuSession(red_model, threads=threads) as session:
            settings = InferSettings(batch=batch, scales=(0.75, 1.0))
            out = tmp_path / f"{batch}-{threads}"
            results.append(infer_slide(path, session, model, settings, out=out))
    first, *others = [[path.read_bytes() for path in result.outputs[:4]] for result in results]
    assert all(other == first for other in others)


def test_outputs_name_no_user_host_or_path(image: Pixels, tmp_path: Path, run: Callable[..., Result]) -> None:
    folder = tmp_path / "secret-folder"
    folder.mkdir()
    write_slide(folder / "disks.tif", image, 0.5)
    result = run(folder / "disks.tif", folder / "secret-out")
    words = [str(tmp_path), "secret-folder", "secret-out", ".glandseg-", str(Path.home())]
    words += [word for word in (platform.node(), getpass.getuser()) if len(word) > 4]
    for path in result.outputs:
        data = path.read_bytes()
        assert [word for word in words if word.encode() in data] == [], path.name


def test_the_record_tells_what_was_run(image: Pixels, tmp_path: Path, run: Callable[..., Result]) -> None:
    path = write_png(tmp_path / "disks.png", image)
    record = Outputs.read(run(path, mpp=0.5, threshold=0.6)).record
    assert record["slide"]["um_per_px"] == "0.5"
    assert record["slide"]["um_per_px_source"] == "--mpp"
    assert record["slide"]["size_l0"] == "1200 x 1000"
    assert record["model"]["card"]["name"] == "red is gland"
    assert len(record["model"]["sha256"]) == len(record["slide"]["sha256"]) == 64
    assert record["settings"]["threshold"] == 0.6
    assert record["settings"]["scales"] == [1.0]
    stages = {"check", "hash", "thumbnail", "windows", "read", "network", "keep", "finish", "follow", "write"}
    assert set(record["result"]["seconds"]) == stages
    assert 0 < record["result"]["network_share"] <= 1
    assert (record["result"]["windows"], record["unread"]) == (4, [])
    assert "Research Use Only" in record["use"]


# Whole or not at all


class Broken:
    """The session, until it raises at its second call."""

    def __init__(self, session: CpuSession, error: BaseException) -> None:
        self.card, self.name, self.classes = session.card, session.name, session.classes
        self.slots, self.identity = session.slots, session.identity
        self._session, self._error, self._calls = session, error, 0

    def infer(self, windows: Pixels) -> Pixels:
        self._calls += 1
        if self._calls > 3:  # two measure how fast it is
            raise self._error
        return self._session.infer(windows)


@pytest.fixture
def older(tmp_path: Path) -> dict[str, bytes]:
    """Lay older outputs into the folder "out"."""
    out = tmp_path / "out"
    out.mkdir()
    for suffix in SUFFIXES:
        (out / f"disks{suffix}").write_text("older", encoding="utf-8")
    return list_folder(out)


@pytest.mark.parametrize("error", [RuntimeError("midway"), KeyboardInterrupt(), MemoryError()])
def test_a_failing_network_leaves_older_outputs(
    error: BaseException,
    image: Pixels,
    tmp_path: Path,
    session: CpuSession,
    model: ModelFile,
    older: dict[str, bytes],
) -> None:
    path = write_png(tmp_path / "disks.png", image)
    broken: Any = Broken(session, error)
    with pytest.raises(type(error)):
        infer_slide(path, broken, model, InferSettings(mpp=0.5, batch=1), out=tmp_path / "out")
    assert list_folder(tmp_path / "out") == older


def test_a_slide_that_changes_while_it_is_read_is_refused(
    image: Pixels, tmp_path: Path, session: CpuSession, model: ModelFile
) -> None:
    path, out = write_png(tmp_path / "disks.png", image), tmp_path / "out"

    def rewrite(done: int, total: int) -> None:
        write_png(path, np.full_like(image, 90))

    with pytest.raises(BadInputError, match=r"disks\.png was written to while it was read"):
        infer_slide(path, session, model, InferSettings(mpp=0.5), out=out, advance=rewrite)
    assert not out.exists()


def test_a_slide_that_is_touched_or_removed_meanwhile_is_fine(
    image: Pixels, tmp_path: Path, session: CpuSession, model: ModelFile
) -> None:
    for number, disturb in enumerate((lambda path: os.utime(path, (1, 1)), Path.unlink)):
        path = write_png(tmp_path / "disks.png", image)

        def advance(done: int, total: int, path: Path = path, disturb: Any = disturb) -> None:
            if path.exists():
                disturb(path)

        out = tmp_path / str(number)
        assert infer_slide(path, session, model, InferSettings(mpp=0.5), out=out, advance=advance).glands


@pytest.fixture
def damaged(image: Pixels, tmp_path: Path) -> Path:
    """Write a slide whose last tile, of each level, is lost."""
    path = tmp_path / "disks.tif"
    write_slide(path, image, 0.5)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        for page in tiff.pages:
            offset, count = page.dataoffsets[-1], page.databytecounts[-1]
            data[offset : offset + count] = bytes(count)
    path.write_bytes(data)
    return path


def test_too_much_unread_tissue_fails_the_slide_and_leaves_older_outputs(
    damaged: Path, tmp_path: Path, run: Callable[..., Result], older: dict[str, bytes]
) -> None:
    told = r"disks\.tif: [\d.]+% of the tissue cannot be read.*--max-unread 0.01"
    with pytest.raises(UnreadError, match=told):
        run(damaged, tmp_path / "out")
    assert list_folder(tmp_path / "out") == older
    assert not list((tmp_path / "out").glob(".*"))


def test_unread_tissue_is_left_out_and_recorded(
    damaged: Path, tmp_path: Path, run: Callable[..., Result]
) -> None:
    outputs = Outputs.read(result := run(damaged, tmp_path / "out", max_unread=0.9))
    assert 0 < result.unread_share < 0.9
    assert any("cannot be read" in warning for warning in result.warnings)
    [entry, *_] = outputs.record["unread"]
    assert (entry["x_l0"] + entry["width_l0"], entry["y_l0"] + entry["height_l0"]) == (WIDTH, HEIGHT)
    l0_per_px = UM_PER_PX / 0.5
    assert not outputs.mask[int(entry["y_l0"] / l0_per_px) + 1 :, int(entry["x_l0"] / l0_per_px) + 1 :].any()
    marks = [part for part in outputs.features if part["properties"]["classification"]["name"] == "Unread"]
    assert len(marks) >= 1
    assert result.glands == len(outputs.rows) == len(outputs.features) - len(marks)


def test_what_cannot_be_read_to_show_it_is_not_recorded(damaged: Path) -> None:
    with open_slide(damaged, 0.5) as slide:
        run = SimpleNamespace(slide=slide, unread_regions=UnreadRegions(), readers=1)
        thumbnail = SimpleNamespace(rgb=None, um_per_px=8.0, fill_rgb=(250, 240, 230))
        tissue = SimpleNamespace(thumbnail=thumbnail, inside=None)
        plane = show_slide(cast(Any, run), cast(Any, tissue), cast(Any, None)).lay_plane(0.5)
        assert tuple(plane.read(WIDTH - 9, HEIGHT - 9, 1, 1)[0, 0]) == thumbnail.fill_rgb
        assert not run.unread_regions.entries


def test_tissue_and_unread_share_are_those_inside_the_regions(
    damaged: Path, tmp_path: Path, run: Callable[..., Result]
) -> None:
    ring = [[0, 0], [400, 0], [400, 300], [0, 300], [0, 0]]
    square = [[0, 0], [100, 0], [100, 100], [0, 100], [0, 0]]
    wanted, ignored = (
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [coordinates]},
            "properties": {"classification": {"name": name}},
        }
        for coordinates, name in ((ring, "Region*"), (square, "Ignore*"))
    )
    (tmp_path / "roi.geojson").write_text(json.dumps([wanted, ignored]))
    result = run(damaged, tmp_path / "out", roi=tmp_path / "roi.geojson")  # the damage is elsewhere
    assert result.tissue_mm2 == pytest.approx((400 * 300 - 100**2) * 0.25e-6, rel=1e-3)
    assert result.unread_share == 0
    assert "regions of interest: 1 of class Ignore* left out" in result.warnings


def test_a_repeated_run_replaces_its_outputs(
    image: Pixels, tmp_path: Path, run: Callable[..., Result], older: dict[str, bytes]
) -> None:
    path = write_png(tmp_path / "disks.png", image)
    assert check_agreement(run(path, tmp_path / "out", mpp=0.5), tmp_path / "out").rows
    assert run(path, tmp_path / "out", mpp=0.5, min_gland_um2=1e6).glands == 0
    assert set(list_folder(tmp_path / "out")) == set(older)


def test_outputs_of_another_slide_are_replaced_when_asked_alone(
    image: Pixels, tmp_path: Path, run: Callable[..., Result]
) -> None:
    path, out = write_png(tmp_path / "disks.png", image), tmp_path / "out"
    run(path, out, mpp=0.5)
    before = list_folder(out)
    write_png(path, np.full_like(image, 90))
    with pytest.raises(BadInputError, match=r"is of another slide.*disks\.run\.json.*--overwrite"):
        run(path, out, mpp=0.5)
    assert list_folder(out) == before
    assert not check_agreement(run(path, out, mpp=0.5, overwrite=True), out).rows


def test_an_output_that_cannot_be_replaced_leaves_the_others(
    image: Pixels, tmp_path: Path, run: Callable[..., Result], older: dict[str, bytes]
) -> None:
    path = write_png(tmp_path / "disks.png", image)
    taken = tmp_path / "out" / "disks.glands.csv"
    taken.unlink()
    taken.mkdir()
    (taken / "kept").touch()
    with pytest.raises(EnvironmentLacksError, match="cannot be written"):
        run(path, tmp_path / "out", mpp=0.5)
    assert (taken / "kept").exists()
    taken.rename(tmp_path / "aside")
    assert list_folder(tmp_path / "out") == {k: v for k, v in older.items() if k != taken.name}


def test_a_full_disk_is_told(
    image: Pixels,
    tmp_path: Path,
    run: Callable[..., Result],
    older: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*arguments: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("glandseg.runtime.outputs.write.WRITERS", {"csv": Output(".glands.csv", refuse)})
    path = write_png(tmp_path / "disks.png", image)
    with pytest.raises(EnvironmentLacksError, match="the disk is full; nothing was written"):
        run(path, tmp_path / "out", mpp=0.5)
    assert list_folder(tmp_path / "out") == older


# Odd slides


def test_an_empty_slide_gives_empty_outputs_and_a_warning(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = write_png(tmp_path / "empty.png", np.full((1500, 1600, 3), 255, np.uint8))
    result = run(path, mpp=0.5)
    outputs = check_agreement(result, tmp_path)
    assert result.glands == 0
    assert result.tissue_mm2 == 0
    assert [warning[:15] for warning in result.warnings] == ["no tissue found"]
    assert not outputs.mask.any()


def test_a_dark_slide_is_warned_about(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = write_png(tmp_path / "dark.png", np.full((900, 900, 3), 12, np.uint8))
    assert any(warning.startswith("dark background") for warning in run(path, mpp=0.5).warnings)


def test_the_tissue_mask_can_be_left_out(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = write_png(tmp_path / "empty.png", np.full((1500, 1600, 3), 255, np.uint8))
    result = run(path, mpp=0.5, tissue_mask=False)
    assert result.gland_mm2 == pytest.approx(1500 * 1600 * 0.25e-6, rel=0.01)


def test_a_slide_without_glands_says_so(tmp_path: Path, run: Callable[..., Result]) -> None:
    path = write_png(tmp_path / "dull.png", np.full((300, 300, 3), 90, np.uint8))
    one_color = "the whole slide is of one color, RGB (90, 90, 90): empty, transparent or damaged"
    assert run(path, mpp=0.5).warnings == (one_color, "no gland found")


@pytest.mark.parametrize("size", [(1, 1), (7, 3000), (3000, 7)])
@pytest.mark.parametrize("red", [0, 255])
def test_tiny_slides(size: tuple[int, int], red: int, tmp_path: Path, run: Callable[..., Result]) -> None:
    image = np.full((*size, 3), (red, 90, 90), np.uint8)
    result = run(write_png(tmp_path / "tiny.png", image), mpp=0.5)
    outputs = check_agreement(result, tmp_path)
    assert outputs.mask.shape == tuple(np.maximum(np.array(size) * 0.5 // UM_PER_PX, 1))
    large = size[0] * size[1] * 0.25 > 400
    assert result.glands == (1 if red and large else 0)


def test_outlines_that_are_large_for_qupath_are_warned_about(
    image: Pixels, tmp_path: Path, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glandseg.runtime.outputs.geojson._LARGE_BYTES", 1000)
    (warning,) = run(write_png(tmp_path / "disks.png", image), mpp=0.5).warnings
    assert "QuPath needs 1 GiB of memory" in warning


def test_a_slide_coarser_than_the_model_is_warned_about(
    draw_disks: DrawDisks, tmp_path: Path, run: Callable[..., Result]
) -> None:
    path = write_png(tmp_path / "coarse.png", draw_disks(300, 300, [(150.0, 140.0, 60.0)], []))
    result = run(path, mpp=2.8)
    outputs = check_agreement(result, tmp_path)
    assert result.warnings[0] == "the slide's px are 2.0 times the model's: details are missing"
    assert float(outputs.rows[0]["centroid_x_l0"]) == pytest.approx(150, abs=0.5)
    assert float(outputs.rows[0]["area_um2"]) == pytest.approx(np.pi * 60**2 * 2.8**2, rel=0.02)


def test_a_slide_without_resolution_asks_for_it(
    image: Pixels, tmp_path: Path, run: Callable[..., Result]
) -> None:
    path = write_png(tmp_path / "disks.png", image)
    with pytest.raises(BadInputError, match="--mpp"):
        run(path)
    assert list_folder(tmp_path) == {"disks.png": path.read_bytes()}


def test_progress_ends_at_its_total(
    image: Pixels, tmp_path: Path, session: CpuSession, model: ModelFile
) -> None:
    path = write_png(tmp_path / "disks.png", image)
    steps: list[tuple[int, int]] = []
    said: list[str] = []
    infer_slide(
        path,
        session,
        model,
        InferSettings(mpp=0.5, batch=2),
        advance=lambda done, total: steps.append((done, total)),
        say=said.append,
    )
    assert steps[0] == (0, 4)
    assert steps[-1] == (4, 4)
    assert said[0] == "disks.png: png, 1200 x 1000 px at 0.5 um/px (--mpp), read as 429 x 358 px at 1.4 um/px"
    assert said[1].startswith("4 windows; about ")


# Real slides


def read_openslide(path: Path) -> Pixels:
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., 0]


def read_tiff(path: Path) -> Pixels:
    image = np.asarray(tifffile.imread(path), np.uint8)
    return image[0] if image.shape[0] == 3 else image[..., 0]


def read_webp(path: Path) -> Pixels:
    return np.asarray(cv2.imread(str(path)), np.uint8)[..., 2]


def shrink(red: Pixels, factor: float, shape_hw: tuple[int, ...]) -> Pixels:
    """Sample the means of squares of about `factor` px, by other code than the plane's."""
    side = round(factor)
    means = cv2.boxFilter(
        red, -1, (side, side), anchor=(side // 2, side // 2), borderType=cv2.BORDER_REPLICATE
    )
    centre = factor / 2 - 1 + (side % 2) / 2  # of px 0; an even box reaches one px further up and left
    to_level_0 = np.array([[factor, 0, centre], [0, factor, centre]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size_wh = (shape_hw[1], shape_hw[0])
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(means, to_level_0, size_wh, flags=flags, borderMode=border), np.uint8)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "mpp", "read", "least"),
    [
        ("slides/CMU-1-Small-Region.svs", None, read_openslide, 0.997),
        ("slides/test3-TRITC.ndpi", None, read_openslide, 0.997),
        (
            "slides/OS-1-detail.ome.tif",
            None,
            read_tiff,
            0.97,
        ),  # 6 px to one, which the plane takes in two steps
        ("slides/camelyon_multiframe.dcm", 0.5, read_openslide, 0.997),
        ("slides/kidney-48-5.tif", 0.5, read_tiff, 0.997),
        ("glas/testA_1.webp", 0.62, read_webp, 0.997),
    ],
)
def test_real_slides(
    name: str,
    mpp: float | None,
    read: Callable[[Path], Pixels],
    least: float,
    shared_data: Path,
    tmp_path: Path,
    run: Callable[..., Result],
) -> None:
    red = read(shared_data / name)
    level = int(np.median(red))
    settings = {"mpp": mpp, "threshold": level / 255, "tissue_mask": False}
    result = run(shared_data / name, tmp_path, **settings, min_gland_um2=10.0, min_lumen_um2=10.0)
    outputs = check_agreement(result, tmp_path)
    small = shrink(red, float(outputs.record["slide"]["l0_per_model_px"]), outputs.mask.shape)
    sure = np.abs(small.astype(int) - level) > 20
    agreement = ((small >= level) == (outputs.mask > 0))[sure].mean()
    assert agreement > least


# What is told before, and what changes meanwhile


def test_warnings_of_the_whole_run_come_before_the_windows(
    session: CpuSession, model: ModelFile, image: Pixels, tmp_path: Path
) -> None:
    path = write_png(tmp_path / "a.png", image)
    told: list[str] = []
    result = infer_slide(
        path,
        session,
        model,
        InferSettings(mpp=4.0),
        warn=told.append,
        advance=lambda done, total: told.append(f"{done} windows"),
    )
    before = told[: told.index("0 windows")]
    assert "the slide's px are 2.9 times the model's: details are missing" in before
    assert set(before) <= set(result.warnings)


def test_warnings_of_the_reader_are_told_and_recorded(
    run: Callable[..., Result], image: Pixels, tmp_path: Path
) -> None:
    rgba = np.dstack([image, np.zeros(image.shape[:2], np.uint8)])
    cv2.imwrite(str(tmp_path / "a.png"), rgba)
    result = run(tmp_path / "a.png", mpp=0.5)
    assert any("100% of the image is transparent" in warning for warning in result.warnings)
    record = json.loads(result.outputs[-1].read_text(encoding="utf-8"))
    assert record["result"]["warnings"] == list(result.warnings)


def test_slide_overwritten_in_the_run_fails(
    session: CpuSession, model: ModelFile, image: Pixels, tmp_path: Path
) -> None:
    path = write_png(tmp_path / "a.png", image)

    def overwrite(done: int, total: int) -> None:
        if done:
            write_png(path, image[::-1])

    with pytest.raises(BadInputError, match="was written to while it was read"):
        infer_slide(path, session, model, InferSettings(mpp=0.5), advance=overwrite)
    assert list(list_folder(tmp_path)) == ["a.png"]


def test_glands_on_a_border_and_the_summary(run: Callable[..., Result], tmp_path: Path) -> None:
    disks = [(300.0, 250.0, 80.0), (0.0, 700.0, 90.0)]
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    y, x = np.ogrid[0.5:HEIGHT, 0.5:WIDTH]
    image[..., 0] = 255 * np.any([np.hypot(x - cx, y - cy) < r for cx, cy, r in disks], axis=0)
    outputs = Outputs.read(run(write_ome(tmp_path / "a.ome.tif", image, UM_PER_PX)))
    cut = {row["on_border"]: float(row["centroid_x_l0"]) for row in outputs.rows}
    assert cut["0.0"] == pytest.approx(300, abs=1)
    assert cut["1.0"] < 90
    areas = sorted(float(row["area_um2"]) for row in outputs.rows)
    summary, tissue_mm2 = outputs.record["summary"], outputs.record["result"]["tissue_mm2"]
    assert summary["area_um2"]["50"] == pytest.approx(sum(areas) / 2, rel=1e-3)
    assert summary["glands_per_mm2"] == pytest.approx(2 / tissue_mm2, rel=1e-3)
    assert summary["gland_share"] == pytest.approx(sum(areas) / 1e6 / tissue_mm2, rel=1e-2)
