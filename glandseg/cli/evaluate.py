"""`glandseg evaluate`: a model's scores on a data set with outlines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from glandseg.cli.progress import show_progress
from glandseg.runtime.errors import BadInputError


def evaluate(
    data: Annotated[Path, typer.Argument(help="Data folder with outline masks: GlaS or EBHI-Seg.")],
    model: Annotated[
        Path | None, typer.Option(help="Model file; by default the newest below models/, else the bundled one.")
    ] = None,
    part: Annotated[str, typer.Option(help="train, val, test or all; for GlaS train, testA, testB or all.")] = "test",
    mpp: Annotated[float | None, typer.Option(help="Microns per pixel of the images, if not the usual.")] = None,
    scales: Annotated[str | None, typer.Option(help="Enlargements to average; by default the model's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(help="CPU threads of the network; 0 takes all.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the scores, image by image.")] = None,
) -> None:
    """Score a model by mIoU, F1 and Dice on images with outlines."""
    from glandseg.runtime.model_file import find_model
    from glandseg.runtime.session import Session
    from glandseg.runtime.settings import InferSettings, parse_scales
    from glandseg.training.datasets import find_pictures
    from glandseg.training.evaluate import choose_part
    from glandseg.training.evaluate import evaluate as run_evaluation

    data_set = find_pictures(data)
    pictures = choose_part(data_set, part)
    picture_um = mpp or data_set.um_per_px
    if picture_um is None:
        raise BadInputError(f"{data}: its um/px is not known. Give --mpp.")
    file = find_model(model)
    wanted = InferSettings(scales=parse_scales(scales) if scales else None).scales
    with Session(file.path, device=device, threads=threads) as session, show_progress("images") as advance:
        card = session.card
        result = run_evaluation(
            pictures,
            session,
            picture_um=picture_um,
            model_um=card.um_per_px,
            scales=wanted or card.scales,
            report=lambda done: advance(done, len(pictures), ""),
        )
    scores = result.list_scores()
    typer.echo(f"{card.name} ({file.origin}) on {data_set.kind} {part}, {scores['images']} images:")
    typer.echo(
        f"mIoU {scores['miou']:.2f} %, F1 {scores['f1']:.2f} %, Dice {scores['dice']:.2f} %, "
        f"mean of the images' mIoU {scores['mean_image_miou']:.2f} %"
    )
    if out:
        by_image = {name: round(100 * one.miou, 2) for name, one in result.pictures.items()}
        facts = {"model_sha256": file.sha256, "data": data_set.kind, "part": part, **scores, "image_miou": by_image}
        out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
