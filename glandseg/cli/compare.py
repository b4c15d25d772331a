"""`glandseg compare`: weakly supervised methods trained and scored side by side on one data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import say, say_lines
from glandseg.cli.options import Overrides, Preset, SettingsFile, Threads, TrainingMpp, Weights
from glandseg.cli.progress import show_progress
from glandseg.cli.stopping import resumable
from glandseg.cli.train import apply_options


def compare(
    data: Annotated[
        Path, typer.Argument(help="Folder of training images, as for train; test images need outline masks.")
    ],
    methods: Annotated[
        str,
        typer.Option(
            help="Methods, separated by commas: all, names in the documentation, or settings files NAME.yaml."
        ),
    ] = "all",
    seeds: Annotated[
        int, typer.Option(help="Number of runs per method; p-values need two or more.", min=1, max=1000)
    ] = 1,
    out: Annotated[
        Path, typer.Option(help="Folder of the comparison, with a run folder for each method and seed.")
    ] = Path("comparison"),
    weights: Weights = None,
    mpp: TrainingMpp = None,
    preset: Preset = "edge",
    settings: SettingsFile = None,
    set_: Overrides = None,
    threads: Threads = 0,
) -> None:
    """Train weakly supervised methods on one data set, and compare them in the papers' tables.

    Each method is trained as by train, from patch labels, with all else equal. Test images give mIoU, F1 and
    p-value against the best method (Feng et al. 2025, Table 1), training images the mIoU of activation maps
    and pseudo masks (Li et al. 2022, Table 2). Tables, a figure and a sheet of examples cover all runs in
    --out, those of earlier calls too.

    To resume after an interruption, or to add methods or seeds, repeat the command with the same --out.
    """
    import torch

    from glandseg.core.system import count_cpus
    from glandseg.training.comparison.compare import compare as run_comparison
    from glandseg.training.comparison.method_table import find_methods
    from glandseg.training.comparison.report import format_comparison, write_comparison
    from glandseg.training.settings_file import override_settings, read_preset, read_settings

    base = read_preset(preset)
    base = read_settings(settings, base) if settings else base
    base = apply_options(base, {"--weights": ("weights", weights or None), "--mpp": ("um_per_px", mpp)})
    base = override_settings(base, set_ or [])
    names = [name.strip() for name in methods.split(",") if name.strip()]
    torch.set_num_threads(threads or count_cpus())
    with resumable(), show_progress("steps") as advance:
        comparison = run_comparison(
            data,
            out,
            base,
            methods=find_methods(names, base),
            seeds=range(seeds),
            report=lambda method, seed, stage, progress: advance(
                progress.step,
                progress.steps,
                f"{method}, seed {seed}, {stage}, loss {progress.loss:.3f}",
            ),
            say=say,
        )
    say_lines(format_comparison(comparison))
    for path in write_comparison(comparison):
        say(f"  {path}")
