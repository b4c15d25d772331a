from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glandseg.core.errors import BadInputError
from glandseg.export.export_settings import ExportSettings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"calibrate": Path("data")}, "--calibrate: .* Add --int8"),
        ({"targets": ("sm86",)}, "--target: .* Add --fp16"),
        ({"targets": ("sm86",), "fp16": True, "engine": False}, "--target"),
        ({"mpp": 0.0}, "--mpp: must be above 0"),
        ({"mpp": float("nan")}, "--mpp"),
    ],
)
def test_refuses_what_makes_no_sense(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        ExportSettings(**settings)


def test_takes_what_makes_sense() -> None:
    settings = ExportSettings(fp16=True, int8=True, calibrate=Path("data"), targets=("sm86", "sm89"), mpp=0.5)
    assert settings.engine
