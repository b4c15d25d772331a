"""Options that several commands have, worded alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

Threads: TypeAlias = Annotated[int, typer.Option(help="CPU threads; 0 uses all.", min=0, max=1024)]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
Overrides: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--set", help="One setting, such as segmenter.fit.steps=500; can be repeated."),
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
