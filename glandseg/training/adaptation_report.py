"""Report of an adaptation: Markdown, CSV, JSON and the box plot of Feng et al. 2025, Fig. 4."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import glandseg
from glandseg.core.atomic import stage_outputs
from glandseg.training.adaptation import Adaptation, AdaptedRun
from glandseg.training.evaluation.score_table import COLUMNS, format_rows
from glandseg.training.evaluation.significance import summarise

NAMES = ("adaptation.csv", "adaptation.md", "adaptation.png", "adaptation.json")
BLUE, GREY = "#9ecae1", "#636363"


def write_report(folder: Path, adaptation: Adaptation) -> tuple[Path, ...]:
    """Write `adaptation.csv`, `.md`, `.png` and `.json` into a folder, and return their paths."""
    with stage_outputs(folder, NAMES) as stage:
        table, text, plot, facts = (stage / name for name in NAMES)
        write_table(table, adaptation.runs)
        text.write_text(format_adaptation(adaptation), encoding="utf-8")
        draw_boxes(plot, adaptation)
        facts.write_text(json.dumps(_describe(adaptation), indent=1) + "\n", encoding="utf-8")
    return tuple(folder / name for name in NAMES)


def write_table(path: Path, runs: Sequence[AdaptedRun]) -> None:
    """Write a CSV file with a line for each run."""
    scores = list(runs[0].scores)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        header = ["test_images" if key == "images" else key for key in scores]
        writer.writerow(["fraction", "seed", "training_images", *header, "run"])
        for run in runs:
            cells = [run.scores[key] for key in scores]
            writer.writerow([run.fraction, run.seed, run.images, *cells, run.path.name])


def format_adaptation(adaptation: Adaptation) -> str:
    """Format a Markdown table with a line for each fraction: mean and standard deviation over seeds."""
    keys = [key for key in COLUMNS if key in adaptation.before]
    before = [f"{adaptation.before[key]:.2f}" for key in keys]
    lines = [
        ["fraction", "training images", "seeds", *(COLUMNS[key] for key in keys)],
        ["---", "--:", "--:", *["--:"] * len(keys)],
        ["none, before", "0", "", *before],
    ]
    for fraction, runs in group_by_fraction(adaptation.runs).items():
        cells = [str(summarise([run.scores[key] for run in runs])) for key in keys]
        lines.append([f"{100 * fraction:g} %", str(runs[0].images), str(len(runs)), *cells])
    return format_rows(lines)


def group_by_fraction(runs: Sequence[AdaptedRun]) -> dict[float, list[AdaptedRun]]:
    """Return runs by fraction, in their order."""
    groups: dict[float, list[AdaptedRun]] = {}
    for run in runs:
        groups.setdefault(run.fraction, []).append(run)
    return groups


def draw_boxes(path: Path, adaptation: Adaptation) -> None:
    """Draw a PNG with a box of the seeds' mIoU for each fraction, and a dot for each run."""
    groups = group_by_fraction(adaptation.runs)
    values = [[run.scores["miou"] for run in runs] for runs in groups.values()]
    labels = [f"{100 * fraction:g} %\n({runs[0].images})" for fraction, runs in groups.items()]
    figure = Figure(figsize=(1.6 + 1.3 * len(groups), 4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    boxes = axes.boxplot(
        values, tick_labels=labels, patch_artist=True, showfliers=False, medianprops={"color": "black"}
    )
    for box in boxes["boxes"]:
        box.set_facecolor(BLUE)
    for place, group in enumerate(values, 1):
        axes.plot([place] * len(group), group, "o", color="black", markersize=3)
    before = adaptation.before["miou"]
    axes.axhline(before, color=GREY, linestyle="--", label=f"before: {before:.1f} %")
    axes.set_ylabel("mIoU of the test images, %")
    axes.set_xlabel("share (and number) of the training images")
    axes.set_title(f"{adaptation.source.name} adapted to {adaptation.data}", fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(path)


def _describe(adaptation: Adaptation) -> dict[str, object]:
    facts = asdict(adaptation)
    runs = [{**run, "path": run["path"].name} for run in facts["runs"]]
    return {
        "glandseg": glandseg.__version__,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **facts,
        "source": adaptation.source.name,
        "runs": runs,
    }
