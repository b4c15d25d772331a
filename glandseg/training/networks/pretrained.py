"""An encoder's pretrained weights loaded, and its first layers frozen, as the settings say."""

from __future__ import annotations

from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.hub import find_weights
from glandseg.training.networks.table import ENCODERS, refuse_unfrozen
from glandseg.training.networks.weights import load_weights


def prepare_encoder(encoder: Encoder, name: str, weights: str | None, freeze: bool | None) -> str:
    """Load an encoder's pretrained weights and freeze its first layers.

    Args:
        encoder: Encoder to prepare, in place.
        name: Name of the encoder.
        weights: A file, "hub" or a repository on the hub; None keeps the random initialisation.
        freeze: Whether the first layers and batch norms stay fixed; None fixes them where weights were loaded
            and the encoder can be frozen.

    Returns:
        A line for the log that names what was loaded and frozen.

    Raises:
        BadInputError: If the weights do not fit, or the encoder cannot be frozen.
        EnvironmentLacksError: If the hub's weights cannot be fetched.
    """
    log = f"{name}: randomly initialised"
    if weights:
        path = find_weights(weights, name)
        log = f"{path}: {load_weights(encoder, path)}"
    if freeze:
        refuse_unfrozen(name)
    if freeze or (freeze is None and weights and ENCODERS[name].can_freeze):
        encoder.freeze()
        log += ", first convolution and batch norm frozen"
    return log
