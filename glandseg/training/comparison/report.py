"""Report of a comparison: the papers' tables as Markdown and JSON, their figure, and a sheet of examples."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import glandseg
from glandseg.core.atomic import stage_outputs
from glandseg.training.comparison.compare import ComparedRun, Comparison
from glandseg.training.comparison.example_sheet import write_examples
from glandseg.training.comparison.figure import draw_bars
from glandseg.training.comparison.method_table import name_method
from glandseg.training.evaluation.score_table import format_rows
from glandseg.training.evaluation.significance import Spread, compare_groups, mark_significance, summarise
from glandseg.training.run import SETTINGS
from glandseg.training.settings_file import read_settings, to_plain

NAMES = ("comparison.md", "comparison.json", "comparison.png", "examples.png")
UPPER_BOUND = "outlines"  # learns from more than the others, so it is never the best of them
NOT_KNOWN = "-"
LEGEND = (
    "mean±std over seeds; p-value of the independent samples t-test of mIoU against the best method, "
    "*** p < 0.001, ** p < 0.005, * p < 0.05, - with a single seed of either."
)


def write_comparison(comparison: Comparison) -> tuple[Path, ...]:
    """Write `comparison.md`, `.json` and `.png`, and `examples.png`, and return their paths."""
    folder = comparison.folder
    with stage_outputs(folder, NAMES) as stage:
        text, facts, figure, examples = (stage / name for name in NAMES)
        text.write_text(format_comparison(comparison), encoding="utf-8")
        facts.write_text(json.dumps(describe_comparison(comparison), indent=1) + "\n", encoding="utf-8")
        draw_bars(figure, list_spreads(comparison))
        write_examples(examples, comparison)
    return tuple(folder / name for name in NAMES)


def format_comparison(comparison: Comparison) -> str:
    """Format both tables as Markdown: Feng's Table 1, then OEEM's Table 2."""
    p_values = list_p_values(comparison)
    first = [["method", "seeds", "mIoU %", "F1 %", "p-value"], ["---", *["--:"] * 4]]
    second = [["method", "CAM", "pseudo mask", "prediction"], ["---", *["--:"] * 3]]
    for method, spreads in list_spreads(comparison).items():
        name, miou = name_method(method), spreads["miou"]
        first.append([name, str(miou.runs), str(miou), str(spreads["f1"]), _format_p(p_values.get(method))])
        stage_1 = [str(spreads[key]) if key in spreads else NOT_KNOWN for key in ("cam", "pseudo_mask")]
        second.append([name, *stage_1, str(miou)])
    images = comparison.runs[0].record["images"]
    return "\n".join(
        (
            f"Segmentation of {images['test']} test images of {comparison.data_set.kind}; {LEGEND}",
            "",
            format_rows(first),
            f"mIoU % of the activation maps and pseudo masks on {images['train']} training images, "
            "and of the prediction on the test images.",
            "",
            format_rows(second),
            *(f"{note}." for note in comparison.data_set.notes),
        )
    )


def list_spreads(comparison: Comparison) -> dict[str, dict[str, Spread]]:
    """Return mean and deviation of every score over a method's seeds, by method."""
    return {method: _summarise(runs) for method, runs in comparison.group().items()}


def find_best(comparison: Comparison) -> str | None:
    """Return the method with the highest mean mIoU on the test images; None without any from patch labels."""
    means = {
        method: spreads["miou"].mean
        for method, spreads in list_spreads(comparison).items()
        if method != UPPER_BOUND
    }
    return max(means, key=lambda method: means[method], default=None)


def list_p_values(comparison: Comparison) -> dict[str, float]:
    """Return the p-value of each method's mIoU against the best one's, where both have two seeds or more."""
    best, groups = find_best(comparison), comparison.group()
    mious = {method: [run.test["miou"] for run in runs] for method, runs in groups.items()}
    return {
        method: compare_groups(mious[best], values)
        for method, values in mious.items()
        if best not in (None, method) and method != UPPER_BOUND and min(len(values), len(mious[best])) > 1
    }


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """Return everything as JSON: settings, machine, runs with their scores, spreads, p-values."""
    first, p_values = comparison.runs[0].record, list_p_values(comparison)
    return {
        "glandseg": glandseg.__version__,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "torch": first.get("torch"),
        "device": first.get("device"),
        "data": comparison.data_set.kind,
        "images": first["images"],
        "settings": to_plain(read_settings(comparison.folder / SETTINGS)),
        "best": find_best(comparison),
        "methods": {
            method: {
                "title": name_method(method),
                "p_value": p_values.get(method),
                "spreads": {
                    key: {"mean": round(each.mean, 3), "std": round(each.deviation, 3)}
                    for key, each in _summarise(runs).items()
                },
                "runs": [
                    {
                        "seed": run.seed,
                        "seconds": run.record.get("seconds"),
                        **run.stage_1,
                        "test": run.test,
                    }
                    for run in runs
                ],
            }
            for method, runs in comparison.group().items()
        },
    }


def _summarise(runs: Sequence[ComparedRun]) -> dict[str, Spread]:
    scores = [{**run.stage_1, **run.test} for run in runs]
    shared = [key for key in scores[0] if key != "images" and all(key in each for each in scores)]
    return {key: summarise([each[key] for each in scores]) for key in shared}


def _format_p(p_value: float | None) -> str:
    return NOT_KNOWN if p_value is None else f"{p_value:.2g} {mark_significance(p_value)}".strip()
