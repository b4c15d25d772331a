"""The segmenter that a training starts from: of an earlier run, or of a model file."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from glandseg.core.system import hash_file
from glandseg.model.files import find_bundled, find_model
from glandseg.training.classifier_settings import BUNDLED
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.exported_weights import load_exported
from glandseg.training.networks.weights import load_weights
from glandseg.training.run import open_run


def find_start(start_from: str) -> Path:
    """Return the file of weights that a run folder, a model file or "bundled" means.

    Raises:
        BadInputError: If it is neither.
    """
    if start_from == BUNDLED:
        return find_bundled().path
    path = Path(start_from)
    return find_model(path).path if path.suffix == ".onnx" else open_run(path).segmenter_path


def describe_start(start_from: str) -> dict[str, str]:
    """Return name and SHA-256 of the file of weights that `find_start` finds, for the record of a run."""
    path = find_start(start_from)
    name = path.name if path.suffix == ".onnx" else path.parent.resolve().name
    return {"name": name, "sha256": hash_file(path)}


def load_start(network: Segmenter, start_from: str, images: Tensor) -> str:
    """Load the initial weights into a network, in place, and return a line for the log.

    Args:
        network: Network to load.
        start_from: As in `find_start`.
        images: (N, 3, S, S) float32 RGB in 0..1, over which a model file's batch norms are measured.

    Raises:
        BadInputError: If the weights are of another network.
    """
    path = find_start(start_from)
    if path.suffix == ".onnx":
        return load_exported(network, path, images)
    return str(load_weights(network, path, network.scores))
