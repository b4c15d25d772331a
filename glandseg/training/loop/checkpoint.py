"""Networks and optimiser states as safetensors, from which reading cannot run code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.optim import Optimizer

from glandseg.core.atomic import write_whole
from glandseg.core.errors import BadInputError, shorten


def save_network(path: Path, network: nn.Module) -> None:
    """Write a network's tensors atomically."""
    _save(path, {name: tensor.contiguous() for name, tensor in network.state_dict().items()})


def load_network(path: Path, network: nn.Module) -> None:
    """Read a network's tensors, all of which must exist.

    Raises:
        BadInputError: If the file is damaged or of another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        raise BadInputError(
            f"{path}: not the weights of this run ({shorten(error)}). Repeat its `glandseg train`."
        ) from None


def save_progress(
    path: Path,
    network: nn.Module,
    optimizer: Optimizer,
    place: Mapping[str, float],
    average: nn.Module | None = None,
) -> None:
    """Write what resuming needs, as one file: network, optimiser state, place in the fit and average."""
    tensors = {f"place.{name}": torch.tensor(value, dtype=torch.float64) for name, value in place.items()}
    tensors |= {f"network.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value.contiguous() for key, value in state.items()}
    if average is not None:
        tensors |= {f"average.{name}": value.contiguous() for name, value in average.state_dict().items()}
    _save(path, tensors)


def count_left(path: Path, steps: int) -> int:
    """Return how many of a fit's steps are left by its checkpoint, which may be missing.

    Raises:
        BadInputError: If the file is damaged.
    """
    if not path.is_file():
        return steps
    try:
        with safe_open(path, framework="pt") as file:
            return max(steps - int(file.get_tensor("place.step")), 0)
    except (SafetensorError, RuntimeError, OSError, ValueError) as error:
        raise _build_damage_error(path, error) from None


def load_progress(
    path: Path, network: nn.Module, optimizer: Optimizer, average: nn.Module | None = None
) -> dict[str, float]:
    """Read what `save_progress` wrote and return the place in the fit.

    Raises:
        BadInputError: If the file is damaged, of another network, or lacks the place.
    """
    try:
        return _load_progress(path, network, optimizer, average)
    except (SafetensorError, RuntimeError, OSError, ValueError, IndexError) as error:
        raise _build_damage_error(path, error) from None


def _build_damage_error(path: Path, error: Exception) -> BadInputError:
    return BadInputError(
        f"{path}: damaged, or of another run ({shorten(error)}). Delete it to restart this stage."
    )


def _load_progress(
    path: Path, network: nn.Module, optimizer: Optimizer, average: nn.Module | None
) -> dict[str, float]:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    states: dict[int, dict[str, Tensor]] = {}
    weights: dict[str, Tensor] = {}
    averages: dict[str, Tensor] = {}
    place: dict[str, float] = {}
    for name, tensor in load_file(path).items():
        kind, _, rest = name.partition(".")
        if kind == "network":
            weights[rest] = tensor
        elif kind == "average":
            averages[rest] = tensor
        elif kind == "place":
            place[rest] = tensor.item()
        else:
            index, _, key = rest.partition(".")
            states.setdefault(int(index), {})[key] = _lay_out_like(tensor, parameters[int(index)])
    if not place:
        raise BadInputError(f"{path}: of another version of glandseg. Delete it to restart this stage.")
    network.load_state_dict(weights)
    if average is not None:
        average.load_state_dict(averages)
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return place


def _lay_out_like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """Copy a state into its parameter's memory layout, which files do not keep and rounding depends on."""
    return torch.empty_like(parameter).copy_(tensor) if tensor.shape == parameter.shape else tensor


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    with write_whole(path) as part:
        part.write_bytes(save({name: tensor.detach().cpu() for name, tensor in tensors.items()}))
