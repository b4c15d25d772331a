"""Networks and optimiser states as safetensors: nothing in them runs when they are read."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer


def save_network(path: Path, network: nn.Module) -> None:
    """Write a network's tensors whole or not at all."""
    _save(path, {name: tensor.contiguous() for name, tensor in network.state_dict().items()})


def load_network(path: Path, network: nn.Module) -> None:
    """Read a network's tensors; each must be there."""
    network.load_state_dict(load_file(path))


def save_progress(path: Path, network: nn.Module, optimizer: Optimizer) -> None:
    """Write what going on needs: the network and the optimiser's state."""
    tensors = {f"network.{name}": tensor.contiguous() for name, tensor in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value.contiguous() for key, value in state.items()}
    _save(path, tensors)


def load_progress(path: Path, network: nn.Module, optimizer: Optimizer) -> None:
    """Read what `save_progress` wrote."""
    states: dict[int, dict[str, Tensor]] = {}
    weights: dict[str, Tensor] = {}
    for name, tensor in load_file(path).items():
        kind, _, rest = name.partition(".")
        if kind == "network":
            weights[rest] = tensor
        else:
            index, _, key = rest.partition(".")
            states.setdefault(int(index), {})[key] = tensor
    network.load_state_dict(weights)
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})


def _save(path: Path, tensors: dict[str, Tensor]) -> None:
    part = path.with_name(path.name + ".part")
    save_file({name: tensor.detach().cpu() for name, tensor in tensors.items()}, part)
    part.replace(path)
