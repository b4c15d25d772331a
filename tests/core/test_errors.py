"""What libraries say, on one line that harms no terminal and names no machine."""

from __future__ import annotations

import pytest

from glandseg.core.errors import BadInputError, explain, shorten, show


@pytest.mark.parametrize(
    "said", ["CUDA failure 35 ; GPU=0 ; hostname=ward7-pc ; file=a.cc", "hostname=ward7-pc"]
)
def test_the_machines_name_is_left_out(said: str) -> None:
    assert "ward7" not in shorten(RuntimeError(said))
    assert "hostname" not in shorten(RuntimeError(said))


def test_what_a_terminal_would_obey_is_replaced() -> None:
    assert show("a\x1b[2J\nb\u202ec\ud800") == "a [2J b c"
    assert show("y" * 9000, 20) == "y" * 17 + "..."
    assert shorten(RuntimeError("a\rb")) == "a b"
    assert shorten(RuntimeError()) == "RuntimeError"


def test_values_that_have_no_text_are_named_by_their_type() -> None:
    assert show(10**9000) == "int"
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert show(nested) == "list"


def test_errors_of_libraries_are_told_with_their_kind() -> None:
    assert explain(OSError("no library")) == "OSError: no library"
    assert explain(BadInputError("a.svs: no slide.")) == "a.svs: no slide."
