"""TIFF files as slides: which px are shown, at which um/px, and what is refused or told."""

from __future__ import annotations

import builtins
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.slides.open import Slide, open_slide
from tests.slides.formats.tiff_files import overwrite_tag

Pixels = NDArray[np.uint8]
TILED: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate"}
HALF_UM: dict[str, Any] = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER", "metadata": None}


def draw(seed: int = 0, side: int = 512) -> Pixels:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return np.asarray(
        cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX), np.uint8
    )


def shrink(pixels: Pixels, factor: int) -> Pixels:
    size = (pixels.shape[1] // factor, pixels.shape[0] // factor)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def write_pages(path: Path, *pages: NDArray[Any], **options: Any) -> Path:
    with tifffile.TiffWriter(path) as tiff:
        for page in pages:
            tiff.write(page, **{**TILED, **HALF_UM, **options})
    return path


def write_ome(path: Path, *images: tuple[Pixels, str, float], levels: int = 0) -> Path:
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for pixels, name, um in images:
            metadata = {"axes": "YXS", "Name": name, "PhysicalSizeX": um, "PhysicalSizeY": um}
            tiff.write(pixels, subifds=levels, metadata=metadata, **TILED)
            for level in range(levels):
                tiff.write(shrink(pixels, 2 ** (level + 1)), subfiletype=1, **TILED)
    return path


def replace(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(old) >= 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def read(slide: Slide, level: int = 0) -> Pixels:
    return slide.read_region(level, 0, 0, slide.levels[level].width, slide.levels[level].height)


def um(slide: Slide) -> float:
    assert slide.resolution is not None
    return slide.resolution.um_per_px


# Which px are the slide's


def test_levels_are_the_images_own(tmp_path: Path) -> None:
    first, second = draw(1), draw(2)
    path = write_ome(tmp_path / "a.ome.tif", (first, "one", 0.25), (second, "two", 0.5), levels=2)
    with open_slide(path) as slide:
        assert [level.width for level in slide.levels] == [512, 256, 128]
        assert um(slide) == 0.25
        for level in (0, 1, 2):
            assert np.array_equal(read(slide, level), shrink(first, 2**level))
        (warning,) = slide.warnings
        assert "image 2 (512 x 512 px) is passed over" in warning


def test_a_sub_image_of_another_image_is_no_level(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(draw(1), subifds=1, metadata={"axes": "YXS"}, **TILED)
        tiff.write(shrink(draw(2), 2), subfiletype=1, **TILED)
    with open_slide(path, 0.5) as slide:
        assert len(slide.levels) == 1
        assert "Sub-image 1 (256 x 256 px)" in slide.warnings[0]


@pytest.mark.parametrize("label_first", [False, True])
def test_a_label_of_the_slides_proportions_is_no_level(tmp_path: Path, label_first: bool) -> None:
    label = np.full((64, 64, 3), 255, np.uint8)
    cv2.putText(label, "NAME", (4, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 2)
    pages = [label, draw()] if label_first else [draw(), label]
    images = [(page, "label" if page is label else "slide", 15.0 if page is label else 0.5) for page in pages]
    paths = write_pages(tmp_path / "a.tif", *pages), write_ome(tmp_path / "a.ome.tif", *images)
    for path in paths:
        with open_slide(path) as slide:
            assert [(level.width, level.height) for level in slide.levels] == [(512, 512)]
            assert um(slide) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "text", ["<X><ImageType>Label</ImageType></X>", "Scan 1\nlabel 64x64", "macro 64x64"]
)
def test_what_calls_itself_a_label_is_not_even_compared(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(shrink(draw(), 2), description=text, **{**TILED, **HALF_UM})
        tiff.write(draw(), **{**TILED, **HALF_UM})
    with open_slide(path) as slide:
        assert [level.width for level in slide.levels] == [512]
        assert slide.warnings == ()


def test_two_crops_are_no_pyramid(tmp_path: Path) -> None:
    with open_slide(write_pages(tmp_path / "a.tif", draw(1), draw(2, 256))) as slide:
        assert [level.width for level in slide.levels] == [512]
        assert "Page 2 (256 x 256 px)" in slide.warnings[0]
        assert np.array_equal(read(slide), draw(1))


@pytest.mark.parametrize("nearest", [False, True])
def test_true_copies_are_levels(tmp_path: Path, nearest: bool) -> None:
    full = draw()
    pages = [full[::n, ::n] if nearest else shrink(full, n) for n in (4, 1, 2, 8)]
    with open_slide(write_pages(tmp_path / "a.tif", *pages)) as slide:
        assert [level.width for level in slide.levels] == [512, 256, 128, 64]
        assert slide.warnings == ()


def test_another_large_image_is_told(tmp_path: Path) -> None:
    with open_slide(write_pages(tmp_path / "a.tif", draw(), draw(3, 300)[:200])) as slide:
        assert slide.warnings == ("Page 2 (300 x 200 px) is passed over: another image than the slide.",)


def test_pages_of_one_size_are_a_stack(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="holds 2 planes"):
        open_slide(write_pages(tmp_path / "a.tif", draw(1), draw(2)))
    stack = np.zeros((5, 64, 64, 3), np.uint8)
    tifffile.imwrite(tmp_path / "j.tif", stack, imagej=True, metadata={"axes": "ZYXS"})
    with pytest.raises(BadInputError, match="holds 5 planes"):
        open_slide(tmp_path / "j.tif")


# At which um/px


def test_the_um_per_px_of_the_page_that_is_read(tmp_path: Path) -> None:
    images = (draw(1, 640), "macro image", 20.0), (draw(2), "slide", 0.5)
    with open_slide(write_ome(tmp_path / "a.ome.tif", *images)) as slide:
        assert um(slide) == 0.5
        assert np.array_equal(read(slide), draw(2))
        assert slide.warnings == ()
    unnamed = [(pixels, "", size) for pixels, _, size in images]
    with open_slide(write_ome(tmp_path / "b.ome.tif", *unnamed)) as slide:
        assert um(slide) == 0.5
        assert len(slide.warnings) == 1


def test_an_image_without_pixels_counts_for_nothing(tmp_path: Path) -> None:
    xml = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{}'
        '<Image><Pixels SizeX="512" SizeY="512" SizeC="3" PhysicalSizeX="0.5" PhysicalSizeY="0.5">'
        '<TiffData IFD="0"/></Pixels></Image></OME>'
    )
    other = '<Image><Pixels SizeX="9" SizeY="9" PhysicalSizeX="1" PhysicalSizeY="1">{}</Pixels></Image>'
    elsewhere = '<TiffData IFD="0"><UUID FileName="gone.tif">urn:uuid:1</UUID></TiffData>'
    for i, data in enumerate(("<MetadataOnly/>", elsewhere)):
        path = tmp_path / f"{i}.ome.tif"
        tifffile.imwrite(path, draw(), description=xml.format(other.format(data)), metadata=None, **TILED)
        with open_slide(path) as slide:
            assert um(slide) == 0.5


@pytest.mark.parametrize(
    ("xml", "told"),
    [
        ("<OME><Image></OME>", "cannot be read"),
        ('<OME><BinaryOnly MetadataFile="/dev/zero" UUID="u"/></OME>', "describes no image of this file"),
    ],
)
def test_ome_xml_that_says_nothing_is_told(tmp_path: Path, xml: str, told: str) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", draw(), description=xml, **{**TILED, **HALF_UM})
    with open_slide(tmp_path / "a.ome.tif") as slide:
        assert told in slide.warnings[0]
        assert um(slide) == pytest.approx(0.5)


def write_set(folder: Path, sibling: str) -> Path:
    def describe(i: int, size: float, file: str) -> str:
        return (
            f'<Image><Pixels DimensionOrder="XYCZT" Type="uint8" SizeX="512" SizeY="512" SizeC="3" SizeZ="1" '
            f'SizeT="1" PhysicalSizeX="{size}" PhysicalSizeY="{size}"><Channel SamplesPerPixel="3"/>'
            f'<TiffData IFD="0"><UUID FileName="{file}">urn:uuid:{i}</UUID></TiffData></Pixels></Image>'
        )

    xml = (
        f'<OME xmlns="x" UUID="urn:uuid:1">{describe(0, 1.0, sibling)}{describe(1, 0.5, "own.ome.tif")}</OME>'
    )
    tifffile.imwrite(folder / "own.ome.tif", draw(), description=xml, metadata=None, **TILED)
    return folder / "own.ome.tif"


@pytest.mark.parametrize("sibling", ["pipe", "/dev/zero", "../other.ome.tif", r"\\server\share\a.tif"])
def test_files_named_in_a_file_are_never_opened(
    tmp_path: Path, sibling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    path, opened = write_set(tmp_path, sibling), set[str]()
    true_open, true_os_open = builtins.open, os.open

    def note(file: Any, *rest: Any, **more: Any) -> Any:
        opened.add(str(file))
        return true_open(file, *rest, **more)

    def note_os(file: Any, *rest: Any, **more: Any) -> Any:
        opened.add(str(file))
        return true_os_open(file, *rest, **more)

    monkeypatch.setattr(builtins, "open", note)
    monkeypatch.setattr(os, "open", note_os)
    with open_slide(path) as slide:
        assert np.array_equal(read(slide), draw())
        assert um(slide) == 0.5
    assert opened <= {str(path)}


# Which colors


def encode_tiles(pixels: NDArray[Any], encode: Any, side: int = 64) -> Iterator[bytes]:
    for y in range(0, pixels.shape[0], side):
        for x in range(0, pixels.shape[1], side):
            yield bytes(encode(np.ascontiguousarray(pixels[y : y + side, x : x + side])))


@pytest.mark.parametrize("photometric", [2, 6])
def test_aperios_ycbcr_is_converted_whatever_the_tag_says(tmp_path: Path, photometric: int) -> None:
    rgb, path = draw(side=256), tmp_path / "a.tif"
    ycbcr = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb), np.uint8)[..., [0, 2, 1]]
    options: dict[str, Any] = {"codecformat": "J2K", "reversible": True, "level": 0, "mct": False}
    tiles = encode_tiles(ycbcr, lambda tile: imagecodecs.jpeg2k_encode(tile, **options))
    how: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": 34712}
    tifffile.imwrite(path, tiles, shape=rgb.shape, dtype=np.uint8, **how)
    overwrite_tag(overwrite_tag(path, 259, 33003), 262, photometric)
    with open_slide(path) as slide:
        assert np.abs(read(slide).astype(int) - rgb).mean() < 1


@pytest.mark.parametrize(
    "kind", ["rgb8", "rgb16", "white is zero", "black is zero", "palette", "rgba", "ycbcr"]
)
def test_what_a_sparse_tiff_does_not_store_is_white(tmp_path: Path, kind: str) -> None:
    how: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": "deflate"}
    dtype: type[np.unsignedinteger[Any]] = np.uint16 if kind == "rgb16" else np.uint8
    samples: tuple[int, ...] = (3,)
    if kind == "rgba":
        how, samples = {**how, "extrasamples": ["unassalpha"]}, (4,)
    elif kind == "palette":
        colors = np.tile(np.arange(256, dtype=np.uint16)[::-1] * 257, (3, 1))
        how, samples = {**how, "photometric": "palette", "colormap": colors}, ()
    elif kind.endswith("zero"):
        how, samples = {**how, "photometric": "miniswhite" if kind.startswith("w") else "minisblack"}, ()
    elif kind == "ycbcr":
        how = {**how, "compression": 34712}
    stored = np.full((64, 64, *samples), 100, dtype)
    coded = bytes(imagecodecs.jpeg2k_encode(stored)) if kind == "ycbcr" else zlib.compress(stored.tobytes())
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, iter([b"", coded]), shape=(64, 128, *samples), dtype=dtype, **how)
    if kind == "ycbcr":
        overwrite_tag(path, 259, 33003)
    with open_slide(path) as slide:
        assert (slide.read_region(0, 0, 0, 64, 64) == 255).all()
        assert (slide.read_region(0, 64, 0, 64, 64) < 255).any()


@pytest.mark.parametrize(("factor", "told"), [(257, ""), (16, "4,080 of 65,535"), (1, "255 of 65,535")])
def test_16_bit_samples_of_fewer_bits_are_told(tmp_path: Path, factor: int, told: str) -> None:
    pixels = draw(side=256).astype(np.uint16) * factor
    pixels[:40] = pixels.max()
    with open_slide(write_pages(tmp_path / "a.tif", pixels)) as slide:
        assert len(slide.warnings) == bool(told)
        assert told in "".join(slide.warnings)


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_a_transparent_image_is_told(tmp_path: Path, kind: str) -> None:
    rgba = np.dstack([draw(side=128), np.zeros((128, 128), np.uint8)])
    with open_slide(write_pages(tmp_path / "a.tif", rgba, extrasamples=[kind])) as slide:
        assert "transparent throughout" in slide.warnings[0]
    rgba[:9, :, 3] = 255
    with open_slide(write_pages(tmp_path / "b.tif", rgba, extrasamples=[kind])) as slide:
        assert slide.warnings == ()


# What is damaged


@pytest.mark.parametrize("code", [325, 324])
def test_a_place_without_bytes_is_damage_not_white(tmp_path: Path, code: int) -> None:
    path = write_pages(tmp_path / "a.tif", draw(side=256))
    with tifffile.TiffFile(path) as tiff:
        values = list(tiff.pages.first.tags[code].value)
    overwrite_tag(path, code, [0, *values[1:]])
    with open_slide(path) as slide:
        with pytest.raises(BadInputError, match="which cannot be"):
            slide.read_region(0, 0, 0, 64, 64)
        assert np.array_equal(slide.read_region(0, 64, 0, 64, 64), draw(side=256)[:64, 64:128])


@pytest.mark.parametrize("code", [256, 257])
@pytest.mark.parametrize("value", [15, 200, 2**32 - 1])
def test_a_damaged_size_is_refused_and_no_level_takes_its_place(
    tmp_path: Path, code: int, value: int
) -> None:
    pages = [shrink(draw(), n) for n in (1, 2, 4)]
    paths = (
        write_pages(tmp_path / "a.tif", *pages),
        write_pages(tmp_path / "b.tif", *pages, tile=None, rowsperstrip=16),
        write_ome(tmp_path / "c.ome.tif", (pages[0], "", 0.5), levels=1),
    )
    for path in paths:
        with pytest.raises(BadInputError, match=r"tags (say|of page 1).* px"):
            open_slide(overwrite_tag(path, code, value), 0.5)


@pytest.mark.parametrize("code", [256, 257])
@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_a_size_whose_tag_is_lost_leaves_no_level_in_its_place(tmp_path: Path, code: int, tile: Any) -> None:
    path = write_pages(tmp_path / "a.tif", draw(), shrink(draw(), 2), tile=tile)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.tags[code].offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 2] = b"\xfe\x00"  # NewSubfileType
    path.write_bytes(data)
    with pytest.raises(BadInputError, match="damaged"):
        open_slide(path)


@pytest.mark.parametrize("axis", ["SizeX", "SizeY"])
def test_ome_xml_of_another_size_is_refused(tmp_path: Path, axis: str) -> None:
    path = write_ome(tmp_path / "a.ome.tif", (draw(), "", 0.5))
    with pytest.raises(BadInputError, match=r"OME-XML says .*999.* px, the tags of page 1 512 x 512 px"):
        open_slide(replace(path, f'{axis}="512"'.encode(), f'{axis}="999"'.encode()), 0.5)


@pytest.mark.parametrize("axis", ["SizeZ", "SizeT", "SizeC"])
def test_a_billion_planes_are_told_as_what_they_are(tmp_path: Path, axis: str) -> None:
    path = write_ome(tmp_path / "a.ome.tif", (draw(), "x" * 12, 0.5))
    with tifffile.TiffFile(path) as tiff:
        old = tiff.pages.first.description
    count = "3" if axis == "SizeC" else "1"
    new = old.replace(f'{axis}="{count}"', f'{axis}="999999999"')
    path.unlink()
    tifffile.imwrite(path, draw(), description=new.encode(), metadata=None, **TILED)
    with pytest.raises(BadInputError, match=r"states \d{3},\d{3},\d{3} planes.*holds 1 pages"):
        open_slide(path)


@pytest.mark.parametrize("kind", ["jpeg", "jpeg2000", "webp", "png", "jpegxl", "jpegxr", "lerc"])
def test_a_codecs_header_is_held_against_the_tile(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode: dict[str, tuple[int, Callable[..., Any]]] = {
        "jpeg": (7, imagecodecs.jpeg_encode),
        "jpeg2000": (34712, imagecodecs.jpeg2k_encode),
        "webp": (50001, imagecodecs.webp_encode),
        "png": (34933, imagecodecs.png_encode),
        "jpegxl": (50002, imagecodecs.jpegxl_encode),
        "jpegxr": (34934, imagecodecs.jpegxr_encode),
        "lerc": (34887, imagecodecs.lerc_encode),
    }
    compression, write = encode[kind]
    small, large = (bytes(write(np.zeros((side, side, 3), np.uint8))) for side in (64, 640))
    path = tmp_path / "a.tif"
    how: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": compression}
    tifffile.imwrite(path, iter([small, large]), shape=(64, 128, 3), dtype=np.uint8, **how)
    with open_slide(path) as slide:
        slide.read_region(0, 0, 0, 64, 64)
        with pytest.raises(BadInputError, match="640 x 640 px, where its tags say 64 x 64 px"):
            slide.read_region(0, 64, 0, 64, 64)


def test_a_strip_too_large_for_the_memory_is_refused_with_the_cure(tmp_path: Path) -> None:
    side = 6000
    pack = zlib.compressobj(1)
    row = bytes(side * 3)
    data = b"".join([*(pack.compress(row) for _ in range(side)), pack.flush()])
    path = tmp_path / "a.tif"
    how: dict[str, Any] = {"photometric": "rgb", "compression": "deflate", "rowsperstrip": side}
    tifffile.imwrite(path, iter([data]), shape=(side, side, 3), dtype=np.uint8, **how)
    with pytest.raises(BadInputError, match=r"6,000 x 6,000 px.*tiled TIFF, or give --max-ram 1"):
        open_slide(path, cache_bytes=4 << 20)
    with open_slide(path, cache_bytes=16 << 20) as slide:
        assert slide.held_bytes == side * side * 3


def test_a_tile_that_claims_the_whole_file_is_not_read(tmp_path: Path) -> None:
    path = write_pages(tmp_path / "a.tif", draw(side=128))
    with tifffile.TiffFile(path) as tiff:
        counts = list(tiff.pages.first.databytecounts)
    overwrite_tag(path, 325, [2**31, *counts[1:]])
    with open_slide(path) as slide, pytest.raises(BadInputError, match="file ends"):
        slide.read_region(0, 0, 0, 64, 64)


def test_a_large_sparse_slide_opens_and_is_read(tmp_path: Path) -> None:
    side, tile = 100_352, 1024
    coded = zlib.compress(bytes(tile * tile * 3), 1)
    tiles = [b""] * (side // tile) ** 2
    tiles[4321] = coded
    path = tmp_path / "a.tif"
    how: dict[str, Any] = {"photometric": "rgb", "compression": "deflate", "tile": (tile, tile)}
    tifffile.imwrite(path, iter(tiles), shape=(side, side, 3), dtype=np.uint8, **how)
    with open_slide(path) as slide:
        assert (slide.read_region(0, side - 2000, side - 9, 2000, 9) == 255).all()
        y, x = divmod(4321, side // tile)
        assert (slide.read_region(0, x * tile, y * tile, 9, 9) == 0).all()
