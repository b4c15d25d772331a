"""`glandseg evaluate`: scores of models on a data set with outlines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.console import say, say_lines, warn
from glandseg.cli.options import Flips, Scales, Separate, Threads
from glandseg.cli.progress import show_progress
from glandseg.core.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.runtime.settings import InferSettings
    from glandseg.training.data.sample import DataSet, Sample
    from glandseg.training.evaluation.score_table import Scored, ScoreTable
    from glandseg.training.evaluation.worst import WorstImages


def evaluate(
    data: Annotated[Path, typer.Argument(help="Data folder with outline masks: GlaS, ProG, EBHI-Seg, ...")],
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Model files or run folders; by default the newest in models/, else the bundled model.",
            metavar="MODEL|RUN",
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Model or run of a second group, for a t-test; repeat it for each."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            help="Split: train, val, test, all or testA,testB; by default the published test images."
        ),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel of the images, if not those of the data set.")
    ] = None,
    scales: Scales = None,
    flips: Flips = False,
    separate: Separate = True,
    device: Annotated[str, typer.Option(help="Device: auto, cpu or cuda.")] = "auto",
    threads: Threads = 0,
    limit: Annotated[
        int | None, typer.Option(help="Evaluate at most N images per split.", min=1, metavar="N")
    ] = None,
    worst: Annotated[
        int, typer.Option(help="Number of worst images to draw on a contact sheet, per model.", min=0)
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Output file: the table as NAME.md, all results as NAME.json.", metavar="NAME.md"),
    ] = None,
) -> None:
    """Score models by mIoU, F1 and Dice on images with outlines; on GlaS also per gland.

    Several models, such as seeds of one training, are summarised as mean and standard deviation; those
    named with --against are compared with the others by the independent samples t-test (*** p < 0.001,
    ** p < 0.005, * p < 0.05). Glands are found and cleaned as by infer; the scores per gland are those of
    the GlaS contest.
    """
    from glandseg.runtime.settings import ADAPTIVE, InferSettings, parse_scales
    from glandseg.training.data.datasets import find_samples
    from glandseg.training.evaluation.evaluate import choose_parts, keep_outlined
    from glandseg.training.evaluation.score_table import ScoreTable

    if worst and out is None:
        raise BadInputError("--worst: the sheet is written beside --out. Add --out.")
    chosen: list[Path | None] = [*(models or []), *(against or [])] or [None]
    if against and min(len(models or []), len(against)) < 2:
        raise BadInputError(
            "--against: a t-test needs at least two models per group. Name more seeds of both."
        )
    data_set = keep_outlined(find_samples(data))
    for note in data_set.notes:
        warn(f"note: {note}")
    image_um = data_set.um_per_px if mpp is None else mpp
    if image_um is None:
        raise BadInputError(f"{data}: its um/px is unknown. Give --mpp.")
    parts = {name: samples[:limit] for name, samples in choose_parts(data_set, part).items()}
    settings = InferSettings(
        scales=parse_scales(scales), adaptive=scales == ADAPTIVE, flips=flips, separate=separate
    )
    names = name_models(chosen)
    scored, sheets = [], []
    for index, (path, name) in enumerate(zip(chosen, names, strict=True)):
        other = index >= len(chosen) - len(against or [])
        one, sheet = score_model(
            path,
            name,
            other,
            data_set,
            parts,
            image_um,
            settings,
            device=device,
            threads=threads,
            worst=worst,
        )
        scored.append(one)
        sheets.append((one.name, sheet))
    table = ScoreTable(data_set, parts, scored, settings)
    say_lines(table.to_markdown())
    if out:
        write_scores(out, table, sheets if worst else [])


def name_models(paths: list[Path | None]) -> list[str | None]:
    """Name models by file or folder, by the whole path where two share a name; None is named by its card."""
    short = [path.resolve().name.removesuffix(".onnx") if path else None for path in paths]
    if len(set(paths)) < len(paths):
        raise BadInputError("MODEL: each model may be named once, in one group. Remove the repeated one.")
    return [
        path.as_posix() if path and short.count(name) > 1 else name
        for path, name in zip(paths, short, strict=True)
    ]


def score_model(
    path: Path | None,
    name: str | None,
    against: bool,
    data_set: DataSet,
    parts: dict[str, tuple[Sample, ...]],
    image_um: float,
    settings: InferSettings,
    *,
    device: str,
    threads: int,
    worst: int,
) -> tuple[Scored, WorstImages]:
    """Score one model on all splits, and keep its worst images."""
    from dataclasses import replace

    from glandseg.training.evaluation.evaluate import evaluate as run_evaluation
    from glandseg.training.evaluation.score_table import Scored
    from glandseg.training.evaluation.scored_model import open_model
    from glandseg.training.evaluation.worst import WorstImages

    samples = {sample.name: sample for part in parts.values() for sample in part}
    kept = WorstImages(worst)
    with open_model(path, device=device, threads=threads) as model, show_progress("images") as advance:
        name = name or model.name
        evaluation = run_evaluation(
            samples.values(),
            model.backend,
            image_um=image_um,
            model_um=model.um_per_px,
            scales=model.scales,
            settings=replace(settings, flips=settings.flips or model.flips),
            rule=model.separation,
            objects=data_set.kind == "glas",
            report=lambda done: advance(done, len(samples), str(name)),
            keep=kept.add,
        )
    return Scored(model=model, name=name, evaluation=evaluation, against=against), kept


def write_scores(out: Path, table: ScoreTable, sheets: list[tuple[str, WorstImages]]) -> None:
    """Write the table, the JSON and the sheets, all or none."""
    import json

    from glandseg.core.atomic import stage_outputs

    stem = out.name.removesuffix(".md").removesuffix(".json")
    samples = {
        f"{stem}.worst{index if len(sheets) > 1 else ''}.png": pair for index, pair in enumerate(sheets, 1)
    }
    names = [*samples, f"{stem}.md", f"{stem}.json"]
    facts = table.to_json() | {"worst": {name: sheet.list_names() for name, sheet in sheets}}
    with stage_outputs(out.parent, names) as stage:
        for file, (name, sheet) in samples.items():
            sheet.write_sheet(stage / file, name)
        (stage / f"{stem}.md").write_text(table.to_markdown(), encoding="utf-8")
        (stage / f"{stem}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    for name in names:
        say(f"  {out.parent / name}")
