"""`glandseg verify`: are the files of a model whole, and do they compute the same?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.console import print_json, say
from glandseg.cli.options import AsJson, Tiles

if TYPE_CHECKING:
    from glandseg.doctor.verify import CheckGraph, Reference


def verify(
    model: Annotated[
        Path | None,
        typer.Argument(help="Model file; by default the bundled model. All files of its name are verified."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(help="Run folder that the model was exported from, to compare with PyTorch."),
    ] = None,
    tiles: Tiles = None,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel of --tiles, where the files have none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check hashes, cards and graphs, and compare float16, INT8 and engine files on synthetic tissue.

    With --run, they are compared with PyTorch; without, with the float32 file on the CPU, which the export
    compared with PyTorch. Exits with 4 if a file fails.
    """
    from glandseg.core.errors import GlandsegError
    from glandseg.doctor.tiles import gather_tiles
    from glandseg.doctor.verify import FAILED, find_float32, verify_files

    reference = load_reference(run) if run else None
    verdicts = []
    for verdict in verify_files(
        find_float32(model),
        lambda um_per_px: gather_tiles(um_per_px, tiles, mpp),
        reference=reference,
        check_graph=find_graph_check(),
    ):
        verdicts.append(verdict)
        if not as_json:
            say(str(verdict))
    if as_json:
        print_json({"files": [verdict.describe() for verdict in verdicts]})
    if any(verdict.state == FAILED for verdict in verdicts):
        raise typer.Exit(GlandsegError.exit_code)


def load_reference(run: Path) -> Reference:
    """Load the segmenter of a run in PyTorch, in float32 on the CPU."""
    from glandseg.core.system import hash_file
    from glandseg.doctor.verify import Reference
    from glandseg.training.factory import load_segmenter
    from glandseg.training.run import open_run
    from glandseg.training.torch_backend import TorchBackend

    opened = open_run(run)
    network = TorchBackend(load_segmenter(opened))
    return Reference(name="PyTorch", network=network, weights_sha256=hash_file(opened.segmenter_path))


def find_graph_check() -> CheckGraph | None:
    """Return the full check of a graph; None where the package `onnx` is not installed."""
    try:
        from glandseg.export.file_check import check_file
    except ModuleNotFoundError:
        return None
    return check_file
