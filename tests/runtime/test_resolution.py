from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.resolution import (
    Resolution,
    read_ome_resolution,
    read_openslide_resolution,
    read_tiff_resolution,
    settle,
    take_given_resolution,
)

FILE = Path("a.tif")


def describe_pixels(attributes: str) -> str:
    return f'<OME xmlns="http://x/OME"><Image><Pixels {attributes}/></Image></OME>'


def test_openslide_mean_of_both_axes() -> None:
    found = read_openslide_resolution(FILE, {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.26"})
    assert found == Resolution(pytest.approx(0.255), "openslide.mpp")  # type: ignore[arg-type]


@pytest.mark.parametrize("x", ["", "zero", "0", "nan", "inf", "-0.5", "28.9"])
def test_openslide_unbelievable_values_do_not_count(x: str) -> None:
    assert read_openslide_resolution(FILE, {"openslide.mpp-x": x, "openslide.mpp-y": "0.25"}) is None


def test_axes_more_than_a_tenth_apart_are_refused() -> None:
    with pytest.raises(BadInputError, match=r"a\.tif.*not square.*--mpp"):
        read_openslide_resolution(FILE, {"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.28"})


@pytest.mark.parametrize(("per_unit", "unit", "um"), [(20_000, 3, 0.5), (50_800, 2, 0.5)])
def test_tiff_units(per_unit: float, unit: int, um: float) -> None:
    found = read_tiff_resolution(FILE, per_unit, per_unit, unit)
    assert found is not None
    assert found.um_per_px == pytest.approx(um)


@pytest.mark.parametrize(
    ("per_unit", "unit"), [(1, 1), (1, 3), (72, 2), (96, 2), (300, 2), (20_000, 1), (0, 2)]
)
def test_tiff_filler_does_not_count(per_unit: float, unit: int) -> None:
    assert read_tiff_resolution(FILE, per_unit, per_unit, unit) is None


@pytest.mark.parametrize(("size", "unit"), [(0.5, "um"), (0.5, "µm"), (500, "nm"), (0.0005, "mm")])
def test_ome_units(size: float, unit: str) -> None:
    xml = describe_pixels(
        f'PhysicalSizeX="{size}" PhysicalSizeXUnit="{unit}" PhysicalSizeY="{size}" PhysicalSizeYUnit="{unit}"'
    )
    found = read_ome_resolution(FILE, xml, 0)
    assert found is not None
    assert found.um_per_px == pytest.approx(0.5)


def test_ome_unit_defaults_to_um() -> None:
    found = read_ome_resolution(FILE, describe_pixels('PhysicalSizeX="0.5" PhysicalSizeY="0.5"'), 0)
    assert found == Resolution(0.5, "OME-XML")


@pytest.mark.parametrize(
    ("xml", "image"),
    [
        ("<broken", 0),
        (describe_pixels('PhysicalSizeX="0.5"'), 0),
        (
            describe_pixels('PhysicalSizeX="0.5" PhysicalSizeXUnit="pixel" PhysicalSizeY="0.5"'),
            0,
        ),
        (describe_pixels('PhysicalSizeX="0.5" PhysicalSizeY="0.5"'), 1),
    ],
)
def test_ome_without_a_usable_size(xml: str, image: int) -> None:
    assert read_ome_resolution(FILE, xml, image) is None


def test_settle_takes_the_first_that_speaks() -> None:
    tags = Resolution(0.5, "TIFF resolution tags")
    assert settle(FILE, [None, tags]) is tags
    assert settle(FILE, [Resolution(0.51, "OME-XML"), tags]) == Resolution(0.51, "OME-XML")
    assert settle(FILE, [None, None]) is None


def test_settle_refuses_a_conflict() -> None:
    with pytest.raises(BadInputError, match=r"OME-XML says 0\.25 um/px, TIFF resolution tags 0\.5.*--mpp"):
        settle(FILE, [Resolution(0.25, "OME-XML"), Resolution(0.5, "TIFF resolution tags")])


def test_given_resolution() -> None:
    assert take_given_resolution(0.05) == Resolution(0.05, "--mpp")
    for wrong in (0.0, 0.049, 20.1, float("nan")):
        with pytest.raises(BadInputError, match="--mpp"):
            take_given_resolution(wrong)
