"""`glandseg train`: a segmenter trained on a data folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glandseg.cli.console import say
from glandseg.cli.options import Overrides, Preset, SettingsFile, Threads, TrainingMpp, Weights
from glandseg.cli.progress import Advance, show_progress
from glandseg.cli.stopping import RESUME, resumable
from glandseg.core.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.training.loop.fit import Progress
    from glandseg.training.settings import TrainSettings

NO_DATA = (
    "DATA: train needs a data folder: patches with a patches.csv of columns file,gland,non_gland, or in "
    "folders gland and non_gland; folders images and masks; GlaS, EBHI-Seg or ProG as published; or, with a "
    "--teacher, images. "
    "Without one, try `glandseg train --demo`."
)


def train(
    data: Annotated[Path | None, typer.Argument(help="Folder of training images, described below.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; by default a new one in runs/.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Kind of labels: patches (patch labels only, the default), outlines (masks) or none."
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="Teacher: run folder or model file; needs --labels none or outlines."),
    ] = None,
    weights: Weights = None,
    start_from: Annotated[
        str | None,
        typer.Option(
            help="Segmenter to start from: bundled (the bundled model), a model file or a run folder."
        ),
    ] = None,
    corrections: Annotated[
        list[Path] | None,
        typer.Option(help="Slides corrected in QuPath, or folders of them, to learn from too."),
    ] = None,
    mpp: TrainingMpp = None,
    preset: Preset = "edge",
    settings: SettingsFile = None,
    set_: Overrides = None,
    threads: Threads = 0,
    demo: Annotated[
        bool, typer.Option("--demo", help="Train on synthetic tissue, in about two minutes.")
    ] = False,
) -> None:
    """Train a segmenter; to resume an interrupted run, repeat the command with its --out.

    Ctrl-C, or a file STOP in the run folder, ends it after the current step; a second Ctrl-C, immediately.

    DATA is one of: patches with a patches.csv of columns file,gland,non_gland and, if known, patient; folders
    gland, non_gland and mixed of patches; folders images and masks with equal names; images NAME.bmp with
    masks NAME_anno.bmp (GlaS); folders CLASS/image and CLASS/label (EBHI-Seg); TRAIN and TEST, each IMAGES
    and MANUAL GLANDS (ProG). Cut slides with regions drawn in QuPath into patches first: glandseg cut.

    With --teacher, a small network learns the probabilities of a big one, on any of these or on a folder of
    unlabelled images; --labels outlines adds the outlines that exist.
    """
    if data is None and not demo:
        raise BadInputError(NO_DATA)
    from glandseg.core.system import count_cpus
    from glandseg.training.demo import shorten, write_synthetic_data
    from glandseg.training.loop.processes import is_first
    from glandseg.training.settings_file import override_settings, read_preset, read_settings
    from glandseg.training.train import train as run_training

    base = read_preset(preset)
    base = read_settings(settings, base) if settings else base
    base = shorten(base) if demo else base
    chosen = labels or ("none" if teacher and base.labels == "patches" else None)
    options = {
        "--labels": ("labels", chosen),
        "--teacher": ("teacher", teacher.as_posix() if teacher else None),
        "--weights": ("weights", weights or None),
        "--start-from": ("start_from", start_from or None),
        "--corrections": ("corrections", tuple(path.as_posix() for path in corrections or ()) or None),
        "--mpp": ("um_per_px", mpp),
    }
    base = apply_options(base, options)
    wanted = override_settings(base, set_ or [])
    folder = data or write_synthetic_data(Path("runs") / "demo-tissue")
    import torch

    torch.set_num_threads(threads or count_cpus())
    with resumable(f"{RESUME} with the run folder as --out."), show_progress("steps") as advance:
        run = run_training(folder, out, wanted, report=report_steps(advance), say=say)
    if not is_first():
        return
    test, scores = next(iter(run.record["scores"].items()))
    images = "validation images" if test == "val" else test
    say(f"{run.path}: mIoU {scores['miou']:.1f} %, F1 {scores['f1']:.1f} % on {images}")
    say(f"next: glandseg export {run.path} --fp16")


def apply_options(settings: TrainSettings, options: Mapping[str, tuple[str, Any]]) -> TrainSettings:
    """Override settings by options of the command line; errors name the option.

    Args:
        settings: Settings to override.
        options: For each option its setting and its value; None keeps the setting.

    Raises:
        BadInputError: A value is invalid.
    """
    for option, (name, value) in options.items():
        settings = settings if value is None else _apply_option(settings, option, name, value)
    return settings


def _apply_option(settings: TrainSettings, option: str, name: str, value: Any) -> TrainSettings:
    try:
        return replace(settings, **{name: value})
    except BadInputError as error:
        raise BadInputError(f"{option}: {str(error).removeprefix(f'{name}: ')}") from None


def report_steps(advance: Advance) -> Callable[[str, Progress], None]:
    """Return a function that shows each step of a training, and prints its validations."""

    def report(stage: str, progress: Progress) -> None:
        advance(progress.step, progress.steps, f"{stage}, loss {progress.loss:.3f}")
        if progress.scores:
            scores = ", ".join(f"{name} {value:.1f}" for name, value in progress.scores.items())
            say(f"{stage} step {progress.step}: loss {progress.loss:.3f}, {scores}")

    return report
