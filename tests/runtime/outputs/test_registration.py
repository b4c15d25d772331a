"""Every output lies on the slide: a known gland is found within half a px of the mask, in each of them.

A writer that is added needs a line in READERS, or among the others.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import openslide
import pytest
import shapely
import tifffile
from numpy.typing import NDArray
from shapely.geometry import shape

from glandseg.model.files import ModelFile
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.infer import infer_slide
from glandseg.runtime.outputs.write import WRITERS, OutputPaths
from glandseg.runtime.settings import InferSettings
from glandseg.slides.formats.vendor import OpenSlideSlide
from glandseg.synthetic.slide_file import write_slide
from tests.runtime.outputs.report.page_reader import read_page_outlines

# Drawn for looking, at the thumbnail's px, which are coarser than the mask's; and without glands.
OTHERS = {"overview", "suggestions"}
OF_ITS_FORMAT = {"dicom", "dicom-mask"}  # tested with it
SIZE_WH, UM_PER_L0, UM_PER_PX = (2200, 1900), 0.5, 1.4
BOUNDS_XY, BOUNDS_WH = (301, 207), (1701, 1502)
GLAND = (1303.3, 1106.8, 150.0)  # x, y, radius in px of the whole image
L0_PER_PX = UM_PER_PX / UM_PER_L0
Centre = tuple[float, float]
Centres = Callable[[Path], Iterator[Centre]]


def read_features(features: list[dict[str, Any]]) -> Iterator[Centre]:
    (feature,) = features
    centroid = shape(feature["geometry"]).centroid
    yield centroid.x, centroid.y


def read_geojson(path: Path) -> Iterator[Centre]:
    yield from read_features(json.loads(path.read_text(encoding="utf-8"))["features"])


def read_packed_geojson(path: Path) -> Iterator[Centre]:
    yield from read_features(json.loads(gzip.decompress(path.read_bytes()))["features"])


def read_csv(path: Path) -> Iterator[Centre]:
    with path.open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    for unit, l0_per_unit in (("l0", 1.0), ("um", 1 / UM_PER_L0)):
        x, y = (float(row[f"centroid_{axis}_{unit}"]) * l0_per_unit for axis in "xy")
        yield x, y


def read_parquet(path: Path) -> Iterator[Centre]:
    pq = pytest.importorskip("pyarrow.parquet", reason='needs pip install "glandseg[parquet]"')
    (row,) = pq.read_table(path).to_pylist()
    for column, l0_per_unit in (("geometry", 1.0), ("geometry_um", 1 / UM_PER_L0)):
        centroid = shapely.from_wkb(row[column]).centroid
        yield centroid.x * l0_per_unit, centroid.y * l0_per_unit


def find_middle(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Return the middle of what is not 0, weighted, as y and x in px whose first begins at 0."""
    y, x = np.nonzero(pixels)
    return np.asarray(np.average([y + 0.5, x + 0.5], axis=1, weights=pixels[y, x]))


def read_tiff(path: Path) -> Iterator[Centre]:
    with tifffile.TiffFile(path) as tiff:
        levels = [level.asarray() for level in tiff.series[0].levels]
    for number, level in enumerate(levels):
        y, x = find_middle(level[..., -1] if level.ndim == 3 else level) * 2**number * L0_PER_PX
        yield x, y


def read_zarr(path: Path) -> Iterator[Centre]:
    zarr = pytest.importorskip("zarr", reason='needs pip install "glandseg[zarr]"')
    for name in ("/", "labels/glands"):
        group = zarr.open_group(path, mode="r", path=name)
        for dataset in group.attrs["ome"]["multiscales"][0]["datasets"]:
            scale, shift = (np.array(list(item.values())[1]) for item in dataset["coordinateTransformations"])
            middle_um = (find_middle(group[dataset["path"]][:]) - 0.5) * scale + shift  # of px centres
            y, x = (middle_um + 0.5 * UM_PER_PX) / UM_PER_L0
            yield x, y


def read_report(path: Path) -> Iterator[Centre]:
    ((outer, *_),) = read_page_outlines(path)
    centroid = shapely.Polygon(outer).centroid
    yield centroid.x * L0_PER_PX, centroid.y * L0_PER_PX


READERS: dict[str, Centres] = {
    "geojson": read_geojson,
    "geojson.gz": read_packed_geojson,
    "csv": read_csv,
    "parquet": read_parquet,
    "mask": read_tiff,
    "labels": read_tiff,
    "probability": read_tiff,
    "overlay": read_tiff,
    "zarr": read_zarr,
    "report": read_report,
}


class Bounded(openslide.OpenSlide):  # type: ignore[misc]
    """A slide whose scanned rectangle is smaller than its image, as MIRAX has it."""

    @property
    def properties(self) -> dict[str, str]:
        names = ("bounds-x", "bounds-y", "bounds-width", "bounds-height")
        bounds = zip(names, (*BOUNDS_XY, *BOUNDS_WH), strict=True)
        return {**super().properties, **{f"openslide.{name}": str(value) for name, value in bounds}}


class Placed(NamedTuple):
    paths: OutputPaths
    gland_l0_xy: Centre


@pytest.fixture(scope="module", params=["pyramidal TIFF", "OpenSlide", "OpenSlide with bounds"])
def placed(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    red_model: Path,
    model: ModelFile,
    draw_disks: Callable[..., Any],
) -> Iterator[Placed]:
    """Write all outputs of a slide with one gland, and yield their paths and where the gland lies."""
    folder = tmp_path_factory.mktemp("placed")
    write_slide(folder / "a.tif", draw_disks(*SIZE_WH, [GLAND], []), UM_PER_L0)
    x, y, _ = GLAND
    with pytest.MonkeyPatch.context() as patch:
        if request.param.startswith("OpenSlide"):
            open_vendor = lambda path, mpp, cache: OpenSlideSlide(path, "mirax", mpp, cache)  # noqa: E731
            patch.setattr("glandseg.runtime.slide_run.open_slide", open_vendor)
        if request.param.endswith("bounds"):
            patch.setattr(openslide, "OpenSlide", Bounded)
            x, y = x - BOUNDS_XY[0], y - BOUNDS_XY[1]
        chosen = tuple(
            name
            for name, output in WRITERS.items()
            if name not in OTHERS and not output.list_lacking() and not output.formats
        )
        settings = InferSettings(write=chosen, tissue_mask=False)
        with CpuSession(red_model, threads=1) as session:
            infer_slide(folder / "a.tif", session, model, settings, out=folder / "out")
    yield Placed(OutputPaths(folder / "out", "a", chosen), (x, y))


@pytest.mark.parametrize("name", READERS)
def test_a_known_gland_lies_where_it_is_on_the_slide(name: str, placed: Placed) -> None:
    path = placed.paths[WRITERS[name].suffix]
    centres = list(READERS[name](path))
    assert centres
    for centre in centres:
        assert centre == pytest.approx(placed.gland_l0_xy, abs=L0_PER_PX / 2)


def test_every_output_is_read() -> None:
    assert set(WRITERS) == {*READERS, *OTHERS, *OF_ITS_FORMAT}
