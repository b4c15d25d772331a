"""The training loop of both stages: it can be killed at any step and goes on where it was."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glandseg.training.checkpoint import load_network, load_progress, save_network, save_progress
from glandseg.training.settings import FitSettings
from glandseg.training.torch_backend import autocast

DrawBatch = Callable[[int], Any]  # step -> batch; a pure function of the step, so that a resumed run repeats
ComputeLoss = Callable[[nn.Module, Any], Tensor]
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a fit stands, for whoever shows it."""

    step: int
    steps: int
    loss: float
    seconds_left: float
    scores: dict[str, float] | None = None


def fit(
    network: nn.Module,
    draw_batch: DrawBatch,
    compute_loss: ComputeLoss,
    validate: Validate,
    *,
    settings: FitSettings,
    folder: Path,
    name: str,
    report: Callable[[Progress], None] = lambda progress: None,
) -> None:
    """Fit a network and leave it with the weights that validated best.

    Writes `NAME.safetensors` (the best weights), `NAME.csv` (loss, learning rate and scores by step) and
    `NAME.progress.safetensors`, from which the same call goes on, or sees that nothing is left to do.

    Args:
        network: what to fit.
        draw_batch: gives the batch of a step.
        compute_loss: gives a batch's scalar loss.
        validate: gives scores, higher is better by the first of them.
        settings: how to fit.
        folder: where files go.
        name: of the files.
        report: is told after every step.
    """
    optimizer = _build_optimizer(network, settings)
    best_path, log_path = folder / f"{name}.safetensors", folder / f"{name}.csv"
    progress_path = folder / f"{name}.progress.safetensors"
    place = load_progress(progress_path, network, optimizer) if progress_path.is_file() else {}
    step, best, running = int(place.get("step", 0)), place.get("best", -math.inf), place.get("loss")
    _forget_after(log_path, step)
    network.train()
    started, first = time.monotonic(), step
    while step < settings.steps:
        rate = _set_rate(optimizer, settings, step)
        torch.manual_seed(settings.seed * 1_000_003 + step)
        with autocast(enabled=settings.precision == "bfloat16"):
            loss = compute_loss(network, draw_batch(step))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        step += 1
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        scores = None
        if step % settings.validate_every == 0 or step == settings.steps:
            scores = validate(network)
            _log(log_path, {"step": step, "loss": round(running, 5), "lr": rate, **scores})
            if next(iter(scores.values())) > best:
                best = next(iter(scores.values()))
                save_network(best_path, network)
            place = {"step": step, "best": best, "loss": running}
            save_progress(progress_path, network, optimizer, place)
        left = (time.monotonic() - started) / (step - first) * (settings.steps - step)
        report(Progress(step=step, steps=settings.steps, loss=running, seconds_left=left, scores=scores))
    load_network(best_path, network)


def _build_optimizer(network: nn.Module, settings: FitSettings) -> torch.optim.Optimizer:
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            weights, settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    return torch.optim.AdamW(weights, settings.lr, weight_decay=settings.weight_decay)


def _set_rate(optimizer: torch.optim.Optimizer, settings: FitSettings, step: int) -> float:
    rise = min(1.0, (step + 1) / max(settings.warmup, 1))
    rate: float = settings.lr * rise * (1 - step / settings.steps) ** settings.power
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def _log(path: Path, row: dict[str, float]) -> None:
    new = not path.is_file()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def _forget_after(path: Path, step: int) -> None:
    """Drop what was logged after a step, for it is done again."""
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows: list[dict[str, Any]] = [row for row in csv.DictReader(file) if int(row["step"]) <= step]
    path.unlink()
    for row in rows:
        _log(path, row)
