"""`glandseg watch`: slides that arrive in a folder are run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def watch(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Folder in which slides arrive.")],
) -> None:
    """Find glands in each slide that arrives in a folder, once it has stopped growing.

    Takes the options of infer.
    """
    from glandseg.core.errors import BadInputError

    if not folder.is_dir():
        raise BadInputError(f"{folder}: not a folder. Create it, or give another.")
    from glandseg.cli.main import app

    app(args=["infer", str(folder), "--watch", *context.args], standalone_mode=False)
