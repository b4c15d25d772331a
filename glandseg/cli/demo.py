"""`glandseg demo`: glands of a synthetic slide, compared with the truth, and of a real one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.console import say

SIDE_PX, UM_PER_PX, SEED = 5120, 0.5, 7
REAL_SLIDE = Path(__file__).parent / "demo_slide" / "colon.tif"


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the slides and the outputs.")] = Path("demo"),
) -> None:
    """Find the glands of a drawn slide and compare them with the truth; then find those of a real slide."""
    from glandseg.cli.one_slide import infer_one
    from glandseg.core.atomic import explain_disk_errors
    from glandseg.model.files import find_bundled
    from glandseg.model.open_backend import open_backend
    from glandseg.runtime.outputs.comparison import compare_with_truth
    from glandseg.runtime.settings import InferSettings
    from glandseg.synthetic import draw_slide, write_slide

    say(f"drawing a slide of {SIDE_PX} x {SIDE_PX} px at {UM_PER_PX:g} um/px ...")
    image, truth = draw_slide(SIDE_PX, SIDE_PX, UM_PER_PX, SEED)
    drawn, real = out / "demo.tif", out / REAL_SLIDE.name
    with explain_disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        write_slide(drawn, image, UM_PER_PX)
        shutil.copyfile(REAL_SLIDE, real)
    file = find_bundled()
    with open_backend(file.path, say=say) as backend:
        say(f"model: {backend.card.name} ({file.origin}); {backend.name}")
        infer_one(drawn, backend, file, InferSettings(), out, overwrite=True)
        dice = compare_with_truth(out / "demo.mask.ome.tif", truth, backend.card.um_per_px / UM_PER_PX)
        say(f"Dice against the true glands: {dice:.3f}")
        infer_one(real, backend, file, InferSettings(), out, overwrite=True)
    say("the second slide is real: colon, melanosis coli, H&E; Pathology Atlas, CC BY 4.0")
    say(f"open {out / 'colon.report.html'} in a browser; in QuPath, open {real}")
    say(f"and drop {out / 'colon.glands.geojson'} on it")
