"""`glandseg evaluate`: one or more models' scores on a data set with outlines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glandseg.cli.progress import show_progress
from glandseg.cli.train import MOST_THREADS
from glandseg.core.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.training.data.sample import DataSet, Sample
    from glandseg.training.evaluation.score_table import Scored, ScoreTable
    from glandseg.training.evaluation.worst import WorstImages


def evaluate(
    data: Annotated[Path, typer.Argument(help="Data folder with outline masks: GlaS, ProG, EBHI-Seg, ...")],
    models: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Model files or run folders; by default the newest below models/, else the bundled one.",
            metavar="[MODEL|RUN]...",
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(help="Model or run of a second group, for a t-test; give it repeatedly."),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(help="train, val, test, all or testA,testB; by default what was published to test on."),
    ] = None,
    mpp: Annotated[
        float | None, typer.Option(help="Microns per pixel of the images, if not the usual.")
    ] = None,
    scales: Annotated[
        str | None, typer.Option(help="Enlargements to average; by default the model's.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[
        int, typer.Option(help="CPU threads of the network; 0 uses all.", min=0, max=MOST_THREADS)
    ] = 0,
    limit: Annotated[
        int | None, typer.Option(help="Evaluate no more than so many images of each part.", min=1)
    ] = None,
    worst: Annotated[
        int, typer.Option(help="Put so many of the worst images on a sheet, for each model.", min=0)
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the table as NAME.md and everything as NAME.json.", metavar="NAME.md"),
    ] = None,
) -> None:
    """Score models by mIoU, F1 and Dice on images with outlines; on GlaS gland by gland too.

    Several models, such as seeds of one training, are summarised as mean and standard deviation; those
    named with --against are compared with the others by the independent samples t-test (*** p < 0.001,
    ** p < 0.005, * p < 0.05). The scores by gland are those of the GlaS contest.
    """
    from glandseg.runtime.settings import InferSettings, parse_scales
    from glandseg.training.data.datasets import find_samples
    from glandseg.training.evaluation.evaluate import choose_parts, keep_outlined
    from glandseg.training.evaluation.score_table import ScoreTable

    if worst and out is None:
        raise BadInputError("--worst: needs --out, beside which the sheet is written.")
    chosen: list[Path | None] = [*(models or []), *(against or [])] or [None]
    if against and min(len(models or []), len(against)) < 2:
        raise BadInputError("--against: a t-test needs two models or more a group. Name more seeds of both.")
    data_set = keep_outlined(find_samples(data))
    for note in data_set.notes:
        typer.echo(f"note: {note}", err=True)
    image_um = data_set.um_per_px if mpp is None else mpp
    if image_um is None:
        raise BadInputError(f"{data}: its um/px is not known. Give --mpp.")
    parts = {name: samples[:limit] for name, samples in choose_parts(data_set, part).items()}
    wanted = InferSettings(scales=parse_scales(scales) if scales else None).scales
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
            wanted,
            device=device,
            threads=threads,
            worst=worst,
        )
        scored.append(one)
        sheets.append((one.name, sheet))
    table = ScoreTable(data_set, parts, scored)
    typer.echo(table.to_markdown(), nl=False)
    if out:
        write_scores(out, table, sheets if worst else [])


def name_models(paths: list[Path | None]) -> list[str | None]:
    """Name models by file or folder, by the whole path where two share one; none goes by its card."""
    short = [path.resolve().name.removesuffix(".onnx") if path else None for path in paths]
    if len(set(paths)) < len(paths):
        raise BadInputError("models: each once, and in one group. One is named twice.")
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
    scales: tuple[float, ...] | None,
    *,
    device: str,
    threads: int,
    worst: int,
) -> tuple[Scored, WorstImages]:
    """Score one model on all parts, and keep what it does worst on."""
    from glandseg.training.evaluation.evaluate import evaluate as run_evaluation
    from glandseg.training.evaluation.score_table import Scored
    from glandseg.training.evaluation.scored_model import open_model
    from glandseg.training.evaluation.worst import WorstImages

    samples = {sample.name: sample for part in parts.values() for sample in part}
    kept = WorstImages(worst)
    with open_model(path, device=device, threads=threads) as model, show_progress("images") as advance:
        model = replace(model, scales=scales or model.scales)
        name = name or model.name
        evaluation = run_evaluation(
            samples.values(),
            model.backend,
            image_um=image_um,
            model_um=model.um_per_px,
            scales=model.scales,
            objects=data_set.kind == "glas",
            report=lambda done: advance(done, len(samples), str(name)),
            keep=kept.add,
        )
    return Scored(model=model, name=name, evaluation=evaluation, against=against), kept


def write_scores(out: Path, table: ScoreTable, sheets: list[tuple[str, WorstImages]]) -> None:
    """Write the table, the JSON and the sheets side by side, all or none."""
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
        typer.echo(f"  {out.parent / name}")
