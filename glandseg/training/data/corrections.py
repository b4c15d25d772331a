"""Slides that were corrected in QuPath, cut into a data set with outlines, a part of its regions held out.

OUT/images/NAME.png, OUT/masks/NAME.png   patches that lie wholly within a region, 255 for gland
OUT/index.csv                             name,patient,part,um_per_px: the patches of a region are one patient
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.atomic import explain_disk_errors
from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane
from glandseg.training.data.annotated_slides import AnnotatedSlide, find_annotated_slides
from glandseg.training.data.corrected_regions import read_corrected_regions
from glandseg.training.data.cut_slides import CutPatch, CutSettings, cut_regions
from glandseg.training.data.image_file import encode_png

SIDE_UM, STRIDE_UM = 230.0, 115.0  # of a patch: nine to a region of 500 um, as `infer --suggest` marks
HELD_OUT = 4  # every fourth region
MIN_REGIONS = 3
COLUMNS = ("name", "patient", "part", "um_per_px")


@dataclass(frozen=True, kw_only=True)
class CorrectedRegion:
    """A corrected region of a slide.

    Attributes:
        name: Name of the slide and number of the region.
        patches: Its patches.
    """

    name: str
    patches: tuple[CutPatch, ...]


def find_corrected_slides(paths: Sequence[Path]) -> list[AnnotatedSlide]:
    """Find slides with corrections: in folders, or named by the slide or by its GeoJSON.

    Raises:
        BadInputError: A path is missing, or no slide lies beside a GeoJSON of its name.
    """
    found: dict[Path, AnnotatedSlide] = {}
    for path in paths:
        if not path.exists():
            raise BadInputError(f"{path}: no such file or folder. Check --corrections.")
        slides = find_annotated_slides(path if path.is_dir() else path.parent)
        wanted = [slide for slide in slides if path.is_dir() or path in (slide.path, slide.regions_path)]
        if not wanted:
            raise BadInputError(
                f"{path}: no GeoJSON of its corrections beside it. Export the annotations from QuPath as "
                f"{path.stem}.geojson in the same folder."
            )
        found |= {slide.path: slide for slide in wanted}
    return list(found.values())


def cut_corrections(
    slides: Iterable[AnnotatedSlide],
    out: Path,
    um_per_px: float,
    *,
    say: Say,
    mpp: float | None = None,
    holds_out: bool = True,
) -> None:
    """Cut the corrected regions of slides into a data set.

    Args:
        slides: Slides with corrections.
        out: Folder of the data set, which is written again.
        um_per_px: Um/px of its images.
        say: Called with a line on regions that are too small.
        mpp: Um per level-0 px, in place of the slides' own.
        holds_out: Whether every fourth region becomes the test part of the data set.

    Raises:
        BadInputError: Slides or regions cannot be used, or they are too few.
        EnvironmentLacksError: The folder cannot be written.
    """
    regions = [region for slide in slides for region in _cut_slide(slide, um_per_px, mpp, say)]
    needed = MIN_REGIONS if holds_out else 1
    if len(regions) < needed:
        raise BadInputError(
            f"--corrections: {len(regions)} usable regions, and {needed} are needed: some to learn from, one "
            "to test on. Correct more regions, and mark each as Region*."
        )
    with explain_disk_errors(out):
        shutil.rmtree(out, ignore_errors=True)
        for name in ("images", "masks"):
            (out / name).mkdir(parents=True)
        with (out / "index.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for number, region in enumerate(regions):
                part = "test" if holds_out and number % HELD_OUT == 1 else "train"
                table.writerows(_write_region(region, out, part, um_per_px))


def _cut_slide(
    slide: AnnotatedSlide, um_per_px: float, mpp: float | None, say: Say
) -> Iterable[CorrectedRegion]:
    settings = CutSettings(
        um_per_px=um_per_px,
        side=round(SIDE_UM / um_per_px),
        stride=round(STRIDE_UM / um_per_px),
        outlines=True,
        mpp=mpp,
    )
    corrected = read_corrected_regions(slide.regions_path)
    with open_slide(slide.path, mpp) as opened:
        plane = SlidePlane(opened, um_per_px)
        for number, region in enumerate(corrected, 1):
            inside = region.crop(opened.width_l0, opened.height_l0).shrink(plane.l0_per_px)
            patches = tuple(cut_regions(plane, inside, settings))
            if patches:
                yield CorrectedRegion(name=f"{slide.name}-{number}", patches=patches)
            else:
                reason = f"smaller than {SIDE_UM:g} um, or white"
                say(f"{slide.regions_path}: region {number} is left out: {reason}")


def _write_region(
    region: CorrectedRegion, out: Path, part: str, um_per_px: float
) -> Iterable[tuple[str, str, str, str]]:
    for patch in region.patches:
        name = f"{region.name}-x{patch.x_px:05d}-y{patch.y_px:05d}"
        encode_png(out / "images" / f"{name}.png", patch.image)
        if patch.mask is not None:
            encode_png(out / "masks" / f"{name}.png", patch.mask)
        yield name, region.name, part, f"{um_per_px:g}"
