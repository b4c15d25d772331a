"""Loading of pretrained weights, with a report on what was and was not found."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from glandseg.core.errors import BadInputError
from glandseg.core.regular_file import check_regular_file


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """Result of loading a weights file into a network.

    Attributes:
        loaded: Names in both.
        missing: Names only in the network.
        unused: Names only in the file, such as those of an ImageNet head.
        partial: Names in both of which the rows that fit were loaded, if any.
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    partial: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Format the counts, and some of the missing names."""
        text = f"{len(self.loaded)} tensors loaded, {len(self.unused)} unused"
        text += f", not found: {', '.join(self.missing[:5])}" if self.missing else ""
        return text + (f", rest randomly initialised: {', '.join(self.partial)}" if self.partial else "")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors file, or a .pth state dict without running any pickled code.

    Raises:
        BadInputError: If the file cannot be read as either.
    """
    check_regular_file(path)
    try:
        if path.suffix.lower() == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
        return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    except FileNotFoundError:
        raise BadInputError(f"{path}: no such weights file. Check the path.") from None
    except (SafetensorError, RuntimeError, AttributeError, EOFError, OSError) as error:
        raise BadInputError(
            f"{path}: not a weights file ({_first_line(error)}). Give .safetensors or .pth."
        ) from None
    except Exception:  # torch.load raises the unpickler's errors, which do not help the user
        raise BadInputError(
            f"{path}: not a weights file of tensors alone, so nothing in it was run. Save it as .safetensors."
        ) from None


def load_weights(network: nn.Module, path: Path, scores: Collection[str] = ()) -> LoadReport:
    """Copy the tensors of a file into a network, from any floating type.

    Args:
        network: Network to load, in place.
        path: File of weights.
        scores: Names of the layers whose outputs are scores: where their shape differs, the rows that fit are
            copied, so that a network with another output keeps those that it shares with the file.

    Raises:
        BadInputError: If the file is unreadable, shares no name with the network, or another shape differs.
    """
    stored = read_weights(path)
    own = network.state_dict()
    shared = {name: tensor for name, tensor in stored.items() if name in own}
    if not shared:
        raise BadInputError(
            f"{path}: has none of the network's tensors, such as {next(iter(own))}. "
            f"Its own begin with {next(iter(stored), 'nothing')}: give a file of the same network."
        )
    partial = tuple(
        name
        for name, tensor in sorted(shared.items())
        if tensor.shape != own[name].shape and name.rpartition(".")[0] in scores
    )
    for name in partial:
        shared[name] = _copy_rows(shared[name], own[name])
    for name, tensor in shared.items():
        if tensor.shape != own[name].shape:
            raise BadInputError(
                f"{path}: {name} has shape {tuple(tensor.shape)}, the network's is {tuple(own[name].shape)}. "
                "Give a file of the same network."
            )
    network.load_state_dict(
        {name: tensor.to(own[name].dtype) for name, tensor in shared.items()}, strict=False
    )
    counted = {name for name in own if not name.endswith("num_batches_tracked")}
    return LoadReport(
        loaded=tuple(sorted(shared)),
        missing=tuple(sorted(counted - set(shared))),
        unused=tuple(sorted(set(stored) - set(own))),
        partial=partial,
    )


def _copy_rows(stored: Tensor, own: Tensor) -> Tensor:
    """Return a copy of a network's tensor with the stored rows, as many as both have; none if rows differ."""
    if stored.shape[1:] != own.shape[1:]:
        return own
    rows = min(len(stored), len(own))
    copied = own.clone()
    copied[:rows] = stored[:rows]
    return copied


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:120]
