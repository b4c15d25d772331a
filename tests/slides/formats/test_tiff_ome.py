"""Which pages OME-XML calls which image."""

from __future__ import annotations

import pytest

from glandseg.slides.formats.tiff_ome import OmeImage, list_ome_images, rank_images

OWN, OTHER = "urn:uuid:1", "urn:uuid:2"


def describe(*images: str, uuid: str = "") -> str:
    own = f'UUID="{uuid}"' if uuid else ""
    return f'<OME xmlns="http://x/OME" {own}>{"".join(images)}</OME>'


def image(data: str, name: str = "", size: int = 100, um: float = 0.5) -> str:
    pixels = f'SizeX="{size}" SizeY="{size}" SizeC="3" SizeZ="1" SizeT="1" PhysicalSizeX="{um}"'
    return f'<Image Name="{name}"><Pixels {pixels}>{data}</Pixels></Image>'


def place(page: int, uuid: str = "", file: str = "") -> str:
    return (
        f'<TiffData IFD="{page}"><UUID FileName="{file}">{uuid}</UUID></TiffData>'
        if uuid
        else (f'<TiffData IFD="{page}"/>')
    )


def list_places(xml: str, name: str = "a.ome.tif") -> list[tuple[int, int]]:
    return [(found.index, found.page) for found in list_ome_images(xml, name)]


def test_pages_belong_to_their_images() -> None:
    assert list_places(describe(image(place(0)), image(place(1)))) == [(0, 0), (1, 1)]
    assert list_places(describe(image("<MetadataOnly/>"), image(place(0)))) == [(1, 0)]
    assert list_places(describe(image("<BinData/>"), image('<TiffData IFD="3"/><TiffData IFD="2"/>'))) == [
        (1, 2)
    ]
    assert list_places(describe(image(""))) == [(0, 0)]


@pytest.mark.parametrize("named", ["b.ome.tif", "../b.ome.tif", r"\\server\share\b.ome.tif", "/dev/zero"])
def test_what_lies_in_another_file_is_left_out(named: str) -> None:
    both = image(place(0, OTHER, named)), image(place(0, OWN, "old name.ome.tif"))
    assert list_places(describe(*both, uuid=OWN)) == [(1, 0)]
    by_name = image(place(0, OTHER, named)), image(place(0, OWN, "A.ome.tif"))
    assert list_places(describe(*by_name)) == [(1, 0)]
    assert list_places(describe(image(place(0, OTHER, named)), image(place(0, "u", "c.tif")))) == []


def test_a_renamed_file_is_its_own() -> None:
    assert list_places(describe(image(place(0, OTHER, "old.ome.tif")), image(place(1, OTHER)))) == [
        (0, 0),
        (1, 1),
    ]


def test_no_image_of_a_binary_only_file() -> None:
    assert list_places(describe('<BinaryOnly MetadataFile="/dev/zero" UUID="u"/>')) == []


@pytest.mark.parametrize(
    "xml",
    [
        describe(image(place(0)).replace('SizeX="100"', 'SizeX="x"')),
        describe(image(place(0)).replace('SizeX="100"', 'SizeX="0"')),
        describe(image(place(0)).replace('SizeX="100"', f'SizeX="{10**30}"')),
        describe(image('<TiffData IFD="-1"/>')),
    ],
)
def test_numbers_that_are_none_are_told(xml: str) -> None:
    with pytest.raises(ValueError, match="OME-XML"):
        list_ome_images(xml, "a.ome.tif")


def make(name: str, width: int, um_per_px: float = 0.0, page: int = 0) -> OmeImage:
    return OmeImage(
        index=page, name=name, width=width, height=9, planes=1, channels=3, page=page, um_per_px=um_per_px
    )


@pytest.mark.parametrize("name", ["label", "Macro image", "slide.svs [label]", "scan_thumbnail", "OVERVIEW"])
def test_a_label_is_not_the_slide_however_large(name: str) -> None:
    slide = make("label-free tissue", 5, page=1)
    assert rank_images([make(name, 9), slide]) == [slide]
    assert rank_images([make(name, 9)]) == [make(name, 9)]


def test_the_finest_then_the_largest_then_the_first_image_is_the_slide() -> None:
    overview, small = make("", 900, 20.0), make("", 300, 0.5, 1)
    large, same = make("", 400, 0.25, 2), make("", 400, 0.25, 3)
    assert rank_images([overview, small, large, same]) == [large, same, small, overview]
