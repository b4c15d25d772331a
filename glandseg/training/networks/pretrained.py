"""An encoder made ready: with pretrained weights where asked, and frozen where they are to stay."""

from __future__ import annotations

from glandseg.core.errors import BadInputError
from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.hub import find_weights
from glandseg.training.networks.resnet38 import ResNet38
from glandseg.training.networks.weights import load_weights


def prepare_encoder(encoder: Encoder, name: str, weights: str | None, freeze: bool | None) -> str:
    """Load an encoder's pretrained weights and freeze what is to stay.

    Args:
        encoder: to prepare.
        name: of the encoder.
        weights: a file, "hub" or a repository of the hub; none keeps those by chance.
        freeze: whether resnet38's first convolution and batch norm stay; none freezes them where weights
            were loaded. Other encoders are trained whole.

    Returns:
        A line that says what was done.

    Raises:
        BadInputError: if the weights do not fit, or the encoder cannot be frozen.
        EnvironmentLacksError: if the hub's weights cannot be fetched.
    """
    told = f"{name}: weights by chance"
    if weights:
        path = find_weights(weights, name)
        told = f"{path}: {load_weights(encoder, path)}"
    if isinstance(encoder, ResNet38):
        if freeze or (freeze is None and weights):
            encoder.freeze()
            told += ", first convolution and batch norm frozen"
    elif freeze:
        raise BadInputError(f"freeze: for resnet38. Received: {name}")
    return told
