"""The segmenter that a training starts from: of a run, of a model file, or the bundled one."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from glandseg.core.errors import BadInputError
from glandseg.model.files import check_model, find_bundled
from glandseg.training.distill.teacher import Teacher, identify_model
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.folded import restore_statistics
from glandseg.training.networks.weights import load_weights
from glandseg.training.paths import is_file
from glandseg.training.run import open_run
from glandseg.training.settings import BUNDLED

UM_TOLERANCE = 1.3  # factor between two um/px at which glands still look alike to a network
AUXILIARY = "auxiliary_head."  # which no exported file has


def find_initial_weights(start_from: str) -> Path:
    """Return the weights file that the setting `start_from` names.

    Args:
        start_from: Run folder, model file (ONNX), or "bundled".

    Raises:
        BadInputError: If it is missing, damaged or unfinished.
    """
    path = _find_path(start_from)
    return check_model(path, "start_from").path if is_file(path) else open_run(path).segmenter_path


def identify_origin(start_from: str) -> Teacher:
    """Return what the setting `start_from` names; errors as of `find_initial_weights`."""
    find_initial_weights(start_from)
    return identify_model(_find_path(start_from))


def note_other_um(origin: Teacher, model_um: float) -> str:
    """Return a note if a segmenter is to work at another um/px than the one it starts from; else empty."""
    own = origin.um_per_px / origin.scales[0]
    if max(own, model_um) <= UM_TOLERANCE * min(own, model_um):
        return ""
    return (
        f"{origin.name} sees glands at {own:.3g} um/px, this segmenter at {model_um:.3g}. To keep what it "
        f"learned, give --set segmenter.um_per_px={own:.3g}"
    )


def load_initial_weights(network: Segmenter, path: Path, images: Tensor) -> str:
    """Load the weights of a run or a model file into a segmenter.

    Args:
        network: Segmenter, changed in place.
        path: As from `find_initial_weights`.
        images: (N, 3, H, W) float32 RGB in 0..1 to train on, for the statistics of folded batch norms.

    Returns:
        A line for the log.

    Raises:
        BadInputError: If the file is of another network.
    """
    report = load_weights(network, path)
    if path.suffix.lower() == ".onnx":
        lacking = [name for name in report.missing if not name.startswith(AUXILIARY)]
        if lacking:
            raise BadInputError(
                f"{path}: lacks {len(lacking)} of the network's tensors, such as {lacking[0]}. "
                "Give its run folder, or the settings of its network."
            )
        restore_statistics(network, images)
    return f"{path}: {report}"


def _find_path(start_from: str) -> Path:
    return find_bundled().path if start_from == BUNDLED else Path(start_from)
