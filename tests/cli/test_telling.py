"""Errors and the exit codes that go with them."""

from __future__ import annotations

import pytest

from glandseg.cli.telling import describe_error
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (BadInputError("a.svs: is empty"), "a.svs: is empty", 2),
        (EnvironmentLacksError("disk: full"), "disk: full", 3),
        (MemoryError(), "the memory does not suffice. Free some, or give a smaller --batch.", 3),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            'torch: not installed. pip install "glandseg[train]".',
            3,
        ),
        (
            ModuleNotFoundError("No module named 'tumour'", name="tumour"),
            "ModuleNotFoundError: No module named 'tumour' (a fault of glandseg; --debug shows where)",
            4,
        ),
        (ValueError("odd"), "ValueError: odd (a fault of glandseg; --debug shows where)", 4),
    ],
)
def test_message_and_exit_code(error: Exception, message: str, code: int) -> None:
    assert describe_error(error) == (message, code)
