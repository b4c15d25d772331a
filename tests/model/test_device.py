"""Devices as users write them."""

from __future__ import annotations

import pytest

from glandseg.core.errors import BadInputError
from glandseg.model.device import DeviceChoice, parse_device


@pytest.mark.parametrize(
    ("text", "kind", "ordinal"),
    [
        ("auto", "auto", 0),
        ("cpu", "cpu", 0),
        ("cuda", "cuda", 0),
        ("cuda:1", "cuda", 1),
        ("auto:1", "auto", 1),
        ("trt:12", "trt", 12),
    ],
)
def test_devices_are_read(text: str, kind: str, ordinal: int) -> None:
    assert parse_device(text) == DeviceChoice(kind=kind, ordinal=ordinal)


@pytest.mark.parametrize(
    "text", ["", "gpu", "cpu:0", "auto:", "cuda:", "cuda:-1", "cuda:x", "trt:1:2", "CUDA", "cuda:1\n"]
)
def test_what_is_no_device(text: str) -> None:
    with pytest.raises(BadInputError, match="--device: one of auto, cpu, cuda, trt, or a GPU by number"):
        parse_device(text)
