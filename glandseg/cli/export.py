"""`glandseg export`: a run's segmenter as ONNX files, proven to compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import say


def export(
    run: Annotated[Path | None, typer.Argument(help="Run folder; by default the newest below runs/.")] = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Write a float16 file too, for GPUs, and its TensorRT engine.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Write INT8 files too, for the CPU and for TensorRT.")
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="Training data, folder of slides, or slide to fit INT8 to; by default drawn tissue."
        ),
    ] = None,
    tiles: Annotated[
        Path | None,
        typer.Option(help="Slide, or folder of slides or images, to compare on beside drawn tissue."),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel of both, where the files have none.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="GPUs the engine is for, such as sm86,sm89 (TensorRT for RTX).")
    ] = None,
    engine: Annotated[bool, typer.Option(help="Build a TensorRT engine with --fp16.")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder for the files; by default models/NAME.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the model; by default the run folder's.")] = None,
    card: Annotated[
        Path | None, typer.Option(help="YAML file of facts for the model card: tissue, stain, licence, ...")
    ] = None,
) -> None:
    """Turn a run into NAME.onnx, and prove on drawn tissue that it computes what PyTorch does."""
    from glandseg.export.export_settings import ExportSettings
    from glandseg.export.run_export import export_run
    from glandseg.training.run import find_newest_run, open_run
    from glandseg.training.settings_file import read_yaml

    settings = ExportSettings(
        fp16=fp16,
        int8=int8,
        calibrate=calibrate,
        tiles=tiles,
        mpp=mpp,
        engine=engine,
        targets=tuple(target.split(",")) if target else (),
    )
    chosen = open_run(run) if run else find_newest_run()
    say(f"run: {chosen.path}{'' if run else ' (newest)'}")
    facts = read_yaml(card) if card else None
    result = export_run(chosen, out, settings, name=name, facts=facts, say=say)
    say(f"next: glandseg infer slide.tif --model {result.artifacts[0].path}")
