"""`glandseg infer`: slides in, glands out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.console import pluralise, print_error, say, warn
from glandseg.cli.options import Flips, Int8, Precision, Scales, Separate, choose_precision
from glandseg.cli.profile_file import check_profile, write_profile
from glandseg.cli.progress import show_progress
from glandseg.cli.slide_list import list_slides
from glandseg.core.errors import EnvironmentLacksError
from glandseg.model.files import AUTO

if TYPE_CHECKING:
    from glandseg.core.trace import Trace
    from glandseg.model.backend import ModelBackend
    from glandseg.model.files import ModelFile
    from glandseg.runtime.settings import InferSettings


def infer(
    slides: Annotated[list[Path], typer.Argument(help="Slides or images: SVS, NDPI, TIFF, DICOM, PNG, ...")],
    model: Annotated[
        Path | None,
        typer.Option(help="Model file; by default the newest in models/, else the bundled model."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the outputs; by default that of each slide.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel, where the file has none or a wrong value.")
    ] = None,
    scales: Scales = None,
    flips: Flips = False,
    threshold: Annotated[float, typer.Option(help="Probability threshold.")] = 0.5,
    separate: Separate = True,
    min_gland_um2: Annotated[
        float, typer.Option(help="Minimum area of a gland, in um2; smaller ones are dropped.")
    ] = 400.0,
    min_lumen_um2: Annotated[
        float, typer.Option(help="Minimum area of a lumen, in um2; smaller holes are filled.")
    ] = 100.0,
    tissue_mask: Annotated[bool, typer.Option(help="Skip windows without tissue.")] = True,
    roi: Annotated[
        Path | None, typer.Option(help="GeoJSON file of the regions to segment, drawn in QuPath.")
    ] = None,
    device: Annotated[str, typer.Option(help="Device: auto, cpu, cuda, cuda:N, trt or trt:N.")] = "auto",
    precision: Precision = AUTO,
    int8: Int8 = False,
    require_gpu: Annotated[
        bool, typer.Option("--require-gpu", help="Fail instead of running on the CPU.")
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(help="Maximum batch size, in windows; by default 8, or that of the engine."),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of the network; 0 uses all.")] = 0,
    max_ram: Annotated[float, typer.Option(help="Memory limit, in GiB.")] = 2.0,
    max_unread: Annotated[
        float,
        typer.Option(help="Maximum share of the tissue that may be unreadable; above it, the slide fails."),
    ] = 0.01,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also replace outputs of another slide with the same name.")
    ] = False,
    write: Annotated[
        list[str] | None,
        typer.Option(
            help="Outputs to write, separated by commas: default (geojson, mask, csv, overview, labels, "
            "report), suggestions, geojson.gz, parquet, probability, overlay, zarr."
        ),
    ] = None,
    csv_decimal: Annotated[
        str,
        typer.Option(help='Decimal mark of the table: "." or ","; with ",", columns are separated by ";".'),
    ] = ".",
    suggest: Annotated[
        int, typer.Option(help="Number of regions to suggest for correction: where the model is least sure.")
    ] = 0,
    report: Annotated[bool, typer.Option(help="Write the report, a page for any browser.")] = True,
    report_mb: Annotated[float, typer.Option(help="Maximum size of the report, in MB.")] = 20.0,
    profile: Annotated[
        Path | None,
        typer.Option(help="File of a trace for ui.perfetto.dev; the time of each stage is printed too."),
    ] = None,
) -> None:
    """Find glands in slides and write outlines, mask, table, overview, labels, report and record.

    To resume an interrupted run, repeat the command.
    """
    from dataclasses import replace

    from glandseg.core.trace import Trace
    from glandseg.model.backend import BATCH
    from glandseg.model.files import check_model, find_model
    from glandseg.model.open_backend import open_backend
    from glandseg.runtime.outputs.choice import parse_outputs
    from glandseg.runtime.settings import ADAPTIVE, InferSettings, parse_scales

    settings = InferSettings(
        scales=parse_scales(scales),
        adaptive=scales == ADAPTIVE,
        flips=flips,
        mpp=mpp,
        threshold=threshold,
        separate=separate,
        min_gland_um2=min_gland_um2,
        min_lumen_um2=min_lumen_um2,
        tissue_mask=tissue_mask,
        roi=roi,
        batch=BATCH if batch is None else batch,
        max_ram_gib=max_ram,
        max_unread=max_unread,
        csv_decimal=csv_decimal,
        suggest=suggest,
        report_mb=report_mb,
        write=parse_outputs(write, report=report),
    )
    slides = list_slides(slides, out)
    if profile is not None:
        check_profile(profile)
    wanted = choose_precision(precision, int8)
    file = find_model(model, precision=None if wanted == AUTO else wanted)

    def take(path: Path, reason: str) -> None:
        nonlocal file
        file = replace(check_model(path, file.origin), choice=reason)

    trace = Trace(keeps_spans=profile is not None)
    with open_backend(
        file.path,
        device=device,
        threads=threads,
        batch=batch,
        require_gpu=require_gpu,
        precision=wanted,
        say=say,
        take=take,
    ) as backend:
        say(f"model: {backend.card.name} ({file.origin}), learned on {backend.card.tissue}; {backend.name}")
        if file.choice:
            say(f"precision: {file.choice}")
        if rule := backend.card.separation:
            say(f"touching glands: {f'told apart, {rule}' if separate else 'one gland, by --no-separate'}")
        try:
            failed = infer_all(
                slides, lambda slide: infer_one(slide, backend, file, settings, out, trace, overwrite)
            )
        finally:
            if profile is not None:
                write_profile(trace, profile)
    if failed:
        warn(f"{failed} of {len(slides)} slides failed")
        raise typer.Exit(1)


def infer_all(slides: list[Path], run: Callable[[Path], None]) -> int:
    """Run slides and count those that failed; a single slide fails with its own exit code.

    Args:
        slides: Slides to run.
        run: Called with each slide; its errors are printed, and the other slides still run.
    """
    if len(slides) == 1:
        run(slides[0])
        return 0
    return sum(not _succeeds(run, slide) for slide in slides)


def _succeeds(run: Callable[[Path], None], slide: Path) -> bool:
    try:
        run(slide)
    except Exception as error:
        print_error(error)
        return False
    return True


def infer_one(
    path: Path,
    backend: ModelBackend,
    file: ModelFile,
    settings: InferSettings,
    out: Path | None,
    trace: Trace | None = None,
    overwrite: bool = False,
) -> None:
    """Run one slide and print its results."""
    from glandseg.runtime.infer import infer_slide

    start = time.monotonic()
    warned: list[str] = []

    def announce(warning: str) -> None:
        warned.append(warning)
        warn(f"warning: {path.name}: {warning}")

    with explain_interruption(path), show_progress("windows") as advance:
        result = infer_slide(
            path,
            backend,
            file,
            settings,
            out=out,
            advance=lambda done, total: advance(done, total, ""),
            say=say,
            warn=announce,
            trace=trace,
            overwrite=overwrite,
        )
    for warning in result.warnings:
        if warning not in warned:
            announce(warning)
    seconds = time.monotonic() - start
    touching = result.mask_glands != result.glands
    apart = f" ({result.mask_glands} with those that touch as one)" if touching else ""
    say(
        f"{path.name}: {pluralise(result.glands, 'gland')}{apart}, {result.gland_mm2:.3f} mm2 "
        f"of {result.tissue_mm2:.3f} mm2 tissue, in {seconds:.1f} s; "
        f"the network was busy {result.network_share:.0%} of the time"
    )
    for output in result.outputs:
        say(f"  {output}")


@contextlib.contextmanager
def explain_interruption(path: Path) -> Iterator[None]:
    """Print how to resume when Ctrl-C or a signal interrupts a slide.

    Raises:
        EnvironmentLacksError: There is not enough memory for the slide.
    """
    try:
        yield
    except MemoryError as error:
        raise EnvironmentLacksError(
            f"{path}: not enough memory. Free some, or give a smaller --batch or --max-ram."
        ) from error
    except KeyboardInterrupt:
        warn(f"{path.name}: finished windows are kept; to resume, repeat the command")
        raise
