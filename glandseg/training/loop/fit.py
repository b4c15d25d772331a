"""The training loop of both stages: killed at any step, it resumes from its last checkpoint.

A training takes hours to days on machines that are shared and preempted, and a resumed one must end in
the same weights as one that was never killed, else no two results compare. So nothing is carried from step
to step but what the checkpoint holds: batches are functions of the step, and the random generator, from
which dropout draws, is seeded at each step. On the CPU a resumed fit equals an unbroken one bit for bit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from glandseg.core.errors import BadInputError
from glandseg.core.system import count_cpus
from glandseg.training.loop.average import average_weights
from glandseg.training.loop.checkpoint import load_network, save_network
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.logs import EventLog, forget_after, log_row
from glandseg.training.loop.optimizer import build_optimizer, find_scales, set_rate
from glandseg.training.loop.precision import fix_precision
from glandseg.training.loop.processes import start_fabric
from glandseg.training.loop.sampling import Batch, DrawBatch, draw_ahead
from glandseg.training.loop.state import load_state, save_state
from glandseg.training.loop.stopping import TrainingStopped, listen_for_stop

MAX_AHEAD = 8  # batches prepared in parallel
ComputeLoss = Callable[[nn.Module, Batch], Tensor]
Validate = Callable[[nn.Module], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of a fit after a step.

    Attributes:
        step: Steps done.
        steps: Steps of the whole fit.
        loss: Running mean of the loss.
        seconds_left: Estimate.
        scores: Validation scores by name, after steps that were validated.
        validation_s: Seconds that the validation took.
    """

    step: int
    steps: int
    loss: float
    seconds_left: float
    scores: dict[str, float] | None = None
    validation_s: float = 0.0


class Learner(nn.Module):
    """A network and its loss as one module: distributed training synchronises what one `forward` computes."""

    def __init__(self, network: nn.Module, compute_loss: ComputeLoss) -> None:
        super().__init__()
        self.network = network
        self._compute_loss = compute_loss

    def forward(self, images: Tensor, labels: Tensor, step: int) -> Tensor:
        """Compute a batch's scalar loss."""
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

    Writes `NAME.safetensors` (the best weights, or with `ema` their averages), `NAME.csv` (loss, learning
    rate, scores and the scales of attentions by step) and `NAME.progress.safetensors`, from which the same
    call resumes, or finds that nothing is left to do. Of several processes the first alone validates, writes
    and reports.

    Args:
        network: Network to fit.
        draw_batch: Called with (step, places); returns the images at these places of the step's batch.
        compute_loss: Called with (network, batch); returns the scalar loss.
        validate: Called with (network); returns scores by name, the first of which is maximised.
        settings: Settings of the fit, in steps.
        folder: Run folder.
        name: Stem of the files.
        report: Called with (progress) after each step.
        tensorboard: Whether to write TensorBoard events, too, to `folder/tensorboard/NAME`.

    Raises:
        TrainingStopped: If a stop was requested, by signal or by a file STOP in `folder`; all is saved.
        BadInputError: If the batch cannot be divided evenly.
        EnvironmentLacksError: If the precision or TensorBoard is not available.
    """
    steps = settings.count_steps()
    fabric = start_fabric(fix_precision(settings).precision)
    parts = _divide(settings, fabric)
    optimizer = build_optimizer(network, settings)
    learner, stepper = fabric.setup(Learner(network, compute_loss), optimizer)
    best_path, log_path = folder / f"{name}.safetensors", folder / f"{name}.csv"
    progress_path = folder / f"{name}.progress.safetensors"
    average = average_weights(network, settings.ema)
    kept = network if average is None else average.module
    state = load_state(progress_path, network, optimizer, fabric, average)
    first_process = fabric.is_global_zero
    if first_process:
        forget_after(log_path, state.step)
    events = EventLog(folder / "tensorboard" / name, wanted=tensorboard and first_process, step=state.step)
    network.train()
    started, first = time.monotonic(), state.step
    wanted = ((step, part) for step in range(first, steps) for part in parts)
    drawn = draw_ahead(draw_batch, wanted, max(1, min(count_cpus() // 2, MAX_AHEAD)))
    with closing(drawn) as batches, listen_for_stop(folder) as stop:
        while state.step < steps and not 0 < settings.patience <= state.stale:
            rate = set_rate(optimizer, settings, state.step, steps)
            torch.manual_seed(settings.seed * 1_000_003 + state.step + 1_000_000_007 * fabric.global_rank)
            optimizer.zero_grad()
            loss = state.add_loss(_compute_gradients(fabric, learner, batches, len(parts)))
            stepper.step()
            if average is not None:
                average.update_parameters(network)
            scores, validation_s = None, 0.0
            validated = state.step % settings.validate_every == 0 or state.step == steps
            if validated and first_process:
                before = time.monotonic()
                scores = validate(kept)
                validation_s = time.monotonic() - before
                row = {"step": state.step, "loss": round(loss, 5), "lr": rate, **scores}
                row |= _read_scales(network)
                log_row(log_path, row)
                events.add(row)
                if state.add_score(next(iter(scores.values()))):
                    save_network(best_path, kept)
            if validated:
                state.stale = fabric.broadcast(state.stale)
            stopped = fabric.broadcast(bool(stop))
            if first_process and (validated or stopped):
                save_state(progress_path, network, optimizer, fabric, state, average)
            if first_process:
                left = (time.monotonic() - started) / (state.step - first) * (steps - state.step)
                report(
                    Progress(
                        step=state.step,
                        steps=steps,
                        loss=loss,
                        seconds_left=left,
                        scores=scores,
                        validation_s=validation_s,
                    )
                )
            if stopped:
                stop.obey()
                raise TrainingStopped(f"{name}: stopped as requested after step {state.step} of {steps}")
    fabric.barrier()
    load_network(best_path, network)


def _compute_gradients(fabric: Fabric, learner: Any, batches: Iterator[Batch], parts: int) -> float:
    """Accumulate the gradients of a step's batch, part by part, and return its loss."""
    total = 0.0
    for index in range(parts):
        batch = next(batches).to(fabric.device)
        with fabric.no_backward_sync(learner, enabled=index < parts - 1):
            loss = learner(batch.images, batch.labels, batch.step) / parts
            fabric.backward(loss)
        total += loss.item()
    return total


def _divide(settings: FitSettings, fabric: Fabric) -> list[slice]:
    """Return the places of each step's batch that fall to this process, a slice per accumulated part."""
    count, ways = settings.accumulate, settings.accumulate * fabric.world_size
    if settings.batch % ways:
        raise BadInputError(
            f"fit.batch: a multiple of accumulate x processes, {count} x {fabric.world_size}. "
            f"Received: {settings.batch}"
        )
    return [slice(fabric.global_rank * count + part, None, ways) for part in range(count)]


def _read_scales(network: nn.Module) -> dict[str, float]:
    return {name: round(scale.item(), 5) for name, scale in find_scales(network).items()}
