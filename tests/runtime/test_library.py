"""The package as a library: the same glands as the command line, from a path or an array."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from glandseg import open_model, segment_slide
from glandseg.core.errors import BadInputError
from glandseg.runtime.library import OpenModel
from glandseg.runtime.settings import InferSettings

UM_PER_PX = 1.4


@pytest.fixture(scope="module")
def model(red_model: Path) -> Iterator[OpenModel]:
    with open_model(red_model, device="cpu", threads=1, precision="float32") as model:
        yield model


@pytest.fixture(scope="module")
def image(draw_disks: Callable[..., NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return draw_disks(900, 800, [(300.0, 300.0, 120.0), (700.0, 300.0, 90.0)], [(300.0, 300.0, 40.0)])


@pytest.fixture
def slide(image: NDArray[np.uint8], tmp_path: Path) -> Path:
    size = (1e4 / UM_PER_PX,) * 2
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, image, photometric="rgb", resolution=size, resolutionunit="CENTIMETER", metadata=None
    )
    return path


def test_a_path_and_an_array_give_the_glands_of_the_command_line(
    image: NDArray[np.uint8], slide: Path, model: OpenModel, red_model: Path, run_command: Callable[..., Any]
) -> None:
    of_path = segment_slide(slide, model)
    of_array = segment_slide(image, model, mpp=UM_PER_PX)
    assert len(of_path.glands) == 2
    for one, other in zip(of_path.glands, of_array.glands, strict=True):
        assert one.polygon_l0.equals(other.polygon_l0)
        assert one.measurements == other.measurements
    assert np.array_equal(of_path.mask, of_array.mask)
    done = run_command("infer", slide, "--model", red_model, "--device", "cpu", "--precision", "float32")
    assert done.code == 0
    features = json.loads((slide.parent / "a.glands.geojson").read_text(encoding="utf-8"))["features"]
    assert [gland.id for gland in of_path.glands] == [feature["id"] for feature in features]
    assert [path.name for path in slide.parent.glob("glandseg-*")] == []


def test_what_is_returned(slide: Path, model: OpenModel) -> None:
    result = segment_slide(slide, model)
    first = result.glands[0]
    assert first.polygon_l0.area == pytest.approx(np.pi * (120**2 - 40**2), rel=0.01)
    assert first.measurements["area_um2"] == pytest.approx(first.polygon_l0.area * UM_PER_PX**2, rel=1e-3)
    assert result.mask.shape == (800, 900)
    assert set(np.unique(result.mask)) == {0, 255}
    assert result.record["result"]["glands"] == 2
    assert result.outputs == ()


def test_outputs_stay_where_a_folder_is_given(slide: Path, model: OpenModel, tmp_path: Path) -> None:
    settings = InferSettings(write=("csv",), threshold=0.4)
    result = segment_slide(slide, model, out=tmp_path / "out", settings=settings)
    assert {path.name for path in result.outputs} == {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out" / "a.glands.csv").is_file()
    assert result.record["settings"]["threshold"] == 0.4


def test_geopandas_reads_the_result(slide: Path, model: OpenModel) -> None:
    geopandas = pytest.importorskip("geopandas", reason="geopandas is not installed")
    table = geopandas.GeoDataFrame.from_features(segment_slide(slide, model))
    assert list(table.number) == [1, 2]
    assert table.area_um2.notna().all()


@pytest.mark.parametrize(
    ("image", "mpp", "message"),
    [
        (np.zeros((9, 9), np.uint8), 1.0, r"an array is \(H, W, 3\) uint8 RGB"),
        (np.zeros((9, 9, 3), np.float32), 1.0, r"an array is \(H, W, 3\) uint8 RGB"),
        (np.zeros((9, 9, 3), np.uint8), None, "an array does not say its um/px"),
    ],
)
def test_what_is_no_image(model: OpenModel, image: Any, mpp: float | None, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        segment_slide(image, model, mpp=mpp)


def test_an_unknown_name_is_no_attribute() -> None:
    import glandseg

    with pytest.raises(AttributeError, match="no attribute 'segment'"):
        glandseg.segment  # noqa: B018
