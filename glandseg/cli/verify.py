"""`glandseg verify`: a model's files are whole and compute what they must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.console import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from glandseg.doctor.verify import CheckGraph, GatherTiles, Reference, Verdict


def verify(
    model: Annotated[
        Path | None,
        typer.Argument(help="Model file, by default the bundled one. All files of its name are verified."),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run folder it was exported from, to compare with PyTorch itself.")
    ] = None,
    tiles: Annotated[
        Path | None, typer.Option(help="Slide, or folder of slides or images, to compare on besides.")
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel of --tiles, where the files have none.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check hashes, cards and graphs, and compare float16, INT8 and engine files on drawn tissue.

    They are compared with PyTorch where a run is given, else with the float32 file on the CPU, which its
    export compared with PyTorch. Exits with 4 if a file is not fine.
    """
    from glandseg.core.errors import GlandsegError
    from glandseg.doctor.verify import FAILED, find_float32, verify_files

    reference = load_reference(run) if run else None
    verdicts = verify_files(
        find_float32(model), plan_tiles(tiles, mpp), reference=reference, check_graph=find_graph_check()
    )
    found = list(tell_each(verdicts, silent=as_json))
    if as_json:
        print_json(found)
    if any(verdict.state == FAILED for verdict in found):
        raise typer.Exit(GlandsegError.exit_code)


def tell_each(verdicts: Iterator[Verdict], silent: bool) -> Iterator[Verdict]:
    """Print each verdict as it comes, unless silent, and hand it on."""
    for verdict in verdicts:
        if not silent:
            say(str(verdict))
        yield verdict


def print_json(verdicts: list[Verdict]) -> None:
    """Print all verdicts as JSON."""
    import json

    typer.echo(json.dumps({"files": [verdict.describe() for verdict in verdicts]}, indent=1))


def plan_tiles(path: Path | None, mpp: float | None) -> GatherTiles:
    """Give the function that gathers the tiles to compare on: the drawn ones, and the user's."""
    from glandseg.doctor.tiles import gather_tiles

    def gather(um_per_px: float) -> NDArray[np.uint8]:
        return gather_tiles(um_per_px, path, mpp)

    return gather


def load_reference(run: Path) -> Reference:
    """Load a run's segmenter in PyTorch, in float32 on the CPU."""
    from glandseg.core.system import hash_file
    from glandseg.doctor.verify import Reference
    from glandseg.training.factory import load_segmenter
    from glandseg.training.run import open_run
    from glandseg.training.torch_backend import TorchBackend

    opened = open_run(run)
    network = TorchBackend(load_segmenter(opened))
    return Reference(name="PyTorch", network=network, weights_sha256=hash_file(opened.segmenter_path))


def find_graph_check() -> CheckGraph | None:
    """Give the full check of a graph, where the package `onnx` is installed."""
    try:
        from glandseg.export.file_check import check_file
    except ModuleNotFoundError:
        return None
    return check_file
