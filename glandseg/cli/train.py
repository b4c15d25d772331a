"""`glandseg train`: a segmenter learned from a data folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glandseg.cli.progress import Advance, show_progress
from glandseg.core.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.training.loop.fit import Progress
    from glandseg.training.settings import TrainSettings


WANTED = (
    "train needs a data folder: patches with a patches.csv of columns file,gland,non_gland, or in folders "
    "gland and non_gland; folders images and masks; GlaS, EBHI-Seg or ProG as published; or, with a "
    "--teacher, images. "
    "Without one, try `glandseg train --demo`."
)


TESTS = {"val": "validation images"}  # by what a run's scores are of
MOST_THREADS = 1024
STOPPED = 130  # as for any other interruption


def train(
    data: Annotated[Path | None, typer.Argument(help="Folder of training images; see below.")] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder; by default a new one below runs/.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="patches (labels of patches alone, the default), outlines (masks), or none."),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="Run folder or model file to learn from, with --labels none or outlines."),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="Pretrained weights of the encoder: a .safetensors or .pth file, or hub."),
    ] = None,
    mpp: Annotated[float | None, typer.Option(help="Microns per pixel of the training images.")] = None,
    preset: Annotated[
        str, typer.Option(help="edge (for small machines), or a paper's settings: feng, oeem.")
    ] = "edge",
    settings: Annotated[Path | None, typer.Option(help="Settings file (YAML), over the preset.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, such as segmenter.fit.steps=500.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 uses all.", min=0, max=MOST_THREADS)] = 0,
    demo: Annotated[
        bool, typer.Option("--demo", help="Learn from drawn tissue, in about two minutes.")
    ] = False,
) -> None:
    """Learn a segmenter; an interrupted run goes on when the command is repeated with its --out.

    Ctrl-C, or a file STOP in the run folder, ends it after the step under way; a second Ctrl-C at once.

    DATA is one of: patches with a patches.csv of columns file,gland,non_gland and, if known, patient; folders
    gland, non_gland and mixed of patches; folders images and masks of equal names; images NAME.bmp with masks
    NAME_anno.bmp (GlaS); folders CLASS/image and CLASS/label (EBHI-Seg); TRAIN and TEST, each IMAGES and
    MANUAL GLANDS (ProG). Slides with regions drawn in QuPath are cut into patches first: glandseg cut.

    With --teacher, a small network learns a big one's probabilities, of any of these or of a folder of
    images that nobody labelled; --labels outlines mixes in what outlines there are.
    """
    if data is None and not demo:
        raise BadInputError(WANTED)
    from glandseg.core.system import count_cpus
    from glandseg.training.demo import shorten, write_synthetic_data
    from glandseg.training.loop.processes import is_first
    from glandseg.training.loop.stopping import TrainingStopped
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
        "--mpp": ("um_per_px", mpp),
    }
    base = apply_options(base, options)
    wanted = override_settings(base, set_ or [])
    folder = data or write_synthetic_data(Path("runs") / "demo-tissue")
    import torch

    torch.set_num_threads(threads or count_cpus())
    try:
        with show_progress("steps") as advance:
            run = run_training(folder, out, wanted, report=_tell_steps(advance), say=typer.echo)
    except TrainingStopped as stop:
        typer.echo(f"{stop}. Repeat the command, with the run folder as --out, to go on.", err=True)
        raise typer.Exit(STOPPED) from None
    if not is_first():
        return
    test, scores = next(iter(run.record["scores"].items()))
    typer.echo(f"{run.path}: mIoU {scores['miou']:.1f} %, F1 {scores['f1']:.1f} % on {TESTS.get(test, test)}")
    typer.echo(f"next: glandseg export {run.path} --fp16")


def apply_options(settings: TrainSettings, options: Mapping[str, tuple[str, Any]]) -> TrainSettings:
    """Put options of the command line into settings, and let refusals name the option.

    Args:
        settings: To change.
        options: For each option the setting that it stands for, and its value; None leaves the setting.

    Raises:
        BadInputError: If a value cannot be used.
    """
    for option, (name, value) in options.items():
        settings = settings if value is None else _apply_option(settings, option, name, value)
    return settings


def _apply_option(settings: TrainSettings, option: str, name: str, value: Any) -> TrainSettings:
    try:
        return replace(settings, **{name: value})
    except BadInputError as error:
        raise BadInputError(f"{option}: {str(error).removeprefix(f'{name}: ')}") from None


def _tell_steps(advance: Advance) -> Callable[[str, Progress], None]:
    def tell(stage: str, progress: Progress) -> None:
        advance(progress.step, progress.steps, f"{stage}, loss {progress.loss:.3f}")
        if progress.scores:
            scores = ", ".join(f"{name} {value:.1f}" for name, value in progress.scores.items())
            typer.echo(f"{stage} step {progress.step}: loss {progress.loss:.3f}, {scores}")

    return tell
