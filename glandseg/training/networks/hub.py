"""Pretrained weights from the Hugging Face hub, fetched only when a setting asks for them."""

from __future__ import annotations

import importlib
from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.core.regular_file import check_regular_file
from glandseg.training.paths import is_file

HUB = "hub"
WEIGHTS_FILE = "model.safetensors"
# Of each encoder: the repository whose names it shares.
REPOSITORIES = {
    "resnest50": "timm/resnest50d.in1k",
    "resnest101": "timm/resnest101e.in1k",
    "resnest200": "timm/resnest200e.in1k",
    "resnest269": "timm/resnest269e.in1k",
}


def refuse_missing(asked: str, encoder: str) -> None:
    """Refuse weights that are not there, before hours of work are done without them.

    Args:
        asked: What a setting names, as of `find_weights`.
        encoder: Name of the encoder that they are for.

    Raises:
        BadInputError: If the hub has none for this encoder, or the file is missing or not a regular file.
    """
    if _is_of_hub(asked):
        _refuse_other_encoder(asked, encoder)
        return
    check_regular_file(Path(asked))
    if not is_file(Path(asked)):
        raise BadInputError(f"{asked[:200]}: no such weights file. Check the path.")


def find_weights(asked: str, encoder: str) -> Path:
    """Give the file of the weights that a setting asks for.

    Args:
        asked: a file, "hub", or a repository such as "timm/resnest200e.in1k".
        encoder: name of the encoder that they are for.

    Raises:
        BadInputError: if the hub has none for this encoder.
        EnvironmentLacksError: if they cannot be fetched.
    """
    if not _is_of_hub(asked):
        return Path(asked)
    _refuse_other_encoder(asked, encoder)
    return _fetch(REPOSITORIES[encoder] if asked == HUB else asked)


def _is_of_hub(asked: str) -> bool:
    return asked == HUB or (asked.startswith("timm/") and not is_file(Path(asked)))


def _refuse_other_encoder(asked: str, encoder: str) -> None:
    if encoder not in REPOSITORIES:
        raise BadInputError(
            f"weights {asked}: the hub's are for {', '.join(REPOSITORIES)}. Give a file for {encoder}."
        )


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
