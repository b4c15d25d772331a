"""Settings that make no sense are refused by the name of their option."""

from __future__ import annotations

import math
from typing import Any

import pytest

from glandseg.core.errors import BadInputError
from glandseg.runtime.settings import InferSettings, parse_scales


def test_the_defaults_hold() -> None:
    settings = InferSettings()
    assert settings.scales is None
    assert settings.tissue_mask


@pytest.mark.parametrize(
    ("setting", "option"),
    [
        ({"scales": ()}, "--scales"),
        ({"scales": (0.2,)}, "--scales"),
        ({"scales": (1.0, 5.0)}, "--scales"),
        ({"scales": (1.0, 1.0)}, "--scales"),
        ({"scales": (math.nan,)}, "--scales"),
        ({"threshold": 0.0}, "--threshold"),
        ({"threshold": 1.0}, "--threshold"),
        ({"threshold": math.nan}, "--threshold"),
        ({"min_gland_um2": -1.0}, "--min-gland-um2"),
        ({"min_gland_um2": math.nan}, "--min-gland-um2"),
        ({"min_lumen_um2": math.inf}, "--min-lumen-um2"),
        ({"batch": 0}, "--batch"),
        ({"batch": 10**9}, "--batch"),
        ({"max_ram_gib": 0.1}, "--max-ram"),
        ({"max_ram_gib": math.inf}, "--max-ram"),
        ({"max_ram_gib": math.nan}, "--max-ram"),
        ({"max_ram_gib": 1e300}, "--max-ram"),
        ({"csv_decimal": ";"}, "--csv-decimal"),
        ({"csv_decimal": ""}, "--csv-decimal"),
    ],
)
def test_what_makes_no_sense_is_refused(setting: dict[str, Any], option: str) -> None:
    with pytest.raises(BadInputError, match=f"^{option}: .* Received: "):
        InferSettings(**setting)


@pytest.mark.parametrize(
    ("text", "scales"),
    [
        ("1", (1.0,)),
        ("0.75,1,1.5", (0.75, 1.0, 1.5)),
        (" 1 , 2 ", (1.0, 2.0)),
        ("adaptive", None),
        (None, None),
    ],
)
def test_scales_are_read(text: str | None, scales: tuple[float, ...] | None) -> None:
    assert parse_scales(text) == scales


@pytest.mark.parametrize("text", ["", "1,", "1;2", "one"])
def test_what_are_no_scales(text: str) -> None:
    with pytest.raises(BadInputError, match=r"^--scales: numbers separated by commas"):
        parse_scales(text)
