"""Options that several commands have, worded alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from glandseg.core.errors import BadInputError
from glandseg.model.files import AUTO

Threads: TypeAlias = Annotated[int, typer.Option(help="CPU threads; 0 uses all.", min=0, max=1024)]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, such as segmenter.fit.steps=500; can be repeated."),
]
Preset: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Built-in settings: edge (for small machines), those of a paper (feng, feng-224, oeem), or "
        "those of its released code (feng-code, oeem-code)."
    ),
]
SettingsFile: TypeAlias = Annotated[
    Path | None, typer.Option(help="Settings file (YAML) that overrides the preset.")
]
Weights: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Pretrained encoder weights: a .safetensors or .pth file, or hub to download them."),
]
TrainingMpp: TypeAlias = Annotated[
    float | None, typer.Option(help="Microns per pixel of the training images.")
]
Scales: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="Scale factors to average over, such as 0.75,1,1.5; adaptive: extra scales only where the "
        "base scales are uncertain; by default the model's."
    ),
]
Flips: TypeAlias = Annotated[bool, typer.Option("--flips", help="Average with the flipped image.")]
Separate: TypeAlias = Annotated[
    bool, typer.Option(help="Tell touching glands apart, if the model card says how.")
]
Tiles: TypeAlias = Annotated[
    Path | None,
    typer.Option(help="Slide, or folder of slides or images, to compare on in addition to synthetic tissue."),
]
Precision: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Precision to run in: float32, float16, int8, or auto, the fastest that the device computes "
        "right."
    ),
]
Int8: TypeAlias = Annotated[bool, typer.Option("--int8", help="Short for --precision int8.")]


def choose_precision(precision: str, int8: bool) -> str:
    """Return the precision that `--precision` and `--int8` ask for.

    Raises:
        BadInputError: If there is no such precision, or the two contradict each other.
    """
    from glandseg.model.card import PRECISIONS

    if precision not in (AUTO, *PRECISIONS):
        known = ", ".join((AUTO, *PRECISIONS))
        raise BadInputError(f"--precision: one of {known}. Received: {precision}.")
    if int8 and precision not in (AUTO, "int8"):
        raise BadInputError(
            f"--int8: means --precision int8. Received: --precision {precision}. Leave one of the two out."
        )
    return "int8" if int8 else precision
