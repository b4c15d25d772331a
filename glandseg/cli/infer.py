"""`glandseg infer`: slides in, glands out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import warn
from glandseg.cli.options import Flips, Int8, Precision, Scales, Separate, choose_precision
from glandseg.model.files import AUTO


def infer(
    slides: Annotated[
        list[Path] | None,
        typer.Argument(help="Slides, images or folders of them: SVS, NDPI, TIFF, DICOM, PNG, ..."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Model file; by default the newest in models/, else the bundled model."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the outputs; by default that of each slide.")
    ] = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", help="Look in the subfolders of folders too.")
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option("--list", help="CSV file of slides: column slide, and optionally mpp, roi, out."),
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
    device: Annotated[
        str,
        typer.Option(help="Device: auto, cpu, cuda, cuda:N, trt or trt:N; several separated by commas."),
    ] = "auto",
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
    workers: Annotated[
        str,
        typer.Option(
            help="Number of slides to run at a time; auto: one per GPU, or per CPU and GiB of memory."
        ),
    ] = "1",
    shard: Annotated[
        str | None,
        typer.Option(help="Part of the slides to run, such as 2/8: for job arrays on several machines."),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(help="Address of a Ray cluster to run on, or local; needs the extra cluster."),
    ] = None,
    max_ram: Annotated[float, typer.Option(help="Memory limit of all workers together, in GiB.")] = 2.0,
    max_unread: Annotated[
        float,
        typer.Option(help="Maximum share of the tissue that may be unreadable; above it, the slide fails."),
    ] = 0.01,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also replace outputs of another slide with the same name.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also run slides again that failed before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what the slides will take: time, memory, disk.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", hidden=True)] = False,
    write: Annotated[
        list[str] | None,
        typer.Option(
            help="Outputs to write, separated by commas: default (geojson, mask, csv, overview, labels, "
            "report), suggestions, geojson.gz, parquet, dicom, dicom-mask, probability, overlay, zarr."
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

    To resume an interrupted run, repeat the command. Of several slides, those that are done are left as they
    are.
    """
    from glandseg.cli.cohort import Cohort, list_cohort, print_plan, run_slides, watch_slides
    from glandseg.cli.one_slide import infer_alone
    from glandseg.cohort.slide_runner import CohortJob
    from glandseg.model.backend import BATCH
    from glandseg.model.model_choice import ModelChoice
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
    devices = device.split(",")
    choice = ModelChoice(
        path=model,
        precision=choose_precision(precision, int8),
        device=devices[0],
        threads=threads,
        batch=batch,
        require_gpu=require_gpu,
    )
    job = CohortJob(model=choice, settings=settings, overwrite=overwrite, retry_failed=retry_failed)
    cohort = Cohort(
        job=job,
        given=slides or [],
        out=out,
        recursive=recursive,
        table=table,
        workers=workers,
        devices=devices,
        shard=shard,
        ray=ray,
        profile=profile,
    )
    if watch:
        watch_slides(cohort)
        return
    found = list_cohort(cohort)
    if dry_run:
        print_plan(cohort, found)
    elif cohort.is_one(found):
        infer_alone(found[0].path, job, out, profile)
    elif failed := run_slides(cohort, found):
        warn(f"{failed} of {len(found)} slides failed")
        raise typer.Exit(1)
