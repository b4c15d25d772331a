"""A folder of annotated slides, cut into a folder of labelled patches slide by slide.

PATCHES/patches.csv              file,gland,non_gland,patient,um_per_px,mask
PATCHES/NAME/x00000_y00056.png   a patch, by its place in px at the um/px of the patches
PATCHES/NAME/cut.json            its slide, regions and settings, by which a later run recognises it
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glandseg import __version__
from glandseg.core.atomic import explain_disk_errors, write_whole
from glandseg.core.errors import BadInputError
from glandseg.core.json_text import parse_json
from glandseg.core.system import hash_file
from glandseg.slides.slide_files import hash_slide, list_slide_files
from glandseg.training.data.annotated_slides import AnnotatedSlide
from glandseg.training.data.cut_slides import CutSettings, cut_slide
from glandseg.training.data.image_file import encode_png
from glandseg.training.data.labelled_patches import LABELS_CSV

RECORD = "cut.json"
RESULT = {"rows": None, "notes": None}  # fields of a record that are not part of the key
HEADER = ("file", "gland", "non_gland", "patient", "um_per_px", "mask")


def write_slide_patches(
    slide: AnnotatedSlide, out: Path, settings: CutSettings, note: Callable[[str], None] = lambda text: None
) -> tuple[list[list[str]], bool]:
    """Cut a slide into its folder of patches, completely or not at all; skip one that was cut before.

    Args:
        slide: Slide and its regions.
        out: Folder of the patches of all slides.
        settings: Settings of the cut.
        note: Called with each line on regions that are not cut, also for a slide that was cut before.

    Returns:
        The rows of the table, and whether the slide was cut before.

    Raises:
        BadInputError: If the slide or its regions cannot be used, `out` holds patches cut otherwise, or
            something else by the slide's name.
        EnvironmentLacksError: If `out` cannot be written.
    """
    _refuse_other_settings(out, settings)
    wanted = {
        "glandseg": __version__,
        "slide_sha256": hash_slide(list_slide_files(slide.path)),
        "regions_sha256": hash_file(slide.regions_path),
        "patient": slide.patient,
        "settings": asdict(settings),
    }
    folder = out / slide.name
    record = _read_record(folder)
    if record is not None and {**record, **RESULT} == {**wanted, **RESULT}:
        for text in record.get("notes", ()):
            note(text)
        return record["rows"], True
    if record is None and folder.exists():
        raise BadInputError(
            f"{folder}: exists and was not made by `glandseg cut`. Give another --out folder."
        )
    scratch = out / f".{slide.name}.part"
    with explain_disk_errors(out):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        try:
            notes: list[str] = []
            rows = list(_write_patches(slide, scratch, settings, notes.append))
            if not rows:
                raise BadInputError(f"{slide.path}: its annotated regions are white. Annotate tissue.")
            text = json.dumps({**wanted, "notes": notes, "rows": rows}, indent=1)
            (scratch / RECORD).write_text(text, encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            scratch.replace(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    for text in notes:
        note(text)
    return rows, False


def _write_patches(
    slide: AnnotatedSlide, folder: Path, settings: CutSettings, note: Callable[[str], None]
) -> Iterator[list[str]]:
    for patch in cut_slide(slide.path, slide.regions_path, settings, note):
        name, mask = f"x{patch.x_px:05d}_y{patch.y_px:05d}", ""
        encode_png(folder / f"{name}.png", patch.image)
        if patch.mask is not None:
            mask = f"{slide.name}/{name}_mask.png"
            encode_png(folder / f"{name}_mask.png", patch.mask)
        non_gland, gland = (str(int(present)) for present in patch.present)
        um_per_px = f"{settings.um_per_px:g}"
        yield [f"{slide.name}/{name}.png", gland, non_gland, slide.patient, um_per_px, mask]


def write_table(out: Path) -> int:
    """Write `patches.csv` of all slides in a folder of patches, and return the number of patches."""
    records = [_read_record(folder) for folder in sorted(out.iterdir()) if folder.is_dir()]
    rows = [row for record in records if record for row in record["rows"]]
    with (
        explain_disk_errors(out),
        write_whole(out / LABELS_CSV) as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        csv.writer(file).writerows([HEADER, *rows])
    return len(rows)


def _read_record(folder: Path) -> dict[str, Any] | None:
    try:
        record = parse_json((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and not folder.name.startswith(".") else None


def _refuse_other_settings(out: Path, settings: CutSettings) -> None:
    for folder in out.iterdir() if out.is_dir() else ():
        record = _read_record(folder)
        if record is not None and record.get("settings") != asdict(settings):
            raise BadInputError(f"{folder}: was cut with other settings. Give another --out folder.")
