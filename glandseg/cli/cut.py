"""`glandseg cut`: labelled patches to train on, cut from slides with regions drawn in QuPath."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.console import pluralise, print_error, say, warn
from glandseg.core.errors import GlandsegError

if TYPE_CHECKING:
    from glandseg.training.data.annotated_slides import AnnotatedSlide
    from glandseg.training.data.cut_slides import CutSettings


def cut(
    slides: Annotated[Path, typer.Argument(help="Folder of slides, each with its NAME.geojson from QuPath.")],
    out: Annotated[Path, typer.Option(help="Folder of the patches and their patches.csv.")],
    mpp_model: Annotated[
        float, typer.Option(help="Microns per pixel of the patches, and of the model trained on them.")
    ] = 0.62,
    side: Annotated[int, typer.Option(help="Side of a patch, in pixels.")] = 112,
    stride: Annotated[int, typer.Option(help="Distance from one patch to the next, in pixels.")] = 56,
    mpp: Annotated[
        float | None,
        typer.Option(help="Microns per pixel of the slides, where they have none or a wrong value."),
    ] = None,
    outlines: Annotated[
        bool, typer.Option("--outlines", help="Also write masks: the regions are exact outlines.")
    ] = False,
) -> None:
    """Cut slides into patches labelled by regions drawn in QuPath, classified Gland or Non-gland.

    A slide that was cut before is not cut again. A patients.csv in SLIDES, with the columns slide,patient,
    groups slides by patient; without it, each slide counts as a patient of its own.
    """
    from glandseg.training.data.annotated_slides import find_annotated_slides
    from glandseg.training.data.cut_folder import write_table
    from glandseg.training.data.cut_slides import CutSettings

    settings = CutSettings(um_per_px=mpp_model, side=side, stride=stride, mpp=mpp, outlines=outlines)
    found = find_annotated_slides(slides)
    failures = [error for slide in found if (error := cut_one(slide, out, settings)) is not None]
    if len(failures) == len(found) == 1:
        raise failures[0]
    for error in failures:
        print_error(error)
    if len(failures) < len(found):
        say(f"{out}: {pluralise(write_table(out), 'patch', 'patches')}")
        say(f"next: glandseg train {out}")
    if failures:
        warn(f"{len(failures)} of {len(found)} slides failed")
        raise typer.Exit(1)


def cut_one(slide: AnnotatedSlide, out: Path, settings: CutSettings) -> GlandsegError | None:
    """Cut one slide and print the result; return its error instead of raising it."""
    from glandseg.training.data.cut_folder import write_slide_patches

    try:
        rows, before = write_slide_patches(
            slide, out, settings, lambda text: warn(f"warning: {slide.regions_path.name}: {text}")
        )
    except GlandsegError as error:
        return error
    gland = sum(row[1] == "1" for row in rows)
    non_gland = sum(row[2] == "1" for row in rows)
    note = ", cut before" if before else ""
    patches = pluralise(len(rows), "patch", "patches")
    say(f"{slide.path.name}: {patches}, {gland} with gland, {non_gland} with other tissue{note}")
    return None
