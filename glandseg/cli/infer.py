"""`glandseg infer`: slides in, glands out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.progress import show_progress
from glandseg.cli.telling import tell
from glandseg.runtime.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.runtime.model_file import ModelFile
    from glandseg.runtime.session import Session
    from glandseg.runtime.settings import InferSettings


def infer(
    slides: Annotated[
        list[Path], typer.Argument(help="Slides or pictures: SVS, NDPI, TIFF, DICOM, PNG, ...")
    ],
    model: Annotated[
        Path | None,
        typer.Option(help="Model file; by default the newest below models/, else the bundled one."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the outputs; by default beside each slide.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel, where the file has none or is wrong.")
    ] = None,
    scales: Annotated[
        str | None, typer.Option(help="Enlargements to average, such as 0.75,1,1.5; by default the model's.")
    ] = None,
    threshold: Annotated[float, typer.Option(help="Least probability of gland.")] = 0.5,
    min_gland_um2: Annotated[float, typer.Option(help="Smaller glands are dropped.")] = 400.0,
    min_lumen_um2: Annotated[float, typer.Option(help="Smaller holes are filled.")] = 100.0,
    tissue_mask: Annotated[bool, typer.Option(help="Skip windows without tissue.")] = True,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch: Annotated[int, typer.Option(help="Windows a call of the network.")] = 8,
    threads: Annotated[int, typer.Option(help="CPU threads of the network; 0 takes all.")] = 0,
) -> None:
    """Find glands in slides and write outlines, mask, table, overview and record."""
    from glandseg.runtime.model_file import find_model
    from glandseg.runtime.session import Session
    from glandseg.runtime.settings import InferSettings, parse_scales

    settings = InferSettings(
        scales=parse_scales(scales) if scales is not None else None,
        mpp=mpp,
        threshold=threshold,
        min_gland_um2=min_gland_um2,
        min_lumen_um2=min_lumen_um2,
        tissue_mask=tissue_mask,
        batch=batch,
    )
    slides = leave_out_masks(expand_patterns(slides))
    check_names(slides, out)
    file = find_model(model)
    with Session(file.path, device=device, threads=threads) as session:
        card = session.card
        typer.echo(f"model: {card.name} ({file.origin}), learned on {card.tissue}; {session.name}")
        if len(slides) == 1:
            infer_one(slides[0], session, file, settings, out)
            return
        failed = sum(not attempt(slide, session, file, settings, out) for slide in slides)
    if failed:
        typer.echo(f"{failed} of {len(slides)} slides failed", err=True)
        raise typer.Exit(1)


def attempt(path: Path, session: Session, file: ModelFile, settings: InferSettings, out: Path | None) -> bool:
    """Run one slide of several; whatever goes wrong with it is told, and the others go on."""
    try:
        infer_one(path, session, file, settings, out)
    except Exception as error:
        tell(error)
        return False
    return True


def infer_one(
    path: Path, session: Session, file: ModelFile, settings: InferSettings, out: Path | None
) -> None:
    """Run one slide and print what came of it."""
    from glandseg.runtime.infer import infer_slide

    with show_progress("windows") as advance:
        result = infer_slide(
            path,
            session,
            file,
            settings,
            out=out,
            advance=lambda done, total: advance(done, total, ""),
            say=typer.echo,
        )
    for warning in result.warnings:
        typer.echo(f"warning: {path.name}: {warning}", err=True)
    seconds = sum(result.seconds.values())
    typer.echo(
        f"{path.name}: {result.glands} glands, {result.gland_mm2:.3f} mm2 "
        f"of {result.tissue_mm2:.3f} mm2 tissue, in {seconds:.1f} s"
    )
    for output in result.outputs:
        typer.echo(f"  {output}")


def expand_patterns(slides: list[Path]) -> list[Path]:
    """Replace patterns such as `*.svs`, which shells of Windows hand on as they are, by what they match."""
    found = [sorted(slide.parent.glob(slide.name)) if "*" in slide.name else [] for slide in slides]
    return [match for slide, matches in zip(slides, found, strict=True) for match in matches or [slide]]


def leave_out_masks(slides: list[Path]) -> list[Path]:
    """Leave out the masks that glandseg wrote, which `*.tif` matches too."""
    from glandseg.runtime.findings import MASK_SUFFIX

    masks = [slide for slide in slides if slide.name.endswith(MASK_SUFFIX)]
    if len(masks) == len(slides):
        raise BadInputError(f"{masks[0]}: is a mask that glandseg wrote. Give the slide.")
    for mask in masks:
        typer.echo(f"{mask}: left out, a mask that glandseg wrote", err=True)
    return [slide for slide in slides if slide not in masks]


def check_names(slides: list[Path], out: Path | None) -> None:
    """Refuse slides whose outputs would overwrite each other's."""
    from glandseg.runtime.findings import name_outputs

    seen: dict[Path, Path] = {}
    for slide in slides:
        first = (out or slide.parent).resolve() / name_outputs(slide)[0]
        if first in seen:
            raise BadInputError(
                f"{slide}: its outputs would overwrite those of {seen[first]}. "
                "Run them into two --out folders."
            )
        seen[first] = slide
