"""Where files say their um/px."""

from __future__ import annotations

import pytest

from glandseg.slides.mpp import Power, Statement
from glandseg.slides.mpp_sources import (
    find_description_power,
    find_ome_power,
    find_openslide_power,
    list_openslide_statements,
    state_description,
    state_imagej,
    state_ome,
    state_tiff,
)

APERIO = "Aperio Image Library v11\n46000x32914 JPEG/RGB Q=30|AppMag = 20|StripeWidth = 2040|MPP = 0.4990"


def describe_pixels(attributes: str, objective: str = "") -> str:
    return f'<OME xmlns="http://x/OME">{objective}<Image><Pixels {attributes}/></Image></OME>'


def test_openslide_and_the_vendor_both_speak() -> None:
    said = list_openslide_statements(
        {
            "openslide.mpp-x": "0.25",
            "openslide.mpp-y": "0.26",
            "aperio.MPP": "0.5",
            "tiff.XResolution": "40000",
            "tiff.YResolution": "40000",
            "tiff.ResolutionUnit": "centimeter",
        }
    )
    assert said == [
        Statement("openslide.mpp", 0.25, 0.26),
        Statement("aperio.MPP", 0.5, 0.5),
        Statement("TIFF resolution tags", 0.25, 0.25),
    ]


def test_dicom_spacing_is_in_mm_rows_first() -> None:
    key = "dicom.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing"
    (said,) = list_openslide_statements({f"{key}[0]": "0.00025", f"{key}[1]": "0.0003"})
    assert [said.x, said.y] == pytest.approx([0.3, 0.25])


@pytest.mark.parametrize("x", ["", "zero", "0", "nan", "inf", "-0.5"])
def test_openslide_values_that_are_none(x: str) -> None:
    assert list_openslide_statements({"openslide.mpp-x": x, "openslide.mpp-y": "0.25"}) == []


def test_openslide_power() -> None:
    properties = {"openslide.objective-power": "20", "openslide.vendor": "mirax"}
    assert find_openslide_power(properties) == Power("openslide.objective-power", 20)
    found = find_openslide_power(properties | {"openslide.vendor": "aperio"})
    assert found is not None
    assert found.apparent
    assert find_openslide_power({}) is None


@pytest.mark.parametrize(("per_unit", "unit", "um"), [(20_000, 3, 0.5), (50_800, 2, 0.5)])
def test_tiff_units(per_unit: float, unit: int, um: float) -> None:
    found = state_tiff(per_unit, per_unit, unit)
    assert found is not None
    assert found.um_per_px == pytest.approx(um)


@pytest.mark.parametrize(
    ("per_unit", "unit"), [(1, 1), (1, 3), (72, 2), (96, 2), (300, 2), (20_000, 1), (0, 2)]
)
def test_tiff_filler_does_not_count(per_unit: float, unit: int) -> None:
    assert state_tiff(per_unit, per_unit, unit) is None


def test_imagej_counts_px_per_its_own_unit() -> None:
    found = state_imagej(2.0, 2.0, "micron")
    assert found is not None
    assert found.um_per_px == 0.5
    assert state_imagej(2.0, 2.0, "pixel") is None
    assert state_imagej(0.0, 2.0, "micron") is None


def test_a_copied_aperio_description() -> None:
    found = state_description(APERIO)
    assert found is not None
    assert found.um_per_px == 0.499
    assert find_description_power(APERIO) == Power("AppMag in the description", 20, apparent=True)
    assert state_description("CAMPP = 3") is None
    assert find_description_power("") is None


@pytest.mark.parametrize(("size", "unit"), [(0.5, "um"), (0.5, "µm"), (500, "nm"), (0.0005, "mm")])
def test_ome_units(size: float, unit: str) -> None:
    xml = describe_pixels(
        f'PhysicalSizeX="{size}" PhysicalSizeXUnit="{unit}" PhysicalSizeY="{size}" PhysicalSizeYUnit="{unit}"'
    )
    found = state_ome(xml, 0)
    assert found is not None
    assert found.um_per_px == pytest.approx(0.5)


def test_ome_unit_defaults_to_um() -> None:
    found = state_ome(describe_pixels('PhysicalSizeX="0.5" PhysicalSizeY="0.5"'), 0)
    assert found == Statement("OME-XML", 0.5, 0.5)


@pytest.mark.parametrize(
    ("xml", "image"),
    [
        ("<broken", 0),
        (describe_pixels('PhysicalSizeX="0.5"'), 0),
        (describe_pixels('PhysicalSizeX="0.5" PhysicalSizeXUnit="pixel" PhysicalSizeY="0.5"'), 0),
        (describe_pixels('PhysicalSizeX="0.5" PhysicalSizeY="0.5"'), 1),
    ],
)
def test_ome_without_a_usable_size(xml: str, image: int) -> None:
    assert state_ome(xml, image) is None


def test_ome_power_only_where_one_objective_is_named() -> None:
    objective = '<Instrument><Objective NominalMagnification="{}"/></Instrument>'
    assert find_ome_power(describe_pixels("", objective.format(40))) == Power("OME-XML's objective", 40)
    two = objective.format(40) + objective.format(5)
    assert find_ome_power(describe_pixels("", two)) is None
    assert find_ome_power("<broken") is None


@pytest.mark.parametrize("um", [0.025, 30.0])
def test_absurd_tags_are_stated(um: float) -> None:
    found = state_tiff(10_000 / um, 10_000 / um, 3)
    assert found is not None
    assert not found.is_believable
    assert found.describe() == f"TIFF resolution tags: {um:g} um/px, absurd"


@pytest.mark.parametrize("mpp", ["0,5", "0,5000", "0.50", ".5"])
def test_decimal_comma(mpp: str) -> None:
    found = state_description(f"Aperio Image Library|AppMag = 20|MPP = {mpp}|Left = 3")
    assert found == Statement("MPP in the description", 0.5, 0.5)
    (said,) = list_openslide_statements({"aperio.MPP": mpp})
    assert said.um_per_px == 0.5


@pytest.mark.parametrize("text", ["1,234.5", "1,2,3", ","])
def test_commas_that_are_not_decimal(text: str) -> None:
    assert list_openslide_statements({"aperio.MPP": text}) == []


@pytest.mark.parametrize(
    ("size", "unit"), [(0.5, "micron"), (5e-5, "cm"), (0.5 / 25_400, "inch"), (0.5, "Âµm"), (5e-7, "m")]
)
def test_further_units(size: float, unit: str) -> None:
    sizes = " ".join(f'PhysicalSize{axis}="{size}" PhysicalSize{axis}Unit="{unit}"' for axis in "XY")
    for found in (state_ome(describe_pixels(sizes), 0), state_imagej(1 / size, 1 / size, unit)):
        assert found is not None
        assert found.um_per_px == pytest.approx(0.5)


def test_unknown_units_are_quoted() -> None:
    sizes = " ".join(f'PhysicalSize{axis}="0.5" PhysicalSize{axis}Unit="cubit"' for axis in "XY")
    for found in (state_ome(describe_pixels(sizes), 0), state_imagej(2.0, 2.0, "cubit")):
        assert found is not None
        assert not found.is_believable
        assert found.describe().endswith(": 0.5 'cubit' per px, an unknown unit")


def test_openslide_compares_the_described_size() -> None:
    properties = {
        "aperio.MPP": "0.5",
        "openslide.comment": APERIO,
        "openslide.level[0].width": "23000",
        "openslide.level[0].height": "16457",
    }
    first, second = list_openslide_statements(properties)
    assert first.um_per_px == 0.5
    assert second.um_per_px == pytest.approx(1.0)
