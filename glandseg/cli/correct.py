"""Learn from slides corrected in QuPath: fine-tune, compare on held-out regions, export what is better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from glandseg.cli.console import say, warn
from glandseg.cli.progress import show_progress
from glandseg.cli.stopping import resumable
from glandseg.cli.train import report_steps

if TYPE_CHECKING:
    from glandseg.training.correction import Correction

NOT_BETTER = 1  # exit code
SHOWN = {"dice": "Dice", "miou": "mIoU", "object_f1": "object F1"}


def correct(
    paths: Sequence[Path],
    folder: Path,
    start_from: str,
    mpp: float | None,
    overrides: Sequence[str],
    threads: int,
) -> None:
    """Learn corrections, and export the model if it is better; the arguments are the options of `adapt`."""
    import torch

    from glandseg.core.system import count_cpus
    from glandseg.export.run_export import export_run
    from glandseg.training.correction import learn_corrections, plan_correction
    from glandseg.training.settings_file import override_settings

    settings = override_settings(plan_correction(start_from), list(overrides))
    torch.set_num_threads(threads or count_cpus())
    with resumable(), show_progress("steps") as advance:
        correction = learn_corrections(
            paths, folder, settings, mpp=mpp, report=report_steps(advance), say=say
        )
    _print_scores(correction)
    if not correction.is_better:
        warn(
            f"not better: {folder} is not exported, and the model that it started from remains the best. "
            "Correct more regions, and run the command again with another --out."
        )
        raise typer.Exit(NOT_BETTER)
    result = export_run(correction.run, facts=correction.facts, say=say)
    say(f"next: glandseg infer slide.tif --model {result.artifacts[0].path}")


def _print_scores(correction: Correction) -> None:
    """Print the scores of the held-out regions before and after."""
    say(f"held-out patches: {correction.after['images']:g}")
    for name, title in SHOWN.items():
        say(f"{title}: {correction.before[name]:.1f} % before, {correction.after[name]:.1f} % after")
