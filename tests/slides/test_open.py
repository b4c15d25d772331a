from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.slides.formats.vendor import OpenSlideSlide, find_cell
from glandseg.slides.open import Level, open_slide

Pixels = NDArray[np.uint8]


def draw(width: int = 300, height: int = 200) -> Pixels:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def halve(image: Pixels) -> Pixels:
    return np.ascontiguousarray(image[::2, ::2])


def cut(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def write_tiff(path: Path, image: NDArray[Any], **options: Any) -> Path:
    tifffile.imwrite(path, image, **{"photometric": "rgb", **options})
    return path


def read_whole(path: Path) -> Pixels:
    with open_slide(path) as slide:
        return slide.read_region(0, 0, 0, slide.width_l0, slide.height_l0)


# What is read


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "deflate", "rowsperstrip": 7},
        {"compression": "lzw", "predictor": True, "tile": (64, 48)},
        {"tile": (64, 48)},
        {"bigtiff": True, "byteorder": ">", "compression": "deflate"},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "compression": "deflate", "tile": (64, 48)},
    ],
)
def test_tiff_layouts(tmp_path: Path, options: dict[str, Any]) -> None:
    image = draw()
    stored = np.moveaxis(image, 2, 0) if options.get("planarconfig") == "separate" else image
    path = write_tiff(tmp_path / "a.tif", stored, **options)
    assert np.array_equal(read_whole(path), image)
    with open_slide(path) as slide:
        assert slide.format == "tiff"
        assert np.array_equal(slide.read_region(0, 33, 41, 150, 99), image[41:140, 33:183])


def test_jpeg_tiff_is_turned_from_ycbcr(tmp_path: Path) -> None:
    image = draw()
    path = write_tiff(tmp_path / "a.tif", image, compression="jpeg", tile=(64, 64))
    assert np.abs(read_whole(path).astype(int) - image).mean() < 8


def test_only_touched_tiles_are_decoded(tmp_path: Path) -> None:
    path = cut(write_tiff(tmp_path / "a.tif", draw(640, 640), compression="deflate", tile=(64, 64)), 0.7)
    with open_slide(path) as slide:
        assert np.array_equal(slide.read_region(0, 10, 10, 100, 100), draw(640, 640)[10:110, 10:110])
        with pytest.raises(BadInputError, match=r"a\.tif: level 0, x 500, y 600, 64 x 32 px.*file ends"):
            slide.read_region(0, 500, 600, 64, 32)


def test_tiff_with_alpha_lies_on_white(tmp_path: Path) -> None:
    rgba = np.dstack([draw(), np.full((200, 300), 255, np.uint8)])
    rgba[:50, :, 3] = 0
    rgb = read_whole(write_tiff(tmp_path / "a.tif", rgba, extrasamples=["unassalpha"]))
    assert (rgb[:50] == 255).all()
    assert np.array_equal(rgb[50:], draw()[50:])


def test_gray_palette_bilevel_and_16_bit_tiff(tmp_path: Path) -> None:
    gray = draw()[..., 0]
    assert np.array_equal(
        read_whole(write_tiff(tmp_path / "g.tif", gray, photometric="minisblack")), np.dstack([gray] * 3)
    )
    inverse = read_whole(write_tiff(tmp_path / "w.tif", gray, photometric="miniswhite"))
    assert np.array_equal(inverse[..., 1], 255 - gray)
    colors = (np.arange(768).reshape(3, 256) % 256 * 257).astype(np.uint16)[:, ::-1]
    palette = read_whole(write_tiff(tmp_path / "p.tif", gray, photometric="palette", colormap=colors))
    assert np.array_equal(palette[..., 2], 255 - gray)
    bits = write_tiff(tmp_path / "b.tif", gray > 127, photometric="minisblack", compression="deflate")
    assert np.array_equal(read_whole(bits)[..., 0], (gray > 127) * 255)
    deep = read_whole(write_tiff(tmp_path / "d.tif", draw().astype(np.uint16) * 257))
    assert np.array_equal(deep, draw())


def test_pyramid_in_sub_images(tmp_path: Path) -> None:
    image, path = draw(), tmp_path / "a.ome.tif"
    metadata = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "axes": "YXS"}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(image, subifds=2, tile=(64, 64), photometric="rgb", metadata=metadata)
        tiff.write(halve(image), subfiletype=1, tile=(64, 64), photometric="rgb")
        tiff.write(halve(halve(image)), subfiletype=1, tile=(64, 64), photometric="rgb")
    with open_slide(path) as slide:
        assert slide.format == "ome-tiff"
        assert slide.levels == (Level(300, 200, 1.0), Level(150, 100, 2.0), Level(75, 50, 4.0))
        assert slide.resolution is not None
        assert (slide.resolution.um_per_px, slide.resolution.source) == (0.5, "OME-XML")
        assert np.array_equal(slide.read_region(1, 3, 5, 100, 90), halve(image)[5:95, 3:103])


def test_pyramid_in_further_pages_but_no_label(tmp_path: Path) -> None:
    image, path = draw(), tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        for page in (draw(70, 90), image, image[::4, ::4], image[::16, ::16]):
            options = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
            tiff.write(page, tile=(64, 64), photometric="rgb", metadata=None, **options)
    with open_slide(path) as slide:
        assert [(level.width, level.downsample) for level in slide.levels] == [(300, 1), (75, 4), (19, 16)]
        assert slide.resolution is not None
        assert slide.resolution.um_per_px == pytest.approx(0.5)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_images(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), cv2.cvtColor(draw(), cv2.COLOR_RGB2BGR))
    error = np.abs(read_whole(path).astype(int) - draw())
    assert error.mean() < 6 if suffix in {".jpg", ".webp"} else error.max() == 0


def test_png_alpha_and_gray(tmp_path: Path) -> None:
    rgba = np.zeros((8, 9, 4), np.uint8)
    rgba[4:] = (10, 20, 30, 255)  # blue, green, red, alpha
    cv2.imwrite(str(tmp_path / "a.png"), rgba)
    rgb = read_whole(tmp_path / "a.png")
    assert (rgb[:4] == 255).all()
    assert (rgb[4:] == (30, 20, 10)).all()
    cv2.imwrite(str(tmp_path / "g.png"), draw()[..., 0])
    assert np.array_equal(read_whole(tmp_path / "g.png")[..., 2], draw()[..., 0])


def test_content_decides_not_the_name(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "image.png", draw())
    with open_slide(path) as slide:
        assert slide.format == "tiff"


def test_given_resolution_wins_over_a_conflict(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    metadata = {"PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, "axes": "YXS"}
    options = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
    write_tiff(path, draw(), ome=True, metadata=metadata, **options)
    with pytest.raises(BadInputError, match="--mpp"):
        open_slide(path)
    with open_slide(path, mpp=0.4) as slide:
        assert slide.resolution is not None
        assert (slide.resolution.um_per_px, slide.resolution.source) == (0.4, "--mpp")


def test_imagej_says_its_unit_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, draw(), imagej=True, resolution=(2.0, 2.0), metadata={"unit": "um", "axes": "YXS"})
    with open_slide(path) as slide:
        assert slide.resolution is not None
        assert (slide.resolution.um_per_px, slide.resolution.source) == (0.5, "ImageJ's description")


def test_a_copied_description_conflicts_with_the_tags(tmp_path: Path) -> None:
    options = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER", "metadata": None}
    path = write_tiff(tmp_path / "a.tif", draw(), description="Aperio|AppMag = 40|MPP = 0.25", **options)
    with pytest.raises(BadInputError, match=r"MPP in the description says 0\.25 um/px.*tags 0\.5"):
        open_slide(path)
    with open_slide(path, 0.5) as slide:
        assert slide.statements == (
            "MPP in the description: 0.25 um/px",
            "TIFF resolution tags: 0.5 um/px",
            "AppMag in the description: 40x",
        )


def test_each_tile_is_decoded_once_while_there_is_room(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", draw(640, 640), compression="deflate", tile=(64, 64))
    for cache_bytes, least, most in ((64 << 20, 640 * 640, 640 * 640), (1, 2 * 640 * 640, 1 << 30)):
        with open_slide(path, cache_bytes=cache_bytes) as slide:
            for x in range(0, 600, 100):
                slide.read_region(0, x, 0, 40, 640)
                slide.read_region(0, x, 0, 40, 640)
                slide.read_region(0, 0, 0, 640, 640)
            assert slide.decoded_px is not None
            assert least <= slide.decoded_px <= most


@pytest.mark.parametrize("options", [{}, {"compression": "jpeg", "tile": (64, 64)}])
def test_threads_read_the_same(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write_tiff(tmp_path / "a.tif", draw(640, 640), **options)
    whole = read_whole(path)
    places = [(x, y) for x in range(0, 540, 37) for y in range(0, 540, 53)]
    with open_slide(path, cache_bytes=100_000) as slide, ThreadPoolExecutor(4) as pool:
        for (x, y), part in zip(
            places, pool.map(lambda p: slide.read_region(0, p[0], p[1], 100, 100), places), strict=True
        ):
            assert np.array_equal(part, whole[y : y + 100, x : x + 100])


@pytest.mark.parametrize(
    ("options", "cell_wh"),
    [
        ({"tile": (64, 48), "compression": "lzw"}, (48, 64)),
        ({"tile": (1024, 608), "compression": "lzw"}, (304, 512)),
        ({"rowsperstrip": 7, "compression": "lzw"}, (300, 7)),
        ({}, (300, 64)),
    ],
)
def test_a_damaged_tiff_is_read_by_its_tiles(
    tmp_path: Path, options: dict[str, Any], cell_wh: tuple[int, int]
) -> None:
    with open_slide(write_tiff(tmp_path / "a.tif", draw(), **options)) as slide:
        assert slide.get_cell_wh(0) == cell_wh


def test_a_damaged_vendors_slide_is_read_by_its_tiles() -> None:
    def find(width: int, height: int) -> tuple[int, int]:
        names = {"width": width, "height": height}
        return find_cell({f"openslide.level[1].tile-{side}": str(px) for side, px in names.items()}, 1)

    assert find(240, 240) == (240, 240)
    assert find(1024, 1000) == (512, 500)
    assert find(3968, 8) == (496, 64)
    assert find_cell({}, 0) == (256, 256)


def test_rectangles_outside_are_the_callers_mistake(tmp_path: Path) -> None:
    with open_slide(write_tiff(tmp_path / "a.tif", draw())) as slide:
        for wrong in ((-1, 0, 9, 9), (0, 0, 301, 9), (0, 199, 9, 2), (0, 0, 0, 9)):
            with pytest.raises(ValueError, match="not inside"):
                slide.read_region(0, *wrong)
        with pytest.raises(ValueError, match="level 1"):
            slide.read_region(1, 0, 0, 1, 1)


def test_openslide_bounds_are_the_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    class Handle:
        dimensions = (4000, 3000)
        level_dimensions = ((4000, 3000), (1000, 750))
        level_downsamples = (1.0, 4.0)
        properties: ClassVar[dict[str, str]] = {
            "openslide.bounds-x": "1000",
            "openslide.bounds-y": "600",
            "openslide.bounds-width": "2001",
            "openslide.bounds-height": "1200",
            "openslide.background-color": "102030",
        }

        def read_region(self, *request: Any) -> Pixels:
            asked.append(request)
            return np.zeros((request[2][1], request[2][0], 4), np.uint8)

        def set_cache(self, cache: Any) -> None:
            pass

        def close(self) -> None:
            pass

    monkeypatch.setattr(openslide, "OpenSlide", lambda path: Handle())
    with OpenSlideSlide(tmp_path / "a.mrxs", "mirax") as slide:
        assert slide.frame == "openslide bounds"
        assert slide.levels == (Level(2001, 1200, 1.0), Level(500, 300, 4.0))
        assert (slide.read_region(1, 10, 20, 3, 2) == (0x10, 0x20, 0x30)).all()
    assert asked == [((1040, 680), 1, (3, 2))]


# What is refused


def test_missing_folder_empty_and_text(tmp_path: Path) -> None:
    (tmp_path / "empty.svs").touch()
    (tmp_path / "text.svs").write_text("not a slide", encoding="utf-8")
    wrong = {"gone.svs": "no such file", ".": "is a folder", "empty.svs": "empty", "text.svs": "known are"}
    for name, told in wrong.items():
        with pytest.raises(BadInputError, match=told) as caught:
            open_slide(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_permission_denied_is_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    path = write_tiff(tmp_path / "a.tif", draw())
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EnvironmentLacksError, match="Permission denied"):
        open_slide(path)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.97])
@pytest.mark.parametrize(
    "options", [{}, {"tile": (64, 64)}, {"compression": "jpeg", "tile": (64, 64)}, {"compression": "lzw"}]
)
def test_tiff_cut_short(tmp_path: Path, options: dict[str, Any], share: float) -> None:
    path = cut(write_tiff(tmp_path / "a.tif", draw(), **options), share)
    with pytest.raises(BadInputError, match=r"a\.tif.*cut short"):
        read_whole(path)


def test_tiff_whose_pages_were_at_its_lost_end(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", draw())
    data = bytearray(path.read_bytes())
    data[4:8] = (len(data) + 2).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=r"none of its pages begins .* cut short"):
        open_slide(path)


@pytest.mark.parametrize("share", [0.1, 0.6, 0.98])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".bmp"])
def test_image_cut_short(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a{suffix}"
    cv2.imwrite(str(path), draw())
    with pytest.raises(BadInputError, match="damaged or cut short"):
        open_slide(cut(path, share))


def test_damaged_tile_surfaces_as_bad_input(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", draw(), compression="deflate", tile=(64, 64))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    with pytest.raises(BadInputError, match="cannot be decoded"):
        read_whole(path)


def test_unknown_compression(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", draw(), compression="deflate")
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages.first.tags["Compression"].overwrite(65123)
    with pytest.raises(BadInputError, match="compression 65123"):
        open_slide(path)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (np.zeros((3, 64, 64), np.uint8), "3 planes"),
        (np.zeros((64, 64), np.uint16), "fluorescence"),
        (np.zeros((64, 64), np.float32), "float32"),
    ],
)
def test_fluorescence_and_other_samples(tmp_path: Path, image: NDArray[Any], told: str) -> None:
    path = write_tiff(tmp_path / "a.tif", image, photometric="minisblack")
    with pytest.raises(BadInputError, match=told):
        open_slide(path)


@pytest.mark.parametrize(("name", "warns"), [("a.svs", True), ("a.SCN", True), ("a.tif", False)])
def test_a_plain_tiff_named_like_a_vendors_slide_is_told(tmp_path: Path, name: str, warns: bool) -> None:
    with open_slide(write_tiff(tmp_path / name, draw()), 0.5) as slide:
        assert any("does not recognise this" in warning for warning in slide.warnings) == warns


# Real slides


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "kind", "size", "um_per_px", "count"),
    [
        ("slides/CMU-1-Small-Region.svs", "aperio", (2220, 2967), 0.499, 1),
        ("slides/test3-TRITC.ndpi", "hamamatsu", (3968, 4864), 0.228, 7),
        ("slides/OS-1-detail.ome.tif", "ome-tiff", (1101, 1101), 0.227, 1),
        ("slides/camelyon_multiframe.dcm", "dicom", (1152, 700), None, 1),
        ("slides/kidney-48-5.tif", "tiff", (1493, 901), None, 1),
        ("glas/train_1.webp", "webp", (775, 522), None, 1),
    ],
)
def test_real_slides(
    shared_data: Path, name: str, kind: str, size: tuple[int, int], um_per_px: float | None, count: int
) -> None:
    with open_slide(shared_data / name) as slide:
        assert (slide.format, slide.frame) == (kind, "full image")
        assert (slide.width_l0, slide.height_l0) == size
        assert len(slide.levels) == count
        if um_per_px is None:
            assert slide.resolution is None
            assert all("absurd" in statement for statement in slide.statements)
        else:
            assert slide.resolution is not None
            assert slide.resolution.um_per_px == pytest.approx(um_per_px, rel=0.01)
        region = slide.read_region(0, size[0] // 3, size[1] // 3, 200, 100)
        assert region.shape == (100, 200, 3)
        assert region.std() > 0


@pytest.mark.shared
def test_aperio_pixels_equal_the_tiff_inside(shared_data: Path) -> None:
    path = shared_data / "slides/CMU-1-Small-Region.svs"
    with open_slide(path) as slide, tifffile.TiffFile(path) as tiff:
        stored = tiff.pages[0].asarray()[1000:1200, 500:800].astype(int)
        assert np.abs(slide.read_region(0, 500, 1000, 300, 200) - stored).mean() < 1


@pytest.mark.shared
@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "test3-TRITC.ndpi", "camelyon_multiframe.dcm"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_vendor_slide_cut_short(shared_data: Path, tmp_path: Path, name: str, share: float) -> None:
    path = tmp_path / name
    path.write_bytes((shared_data / "slides" / name).read_bytes())
    with pytest.raises(BadInputError, match=path.name):
        read_whole(cut(path, share))
