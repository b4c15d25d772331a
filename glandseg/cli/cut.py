"""`glandseg cut`: slides with regions drawn in QuPath become labelled patches to train on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.console import say, tell, warn
from glandseg.core.errors import GlandsegError

if TYPE_CHECKING:
    from glandseg.training.data.annotated_slides import AnnotatedSlide
    from glandseg.training.data.cut_slides import CutSettings


def cut(
    slides: Annotated[Path, typer.Argument(help="Folder of slides, each with its NAME.geojson from QuPath.")],
    out: Annotated[Path, typer.Option(help="Folder for the patches and their patches.csv.")],
    mpp_model: Annotated[
        float, typer.Option(help="Microns per pixel of the patches, at which the model shall work.")
    ] = 0.62,
    side: Annotated[int, typer.Option(help="Side of a patch, in px.")] = 112,
    stride: Annotated[int, typer.Option(help="From one patch to the next, in px.")] = 56,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel, where the slides have none or are wrong.")
    ] = None,
    outlines: Annotated[
        bool, typer.Option("--outlines", help="Write masks too: the regions are exact outlines.")
    ] = False,
) -> None:
    """Cut slides into patches labelled by regions drawn in QuPath, classified Gland or Non-gland.

    A slide that was cut before is not cut again. A patients.csv of columns slide,patient in SLIDES says which
    slides are of one patient; else each is taken for one of its own.
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
        tell(error)
    if len(failures) < len(found):
        say(f"{out}: {write_table(out)} patches")
        say(f"next: glandseg train {out}")
    if failures:
        warn(f"{len(failures)} of {len(found)} slides failed")
        raise typer.Exit(1)


def cut_one(slide: AnnotatedSlide, out: Path, settings: CutSettings) -> GlandsegError | None:
    """Cut one slide and print what came of it; give its error rather than raise it."""
    from glandseg.training.data.cut_folder import write_slide_patches

    try:
        rows, before = write_slide_patches(slide, out, settings, partial(_warn, slide.regions_path.name))
    except GlandsegError as error:
        return error
    gland = sum(row[1] == "1" for row in rows)
    non_gland = sum(row[2] == "1" for row in rows)
    note = ", cut before" if before else ""
    say(f"{slide.path.name}: {len(rows)} patches, {gland} with gland, {non_gland} with other tissue{note}")
    return None


def _warn(name: str, text: str) -> None:
    typer.echo(f"warning: {name}: {text}", err=True)
