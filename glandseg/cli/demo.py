"""`glandseg demo`: glands of a synthetic slide, found and compared with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import say

SIDE_PX, UM_PER_PX, SEED = 5120, 0.5, 7


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the synthetic slide and the outputs.")] = Path("demo"),
) -> None:
    """Draw a slide with known glands, find them with the bundled model, and compare both."""
    from glandseg.cli.one_slide import infer_one
    from glandseg.core.atomic import explain_disk_errors
    from glandseg.model.files import find_bundled
    from glandseg.model.open_backend import open_backend
    from glandseg.runtime.outputs.comparison import compare_with_truth
    from glandseg.runtime.settings import InferSettings
    from glandseg.synthetic import draw_slide, write_slide

    say(f"drawing a slide of {SIDE_PX} x {SIDE_PX} px at {UM_PER_PX:g} um/px ...")
    image, truth = draw_slide(SIDE_PX, SIDE_PX, UM_PER_PX, SEED)
    slide = out / "demo.tif"
    with explain_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        write_slide(slide, image, UM_PER_PX)
    file = find_bundled()
    with open_backend(file.path, say=say) as backend:
        say(f"model: {backend.card.name} ({file.origin}); {backend.name}")
        l0_per_px = backend.card.um_per_px / UM_PER_PX
        infer_one(slide, backend, file, InferSettings(), out, overwrite=True)
    dice = compare_with_truth(out / "demo.mask.ome.tif", truth, l0_per_px)
    say(f"Dice against the true glands: {dice:.3f}")
    say(f"look at {out / 'demo.overview.png'}; in QuPath, open {slide}")
    say(f"and drop {out / 'demo.glands.geojson'} on it")
