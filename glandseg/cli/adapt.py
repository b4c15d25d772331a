"""`glandseg adapt`: a run fine-tuned on fractions of another data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.progress import show_progress
from glandseg.cli.train import MOST_THREADS, STOPPED, apply_options
from glandseg.core.errors import BadInputError


def adapt(
    run: Annotated[Path, typer.Argument(help="Run folder whose segmenter is fine-tuned.")],
    data: Annotated[Path, typer.Argument(help="Folder of the other data set, with outline masks.")],
    fractions: Annotated[
        str, typer.Option(help="Shares of the other set's training images, with commas between.")
    ] = "0.2,0.1,0.05,0.01",
    seeds: Annotated[
        int, typer.Option(help="How often each is repeated, with other images.", min=1, max=1000)
    ] = 5,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the runs and their scores; by default runs/RUN-to-DATA.")
    ] = None,
    mpp: Annotated[float | None, typer.Option(help="Microns per pixel of the other set's images.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, such as segmenter.fit.steps=200.")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 uses all.", min=0, max=MOST_THREADS)] = 0,
) -> None:
    """Fine-tune a run on a few images of another data set, and score it on that set's test images.

    Interrupted, it goes on when the command is repeated; finished fractions and seeds are not done again.
    Unless --set says otherwise, it takes 400 steps at a fifth of the run's learning rate, and learns from
    outlines.
    """
    shares = parse_fractions(fractions)
    import torch

    from glandseg.core.system import count_cpus
    from glandseg.training.adaptation import adapt as run_adaptation
    from glandseg.training.adaptation import plan_fine_tuning
    from glandseg.training.adaptation_report import format_adaptation, write_report
    from glandseg.training.loop.stopping import TrainingStopped
    from glandseg.training.run import open_run
    from glandseg.training.settings_file import override_settings

    source = open_run(run)
    settings = apply_options(plan_fine_tuning(source), {"--mpp": ("um_per_px", mpp)})
    settings = override_settings(settings, set_ or [])
    folder = out or Path("runs") / f"{run.resolve().name}-to-{data.resolve().name}"
    torch.set_num_threads(threads or count_cpus())
    try:
        with show_progress("steps") as advance:
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
                say=typer.echo,
            )
    except TrainingStopped as stop:
        typer.echo(f"{stop}. Repeat the command to go on.", err=True)
        raise typer.Exit(STOPPED) from None
    typer.echo(format_adaptation(result), nl=False)
    for path in write_report(folder, result):
        typer.echo(f"  {path}")


def parse_fractions(text: str) -> tuple[float, ...]:
    """Read fractions written as "0.2,0.05".

    Raises:
        BadInputError: if one is no number above 0 and at most 1.
    """
    try:
        fractions = tuple(float(part) for part in text.split(","))
    except ValueError:
        fractions = ()
    if not fractions or not all(0 < fraction <= 1 for fraction in fractions):
        raise BadInputError(f"--fractions: above 0 and at most 1, such as 0.2,0.05. Received: {text}")
    return fractions
