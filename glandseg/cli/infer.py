"""`glandseg infer`: slides in, glands out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.progress import show_progress
from glandseg.cli.telling import tell
from glandseg.runtime.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.runtime.model_file import ModelFile
    from glandseg.runtime.network.backend import ModelBackend
    from glandseg.runtime.settings import InferSettings
    from glandseg.runtime.trace import Trace


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
        str | None,
        typer.Option(
            help="Enlargements to average, such as 0.75,1,1.5; adaptive: dear ones only where unsure; "
            "by default the model's."
        ),
    ] = None,
    flips: Annotated[bool, typer.Option("--flips", help="Average with the mirror image.")] = False,
    threshold: Annotated[float, typer.Option(help="Least probability of gland.")] = 0.5,
    min_gland_um2: Annotated[float, typer.Option(help="Smaller glands are dropped.")] = 400.0,
    min_lumen_um2: Annotated[float, typer.Option(help="Smaller holes are filled.")] = 100.0,
    tissue_mask: Annotated[bool, typer.Option(help="Skip windows without tissue.")] = True,
    roi: Annotated[
        Path | None, typer.Option(help="GeoJSON of the regions to look at, drawn in QuPath.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N, trt or trt:N.")] = "auto",
    int8: Annotated[
        bool, typer.Option("--int8", help="Run the model's INT8 file, the fastest on a CPU.")
    ] = False,
    require_gpu: Annotated[
        bool, typer.Option("--require-gpu", help="Fail rather than run on the CPU.")
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(help="Maximum batch size, in windows; by default 8, or what the engine was built for."),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the network; 0 takes all.")] = 0,
    max_ram: Annotated[float, typer.Option(help="GiB of memory to stay within.")] = 2.0,
    max_unread: Annotated[
        float, typer.Option(help="Share of the tissue that may be unreadable before the slide fails.")
    ] = 0.01,
    csv_decimal: Annotated[
        str,
        typer.Option(help='Decimal mark of the table: "." or ","; with "," columns are separated by ";".'),
    ] = ".",
    profile: Annotated[
        Path | None, typer.Option(help="Write a trace that ui.perfetto.dev opens, and print stage times.")
    ] = None,
) -> None:
    """Find glands in slides and write outlines, mask, table, overview and record.

    A run that was cut off goes on where it was when the same command is given again.
    """
    from glandseg.runtime.model_file import find_model
    from glandseg.runtime.network.devices import BATCH, open_backend
    from glandseg.runtime.settings import ADAPTIVE, InferSettings, parse_scales
    from glandseg.runtime.trace import Trace

    settings = InferSettings(
        scales=parse_scales(scales) if scales not in (None, ADAPTIVE) else None,
        adaptive=scales == ADAPTIVE,
        flips=flips,
        mpp=mpp,
        threshold=threshold,
        min_gland_um2=min_gland_um2,
        min_lumen_um2=min_lumen_um2,
        tissue_mask=tissue_mask,
        roi=roi,
        batch=BATCH if batch is None else batch,
        max_ram_gib=max_ram,
        max_unread=max_unread,
        csv_decimal=csv_decimal,
    )
    slides = leave_out_repeats(leave_out_masks(expand_patterns(slides)))
    check_names(slides, out)
    file = find_model(model, int8=int8)
    trace = Trace(keeps_spans=profile is not None)
    with open_backend(
        file.path, device=device, threads=threads, batch=batch, require_gpu=require_gpu, say=typer.echo
    ) as backend:
        typer.echo(
            f"model: {backend.card.name} ({file.origin}), learned on {backend.card.tissue}; {backend.name}"
        )
        try:
            failed = infer_all(slides, backend, file, settings, out, trace)
        finally:
            if profile is not None:
                write_profile(trace, profile)
    if failed:
        typer.echo(f"{failed} of {len(slides)} slides failed", err=True)
        raise typer.Exit(1)


def infer_all(
    slides: list[Path],
    backend: ModelBackend,
    file: ModelFile,
    settings: InferSettings,
    out: Path | None,
    trace: Trace,
) -> int:
    """Run slides and count those that failed; one alone fails with its own exit code."""
    if len(slides) == 1:
        infer_one(slides[0], backend, file, settings, out, trace)
        return 0
    return sum(not attempt(slide, backend, file, settings, out, trace) for slide in slides)


def write_profile(trace: Trace, path: Path) -> None:
    """Write the trace, and print what each stage took."""
    from glandseg.runtime.staging import explain_disk_errors
    from glandseg.runtime.trace import tabulate

    with explain_disk_errors(path.parent):
        trace.write(path)
    for line in tabulate(trace):
        typer.echo(line)
    typer.echo(f"trace: {path}; open it at ui.perfetto.dev, which keeps it on this machine")


def attempt(
    path: Path,
    backend: ModelBackend,
    file: ModelFile,
    settings: InferSettings,
    out: Path | None,
    trace: Trace | None = None,
) -> bool:
    """Run one slide of several; whatever goes wrong with it is told, and the others go on."""
    try:
        infer_one(path, backend, file, settings, out, trace)
    except Exception as error:
        tell(error)
        return False
    return True


def infer_one(
    path: Path,
    backend: ModelBackend,
    file: ModelFile,
    settings: InferSettings,
    out: Path | None,
    trace: Trace | None = None,
) -> None:
    """Run one slide and print what came of it."""
    from glandseg.runtime.infer import infer_slide

    start = time.monotonic()
    warned: list[str] = []

    def warn(warning: str) -> None:
        warned.append(warning)
        typer.echo(f"warning: {path.name}: {warning}", err=True)

    with tell_how_to_go_on(path), show_progress("windows") as advance:
        result = infer_slide(
            path,
            backend,
            file,
            settings,
            out=out,
            advance=lambda done, total: advance(done, total, ""),
            say=typer.echo,
            warn=warn,
            trace=trace,
        )
    for warning in result.warnings:
        if warning not in warned:
            warn(warning)
    seconds = time.monotonic() - start
    typer.echo(
        f"{path.name}: {result.glands} glands, {result.gland_mm2:.3f} mm2 "
        f"of {result.tissue_mm2:.3f} mm2 tissue, in {seconds:.1f} s; "
        f"the network was busy {result.network_share:.0%} of the time"
    )
    for output in result.outputs:
        typer.echo(f"  {output}")


@contextlib.contextmanager
def tell_how_to_go_on(path: Path) -> Iterator[None]:
    """Say, when Ctrl-C stops a slide, that its finished windows are kept."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"{path.name}: finished windows are kept; the same command goes on from there", err=True)
        raise


def expand_patterns(slides: list[Path]) -> list[Path]:
    """Replace patterns such as `*.svs`, which shells of Windows hand on as they are, by what they match."""
    found = [sorted(slide.parent.glob(slide.name)) if "*" in slide.name else [] for slide in slides]
    return [match for slide, matches in zip(slides, found, strict=True) for match in matches or [slide]]


def leave_out_masks(slides: list[Path]) -> list[Path]:
    """Leave out the masks that glandseg wrote, which `*.tif` matches too."""
    from glandseg.runtime.outlines.findings import MASK_SUFFIX

    masks = [slide for slide in slides if slide.name.endswith(MASK_SUFFIX)]
    if len(masks) == len(slides):
        raise BadInputError(f"{masks[0]}: is a mask that glandseg wrote. Give the slide.")
    for mask in masks:
        typer.echo(f"{mask}: left out, a mask that glandseg wrote", err=True)
    return [slide for slide in slides if slide not in masks]


def leave_out_repeats(slides: list[Path]) -> list[Path]:
    """Leave out further files of a DICOM series, which `*.dcm` matches too: they are one slide."""
    from glandseg.runtime.slides.slide_files import find_repeats

    repeats = find_repeats(slides)
    for repeat, kept in repeats.items():
        typer.echo(f"{repeat}: left out, of the same DICOM series as {kept.name}", err=True)
    return [slide for slide in slides if slide not in repeats]


def check_names(slides: list[Path], out: Path | None) -> None:
    """Refuse slides whose outputs would overwrite each other's."""
    from glandseg.runtime.outlines.findings import name_outputs

    seen: dict[Path, Path] = {}
    for slide in slides:
        first = (out or slide.parent).resolve() / name_outputs(slide)[0]
        if first in seen:
            raise BadInputError(
                f"{slide}: its outputs would overwrite those of {seen[first]}. "
                "Run them into two --out folders."
            )
        seen[first] = slide
