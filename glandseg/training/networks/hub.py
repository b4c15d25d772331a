"""Pretrained weights from the Hugging Face hub, fetched only when a setting names them."""

from __future__ import annotations

import importlib
from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.core.regular_file import check_regular_file
from glandseg.training.networks.table import ENCODERS
from glandseg.training.paths import is_file

HUB = "hub"
WEIGHTS_FILE = "model.safetensors"


def refuse_missing(weights: str, encoder: str) -> None:
    """Raise if weights are missing, before hours of work are done without them.

    Args:
        weights: Value of the setting, as in `find_weights`.
        encoder: Name of the encoder that they are for.

    Raises:
        BadInputError: If the hub has none for this encoder, or the file is missing or not a regular file.
    """
    if _is_on_hub(weights):
        _find_repository(weights, encoder)
        return
    check_regular_file(Path(weights))
    if not is_file(Path(weights)):
        raise BadInputError(f"{weights[:200]}: no such weights file. Check the path.")


def find_weights(weights: str, encoder: str) -> Path:
    """Return the weights file that a setting names, fetched from the hub where it names that.

    Args:
        weights: A file, "hub", or a repository such as "timm/resnest200e.in1k".
        encoder: Name of the encoder that they are for.

    Raises:
        BadInputError: If the hub has none for this encoder.
        EnvironmentLacksError: If they cannot be fetched.
    """
    if not _is_on_hub(weights):
        return Path(weights)
    repository = _find_repository(weights, encoder)
    return _fetch(repository if weights == HUB else weights)


def _is_on_hub(weights: str) -> bool:
    return weights == HUB or (weights.startswith("timm/") and not is_file(Path(weights)))


def _find_repository(weights: str, encoder: str) -> str:
    repositories = {name: entry.hub for name, entry in ENCODERS.items() if entry.hub}
    if encoder not in repositories:
        raise BadInputError(
            f"weights {weights}: the hub's are for {', '.join(repositories)}. Give a file for {encoder}."
        )
    return repositories[encoder]


def _fetch(repository: str) -> Path:
    by_hand = f"Or fetch {WEIGHTS_FILE} of {repository} by hand and give its path."
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError:
        raise EnvironmentLacksError(
            f"weights {repository}: needs huggingface_hub. Run `pip install huggingface_hub`. {by_hand}"
        ) from None
    try:
        return Path(hub.hf_hub_download(repository, WEIGHTS_FILE))
    except Exception as error:  # the library's errors are many, and offline means several of them
        reason = shorten(error, 120)
        raise EnvironmentLacksError(f"weights {repository}: not fetched ({reason}). {by_hand}") from None
