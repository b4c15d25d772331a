"""What `glandseg view` needs: a slide, and the report that is of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.older_outputs import read_slide_hash
from glandseg.runtime.outputs.report.report import REPORT_SUFFIX
from glandseg.runtime.outputs.write import OutputPaths
from glandseg.runtime.view.server import SlideServer
from glandseg.runtime.view.slide_tiles import SlideTiles
from glandseg.slides.open import open_slide
from glandseg.slides.slide_files import hash_slide, list_slide_files


@contextlib.contextmanager
def open_view(slide_path: Path, folder: Path | None) -> Iterator[SlideServer]:
    """Open a slide and a server of its report.

    Args:
        slide_path: Slide file.
        folder: Folder of its outputs; None for the slide's own.

    Raises:
        BadInputError: The slide cannot be read, or there is no report of it.
    """
    paths = OutputPaths.of_slide(slide_path, folder)
    um_per_px = _read_um_per_px(paths, slide_path)
    with open_slide(slide_path, um_per_px) as slide:
        yield SlideServer(paths[REPORT_SUFFIX], SlideTiles(slide, um_per_px))


def _read_um_per_px(paths: OutputPaths, slide_path: Path) -> float:
    """Read the um/px of a slide from its record, once report and record are there and are of the slide."""
    report = paths[REPORT_SUFFIX]
    if not report.is_file():
        raise BadInputError(
            f"{report}: no such file. Run `glandseg infer {slide_path.name}` first, with its report, or give "
            "the folder of the outputs by --out."
        )
    if read_slide_hash(paths.record) != hash_slide(list_slide_files(slide_path)):
        raise BadInputError(
            f"{report}: is of another slide, or of an older state of {slide_path.name}, says "
            f"{paths.record.name}. Run `glandseg infer` again, or give another --out."
        )
    return float(json.loads(paths.record.read_text(encoding="utf-8"))["slide"]["um_per_px"])
