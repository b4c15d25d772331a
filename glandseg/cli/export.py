"""`glandseg export`: the segmenter of a run as ONNX files, each compared with PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import say
from glandseg.cli.options import Tiles


def export(
    run: Annotated[Path | None, typer.Argument(help="Run folder; by default the newest in runs/.")] = None,
    fp16: Annotated[
        bool, typer.Option("--fp16", help="Also write a float16 file, for GPUs, and its TensorRT engine.")
    ] = False,
    int8: Annotated[
        bool, typer.Option("--int8", help="Also write INT8 files, for the CPU and for TensorRT.")
    ] = False,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="Training data, slides or slide to calibrate INT8 on; by default synthetic tissue."
        ),
    ] = None,
    tiles: Tiles = None,
    mpp: Annotated[
        float | None,
        typer.Option(help="Microns per pixel of --calibrate and --tiles, where the files have none."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="GPUs to build the engine for, such as sm86,sm89 (TensorRT for RTX).")
    ] = None,
    engine: Annotated[bool, typer.Option(help="Build a TensorRT engine with --fp16.")] = True,
    out: Annotated[Path | None, typer.Option(help="Folder of the files; by default models/NAME.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the model; by default that of the run folder.")
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(help="YAML file of facts for the model card: tissue, separation, ..."),
    ] = None,
) -> None:
    """Export a run as NAME.onnx, and verify on synthetic tissue that it computes the same as PyTorch."""
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
