"""The processes of a training, one per GPU: those started by torchrun, or only this one.

    torchrun --nproc-per-node 4 -m glandseg train DATA --out runs/NAME

Each process computes its share of every batch; the first alone validates, writes and reports.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.strategies.ddp import DDPStrategy

from glandseg.core.errors import EnvironmentLacksError

Answer = TypeVar("Answer")
TIMEOUT = timedelta(hours=6)  # of the others, while the first validates or makes pseudo masks


class WholeInputs(MixedPrecision):
    """Autocast that leaves the images in float32: eight bits of bfloat16 would blur them."""

    def convert_input(self, data: Any) -> Any:
        """Return the data unchanged."""
        return data


def start_fabric(precision: str = "float32") -> Fabric:
    """Join the processes that torchrun started, or take the one GPU or the CPU.

    Args:
        precision: "float32", "bfloat16" or "float16" (autocast; float16 scales its losses).

    Raises:
        EnvironmentLacksError: If float16 is requested without a GPU.
    """
    device, count = "cuda" if torch.cuda.is_available() else "cpu", int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_WORLD_SIZE", count))
    if precision == "float16" and device == "cpu":
        raise EnvironmentLacksError("precision float16: needs an NVIDIA GPU. Give bfloat16 or float32.")
    mixed = {"bfloat16": "bf16-mixed", "float16": "16-mixed"}
    fabric = Fabric(
        accelerator=device,
        devices=local,
        num_nodes=max(count // local, 1),
        strategy=DDPStrategy(timeout=TIMEOUT) if count > 1 else "auto",
        plugins=[WholeInputs(mixed[precision], device)] if precision in mixed else [],  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def is_first() -> bool:
    """Return whether this is the first process, or the only one."""
    return not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0


def ask_first(make: Callable[[], Answer]) -> Answer:
    """Call a function in the first process alone, and return its result in all of them."""
    if not torch.distributed.is_initialized():
        return make()
    box: list[Any] = [make() if is_first() else None]
    torch.distributed.broadcast_object_list(box)
    answer: Answer = box[0]
    return answer
