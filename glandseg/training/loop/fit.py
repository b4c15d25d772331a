"""The training loop of both stages: it can be killed at any step and goes on where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from glandseg.core.errors import BadInputError
from glandseg.core.system import count_cpus
from glandseg.training.loop.checkpoint import load_network, load_progress, save_network, save_progress
from glandseg.training.loop.logs import EventLog, forget_after, log_row
from glandseg.training.loop.optimizer import build_optimizer, find_scales, set_rate
from glandseg.training.loop.processes import start_fabric
from glandseg.training.loop.sampling import Batch, DrawBatch, draw_ahead
from glandseg.training.loop.stopping import TrainingStopped, listen_for_stop
from glandseg.training.settings import FitSettings

ComputeLoss = Callable[[nn.Module, Batch], Tensor]
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a fit stands, for whoever shows it."""

    step: int
    steps: int
    loss: float
    seconds_left: float
    scores: dict[str, float] | None = None


MOST_AHEAD = 8  # batches drawn at once


class Learner(nn.Module):
    """A network with its loss as one call, which is what several processes must share."""

    def __init__(self, network: nn.Module, compute_loss: ComputeLoss) -> None:
        super().__init__()
        self.network = network
        self._compute_loss = compute_loss

    def forward(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Give a batch's scalar loss."""
        return self._compute_loss(self.network, Batch(images=images, labels=labels, step=step))


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
    tensorboard: bool = False,
) -> None:
    """Fit a network and leave it with the weights that validated best.

    Writes `NAME.safetensors` (the best weights), `NAME.csv` (loss, learning rate, scores and the scales of
    attentions by step) and `NAME.progress.safetensors`, from which the same call goes on, or sees that
    nothing is left to do. Of several processes the first alone validates, writes and reports.

    Args:
        network: what to fit.
        draw_batch: gives the batch of a step, or the images at some places of it.
        compute_loss: gives a batch's scalar loss.
        validate: gives scores, higher is better by the first of them.
        settings: how to fit; its steps must be counted.
        folder: where files go.
        name: of the files.
        report: is told after every step.
        tensorboard: whether TensorBoard's events are written too, to `folder/tensorboard/NAME`.

    Raises:
        TrainingStopped: if a stop was asked for, by signal or by a file STOP in `folder`; all is saved.
        BadInputError: if the batch cannot be divided evenly.
        EnvironmentLacksError: if the precision or TensorBoard is not to be had here.
    """
    steps = settings.count_steps()
    fabric = start_fabric(settings.precision)
    places = _divide(settings, fabric)
    optimizer = build_optimizer(network, settings)
    learner, stepper = fabric.setup(Learner(network, compute_loss), optimizer)
    best_path, log_path = folder / f"{name}.safetensors", folder / f"{name}.csv"
    progress_path = folder / f"{name}.progress.safetensors"
    place = load_progress(progress_path, network, optimizer) if progress_path.is_file() else {}
    step, best, running = int(place.get("step", 0)), place.get("best", -math.inf), place.get("loss")
    stale = int(place.get("stale", 0))  # validations since the best
    _load_scaler(fabric, place)
    first_process = fabric.is_global_zero
    if first_process:
        forget_after(log_path, step)
    events = EventLog(folder / "tensorboard" / name, wanted=tensorboard and first_process, step=step)
    network.train()
    started, first = time.monotonic(), step
    wanted = ((later, part) for later in range(step, steps) for part in places)
    drawn = draw_ahead(draw_batch, wanted, max(1, min(count_cpus() // 2, MOST_AHEAD)))
    with closing(drawn) as batches, listen_for_stop(folder) as stop:
        while step < steps and not 0 < settings.patience <= stale:
            rate = set_rate(optimizer, settings, step, steps)
            torch.manual_seed(settings.seed * 1_000_003 + step + 1_000_000_007 * fabric.global_rank)
            optimizer.zero_grad()
            total = 0.0
            for index in range(len(places)):
                batch = next(batches).to(fabric.device)
                with fabric.no_backward_sync(learner, enabled=index < len(places) - 1):
                    loss = learner(batch.images, batch.labels, batch.step) / len(places)
                    fabric.backward(loss)
                total += loss.item()
            stepper.step()
            step += 1
            running = total if running is None else 0.98 * running + 0.02 * total
            scores = None
            judged = step % settings.validate_every == 0 or step == steps
            if judged and first_process:
                scores = validate(network)
                row = {"step": step, "loss": round(running, 5), "lr": rate, **scores, **_read_scales(network)}
                log_row(log_path, row)
                events.add(row)
                stale = 0 if next(iter(scores.values())) > best else stale + 1
                if stale == 0:
                    best = next(iter(scores.values()))
                    save_network(best_path, network)
            if judged:
                stale = fabric.broadcast(stale)
            asked = fabric.broadcast(bool(stop))
            if first_process and (judged or asked):
                place = {"step": step, "best": best, "loss": running, "stale": stale}
                save_progress(progress_path, network, optimizer, place | _read_scaler(fabric))
            if first_process:
                left = (time.monotonic() - started) / (step - first) * (steps - step)
                report(Progress(step=step, steps=steps, loss=running, seconds_left=left, scores=scores))
            if asked:
                stop.obey()
                raise TrainingStopped(f"{name}: stopped as asked after step {step} of {steps}")
    fabric.barrier()
    load_network(best_path, network)


def _divide(settings: FitSettings, fabric: Fabric) -> list[slice]:
    """Give the places of each step's batch that fall to this process, a slice each accumulated part."""
    count, ways = settings.accumulate, settings.accumulate * fabric.world_size
    if settings.batch % ways:
        raise BadInputError(
            f"fit.batch: a multiple of accumulate x processes, {count} x {fabric.world_size}. "
            f"Received: {settings.batch}"
        )
    return [slice(fabric.global_rank * count + part, None, ways) for part in range(count)]


def _read_scales(network: nn.Module) -> dict[str, float]:
    return {name: round(scale.item(), 5) for name, scale in find_scales(network).items()}


def _read_scaler(fabric: Fabric) -> dict[str, float]:
    """Give what float16's loss scaling knows by now, as numbers; nothing in other precisions."""
    return {f"scaler.{name}": value for name, value in fabric.strategy.precision.state_dict().items()}


def _load_scaler(fabric: Fabric, place: dict[str, float]) -> None:
    state: dict[str, Any] = fabric.strategy.precision.state_dict()
    known = {name: type(value)(place.get(f"scaler.{name}", value)) for name, value in state.items()}
    fabric.strategy.precision.load_state_dict(known)
