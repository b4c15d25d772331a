"""JSON of strangers: parsed, or refused with a ValueError and nothing else."""

from __future__ import annotations

import pytest

from glandseg.core.json_text import parse_json


def test_json_is_parsed() -> None:
    assert parse_json('{"a": [1, 2.5, "µ", null, true]}') == {"a": [1, 2.5, "µ", None, True]}
    assert parse_json('"µ"'.encode()) == "µ"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Expecting value"),
        (b"\xff\xfe\x00", "codec"),
        ("[" * 100_000, "nested too deep"),
        ('{"a":' * 100_000, "nested too deep"),
        ('["\\ud800"]', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        ("[NaN]", "NaN, which is not a number"),
        ("[-Infinity]", "not a number"),
        ("[1e999]", "range"),
        ("9" * 5000, "digits"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str | bytes, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_json(text)
