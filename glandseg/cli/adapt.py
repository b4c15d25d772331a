"""`glandseg adapt`: a segmenter fine-tuned on fractions of another data set, or on corrected slides."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import say, say_lines
from glandseg.cli.options import Overrides, Threads
from glandseg.cli.progress import show_progress
from glandseg.cli.stopping import resumable
from glandseg.cli.train import apply_options
from glandseg.core.errors import BadInputError


def adapt(
    run: Annotated[
        Path | None, typer.Argument(help="Run folder of the segmenter to fine-tune on another data set.")
    ] = None,
    data: Annotated[
        Path | None, typer.Argument(help="Folder of the other data set, with outline masks.")
    ] = None,
    corrections: Annotated[
        list[Path] | None,
        typer.Option(
            help="In place of both: slides corrected in QuPath, or folders of them; each beside its GeoJSON."
        ),
    ] = None,
    start_from: Annotated[
        str, typer.Option(help="With --corrections: run folder to correct, or bundled.")
    ] = "bundled",
    fractions: Annotated[
        str, typer.Option(help="Fractions of the training images of the other data set, separated by commas.")
    ] = "0.2,0.1,0.05,0.01",
    seeds: Annotated[
        int, typer.Option(help="Number of runs per fraction, each on other images.", min=1, max=1000)
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the runs; by default runs/RUN-to-DATA, or runs/corrected."),
    ] = None,
    mpp: Annotated[float | None, typer.Option(help="Microns per pixel of the images or slides.")] = None,
    set_: Overrides = None,
    threads: Threads = 0,
) -> None:
    """Fine-tune a segmenter on a few images of another data set, or on slides corrected in QuPath.

    RUN and DATA: fine-tune on fractions of the other data set and score on its test images. Finished
    fractions and seeds are not repeated. Unless --set changes it, this takes 400 steps at a fifth of the
    run's learning rate, with outlines.

    --corrections: learn the regions of class Region*, in which every gland is outlined. Every fourth region
    is held out; the model is exported if it does better there, and is not if it does not.

    To resume after an interruption, repeat the command.
    """
    from glandseg.cli.correct import correct

    if corrections:
        if run or data:
            raise BadInputError("--corrections: in place of RUN and DATA. Leave these out; see --start-from.")
        correct(corrections, out or Path("runs") / "corrected", start_from, mpp, set_ or [], threads)
        return
    if run is None or data is None:
        raise BadInputError("adapt: a RUN and the DATA to adapt it to, or --corrections. Give these.")
    adapt_run(run, data, parse_fractions(fractions), seeds, out, mpp, set_ or [], threads)


def adapt_run(
    run: Path,
    data: Path,
    shares: tuple[float, ...],
    seeds: int,
    out: Path | None,
    mpp: float | None,
    overrides: list[str],
    threads: int,
) -> None:
    """Fine-tune a run on fractions of another data set; the arguments are the options of `adapt`."""
    import torch

    from glandseg.core.system import count_cpus
    from glandseg.training.adaptation import adapt as run_adaptation
    from glandseg.training.adaptation import plan_fine_tuning
    from glandseg.training.adaptation_report import format_adaptation, write_report
    from glandseg.training.run import open_run
    from glandseg.training.settings_file import override_settings

    source = open_run(run)
    settings = apply_options(plan_fine_tuning(source), {"--mpp": ("um_per_px", mpp)})
    settings = override_settings(settings, overrides)
    folder = out or Path("runs") / f"{run.resolve().name}-to-{data.resolve().name}"
    torch.set_num_threads(threads or count_cpus())
    with resumable(), show_progress("steps") as advance:
        result = run_adaptation(
            source,
            data,
            folder,
            settings,
            fractions=shares,
            seeds=range(seeds),
            report=lambda fraction, seed, progress: advance(
                progress.step,
                progress.steps,
                f"{100 * fraction:g} %, seed {seed}, loss {progress.loss:.3f}",
            ),
            say=say,
        )
    say_lines(format_adaptation(result))
    for path in write_report(folder, result):
        say(f"  {path}")


def parse_fractions(text: str) -> tuple[float, ...]:
    """Read fractions written as "0.2,0.05".

    Raises:
        BadInputError: One is not a number above 0 and at most 1.
    """
    try:
        fractions = tuple(float(part) for part in text.split(","))
    except ValueError:
        fractions = ()
    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise BadInputError(f"--fractions: must be above 0 and at most 1, such as 0.2,0.05. Received: {text}")
    return fractions
